"""Stock facts as domain events, and what is heard of recalls."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.outbox import Outbox, Publication
from chassis.protobuf import quantity_to_proto, timestamp_to_proto
from greenledger.crops.v1 import events_pb2 as crops_pb
from greenledger.inventory.v1 import events_pb2 as pb
from services.inventory.adapters.codec import allocation_to_proto
from services.inventory.application.quarantine import HoldStock, LiftQuarantine, QuarantineLots
from services.inventory.domain.events import (
    Consumed,
    OrderAffected,
    Quarantined,
    QuarantineLifted,
    Received,
    Released,
    Reserved,
    StockEvent,
)
from services.inventory.domain.reservation import Reservation, State
from services.inventory.domain.stock import StockItem


class InventoryEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, events: Sequence[StockEvent]) -> None:
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [_publication(event) for event in events])


def recalls(quarantine: QuarantineLots) -> Subscription[crops_pb.LotRecalled]:
    """Blocks the stock of lots that were recalled before crops had recalls call `QuarantineLots`."""

    async def handle(event: ReceivedEvent[crops_pb.LotRecalled], _tx: Transaction) -> None:
        told = event.payload
        # One with a name comes by its call, which knows all its lots: were it heard here too, an order that
        # takes from several of them would be told of with one.
        if not told.recall_id:
            await quarantine(told.root_lot_id, [told.lot_id], told.reason)

    return Subscription("crop.recalled", crops_pb.LotRecalled, handle)


def released_recalls(lift: LiftQuarantine) -> Subscription[crops_pb.LotRecallReleased]:
    """Sets the stock of lots free whose recall has ended."""

    async def handle(event: ReceivedEvent[crops_pb.LotRecallReleased], _tx: Transaction) -> None:
        await lift(event.payload.recall_id or event.payload.root_lot_id, event.payload.lot_id)

    return Subscription("crop.recall-released", crops_pb.LotRecallReleased, handle)


def holds(hold: HoldStock) -> list[Subscription[Any]]:
    """Keeps stock of held lots from being used."""

    async def begin(event: ReceivedEvent[crops_pb.LotHeld], _tx: Transaction) -> None:
        await hold(event.payload.lot_id, ended=False)

    async def end(event: ReceivedEvent[crops_pb.LotHoldReleased], _tx: Transaction) -> None:
        await hold(event.payload.lot_id, ended=True)

    return [
        Subscription("crop.held", crops_pb.LotHeld, begin),
        Subscription("crop.hold-released", crops_pb.LotHoldReleased, end),
    ]


def _publication(event: StockEvent) -> Publication:
    match event:
        case Received(item):
            received = pb.StockReceived(
                stock_item_id=item.stock_item_id,
                venue_id=item.venue_id,
                lot_id=item.lot_id,
                product_code=item.product_code,
                quantity=quantity_to_proto(item.on_hand),
                expire_time=timestamp_to_proto(item.expires_at),
            )
            return Publication("inventory.received", item.stock_item_id, received, "stock-item")
        case Quarantined(item, recall_id):
            quarantined = pb.StockQuarantined(**_of_recall(item, recall_id), product_code=item.product_code)
            return Publication("inventory.quarantined", item.stock_item_id, quarantined, "stock-item")
        case QuarantineLifted(item, recall_id):
            lifted = pb.QuarantineLifted(**_of_recall(item, recall_id))
            return Publication("inventory.quarantine-lifted", item.stock_item_id, lifted, "stock-item")
        case OrderAffected():
            affected = pb.OrderAffected(
                order_id=event.order_id,
                venue_id=event.venue_id,
                recall_id=event.recall_id,
                lot_ids=event.lot_ids,
                consumed=event.consumed,
            )
            return Publication("inventory.order-affected", event.order_id, affected, "order")
        case Reserved(reservation) | Consumed(reservation) | Released(reservation):
            topic, payload = _of_reservation(event, reservation)
            return Publication(topic, reservation.order_id, payload, "order")


def _of_recall(item: StockItem, recall_id: str) -> dict[str, Any]:
    return {
        "stock_item_id": item.stock_item_id,
        "venue_id": item.venue_id,
        "lot_id": item.lot_id,
        "on_hand": quantity_to_proto(item.on_hand),
        "recall_id": recall_id,
    }


def _of_reservation(event: StockEvent, reservation: Reservation) -> tuple[str, Message]:
    ids = {"order_id": reservation.order_id, "venue_id": reservation.venue_id}
    allocations = map(allocation_to_proto, reservation.allocations)
    if isinstance(event, Reserved):
        return "inventory.reserved", pb.StockReserved(**ids, allocations=allocations)
    if isinstance(event, Consumed):
        return "inventory.consumed", pb.StockConsumed(**ids, allocations=allocations)
    expired = reservation.state is State.EXPIRED
    return "inventory.released", pb.ReservationReleased(**ids, expired=expired)
