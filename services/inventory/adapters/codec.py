"""Protobuf to domain and back."""

from datetime import datetime

from chassis.protobuf import (
    id_from_proto,
    quantity_from_proto,
    quantity_to_proto,
    timestamp_from_proto,
    timestamp_to_proto,
)
from greenledger.crops.v1 import crops_pb2
from greenledger.inventory.v1 import inventory_pb2 as pb
from services.inventory.domain.receipt import Goods
from services.inventory.domain.reservation import Reservation, State
from services.inventory.domain.stock import Allocation, Need, StockItem

_STATES = {
    State.HELD: pb.RESERVATION_STATE_HELD,
    State.CONFIRMED: pb.RESERVATION_STATE_CONFIRMED,
    State.CONSUMED: pb.RESERVATION_STATE_CONSUMED,
    State.RELEASED: pb.RESERVATION_STATE_RELEASED,
    State.EXPIRED: pb.RESERVATION_STATE_EXPIRED,
}


def item_to_proto(item: StockItem, at: datetime) -> pb.StockItem:
    """A stock item as the contract shows it, with what is available at a time."""
    return pb.StockItem(
        stock_item_id=item.stock_item_id,
        venue_id=item.venue_id,
        lot_id=item.lot_id,
        product_code=item.product_code,
        on_hand=quantity_to_proto(item.on_hand),
        reserved=quantity_to_proto(item.reserved),
        available=quantity_to_proto(item.available(at)),
        quarantined=item.quarantined,
        held=item.held,
        expire_time=timestamp_to_proto(item.expires_at),
        receive_time=timestamp_to_proto(item.received_at),
    )


def need_from_proto(line: pb.ReservationLine) -> Need:
    """A line of a reservation."""
    return Need(
        menu_item_id=id_from_proto(line.menu_item_id, "menu_item_id"),
        quantity=quantity_from_proto(line.quantity),
        product_code=line.product_code,
        lot_id=id_from_proto(line.lot_id, "lot_id"),
    )


def allocation_to_proto(allocation: Allocation) -> pb.Allocation:
    """An allocation as the contract shows it."""
    return pb.Allocation(
        menu_item_id=allocation.menu_item_id,
        stock_item_id=allocation.stock_item_id,
        lot_id=allocation.lot_id,
        quantity=quantity_to_proto(allocation.quantity),
    )


def reservation_to_proto(reservation: Reservation) -> pb.Reservation:
    """A reservation as the contract shows it."""
    return pb.Reservation(
        order_id=reservation.order_id,
        venue_id=reservation.venue_id,
        state=_STATES[reservation.state],
        allocations=map(allocation_to_proto, reservation.allocations),
        expire_time=timestamp_to_proto(reservation.expires_at),
    )


def goods_from_proto(response: crops_pb2.CommitLotQuantityResponse) -> Goods:
    """What crops has committed."""
    return Goods(
        product_code=response.lot.product_code,
        quantity=quantity_from_proto(response.committed),
        expires_at=timestamp_from_proto(response.lot.expire_time),
    )
