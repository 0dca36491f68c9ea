"""Which lots are on which logistic unit, which must be right at once."""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from chassis.database import Database
from services.crops.domain.events import LotEvent
from services.crops.domain.physical import LotPacked, LotUnpacked

UNIT_LOT_V1: Final = """
CREATE TABLE unit_lot (lot_id text PRIMARY KEY, unit_id text NOT NULL);
CREATE INDEX ON unit_lot (unit_id, lot_id);
"""
UNIT_LOT_V1_DROP: Final = "DROP TABLE unit_lot"
_LOCKS: Final = 0x554E  # first half of the advisory locks' key, theirs alone
_GUARD = "SELECT pg_advisory_xact_lock($1, $2)"
_INSIDE = "SELECT lot_id FROM unit_lot WHERE unit_id = $1 ORDER BY lot_id"
_PUT = "INSERT INTO unit_lot (lot_id, unit_id) SELECT * FROM unnest($1::text[], $2::text[])"
_TAKE = "DELETE FROM unit_lot WHERE lot_id = ANY($1)"


async def lots_on(database: Database, unit_id: str) -> list[str]:
    """Ids of the lots on a unit, which nobody else changes until the running transaction ends."""
    # A signed integer, as PostgreSQL has them.
    await database.execute(_GUARD, _LOCKS, crc32(unit_id.encode()) - 2**31)
    return [row["lot_id"] for row in await database.fetch(_INSIDE, unit_id)]


async def move(database: Database, events: Sequence[LotEvent]) -> None:
    """Put lots on their units, and take them off."""
    packed = [event for event in events if isinstance(event, LotPacked)]
    if packed:
        await database.execute(_PUT, [event.lot_id for event in packed], [event.unit_id for event in packed])
    taken = [event.lot_id for event in events if isinstance(event, LotUnpacked)]
    if taken:
        await database.execute(_TAKE, taken)
