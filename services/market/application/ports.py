"""What collections, listings and purchases need of the outside world."""

from collections.abc import Sequence
from typing import Protocol

from services.market.domain.collection import Collection


class Collections(Protocol):
    """Collections with their lots."""

    async def add(self, collection: Collection, request_id: str, request_hash: str) -> bool:
        """Store a new one; False when the owner's request has made one already."""
        ...

    async def of_request(self, owner_id: str, request_id: str) -> tuple[Collection, str] | None:
        """The one that a request has made, and that request's hash."""
        ...

    async def get(self, collection_id: str, *, lock: bool = False) -> Collection | None: ...

    async def save(self, collection: Collection) -> None:
        """Store its lots."""
        ...

    async def page(self, owner_id: str | None, before: str | None, limit: int) -> Sequence[Collection]:
        """Those older than the id `before`, newest first."""
        ...


class LotOwners(Protocol):
    """Who owns lots, as crops says."""

    async def owner_of(self, lot_id: str) -> str:
        """The present owner.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        ...
