"""Recalling: a lot and everything split from it."""

from collections.abc import Sequence
from datetime import datetime

from chassis.errors import FailedPrecondition, PermissionDenied
from services.crops.domain.events import LotRecalled, RecallClass
from services.crops.domain.lot import Lot, LotState


def recall(
    root: Lot,
    descendants: Sequence[Lot],
    *,
    recall_id: str,
    actor: str,
    is_operator: bool,
    reason: str,
    recall_class: RecallClass,
    now: datetime,
) -> list[tuple[Lot, LotRecalled]]:
    """Recall a lot with its descendants, whatever state they are in and whoever owns them by now.

    Args:
        descendants: every lot that came of the root, directly or not; those recalled before stay as they are.
        recall_id: names this recall.

    Raises:
        PermissionDenied: NOT_OWNER unless the owner, the grower or an operator asks.
        FailedPrecondition: LOT_RECALLED when the root is recalled already.
    """
    resource = ("lot", root.lot_id)
    if not is_operator and actor not in (root.owner_id, root.grower_id):
        raise PermissionDenied(
            "NOT_OWNER", "Only its owner, its grower or an operator recalls a lot.", resource=resource
        )
    if root.state is LotState.RECALLED:
        raise FailedPrecondition(
            "LOT_RECALLED", f"Lot {root.lot_id} is recalled already: {root.recall_reason}", resource=resource
        )
    reached = [root, *(lot for lot in descendants if lot.state is not LotState.RECALLED)]
    return [
        (
            lot,
            LotRecalled(
                lot_id=lot.lot_id,
                root_lot_id=root.lot_id,
                reason=reason,
                recall_class=recall_class,
                owner_id=lot.owner_id,
                recall_id=recall_id,
                lot_code=lot.lot_code,
                grower_id=lot.grower_id,
                at=now,
            ),
        )
        for lot in reached
    ]
