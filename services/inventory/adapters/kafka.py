"""Stock facts as domain events, and recalls that come in."""

from collections.abc import Sequence

from google.protobuf.message import Message

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.outbox import Outbox, Publication
from chassis.protobuf import quantity_to_proto, timestamp_to_proto
from greenledger.crops.v1 import events_pb2 as crops_pb
from greenledger.inventory.v1 import events_pb2 as pb
from services.inventory.adapters.codec import allocation_to_proto
from services.inventory.application.quarantine import QuarantineLot
from services.inventory.domain.events import (
    Consumed,
    Quarantined,
    Received,
    Released,
    Reserved,
    StockEvent,
)
from services.inventory.domain.reservation import Reservation, State


class InventoryEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, events: Sequence[StockEvent]) -> None:
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [_publication(event) for event in events])


def recalls(quarantine: QuarantineLot) -> Subscription[crops_pb.LotRecalled]:
    """Blocks the stock of every recalled lot."""

    async def handle(event: ReceivedEvent[crops_pb.LotRecalled], _tx: Transaction) -> None:
        await quarantine(event.payload.lot_id, event.payload.reason)

    return Subscription("crop.recalled", crops_pb.LotRecalled, handle)


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
        case Quarantined(item):
            quarantined = pb.StockQuarantined(
                stock_item_id=item.stock_item_id,
                venue_id=item.venue_id,
                lot_id=item.lot_id,
                on_hand=quantity_to_proto(item.on_hand),
                product_code=item.product_code,
            )
            return Publication("inventory.quarantined", item.stock_item_id, quarantined, "stock-item")
        case Reserved(reservation) | Consumed(reservation) | Released(reservation):
            topic, payload = _of_reservation(event, reservation)
            return Publication(topic, reservation.order_id, payload, "order")


def _of_reservation(event: StockEvent, reservation: Reservation) -> tuple[str, Message]:
    ids = {"order_id": reservation.order_id, "venue_id": reservation.venue_id}
    allocations = map(allocation_to_proto, reservation.allocations)
    if isinstance(event, Reserved):
        return "inventory.reserved", pb.StockReserved(**ids, allocations=allocations)
    if isinstance(event, Consumed):
        return "inventory.consumed", pb.StockConsumed(**ids, allocations=allocations)
    expired = reservation.state is State.EXPIRED
    return "inventory.released", pb.ReservationReleased(**ids, expired=expired)
