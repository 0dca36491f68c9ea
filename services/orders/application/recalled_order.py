"""What becomes of an order whose goods are recalled: it is stopped by its checkout, or refunded.

The saga waits for the end of the checkout, which stops by itself what has not been served. An order that was
served is refunded once, whatever number of recalls reaches it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID, uuid5

import structlog

from chassis.clock import Clock
from chassis.errors import FailedPrecondition, NotFound, Unavailable
from chassis.money import Money
from chassis.saga import Retry, Saga, Step, StepContext
from services.orders.application.ports import Events, Orders, Payments, RecallSagas
from services.orders.domain.events import Recalled
from services.orders.domain.order import Order, State

NAME = "refund_recalled"
REASON = "lot recalled"
_SAGAS = UUID("3b0c7a7e-64a0-5c5d-8a0e-5a9d6f0b8c21")
_REFUNDS = UUID("c2f7b1de-0d3e-5f4e-9a57-1d2f6f1a4b90")
# A checkout ends within seconds, or is looked after by an operator.
_PATIENTLY = Retry(attempts=None, ceiling=timedelta(seconds=5))
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AffectedOrder:
    """What the saga is started with.

    Args:
        consumed: the goods had left the stock when the recall came.
    """

    order_id: str
    recall_id: str
    lot_ids: tuple[str, ...]
    consumed: bool

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "order_id": self.order_id,
            "recall_id": self.recall_id,
            "lot_ids": list(self.lot_ids),
            "consumed": self.consumed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what `to_json` made; further keys are ignored."""
        return cls(data["order_id"], data["recall_id"], tuple(data["lot_ids"]), data["consumed"])


class SeeToAffectedOrder:
    """Starts the saga, once for each recall and order."""

    def __init__(self, orders: Orders, sagas: RecallSagas) -> None:
        self._orders = orders
        self._sagas = sagas

    async def __call__(self, affected: AffectedOrder) -> None:
        """In the running transaction. An order is here before anything is reserved for it."""
        if await self._orders.get(affected.order_id) is None:
            _log.warning("recalled_order_unknown", order_id=affected.order_id, recall_id=affected.recall_id)
            return
        saga_id = str(uuid5(_SAGAS, f"{affected.recall_id}/{affected.order_id}"))
        await self._sagas.start(saga_id, affected.to_json())


class RecalledOrderSteps:
    """The saga's actions."""

    def __init__(self, orders: Orders, payments: Payments, events: Events, clock: Clock) -> None:
        self._orders = orders
        self._payments = payments
        self._events = events
        self._clock = clock

    def saga(self) -> Saga:
        """The definition. It only goes forward: what is refused is for an operator to see."""
        return Saga(
            NAME,
            version=1,
            deadline=timedelta(days=36_500),
            steps=(
                Step("await_end", self.await_end, pivot=True, local=True, retry=_PATIENTLY),
                Step("refund", self.refund),
                Step("record", self.record, local=True),
            ),
        )

    async def await_end(self, ctx: StepContext) -> dict[str, Any]:
        order = await self._order(ctx)
        if not order.state.final:
            raise Unavailable("CHECKOUT_UNDER_WAY", "the checkout has not ended yet")
        # One that was paid and failed was refunded before it failed.
        states = {then.state for then in await self._orders.history(order.order_id, 0)}
        stopped_minor = order.total.minor if states >= {State.PAID, State.FAILED} else 0
        return {"served": order.state is State.FULFILLED, "refunded_minor": stopped_minor}

    async def refund(self, ctx: StepContext) -> dict[str, Any] | None:
        affected = AffectedOrder.from_json(ctx.data)
        # What was only reserved then and served nevertheless was served after the recall had ended.
        if not (ctx.data["served"] and affected.consumed):
            return None
        return {"refunded_minor": (await self._give_back(await self._order(ctx))).minor}

    async def _give_back(self, order: Order) -> Money:
        # One key for the order: several recalls of it are one refund.
        key = str(uuid5(_REFUNDS, order.order_id))
        try:
            await self._payments.refund(key, order.order_id, REASON)
        except FailedPrecondition as refusal:
            # An operator was quicker: all of it is given back.
            if refusal.reason != "REFUND_EXCEEDS_CAPTURE":
                raise
        # Either way nothing is left. The answer has only what was made: of a part that an operator gives back
        # at the same time that is less than what is promised.
        return order.total

    async def record(self, ctx: StepContext) -> None:
        affected, order = AffectedOrder.from_json(ctx.data), await self._order(ctx, lock=True)
        refunded = Money(ctx.data["refunded_minor"], order.total.currency)
        recalled = order.recalled(affected.recall_id, refunded, self._clock.now())
        if recalled is order:
            return  # an operator had the step repeated
        await self._orders.save_recall(recalled)
        fulfilled = bool(ctx.data["served"])
        told = Recalled(
            recalled,
            affected.recall_id,
            affected.lot_ids,
            served=fulfilled and affected.consumed,
            refunded=recalled.refunded or refunded,
            unaffected=fulfilled and not affected.consumed,
        )
        await self._events.publish(told)

    async def _order(self, ctx: StepContext, *, lock: bool = False) -> Order:
        order = await self._orders.get(ctx.data["order_id"], lock=lock)
        if order is None:
            raise NotFound("ORDER_NOT_FOUND", "there is no such order")
        return order
