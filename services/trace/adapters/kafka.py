"""What trace listens to, and how messages become facts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from chassis.database import Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.protobuf import quantity_from_proto
from greenledger.catalog.v1 import events_pb2 as catalog
from greenledger.crops.v1 import events_pb2 as crops
from greenledger.inventory.v1 import events_pb2 as inventory
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import events_pb2 as orders
from services.trace.adapters import crop_events as of
from services.trace.adapters import journal_events as journal
from services.trace.adapters import partner_events as partner
from services.trace.adapters.reading_events import readings
from services.trace.application.learn import Learn
from services.trace.domain import facts as f
from services.trace.domain.journal import Entry, Reading
from services.trace.domain.orders import OrderState

P = TypeVar("P", bound=Message)


def _no_fact(event: object) -> None:
    """For what is only of the journal."""


def _nothing(event: object) -> Iterable[Any]:
    return ()


def subscriptions(learn: Learn) -> list[Subscription[Any]]:
    """Every topic that trace applies; in batches, since the graph takes facts in any order."""
    topics = _Topics(learn)
    _crops(topics)
    _others(topics)
    return topics.found


class _Topics:
    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self.found: list[Subscription[Any]] = []

    def listen(
        self,
        topic: str,
        payload_type: type[P],
        fact_of: Callable[[ReceivedEvent[P]], f.Fact | None],
        entries_of: Callable[[ReceivedEvent[P]], Iterable[Entry]] = _nothing,
        readings_of: Callable[[ReceivedEvent[P]], Iterable[Reading]] = _nothing,
        facts_of: Callable[[ReceivedEvent[P]], Iterable[f.Fact]] = _nothing,
    ) -> None:
        async def apply(events: Sequence[ReceivedEvent[P]], tx: Transaction) -> None:
            facts = [fact for event in events if (fact := fact_of(event)) is not None]
            await self._learn(
                [*facts, *(fact for event in events for fact in facts_of(event))],
                max(event.recorded_time for event in events),
                [entry for event in events for entry in entries_of(event)],
                [reading for event in events for reading in readings_of(event)],
            )

        self.found.append(Subscription(topic, payload_type, batch_handler=apply))


def _crops(topics: _Topics) -> None:
    listen = topics.listen
    listen("crop.minted", crops.LotMinted, of.minted, journal.minted)
    listen("crop.transferred", crops.LotTransferred, of.transferred, journal.transferred)
    listen("crop.split", crops.LotSplit, of.split, journal.split)
    listen("crop.transformed", crops.LotTransformed, of.transformed, journal.transformed)
    listen("crop.recalled", crops.LotRecalled, of.recalled)
    listen("crop.recall-released", crops.LotRecallReleased, of.recall_released)
    listen("crop.held", crops.LotHeld, of.held)
    listen("crop.hold-released", crops.LotHoldReleased, of.hold_released)
    listen("crop.destroyed", crops.LotDestroyed, of.destroyed, journal.destroyed)
    listen("crop.sold", crops.LotSold, of.sold, journal.sold)
    # What was served is told twice: inventory says which order and venue, crops what it left of the lot.
    listen("crop.served", crops.LotServed, of.sold, journal.served)
    listen("crop.corrected", crops.LotCorrected, of.corrected, journal.corrected)
    listen("crop.quantity-committed", crops.LotQuantityCommitted, _no_fact, journal.committed)
    listen("crop.quantity-released", crops.LotQuantityReleased, _no_fact, journal.released)
    listen("crop.quantity-delivered", crops.LotQuantityDelivered, _no_fact, journal.delivered)
    listen("crop.custody-changed", crops.LotCustodyChanged, of.custody_changed, journal.custody_changed)
    listen("crop.shipped", crops.LotShipped, of.shipped, journal.shipped)
    listen("crop.shipment-voided", crops.LotShipmentVoided, of.voided, journal.voided)
    listen("crop.arrived", crops.LotArrived, of.arrived, journal.arrived)
    listen("crop.transport-updated", crops.LotTransportUpdated, _no_fact, journal.transport)
    listen("crop.observed", crops.LotObserved, _no_fact, journal.observed, readings)
    listen("crop.unit-packed", crops.UnitPacked, of.packed, journal.packed)
    listen("crop.unit-unpacked", crops.UnitUnpacked, of.unpacked, journal.unpacked)
    listen("crop.epcis-captured", crops.EpcisEventCaptured, partner.captured, facts_of=partner.reported)


def _others(topics: _Topics) -> None:
    listen = topics.listen
    listen("inventory.received", inventory.StockReceived, _received, journal.received)
    listen("inventory.quarantined", inventory.StockQuarantined, _quarantined)
    listen("inventory.quarantine-lifted", inventory.QuarantineLifted, _lifted)
    listen("inventory.reserved", inventory.StockReserved, _reserved)
    listen("inventory.released", inventory.ReservationReleased, _released)
    listen("inventory.consumed", inventory.StockConsumed, _consumed, journal.consumed)
    listen("catalog.venue-created", catalog.VenueCreated, _venue)
    listen("catalog.menu-item-changed", catalog.MenuItemChanged, _menu_item)
    listen("order.placed", orders.OrderPlaced, _placed)
    listen("order.confirmed", orders.OrderConfirmed, lambda event: _order(event, OrderState.CONFIRMED))
    listen("order.fulfilled", orders.OrderFulfilled, lambda event: _order(event, OrderState.FULFILLED))
    listen("order.failed", orders.OrderFailed, lambda event: _order(event, OrderState.FAILED))


def _received(event: ReceivedEvent[inventory.StockReceived]) -> f.StockReceived:
    return f.StockReceived(
        stock_item_id=event.payload.stock_item_id,
        venue_id=event.payload.venue_id,
        lot_id=event.payload.lot_id,
        quantity=quantity_from_proto(event.payload.quantity),
    )


def _quarantined(event: ReceivedEvent[inventory.StockQuarantined]) -> f.StockQuarantined:
    return f.StockQuarantined(
        stock_item_id=event.payload.stock_item_id,
        venue_id=event.payload.venue_id,
        lot_id=event.payload.lot_id,
        recorded=event.recorded_time,
    )


def _lifted(event: ReceivedEvent[inventory.QuarantineLifted]) -> f.QuarantineLifted:
    return f.QuarantineLifted(
        stock_item_id=event.payload.stock_item_id,
        venue_id=event.payload.venue_id,
        lot_id=event.payload.lot_id,
        recorded=event.recorded_time,
    )


def _allocations(allocations: Sequence[inventory_pb2.Allocation]) -> tuple[f.Allocation, ...]:
    return tuple(f.Allocation(a.stock_item_id, a.lot_id, a.menu_item_id) for a in allocations)


def _reserved(event: ReceivedEvent[inventory.StockReserved]) -> f.StockReserved:
    allocations = _allocations(event.payload.allocations)
    return f.StockReserved(
        order_id=event.payload.order_id, venue_id=event.payload.venue_id, allocations=allocations
    )


def _released(event: ReceivedEvent[inventory.ReservationReleased]) -> f.ReservationReleased:
    return f.ReservationReleased(order_id=event.payload.order_id, venue_id=event.payload.venue_id)


def _consumed(event: ReceivedEvent[inventory.StockConsumed]) -> f.StockConsumed:
    allocations = _allocations(event.payload.allocations)
    return f.StockConsumed(
        order_id=event.payload.order_id, venue_id=event.payload.venue_id, allocations=allocations
    )


def _venue(event: ReceivedEvent[catalog.VenueCreated]) -> f.VenueCreated:
    venue = event.payload
    return f.VenueCreated(venue_id=venue.venue_id, owner_id=venue.owner_id, name=venue.name)


def _menu_item(event: ReceivedEvent[catalog.MenuItemChanged]) -> f.MenuItemChanged:
    item = event.payload
    return f.MenuItemChanged(
        menu_item_id=item.menu_item_id,
        venue_id=item.venue_id,
        name=item.name,
        product_codes=tuple(each.product_code for each in item.ingredients if each.product_code),
        lot_ids=tuple(each.lot_id for each in item.ingredients if each.lot_id),
        revision=item.revision,
    )


def _placed(event: ReceivedEvent[orders.OrderPlaced]) -> f.OrderSeen:
    order = event.payload
    return f.OrderSeen(
        order_id=order.order_id,
        guest_id=order.guest_id,
        venue_id=order.venue_id,
        state=OrderState.PENDING,
        placed_at=event.occurred_time,
    )


def _order(
    event: ReceivedEvent[orders.OrderConfirmed]
    | ReceivedEvent[orders.OrderFulfilled]
    | ReceivedEvent[orders.OrderFailed],
    state: OrderState,
) -> f.OrderSeen:
    order = event.payload
    return f.OrderSeen(order_id=order.order_id, guest_id=order.guest_id, venue_id=order.venue_id, state=state)
