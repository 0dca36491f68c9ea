"""The policies in force, for those who ask and those who watch."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from chassis.clock import Clock
from services.control.application.fleet import POLICIES, Fleet
from services.control.application.policies import policy_not_found
from services.control.application.ports import History
from services.control.application.watching import Ended, Heartbeat, WatchTimes, watch
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.registration import EDGE
from services.control.domain.versioned import Versioned


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy with the version that says so; a version without a value went back to the file's."""

    policy: TrafficPolicy
    stored: Versioned[TrafficPolicy]


class PolicyQueries:
    """Reading policies; all but their histories is answered from memory."""

    def __init__(
        self,
        fleet: Fleet,
        history: History[TrafficPolicy],
        edge_history: History[EdgePolicy],
        clock: Clock,
        times: WatchTimes,
    ) -> None:
        self._fleet = fleet
        self._history = history
        self._edge_history = edge_history
        self._clock = clock
        self._times = times

    def get(self, service: str) -> InForce:
        """The policy of a service.

        Raises:
            NotFound: POLICY_NOT_FOUND, nobody has heard of the service.
        """
        if service not in self._fleet.services:
            raise policy_not_found(service)
        return self._of(service)

    def page(self, after: str, limit: int) -> Sequence[InForce]:
        """The policies of all services, by name, after one."""
        return [self._of(name) for name in [name for name in self._fleet.services if name > after][:limit]]

    async def versions(self, service: str, before: int | None, limit: int) -> Sequence[InForce]:
        """What a service's policy was, newest first.

        Raises:
            NotFound: POLICY_NOT_FOUND.
            Unavailable: the database is away.
        """
        if service not in self._fleet.services:
            raise policy_not_found(service)
        return [self.shown(service, stored) for stored in await self._history.page(service, before, limit)]

    def edge(self) -> tuple[EdgePolicy, Versioned[EdgePolicy]]:
        """The limits of the edge, and the version that says so."""
        return self._fleet.edge_policy, self._fleet.edge

    async def edge_versions(
        self, before: int | None, limit: int
    ) -> Sequence[tuple[EdgePolicy, Versioned[EdgePolicy]]]:
        """What the limits of the edge were, newest first.

        Raises:
            Unavailable: the database is away.
        """
        found = await self._edge_history.page(EDGE, before, limit)
        return [(self.edge_shown(stored), stored) for stored in found]

    def edge_shown(self, stored: Versioned[EdgePolicy]) -> EdgePolicy:
        """The limits that a version says; those of the file when it went back to them."""
        return stored.value or self._fleet.original_edge

    def watch(self, services: Sequence[str]) -> AsyncGenerator[list[InForce] | Heartbeat | Ended, None]:
        """The policies of these services, known or not, then all of them again after each change."""
        names = sorted(set(services))
        told: list[InForce] | None = None

        def read() -> Iterator[list[InForce]]:
            nonlocal told
            now = [self._of(name) for name in names]
            if now != told:
                told = now
                yield now

        return watch(self._fleet.changes, POLICIES, read, self._clock, self._times)

    def shown(self, service: str, stored: Versioned[TrafficPolicy]) -> InForce:
        """One version of a service's policy."""
        return InForce(stored.value or self._fleet.original(service), stored)

    def _of(self, service: str) -> InForce:
        return self.shown(service, self._fleet.policies.get(service, Versioned()))
