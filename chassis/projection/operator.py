"""What an operator sees of the projections of a service, and may do to them."""

from collections.abc import Iterable
from dataclasses import dataclass

from chassis import audit
from chassis.audit import Order
from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import Aborted, FailedPrecondition, NotFound
from chassis.projection.checkpoint import ProjectionStatus, statuses
from chassis.projection.rebuild import Checksum, checksums
from chassis.projection.runner import ProjectionRunner

_SWAP_ATTEMPTS = 5
_CAUGHT_UP_BATCHES = 10


@dataclass(frozen=True, slots=True)
class ProjectionState:
    """A projection: what serves, and what is being built beside it.

    Args:
        live: None before the first event is applied.
        building: None when nothing is built.
        head: last position of the event store.
    """

    name: str
    live: ProjectionStatus | None
    building: ProjectionStatus | None
    head: int


class ProjectionOperator:
    """Looks at projections, rebuilds them, swaps; every act is recorded with who and why.

    Args:
        database: the service's.
        runners: of its projections.
        clock: for the audit.
    """

    def __init__(self, database: Database, runners: Iterable[ProjectionRunner], clock: Clock) -> None:
        self._database = database
        self._runners = {runner.name: runner for runner in runners}
        self._clock = clock

    async def page(self, after: str = "", limit: int = 50) -> list[ProjectionState]:
        """All of them by name.

        Args:
            after: name of the last one seen; default from the start.
            limit: at most so many; default 50.
        """
        names = sorted(name for name in self._runners if name > after)[:limit]
        return [await self.get(name) for name in names]

    async def get(self, name: str) -> ProjectionState:
        """One of them.

        Raises:
            NotFound: this service has none of that name.
        """
        runner = self._runner(name)
        found = await statuses(self._database, runner.store, name)
        return ProjectionState(
            name,
            next((version for version in found if version.status == "live"), None),
            next((version for version in found if version.status != "live"), None),
            await runner.store.head(),
        )

    async def checksums(self, name: str) -> dict[int, list[Checksum]]:
        """Checksums of each version's tables, by version, all at one moment; reads all their rows."""
        return await checksums(self._database, self._runner(name).projection)

    async def rebuild(self, name: str, order: Order) -> ProjectionState:
        """Begin to build it anew beside the live one; asked for again, it goes on.

        Raises:
            NotFound: this service has none of that name.
            FailedPrecondition: one that was built before differs and waits to be swapped or cancelled.
        """
        runner = self._runner(name)
        await runner.ensure_live()
        async with self._database.transaction() as tx:
            state = await self.get(name)
            if state.building is not None and state.building.status == "differs":
                raise _differs(name)
            if await runner.rebuilding.begin():
                await audit.record(tx, self._clock, _subject(name), "rebuild", order)
            tx.on_commit(runner.builder.wake)
        return await self.get(name)

    async def cancel(self, name: str, order: Order) -> ProjectionState:
        """Drop what is being built.

        Raises:
            NotFound: this service has none of that name.
            FailedPrecondition: nothing is being built.
        """
        runner = self._runner(name)
        async with self._database.transaction() as tx:
            if not await runner.rebuilding.abandon():
                raise _not_running(name)
            await audit.record(tx, self._clock, _subject(name), "cancel rebuild", order)
        return await self.get(name)

    async def swap(self, name: str, order: Order, *, accept_difference: bool = False) -> ProjectionState:
        """Put what was built in the place of what serves.

        Args:
            accept_difference: also when the rows differ under the same logic; default False.

        Raises:
            NotFound: this service has none of that name.
            FailedPrecondition: nothing is being built, it has not caught up, or it differs.
            Aborted: long readers kept the tables locked; try again.
        """
        runner = self._runner(name)
        await self._require_caught_up(runner)
        for attempt in range(1, _SWAP_ATTEMPTS + 1):
            try:
                async with self._database.transaction() as tx:
                    report = await runner.rebuilding.swap(accept_difference=accept_difference)
                    what = "swap" if report.swapped else "try to swap"
                    await audit.record(
                        tx, self._clock, _subject(name), f"{what} to version {report.version}", order
                    )
                break
            except Aborted:
                await self._require_caught_up(runner)
                if attempt == _SWAP_ATTEMPTS:
                    raise
        if not report.swapped:
            raise _differs(name)
        return await self.get(name)

    async def _require_caught_up(self, runner: ProjectionRunner) -> None:
        building = (await self.get(runner.name)).building
        if building is None:
            raise _not_running(runner.name)
        # What is left is applied under the locks of the swap, so it must be little.
        if building.lag > _CAUGHT_UP_BATCHES * runner.projection.batch_size:
            raise FailedPrecondition(
                "REBUILD_NOT_CAUGHT_UP",
                f"The rebuild of {runner.name} is still {building.lag} positions behind; wait for it.",
                metadata={"lag": str(building.lag)},
            )

    def _runner(self, name: str) -> ProjectionRunner:
        try:
            return self._runners[name]
        except KeyError:
            known = ", ".join(sorted(self._runners)) or "none"
            raise NotFound(
                "PROJECTION_NOT_FOUND", f"This service has no projection {name!r}; it has {known}."
            ) from None


def _subject(name: str) -> str:
    return f"projection/{name}"


def _not_running(name: str) -> FailedPrecondition:
    return FailedPrecondition("REBUILD_NOT_RUNNING", f"Nothing is being built for {name}.")


def _differs(name: str) -> FailedPrecondition:
    return FailedPrecondition(
        "PROJECTION_DIFFERS",
        f"What was built for {name} is not equal to what serves, although the logic is the same: look at "
        "both, then swap accepting the difference, or cancel the rebuild.",
    )
