"""What the use cases need of the outside world, and what they offer to the proxy's and the clients' side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from services.control.domain.instances import Instance
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.versioned import Versioned
from services.control.domain.view import FleetView

T = TypeVar("T")


COLD = 0
"""Revision of a view that knows nothing yet: nobody is told of it, or they would lose what they have."""


class Views(Protocol):
    """The fleet as proxy and clients are to see it."""

    def current(self) -> FleetView:
        """The view now, of revision COLD before anything is known."""
        ...

    async def wait_newer(self, revision: int) -> FleetView:
        """The newest view, once there is one of a later revision; `wait_newer(0)` waits for the first."""
        ...


class History(Protocol[T]):
    """Every version of the values of one kind, by name.

    Writes need the running transaction in which `lock` was called.
    """

    async def lock(self) -> None:
        """Let no other write happen until the transaction ends, and let every replica see that it did."""
        ...

    async def newest(self) -> Mapping[str, Versioned[T]]:
        """The newest version of every name that was ever changed."""
        ...

    async def of(self, name: str) -> Versioned[T]:
        """The newest version of a name; version 0 when it was never changed."""
        ...

    async def at(self, name: str, version: int) -> Versioned[T] | None:
        """One version of a name."""
        ...

    async def add(self, name: str, value: Versioned[T]) -> None:
        """Store the next version of a name."""
        ...

    async def page(self, name: str, before: int | None, limit: int) -> Sequence[Versioned[T]]:
        """Versions below `before`, newest first."""
        ...


class Revisions(Protocol):
    """Counts the writes of all replicas."""

    async def current(self) -> int:
        """How many there were."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """What a replica knows, for the time after its restart.

    Args:
        saved_at: when it knew that.
        instances: those that were registered.
        listed: those that calls could be sent to, by service.
        policies, edge, config: what was changed of each; empty when not known.
    """

    saved_at: datetime
    instances: tuple[Instance, ...] = ()
    listed: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    policies: Mapping[str, Versioned[TrafficPolicy]] = field(default_factory=dict)
    edge: Versioned[EdgePolicy] = field(default_factory=Versioned)
    config: Mapping[str, Versioned[str]] = field(default_factory=dict)


class Memories(Protocol):
    """A place that outlives the process."""

    async def load(self) -> Memory | None:
        """What was saved last; None when nothing was, or it cannot be read any more."""
        ...

    async def save(self, memory: Memory) -> None:
        """Keep this, or what was there before when it fails; never a part of it."""
        ...


class Resolver(Protocol):
    """Finds out where a host is."""

    async def address_of(self, host: str) -> str | None:
        """Its IP address, be it given as such or by name; None when nobody knows the name."""
        ...


class Probe(Protocol):
    """Asks an instance how it is."""

    async def check(self, instance: Instance) -> str:
        """Empty when it serves, else what was met; takes no longer than the instance's timeout."""
        ...

    async def forget(self, instance: Instance) -> None:
        """It will not be asked again: free what asking needs."""
        ...
