"""Building a read model anew beside the one that serves, and putting it in its place."""

from dataclasses import dataclass

from chassis.crashpoints import crashpoint
from chassis.database import Database, Transaction
from chassis.errors import Aborted
from chassis.eventstore import EventStore
from chassis.eventstore.schema import EVENT_LOG
from chassis.projection import checkpoint
from chassis.projection.batch import apply_all, apply_batch
from chassis.projection.checkpoint import Checkpoint
from chassis.projection.definition import Projection, ReadTable, twin_suffix

_SWAP_ATTEMPTS = 10
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did.

    Args:
        version: of the tables that were built.
        events: applied to them by this run.
        identical: whether their rows equal those of the live ones; None when the logic changed, so that
            they need not.
        swapped: whether they are the live ones now.
    """

    version: int
    events: int
    identical: bool | None
    swapped: bool


@dataclass(frozen=True, slots=True)
class Checksum:
    """Of one table: equal rows have equal checksums, in whatever order they lie."""

    table: str
    rows: int
    value: int


class Rebuild:
    """Rebuilds one projection; a run that was cut short is resumed by the next one."""

    def __init__(self, database: Database, store: EventStore, projection: Projection) -> None:
        self._database = database
        self._store = store
        self._projection = projection

    async def run(self, *, accept_difference: bool = False) -> RebuildReport:
        """Build `_vN` tables from the first event on, catch up, compare, swap.

        The live tables serve and, when the logic is unchanged, keep being updated meanwhile. They are
        locked only while the names change.

        Args:
            accept_difference: swap although the checksums differ under the same logic, which means
                that the live rows or the determinism of `apply` are broken. Default False: both are
                kept for a person to look at, status `differs`.

        Raises:
            Aborted: long readers kept the tables locked; nothing is lost, run it again.
        """
        await self.begin()
        events = await self._build()
        for attempt in range(1, _SWAP_ATTEMPTS + 1):
            try:
                return await self._swap(events, accept_difference=accept_difference)
            except Aborted:
                if attempt == _SWAP_ATTEMPTS:
                    raise
                events += await self._build()
        raise AssertionError("unreachable")

    async def abandon(self) -> bool:
        """Drop the tables being built; whether there were any."""
        async with self._database.transaction() as tx:
            await checkpoint.lock(tx, self._projection, live=True)
            building = await checkpoint.lock(tx, self._projection, live=False)
            if building is not None:
                await self._discard(tx, building)
        return building is not None

    async def begin(self) -> bool:
        """Make empty `_vN` tables, unless there are some for this logic; whether they are new."""
        async with self._database.transaction() as tx:
            live = await self._locked(tx, live=True)
            building = await checkpoint.lock(tx, self._projection, live=False)
            if building is not None and building.logic_version == self._projection.logic_version:
                return False
            if building is not None:
                await self._discard(tx, building)
            await self._create(tx, live.version + 1)
        return True

    async def step(self) -> bool:
        """Apply a batch to the tables being built, if there are any for this logic; whether more is to do.

        Other replicas may take steps too; a batch that one of them has in hand is not waited for.
        """
        if not await self._wanted():
            return False
        async with self._database.transaction() as tx:
            building = await checkpoint.lock(tx, self._projection, live=False, wait=False)
            if building is None or not self._is_ours(building):
                return False
            count = await self._apply(tx, building)
        crashpoint("projection.rebuild.batch")
        return count == self._projection.batch_size

    async def swap(self, *, accept_difference: bool = False) -> RebuildReport:
        """Apply what is left, compare, and put the built tables in place, in one transaction; see `run`.

        Raises:
            Aborted: long readers kept the tables locked, or nothing is being built any more.
        """
        return await self._swap(0, accept_difference=accept_difference)

    async def _wanted(self) -> bool:
        return bool(
            await self._database.fetchval(
                """
                SELECT EXISTS (SELECT 1 FROM projection
                               WHERE name = $1 AND status = 'building' AND logic_version = $2)
                """,
                self._projection.name,
                self._projection.logic_version,
            )
        )

    def _is_ours(self, building: Checkpoint) -> bool:
        return building.status == "building" and building.logic_version == self._projection.logic_version

    async def _create(self, tx: Transaction, version: int) -> None:
        for table in self._projection.tables:
            await tx.execute(table.create_sql(twin_suffix(version)))
        await tx.execute(
            """
            INSERT INTO projection (name, version, status, logic_version, position)
            VALUES ($1, $2, 'building', $3, 0)
            """,
            self._projection.name,
            version,
            self._projection.logic_version,
        )

    async def _build(self) -> int:
        total, more = 0, True
        while more:
            async with self._database.transaction() as tx:
                count = await self._apply(tx, await self._locked(tx, live=False))
            crashpoint("projection.rebuild.batch")
            total, more = total + count, count == self._projection.batch_size
        return total

    async def _apply(self, tx: Transaction, building: Checkpoint) -> int:
        until = await EVENT_LOG.read_ceiling(tx, building.position)
        twins = self._projection.twins(building.version)
        count, _ = await apply_batch(tx, self._store, self._projection, building, tables=twins, until=until)
        return count

    async def _swap(self, events: int, *, accept_difference: bool) -> RebuildReport:
        async with self._database.transaction() as tx:
            await tx.execute(_LOCK_TIMEOUT)
            live = await self._locked(tx, live=True)
            building = await self._locked(tx, live=False)
            # Both stop at one position, or the checksums would compare two different moments.
            until = await EVENT_LOG.read_ceiling(tx, max(live.position, building.position))
            twins = self._projection.twins(building.version)
            events += await apply_all(tx, self._store, self._projection, building, tables=twins, until=until)
            identical = None
            if live.logic_version == self._projection.logic_version:
                tables = self._projection.live()
                await apply_all(tx, self._store, self._projection, live, tables=tables, until=until)
                identical = await self._identical(tx, building.version)
            swapped = identical is not False or accept_difference
            if swapped:
                await self._rename(tx, building.version)
            else:
                await self._mark_different(tx, building.version)
            crashpoint("projection.swapped")
        return RebuildReport(building.version, events, identical, swapped)

    async def _identical(self, tx: Transaction, version: int) -> bool:
        for table in self._projection.tables:
            live = await checksum(tx, table, table.name)
            if live != await checksum(tx, table, table.name + twin_suffix(version)):
                return False
        return True

    async def _rename(self, tx: Transaction, version: int) -> None:
        for table in self._projection.tables:
            await tx.execute(f"DROP TABLE IF EXISTS {table.name}")
            await tx.execute(f"ALTER TABLE {table.name}{twin_suffix(version)} RENAME TO {table.name}")
        name = self._projection.name
        await tx.execute("DELETE FROM projection WHERE name = $1 AND status = 'live'", name)
        await tx.execute("UPDATE projection SET status = 'live', updated_at = now() WHERE name = $1", name)

    async def _mark_different(self, tx: Transaction, version: int) -> None:
        await tx.execute(
            "UPDATE projection SET status = 'differs', updated_at = now() WHERE name = $1 AND version = $2",
            self._projection.name,
            version,
        )

    async def _discard(self, tx: Transaction, building: Checkpoint) -> None:
        for table in self._projection.tables:
            await tx.execute(f"DROP TABLE IF EXISTS {table.name}{twin_suffix(building.version)}")
        await tx.execute(
            "DELETE FROM projection WHERE name = $1 AND version = $2", self._projection.name, building.version
        )

    async def _locked(self, tx: Transaction, *, live: bool) -> Checkpoint:
        found = await checkpoint.lock(tx, self._projection, live=live)
        if found is None:
            # Another replica finished the same rebuild between two of our transactions.
            raise Aborted("CONCURRENT_CHANGE", f"The rebuild of {self._projection.name} was ended elsewhere.")
        return found


async def checksums(database: Database, projection: Projection) -> dict[int, list[Checksum]]:
    """The checksums of all versions of a projection, by version, as of one moment."""
    found: dict[int, list[Checksum]] = {}
    async with database.transaction() as tx:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = await tx.fetch("SELECT version, status FROM projection WHERE name = $1", projection.name)
        for version, status in rows:
            suffix = "" if status == "live" else twin_suffix(version)
            found[version] = [
                Checksum(table.name, *await checksum(tx, table, table.name + suffix))
                for table in projection.tables
            ]
    return found


async def checksum(tx: Transaction, table: ReadTable, physical_name: str) -> tuple[int, int]:
    """Row count and an order-independent sum over the rows of a table."""
    columns = ", ".join(table.checksum_columns) or "t.*"
    row = await tx.fetchrow(
        f"""
        SELECT count(*) AS rows, coalesce(sum(hashtextextended(ROW({columns})::text, 0)::numeric), 0) AS hash
        FROM {physical_name} t
        """
    )
    assert row is not None
    return int(row["rows"]), int(row["hash"])
