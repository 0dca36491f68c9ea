"""The checkout saga (mission D2): reserve -> authorize -> hold -> confirm -> capture -> consume -> finish.

Before the capture every failure gives the stock and the authorization back. After it the order goes
forward only; if a recall or a hold has meanwhile taken the reserved lots away, forward means a refund.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chassis.clock import Clock
from chassis.errors import FailedPrecondition, NotFound
from chassis.saga import FOREVER, Retry, Saga, Step, StepContext
from services.orders.application.checkout_data import CheckoutData
from services.orders.application.ports import Carts, Events, Inventory, Orders, Payments
from services.orders.domain.events import Confirmed, Failed, Fulfilled, OrderEvent
from services.orders.domain.order import Order, State

NAME = "checkout"
_BLOCKED = {"LOT_QUARANTINED": "LOT_RECALLED", "LOT_RECALLED": "LOT_RECALLED", "LOT_HELD": "LOT_HELD"}
"""Inventory's refusals of goods that must not be served, and what the guest hears."""
_TOLD_AS_IS = frozenset(
    {"OUT_OF_STOCK", "PAYMENT_METHOD_INVALID", "PAYMENT_DECLINED", "PROVIDER_TIMEOUT", *_BLOCKED.values()}
)


class CheckoutSteps:
    """The saga's actions."""

    def __init__(
        self,
        orders: Orders,
        carts: Carts,
        inventory: Inventory,
        payments: Payments,
        events: Events,
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._carts = carts
        self._inventory = inventory
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
                Step("reserve", self.reserve, undo=self.release, retry=quick),
                Step("authorize", self.authorize, undo=self.void, retry=quick),
                Step("hold", self.hold, retry=quick),
                Step("confirm", self.confirm, local=True),
                Step("capture", self.capture, pivot=True, undo=self.void),
                Step("pay", self.pay, local=True),
                Step("consume", self.consume, retry=FOREVER),
                Step("refund", self.refund, retry=FOREVER),
                Step("finish", self.finish, local=True),
            ),
            on_failed=Step("fail", self.fail, local=True),
        )

    async def reserve(self, ctx: StepContext) -> None:
        data = CheckoutData.from_json(ctx.data)
        await self._inventory.reserve(ctx.idempotency_key, data.order_id, data.venue_id, data.needs)

    async def release(self, ctx: StepContext) -> None:
        await self._inventory.release(ctx.idempotency_key, ctx.data["order_id"])

    async def authorize(self, ctx: StepContext) -> None:
        data = CheckoutData.from_json(ctx.data)
        await self._payments.authorize(
            ctx.idempotency_key, data.order_id, data.guest_id, data.total, data.payment_method
        )

    async def void(self, ctx: StepContext) -> None:
        await self._payments.void(ctx.idempotency_key, ctx.data["order_id"])

    async def hold(self, ctx: StepContext) -> None:
        await self._inventory.hold(ctx.idempotency_key, ctx.data["order_id"])

    async def confirm(self, ctx: StepContext) -> None:
        await self._move(ctx, State.CONFIRMED, Confirmed)

    async def capture(self, ctx: StepContext) -> None:
        await self._payments.capture(ctx.idempotency_key, ctx.data["order_id"])

    async def pay(self, ctx: StepContext) -> None:
        await self._move(ctx, State.PAID, None)

    async def consume(self, ctx: StepContext) -> dict[str, Any]:
        try:
            await self._inventory.consume(ctx.idempotency_key, ctx.data["order_id"])
        except FailedPrecondition as refusal:
            if refusal.reason not in _BLOCKED:
                raise
            return {"recalled": True, "blocked": _BLOCKED[refusal.reason]}
        return {"recalled": False}

    async def refund(self, ctx: StepContext) -> None:
        if ctx.data["recalled"]:
            await self._give_back(ctx)
            await self._inventory.release(ctx.idempotency_key, ctx.data["order_id"])

    async def _give_back(self, ctx: StepContext) -> None:
        try:
            reason = "lot held" if ctx.data.get("blocked") == "LOT_HELD" else "lot recalled"
            await self._payments.refund(ctx.idempotency_key, ctx.data["order_id"], reason)
        except FailedPrecondition as refusal:
            # An operator was quicker: all of it is given back.
            if refusal.reason != "REFUND_EXCEEDS_CAPTURE":
                raise

    async def finish(self, ctx: StepContext) -> None:
        data = CheckoutData.from_json(ctx.data)
        if ctx.data["recalled"]:
            # Sagas from before there were holds do not say what blocked them.
            await self._move(ctx, State.FAILED, Failed, ctx.data.get("blocked", "LOT_RECALLED"))
            return
        await self._move(ctx, State.FULFILLED, Fulfilled)
        if data.cart_revision is not None:
            await self._carts.clear(data.guest_id, self._clock.now(), revision=data.cart_revision)

    async def fail(self, ctx: StepContext) -> None:
        reason = ctx.failure.reason if ctx.failure else ""
        reason = _BLOCKED.get(reason, reason)
        await self._move(ctx, State.FAILED, Failed, reason if reason in _TOLD_AS_IS else "CHECKOUT_FAILED")

    async def _move(
        self,
        ctx: StepContext,
        state: State,
        event: Callable[[Order], OrderEvent] | None,
        failure_reason: str = "",
    ) -> None:
        order = await self._orders.get(ctx.data["order_id"], lock=True)
        if order is None:
            raise NotFound("ORDER_NOT_FOUND", "there is no such order")
        moved = order.to(state, self._clock.now(), failure_reason)
        if moved is order:
            return  # an operator had the step repeated
        await self._orders.save(moved)
        if event is not None:
            await self._events.publish(event(moved))
