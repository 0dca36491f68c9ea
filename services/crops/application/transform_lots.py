"""Make new lots of lots: merge, pack, process, cook."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.clock import Clock
from chassis.context import Principal
from chassis.ids import IdSource
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.events import Step
from services.crops.domain.lot import evolve
from services.crops.domain.transform import Input, Output, Transformation, merge, transform


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output as it is asked for."""

    lot_code: str
    product_code: str
    description: str
    variety: str
    quantity: Quantity
    expire_time: datetime


Used = Sequence[tuple[str, Quantity | None]]
"""Lot id and quantity of each input; None is all that is not committed."""


@dataclass(frozen=True, slots=True)
class Transformed:
    """What came of it: what is left of the inputs, and the new lots."""

    transformation_id: str
    inputs: list[LotView]
    outputs: list[LotView]


class _Transforming:
    """All inputs' and outputs' histories are written in one transaction, or none."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock
        self._ids = ids

    async def _do(
        self, used: Used, transformation_id: str, decide: Callable[[list[Input]], Transformation]
    ) -> Transformed:
        async def attempt() -> Transformed:
            inputs = [Input(await self._lots.load(lot_id), quantity) for lot_id, quantity in used]
            decision = decide(inputs)
            before = {each.lot.lot_id: each.lot for each in inputs}
            changes = [Change(fact.lot_id, before[fact.lot_id].version, (fact,)) for fact in decision.used]
            await self._lots.save([*changes, *(Change(fact.lot_id, 0, (fact,)) for fact in decision.made)])
            return Transformed(
                transformation_id,
                [LotView.of(evolve(before[fact.lot_id], fact)) for fact in decision.used],
                [LotView.of(evolve(None, fact)) for fact in decision.made],
            )

        return await decided_anew(self._transactions, attempt)


class MergeLots(_Transforming):
    """Lots of one product become one."""

    async def __call__(self, actor: Principal, used: Used, lot_code: str) -> Transformed:
        """What is left of the inputs, and the new lot.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.transform.merge`.
            AlreadyExists: LOT_CODE_TAKEN.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """
        transformation_id, lot_id = self._ids.uuid7(), self._ids.uuid7()

        def decide(inputs: list[Input]) -> Transformation:
            return merge(
                inputs,
                transformation_id=transformation_id,
                lot_id=lot_id,
                lot_code=lot_code,
                actor=actor.subject,
                now=self._clock.now(),
            )

        return await self._do(used, transformation_id, decide)


class TransformLots(_Transforming):
    """Lots become others, perhaps of other products."""

    async def __call__(
        self, actor: Principal, used: Used, wanted: Sequence[Wanted], step: Step, loss: Quantity | None
    ) -> Transformed:
        """What is left of the inputs, and the new lots.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.transform.transform`.
            AlreadyExists: LOT_CODE_TAKEN.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """
        transformation_id = self._ids.uuid7()
        outputs = [
            Output(
                self._ids.uuid7(),
                each.lot_code,
                each.product_code,
                each.description,
                each.variety,
                each.quantity,
                each.expire_time,
            )
            for each in wanted
        ]

        def decide(inputs: list[Input]) -> Transformation:
            return transform(
                inputs,
                outputs,
                transformation_id=transformation_id,
                step=step,
                loss=loss,
                actor=actor.subject,
                now=self._clock.now(),
            )

        return await self._do(used, transformation_id, decide)
