"""What is heard of recalls, and whom it concerns."""

from typing import Any

from chassis.database import Transaction
from chassis.inbox import ReceivedEvent, Subscription
from greenledger.catalog.v1 import events_pb2 as catalog_pb
from greenledger.crops.v1 import events_pb2 as crops_pb
from greenledger.inventory.v1 import events_pb2 as inventory_pb
from greenledger.orders.v1 import events_pb2 as orders_pb
from services.notifications.adapters.kafka import amount_text
from services.notifications.application.tell_of_recall import TellOfRecall
from services.notifications.domain import recall as lines


def recall_subscriptions(tell: TellOfRecall) -> list[Subscription[Any]]:
    """Whom a recall reaches: guests, owners of venues, owners and growers of lots."""

    async def order_recalled(event: ReceivedEvent[orders_pb.OrderRecalled], _tx: Transaction) -> None:
        order = event.payload
        if order.unaffected:
            return  # that it was fulfilled is all there is to tell
        money = order.refunded
        refunded = amount_text(money) if money.units or money.nanos else ""
        line = lines.order_served if order.served else lines.order_stopped
        text = line(order.order_id, refunded)
        await tell.guest(event.event_id, order.recall_id, order.guest_id, order.order_id, text)

    async def quarantined(event: ReceivedEvent[inventory_pb.StockQuarantined], _tx: Transaction) -> None:
        stock = event.payload
        if stock.recall_id:  # older events name none; nobody was told of them
            line = lines.stock_quarantined(stock.venue_id, stock.lot_id)
            await tell.venue(stock.recall_id, stock.venue_id, line)

    async def venue_created(event: ReceivedEvent[catalog_pb.VenueCreated], _tx: Transaction) -> None:
        await tell.venue_opened(event.payload.venue_id, event.payload.owner_id)

    async def lot_recalled(event: ReceivedEvent[crops_pb.LotRecalled], _tx: Transaction) -> None:
        lot = event.payload
        recall_id = lot.recall_id or lot.root_lot_id or lot.lot_id  # older events name only the lots
        line = lines.lot_recalled(lot.lot_id, lot.lot_code, lot.reason)
        # In one order, so that events of one recall that meet wait for each other instead of dying of it.
        for user_id in sorted({lot.owner_id, lot.grower_id}):
            await tell.person(recall_id, user_id, line)

    return [
        Subscription("order.recalled", orders_pb.OrderRecalled, order_recalled),
        Subscription("inventory.quarantined", inventory_pb.StockQuarantined, quarantined),
        Subscription("catalog.venue-created", catalog_pb.VenueCreated, venue_created),
        Subscription("crop.recalled", crops_pb.LotRecalled, lot_recalled),
    ]
