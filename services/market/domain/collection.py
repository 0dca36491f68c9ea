"""Collections: named sets of somebody's lots."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from chassis.errors import FailedPrecondition, PermissionDenied

LIMIT = 1000
"""How many lots a collection holds."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of lots; `lot_ids` ascend."""

    collection_id: str
    owner_id: str
    name: str
    description: str
    lot_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime

    def with_lots(self, lot_ids: Iterable[str], now: datetime) -> "Collection":
        """With further lots; itself when it has them all.

        Raises:
            FailedPrecondition: COLLECTION_FULL.
        """
        together = tuple(sorted({*self.lot_ids, *lot_ids}))
        if len(together) > LIMIT:
            raise FailedPrecondition(
                "COLLECTION_FULL",
                f"a collection holds at most {LIMIT} lots",
                resource=("collection", self.collection_id),
            )
        return self if together == self.lot_ids else replace(self, lot_ids=together, updated_at=now)

    def without_lots(self, lot_ids: Iterable[str], now: datetime) -> "Collection":
        """Without some lots; itself when it has none of them."""
        left = tuple(sorted({*self.lot_ids} - {*lot_ids}))
        return self if left == self.lot_ids else replace(self, lot_ids=left, updated_at=now)

    def require_owner(self, subject: str) -> None:
        """Refuse anyone but the owner.

        Raises:
            PermissionDenied: NOT_OWNER.
        """
        if self.owner_id != subject:
            raise PermissionDenied(
                "NOT_OWNER",
                "the collection belongs to someone else",
                resource=("collection", self.collection_id),
            )
