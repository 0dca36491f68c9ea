"""Hold lots back, release them, destroy goods, end recalls."""

from functools import partial

from chassis.context import Principal
from chassis.quantity import Quantity
from services.crops.application.decisions import LotDecisions
from services.crops.application.recall_lot import RECALL_ANY
from services.crops.application.views import LotView
from services.crops.domain.hold import destroy, hold, release_hold, release_recall


class HoldLot(LotDecisions):
    """The owner or an operator holds a lot back."""

    async def __call__(self, actor: Principal, lot_id: str, reason: str) -> LotView:
        """The held lot.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition: as `domain.hold.hold`.
        """
        rule = partial(hold, is_operator=_is_operator(actor), reason=reason)
        return await self._by(actor, lot_id, rule)


class ReleaseHold(LotDecisions):
    """Who may hold may release, but for what an operator holds."""

    async def __call__(self, actor: Principal, lot_id: str, reason: str) -> LotView:
        """The lot without its hold.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition: as `domain.hold.release_hold`.
        """
        rule = partial(release_hold, is_operator=_is_operator(actor), reason=reason)
        return await self._by(actor, lot_id, rule)


class DestroyLot(LotDecisions):
    """The owner or an operator has goods destroyed."""

    async def __call__(
        self, actor: Principal, lot_id: str, quantity: Quantity | None, reason: str
    ) -> LotView:
        """What is left; None as the quantity is all that is not committed.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.hold.destroy`.
        """
        rule = partial(destroy, quantity=quantity, is_operator=_is_operator(actor), reason=reason)
        return await self._by(actor, lot_id, rule)


class ReleaseRecall(LotDecisions):
    """Ends a recall for a lot and those that it reached; the contract admits operators only."""

    async def __call__(self, lot_id: str, reason: str) -> tuple[LotView, list[str]]:
        """The lot, and the ids of all lots that are no longer recalled, its own first.

        Raises:
            NotFound: LOT_NOT_FOUND.
            FailedPrecondition: LOT_NOT_RECALLED or ANCESTOR_RECALLED.
        """

        async def attempt() -> tuple[LotView, list[str]]:
            await self._lots.guard_recalls()
            root = await self._lots.load(lot_id)
            descendants = await self._lots.descendants(lot_id)
            family = {lot_id, *(lot.lot_id for lot in descendants)}
            parents = {parent for lot in (root, *descendants) for parent in lot.parent_lot_ids}
            outside = {parent: await self._lots.load(parent) for parent in sorted(parents - family)}
            freed = release_recall(root, descendants, outside, reason=reason, now=self._clock.now())
            [after, *_] = await self._record(freed)
            return after, [lot.lot_id for lot, _ in freed]

        return await self._anew(attempt)


def _is_operator(actor: Principal) -> bool:
    return RECALL_ANY in actor.permissions
