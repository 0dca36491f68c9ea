"""The purchase saga: authorize -> capture -> pay -> deliver -> refund if refused -> finish.

What is bought was taken from the listing before it began. Before the capture every failure frees the money
and gives the goods back to the listing. After it the purchase goes forward only; if crops refuses to deliver,
because the lot was recalled or held meanwhile, forward means a refund. See ADR 20.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis.clock import Clock
from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import FOREVER, Retry, Saga, Step, StepContext
from services.market.application.ports import Crops, Events, Listings, Payments, Purchases
from services.market.domain.events import ListingChanged, Purchased, PurchaseFailed
from services.market.domain.listing import Listing
from services.market.domain.purchase import Purchase, delivered_code

NAME = "purchase"
_TOLD_AS_IS = frozenset(
    {"PAYMENT_METHOD_INVALID", "PAYMENT_DECLINED", "PROVIDER_TIMEOUT", "LOT_RECALLED", "LOT_HELD"}
)
_REFUSALS = (FailedPrecondition, NotFound, AlreadyExists, InvalidArgument)


def started_with(listing: Listing, bought: Purchase, payment_method: str) -> dict[str, Any]:
    """What the saga is started with."""
    return {
        "purchase_id": bought.purchase_id,
        "listing_id": bought.listing_id,
        "lot_id": bought.lot_id,
        "commitment_id": listing.commitment_id,
        "buyer_id": bought.buyer_id,
        "amount": bought.quantity.text,
        "unit": bought.quantity.unit,
        "total": {"minor": bought.total.minor, "currency": bought.total.currency},
        "lot_code": delivered_code(listing.lot_code, bought.purchase_id),
        "payment_method": payment_method,
    }


class PurchaseSteps:
    """The saga's actions."""

    def __init__(
        self,
        purchases: Purchases,
        listings: Listings,
        crops: Crops,
        payments: Payments,
        events: Events,
        clock: Clock,
    ) -> None:
        self._purchases = purchases
        self._listings = listings
        self._crops = crops
        self._payments = payments
        self._events = events
        self._clock = clock

    def saga(self) -> Saga:
        """The definition."""
        quick = Retry(attempts=5, first=timedelta(milliseconds=100), ceiling=timedelta(seconds=2))
        return Saga(
            NAME,
            version=1,
            deadline=timedelta(minutes=5),
            hidden=frozenset({"payment_method"}),
            steps=(
                Step("authorize", self.authorize, undo=self.void, retry=quick),
                Step("capture", self.capture, pivot=True, undo=self.void),
                Step("pay", self.pay, local=True),
                Step("deliver", self.deliver, retry=FOREVER),
                Step("refund", self.refund, retry=FOREVER),
                Step("finish", self.finish, local=True),
            ),
            on_failed=Step("fail", self.fail, local=True),
        )

    async def authorize(self, ctx: StepContext) -> None:
        data = ctx.data
        await self._payments.authorize(
            ctx.idempotency_key,
            data["purchase_id"],
            data["buyer_id"],
            Money(**data["total"]),
            data["payment_method"],
        )

    async def void(self, ctx: StepContext) -> None:
        await self._payments.void(ctx.idempotency_key, ctx.data["purchase_id"])

    async def capture(self, ctx: StepContext) -> None:
        await self._payments.capture(ctx.idempotency_key, ctx.data["purchase_id"])

    async def pay(self, ctx: StepContext) -> None:
        bought = await self._purchase(ctx)
        await self._purchases.save(bought.paid(self._clock.now()))

    async def deliver(self, ctx: StepContext) -> dict[str, Any]:
        data = ctx.data
        try:
            lot_id = await self._crops.deliver(
                ctx.idempotency_key,
                data["lot_id"],
                data["commitment_id"],
                _quantity(data),
                data["buyer_id"],
                data["lot_code"],
            )
        except _REFUSALS as refusal:
            # For good: crops keeps what it has refused refused, also to an attempt that arrives late.
            return {"delivered_lot_id": "", "refusal": refusal.reason}
        return {"delivered_lot_id": lot_id, "refusal": ""}

    async def refund(self, ctx: StepContext) -> None:
        if ctx.data["delivered_lot_id"]:
            return
        try:
            await self._payments.refund(ctx.idempotency_key, ctx.data["purchase_id"], "goods not delivered")
        except FailedPrecondition as refusal:
            # An operator was quicker: all of it is given back.
            if refusal.reason != "REFUND_EXCEEDS_CAPTURE":
                raise

    async def finish(self, ctx: StepContext) -> None:
        if not ctx.data["delivered_lot_id"]:
            await self._give_up(ctx, ctx.data["refusal"], Money(**ctx.data["total"]))
            return
        bought, now = await self._purchase(ctx), self._clock.now()
        done = bought.completed(ctx.data["delivered_lot_id"], ctx.data["lot_code"], now)
        if done is bought:
            return  # an operator had the step repeated
        listing = await self._listing(ctx)
        await self._listings.save(listing.deliver(bought.quantity, now))
        await self._purchases.save(done)
        await self._events.publish([Purchased(done)])

    async def fail(self, ctx: StepContext) -> None:
        await self._give_up(ctx, ctx.failure.reason if ctx.failure else "", None)

    async def _give_up(self, ctx: StepContext, reason: str, refunded: Money | None) -> None:
        bought, now = await self._purchase(ctx), self._clock.now()
        failed = bought.failed(reason if reason in _TOLD_AS_IS else "PURCHASE_FAILED", now)
        if failed is bought:
            return
        listing = (await self._listing(ctx)).give_back(bought.quantity, now)
        await self._listings.save(listing)
        await self._purchases.save(failed)
        await self._events.publish([PurchaseFailed(failed, refunded), ListingChanged(listing.as_of(now))])

    async def _purchase(self, ctx: StepContext) -> Purchase:
        bought = await self._purchases.get(ctx.data["purchase_id"], lock=True)
        if bought is None:
            raise NotFound("PURCHASE_NOT_FOUND", "there is no such purchase")
        return bought

    async def _listing(self, ctx: StepContext) -> Listing:
        listing = await self._listings.get(ctx.data["listing_id"], lock=True)
        if listing is None:
            raise NotFound("LISTING_NOT_FOUND", "there is no such listing")
        return listing


def _quantity(data: Mapping[str, Any]) -> Quantity:
    return Quantity.of(data["amount"], data["unit"])
