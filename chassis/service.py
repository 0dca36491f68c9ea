"""What a service declares about itself; `chassis.runtime` makes a process of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc.aio

from chassis.inbox import Subscription
from chassis.projection import ProjectionRunner
from chassis.saga import SagaEngine

Jwks = Mapping[str, Any]
"""A JSON Web Key Set as parsed JSON (RFC 7517)."""


class Background(Protocol):
    """A loop that runs as long as the process does."""

    async def run(self) -> None:
        """Work until `stop` was called."""
        ...

    async def stop(self) -> None:
        """Ask `run` to end; returns when it has."""
        ...


@dataclass(frozen=True, slots=True)
class Servicer:
    """One gRPC service of the process.

    Args:
        name: full name as in the contract, e.g. greenledger.orders.v1.OrderService.
        add: the generated add_..._to_server function.
        implementation: the object with the methods.
    """

    name: str
    add: Callable[[Any, grpc.aio.Server], None]
    implementation: object


@dataclass(frozen=True, slots=True)
class Service:
    """All that a service brings to its process.

    Args:
        servicers: gRPC services.
        subscriptions: domain events that it applies, under its own name as consumer group. Default none.
        sagas: the engine of the sagas that it orchestrates (`Runtime.saga_engine`). Default none.
        projections: runners of its read models. Default none.
        background: further loops. Default none.
        jwks: where verification keys come from when not from the `auth` peer; for auth itself.
        on_start: awaited after the database is there and before anything runs. Default none.
    """

    servicers: Sequence[Servicer]
    subscriptions: Sequence[Subscription[Any]] = ()
    sagas: SagaEngine | None = None
    projections: Sequence[ProjectionRunner] = ()
    background: Sequence[Background] = ()
    jwks: Callable[[], Awaitable[Jwks]] | None = None
    on_start: Callable[[], Awaitable[None]] | None = None
