"""Changing how calls to a service travel."""

from collections.abc import Sequence
from dataclasses import replace

from chassis.errors import NotFound
from services.control.application.book import Book
from services.control.application.fleet import Fleet
from services.control.domain.policy import EdgePolicy, TrafficPolicy, VersionWeight
from services.control.domain.policy_rules import (
    require_known,
    require_running,
    require_sound,
    require_sound_edge,
)
from services.control.domain.registration import EDGE
from services.control.domain.versioned import Versioned

Stored = Versioned[TrafficPolicy]


class ChangePolicy:
    """Set, shift, reset, roll back. What is refused never reaches a client; nothing forces it through."""

    def __init__(self, book: Book[TrafficPolicy], fleet: Fleet) -> None:
        self._book = book
        self._fleet = fleet

    async def set(self, policy: TrafficPolicy, *, etag: str, by: str, why: str) -> Stored:
        """Replace the policy of a service.

        Raises:
            InvalidArgument: POLICY_INVALID.
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
        """
        require_known(policy.service, self._fleet.services)
        return await self._book.change(
            policy.service,
            lambda known: self._checked(policy, self._before(policy.service, known)),
            etag=etag,
            by=by,
            why=why,
        )

    async def shift(
        self, service: str, weights: Sequence[VersionWeight], *, etag: str, by: str, why: str
    ) -> Stored:
        """Replace the weights of a service's policy and nothing else; raises as `set`."""
        require_known(service, self._fleet.services)

        def decide(known: Stored) -> TrafficPolicy:
            before = self._before(service, known)
            return self._checked(replace(before, weights=tuple(weights)), before)

        return await self._book.change(service, decide, etag=etag, by=by, why=why)

    async def reset(self, service: str, *, by: str, why: str) -> Stored:
        """Give a service back the policy that control was started with.

        Raises:
            NotFound: POLICY_NOT_FOUND, nobody has heard of the service.
            Unavailable: the database is away.
        """
        if service not in self._fleet.services:
            raise policy_not_found(service)
        return await self._book.change(service, lambda _: None, by=by, why=why)

    async def roll_back(self, service: str, version: int, *, etag: str, by: str, why: str) -> Stored:
        """Make the policy of an earlier version the newest; at version 0 is what control was started with.

        Raises:
            NotFound: POLICY_NOT_FOUND, VERSION_NOT_FOUND.
            InvalidArgument: POLICY_INVALID, it sends calls to a version that nobody runs any more.
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
        """
        if service not in self._fleet.services:
            raise policy_not_found(service)
        policy = await self._book.at(service, version)

        def decide(known: Stored) -> TrafficPolicy | None:
            return None if policy is None else self._checked(policy, self._before(service, known))

        return await self._book.change(service, decide, etag=etag, by=by, why=why)

    def _before(self, service: str, known: Stored) -> TrafficPolicy:
        # What is stored, not what this replica has heard of: another one may have changed it just now.
        return known.value or self._fleet.original(service)

    def _checked(self, policy: TrafficPolicy, before: TrafficPolicy) -> TrafficPolicy:
        require_sound(policy)
        require_running(policy, self._fleet.registry.versions(policy.service), before)
        return policy


class ChangeEdge:
    """Set, reset and roll back the limits of the edge."""

    def __init__(self, book: Book[EdgePolicy]) -> None:
        self._book = book

    async def set(self, policy: EdgePolicy, *, etag: str, by: str, why: str) -> Versioned[EdgePolicy]:
        """Replace the limits.

        Raises:
            InvalidArgument: POLICY_INVALID.
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
        """
        require_sound_edge(policy)
        return await self._book.change(EDGE, lambda _: policy, etag=etag, by=by, why=why)

    async def reset(self, *, by: str, why: str) -> Versioned[EdgePolicy]:
        """Give the edge back the limits that control was started with."""
        return await self._book.change(EDGE, lambda _: None, by=by, why=why)

    async def roll_back(self, version: int, *, etag: str, by: str, why: str) -> Versioned[EdgePolicy]:
        """Make the limits of an earlier version the newest; those of version 0 control was started with.

        Raises:
            NotFound: VERSION_NOT_FOUND.
            InvalidArgument: POLICY_INVALID, the rules are others today.
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
        """
        policy = await self._book.at(EDGE, version)
        if policy is not None:
            require_sound_edge(policy)
        return await self._book.change(EDGE, lambda _: policy, etag=etag, by=by, why=why)


def policy_not_found(service: str) -> NotFound:
    """Nobody has registered as that service, and no policy names it."""
    return NotFound("POLICY_NOT_FOUND", "no such service is known", resource=("service", service))
