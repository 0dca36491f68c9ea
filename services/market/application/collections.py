"""Make collections, put lots in and take them out."""

import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256

from chassis.clock import Clock
from chassis.errors import Aborted, AlreadyExists, NotFound, PermissionDenied
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.market.application.ports import Collections, LotOwners
from services.market.domain.collection import Collection

_AT_ONCE = 10


class CollectionCommands:
    """Lots are the caller's when they are put in; a lot that is sold later stays until it is taken out."""

    def __init__(
        self,
        transactions: Transactions,
        collections: Collections,
        lots: LotOwners,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._collections = collections
        self._lots = lots
        self._clock = clock
        self._ids = ids

    async def create(
        self, owner_id: str, request_id: str, name: str, description: str, lot_ids: Sequence[str]
    ) -> Collection:
        """A new collection; the same request_id of the same caller is the same collection.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            AlreadyExists: REQUEST_ID_REUSED.
        """
        request_hash = sha256(json.dumps([name, description, sorted(lot_ids)]).encode()).hexdigest()
        made = await self._collections.of_request(owner_id, request_id)
        if made is None:
            await self._require_owned(owner_id, lot_ids)
            now = self._clock.now()
            empty = Collection(self._ids.uuid7(), owner_id, name, description, (), now, now)
            fresh = empty.with_lots(lot_ids, now)
            async with self._transactions.transaction():
                if await self._collections.add(fresh, request_id, request_hash):
                    return fresh
            made = await self._collections.of_request(owner_id, request_id)
        if made is None:
            raise Aborted("CONCURRENT_CHANGE", "the collection changed meanwhile; try again")
        if made[1] != request_hash:
            raise AlreadyExists("REQUEST_ID_REUSED", "the request_id was used for another collection")
        return made[0]

    async def add_lots(self, owner_id: str, collection_id: str, lot_ids: Sequence[str]) -> Collection:
        """The collection with further lots.

        Raises:
            NotFound: COLLECTION_NOT_FOUND, LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: COLLECTION_FULL.
        """
        (await self.get(collection_id)).require_owner(owner_id)
        await self._require_owned(owner_id, lot_ids)
        async with self._transactions.transaction():
            present = await self.get(collection_id, lock=True)
            changed = present.with_lots(lot_ids, self._clock.now())
            await self._collections.save(changed)
        return changed

    async def remove_lots(self, owner_id: str, collection_id: str, lot_ids: Sequence[str]) -> Collection:
        """The collection without some lots.

        Raises:
            NotFound: COLLECTION_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
        """
        async with self._transactions.transaction():
            present = await self.get(collection_id, lock=True)
            present.require_owner(owner_id)
            changed = present.without_lots(lot_ids, self._clock.now())
            await self._collections.save(changed)
        return changed

    async def get(self, collection_id: str, *, lock: bool = False) -> Collection:
        """One collection.

        Raises:
            NotFound: COLLECTION_NOT_FOUND.
        """
        found = await self._collections.get(collection_id, lock=lock)
        if found is None:
            raise NotFound(
                "COLLECTION_NOT_FOUND",
                "there is no such collection",
                resource=("collection", collection_id),
            )
        return found

    async def page(self, owner_id: str | None, before: str | None, limit: int) -> Sequence[Collection]:
        """Collections older than the id `before`, newest first, at most `limit`."""
        return await self._collections.page(owner_id, before, limit)

    async def _require_owned(self, owner_id: str, lot_ids: Sequence[str]) -> None:
        for first in range(0, len(lot_ids), _AT_ONCE):
            some = lot_ids[first : first + _AT_ONCE]
            for lot_id, owner in zip(
                some, await asyncio.gather(*map(self._lots.owner_of, some)), strict=True
            ):
                if owner != owner_id:
                    raise PermissionDenied(
                        "NOT_OWNER", "the lot belongs to someone else", resource=("lot", lot_id)
                    )
