"""Answers from the read models, waiting briefly for what was committed before the question."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import asyncpg

from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import Unavailable
from chassis.quantity import Quantity
from services.crops.adapters.events import stream_of
from services.crops.adapters.projection import LOTS
from services.crops.adapters.stored_json import read
from services.crops.application.views import CustodyView, LotEventView, LotFilter, LotView, OwnershipView
from services.crops.domain.events import OfferKind, Origin
from services.crops.domain.lot import LotState, Offer, Shipment

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.05
_GET = """
SELECT lot_view.*, head.version AS head
FROM (SELECT max(version) AS version FROM event WHERE stream_id = $2) AS head
LEFT JOIN lot_view ON lot_view.lot_id = $1
"""
_HEAD = "SELECT coalesce(max(position), 0) FROM event"
_REACHED = """
SELECT coalesce((SELECT position FROM projection WHERE name = $1 AND status = 'live'), 0) >= $2
"""
_EVENTS = "SELECT * FROM lot_history WHERE lot_id = $1 AND version > $2 ORDER BY version LIMIT $3"
_OWNERSHIP = "SELECT * FROM lot_ownership WHERE lot_id = $1 AND number > $2 ORDER BY number LIMIT $3"
_CUSTODY = """
SELECT * FROM (
    SELECT version, custodian_id, from_time, lead(from_time) OVER (ORDER BY version) AS until_time
    FROM lot_custody WHERE lot_id = $1
) AS custody WHERE version > $2 ORDER BY version LIMIT $3
"""
_OVERDUE = "SELECT lot_id FROM lot_view WHERE offer_expire_time <= $1 ORDER BY offer_expire_time LIMIT $2"
_VERSION = "SELECT version FROM lot_view WHERE lot_id = $1"


class ProjectedLots:
    """Implements `LotQueries` and `OverdueOffers`.

    Args:
        patience_s: how long a question waits for the projection, which is usually milliseconds behind;
            then it is answered from what is there (the projection may be rebuilding). Default 1 s.
    """

    def __init__(self, database: Database, clock: Clock, patience_s: float = 1.0) -> None:
        self._database = database
        self._clock = clock
        self._patience_s = patience_s

    async def get(self, lot_id: str) -> LotView | None:
        found: asyncpg.Record | None = None

        async def fresh() -> bool:
            nonlocal found
            found = await self._database.fetchrow(_GET, lot_id, stream_of(lot_id))
            return found is None or found["head"] is None or (found["version"] or 0) >= found["head"]

        await self._until(fresh)
        if found is None or found["head"] is None:
            return None
        if found["version"] is None:
            raise Unavailable("UNAVAILABLE", "The lot is recorded, but not readable yet.")
        return _lot(found)

    async def page(self, where: LotFilter, after: str | None, limit: int) -> Sequence[LotView]:
        conditions = {
            "owner_id = ": where.owner_id,
            "grower_id = ": where.grower_id,
            "product_code = ": where.product_code,
            "lot_code = ": where.lot_code,
            "state = ": where.state.value if where.state else "",
            "unit_id = ": where.unit_id,
            "lot_id > ": after or "",
        }
        used = {condition: value for condition, value in conditions.items() if value}
        clause = " AND ".join(f"{condition}${number}" for number, condition in enumerate(used, 2)) or "true"
        await self._until_all_shown()
        rows = await self._database.fetch(
            f"SELECT * FROM lot_view WHERE {clause} ORDER BY lot_id LIMIT $1", limit, *used.values()
        )
        return [_lot(row) for row in rows]

    async def events(self, lot_id: str, after_version: int, limit: int) -> Sequence[LotEventView]:
        await self.get(lot_id)
        rows = await self._database.fetch(_EVENTS, lot_id, after_version, limit)
        return [_event(row) for row in rows]

    async def ownership(self, lot_id: str, after_number: int, limit: int) -> Sequence[OwnershipView]:
        await self.get(lot_id)
        rows = await self._database.fetch(_OWNERSHIP, lot_id, after_number, limit)
        return [_ownership(row) for row in rows]

    async def custody(self, lot_id: str, after_number: int, limit: int) -> Sequence[CustodyView]:
        await self.get(lot_id)
        rows = await self._database.fetch(_CUSTODY, lot_id, after_number, limit)
        return [
            CustodyView(
                number=row["version"],
                custodian_id=row["custodian_id"],
                from_time=row["from_time"],
                until_time=row["until_time"],
            )
            for row in rows
        ]

    async def overdue(self, now: datetime, limit: int) -> Sequence[str]:
        rows = await self._database.fetch(_OVERDUE, now, limit)
        return [row["lot_id"] for row in rows]

    async def shows(self, lot_id: str, version: int) -> bool:
        async def reached() -> bool:
            return int(await self._database.fetchval(_VERSION, lot_id) or 0) >= version

        return await self._until(reached)

    async def _until_all_shown(self) -> None:
        # Read once: what is committed after the question need not be waited for, or a busy store would never
        # be caught up with.
        head = await self._database.fetchval(_HEAD)

        async def reached() -> bool:
            return bool(await self._database.fetchval(_REACHED, LOTS.name, head))

        await self._until(reached)

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        deadline, pause_s = self._clock.monotonic() + self._patience_s, _FIRST_PAUSE_S
        while not await holds():
            if self._clock.monotonic() > deadline:
                return False
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return True


def _lot(row: asyncpg.Record) -> LotView:
    return LotView(
        lot_id=row["lot_id"],
        version=row["version"],
        lot_code=row["lot_code"],
        product_code=row["product_code"],
        description=row["description"],
        variety=row["variety"],
        quantity=Quantity(row["amount"], row["unit"]),
        committed=Quantity(row["committed"], row["unit"]),
        grower_id=row["grower_id"],
        owner_id=row["owner_id"],
        unit_id=row["unit_id"],
        state=LotState(row["state"]),
        origin=Origin(**json.loads(row["origin"])),
        harvest_time=row["harvest_time"],
        expire_time=row["expire_time"],
        parent_lot_id=row["parent_lot_id"],
        parent_lot_ids=tuple(row["parent_lot_ids"]),
        transfer_count=row["transfer_count"],
        last_transfer_time=row["last_transfer_time"],
        recall_reason=row["recall_reason"],
        hold_reason=row["hold_reason"],
        custodian_id=row["custodian_id"],
        offer=_offer(row),
        shipment=read(Shipment, json.loads(row["shipment"])) if row["shipment"] else None,
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _offer(row: asyncpg.Record) -> Offer | None:
    if row["offer"] is None:
        return None
    stored = json.loads(row["offer"])
    return Offer(**{**stored, "kind": OfferKind(stored["kind"])}, expire_time=row["offer_expire_time"])


def _event(row: asyncpg.Record) -> LotEventView:
    return LotEventView(
        event_id=row["event_id"],
        version=row["version"],
        type=row["type"],
        recorded_time=row["recorded_time"],
        actor=row["actor"],
        summary=row["summary"],
        quantity=None if row["amount"] is None else Quantity(row["amount"], row["unit"]),
        owner_id=row["owner_id"],
        reference_document=row["reference_document"],
        corrected_by=row["corrected_by"],
    )


def _ownership(row: asyncpg.Record) -> OwnershipView:
    return OwnershipView(
        number=row["number"],
        owner_id=row["owner_id"],
        from_time=row["from_time"],
        until_time=row["until_time"],
    )
