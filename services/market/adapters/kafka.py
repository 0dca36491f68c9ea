"""Facts of the market as domain events, and what comes in of lots."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_to_proto, quantity_to_proto
from greenledger.crops.v1 import events_pb2 as crops_pb
from greenledger.market.v1 import events_pb2 as pb
from services.market.adapters.codec import listing_state_to_proto
from services.market.application.standings import FollowLots
from services.market.domain.events import Listed, ListingChanged, MarketEvent, Purchased, PurchaseFailed


class MarketEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, events: Sequence[MarketEvent]) -> None:
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [_publication(event) for event in events])


def lot_subscriptions(follow: FollowLots) -> list[Subscription[Any]]:
    """Recalls and holds of lots, and their ends."""

    async def recalled(event: ReceivedEvent[crops_pb.LotRecalled], _tx: Transaction) -> None:
        await follow.recalled(event.payload.lot_id, _recall_id(event.payload), released=False)

    async def recall_released(event: ReceivedEvent[crops_pb.LotRecallReleased], _tx: Transaction) -> None:
        await follow.recalled(event.payload.lot_id, _recall_id(event.payload), released=True)

    async def held(event: ReceivedEvent[crops_pb.LotHeld], _tx: Transaction) -> None:
        await follow.held(event.payload.lot_id, held=True, at=event.occurred_time)

    async def hold_released(event: ReceivedEvent[crops_pb.LotHoldReleased], _tx: Transaction) -> None:
        await follow.held(event.payload.lot_id, held=False, at=event.occurred_time)

    return [
        Subscription("crop.recalled", crops_pb.LotRecalled, recalled),
        Subscription("crop.recall-released", crops_pb.LotRecallReleased, recall_released),
        Subscription("crop.held", crops_pb.LotHeld, held),
        Subscription("crop.hold-released", crops_pb.LotHoldReleased, hold_released),
    ]


def _recall_id(told: crops_pb.LotRecalled | crops_pb.LotRecallReleased) -> str:
    # Events of before recalls had names are known by the lot for which the recall was called.
    return told.recall_id or told.root_lot_id


def _publication(event: MarketEvent) -> Publication:
    match event:
        case Listed(listing) | ListingChanged(listing):
            topic, payload = _of_listing(event)
            return Publication(topic, listing.listing_id, payload, "listing")
        case Purchased(purchase) | PurchaseFailed(purchase):
            topic, payload = _of_purchase(event)
            return Publication(topic, purchase.purchase_id, payload, "purchase")


def _of_listing(event: Listed | ListingChanged) -> tuple[str, Message]:
    listing = event.listing
    if isinstance(event, Listed):
        return "market.listed", pb.Listed(
            listing_id=listing.listing_id,
            seller_id=listing.seller_id,
            lot_id=listing.lot_id,
            product_code=listing.product_code,
            quantity=quantity_to_proto(listing.quantity),
            unit_price=money_to_proto(listing.unit_price),
            price_unit_code=listing.price_unit,
        )
    return "market.listing-changed", pb.ListingChanged(
        listing_id=listing.listing_id,
        lot_id=listing.lot_id,
        state=listing_state_to_proto(listing.state),
        remaining=quantity_to_proto(listing.remaining),
    )


def _of_purchase(event: Purchased | PurchaseFailed) -> tuple[str, Message]:
    purchase = event.purchase
    if isinstance(event, PurchaseFailed):
        return "market.purchase-failed", pb.PurchaseFailed(
            purchase_id=purchase.purchase_id,
            listing_id=purchase.listing_id,
            lot_id=purchase.lot_id,
            buyer_id=purchase.buyer_id,
            reason=purchase.failure_reason,
            refunded=money_to_proto(event.refunded) if event.refunded else None,
        )
    return "market.purchased", pb.Purchased(
        purchase_id=purchase.purchase_id,
        listing_id=purchase.listing_id,
        lot_id=purchase.lot_id,
        product_code=purchase.product_code,
        seller_id=purchase.seller_id,
        buyer_id=purchase.buyer_id,
        quantity=quantity_to_proto(purchase.quantity),
        total=money_to_proto(purchase.total),
        delivered_lot_id=purchase.delivered_lot_id,
    )
