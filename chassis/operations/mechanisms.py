"""What the methods of OperationsService act on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import grpc.aio

from chassis.audit import Order
from chassis.clock import Clock
from chassis.context import caller
from chassis.database import Database
from chassis.inbox import Consumer
from chassis.outbox import OutboxOperator, Relay
from chassis.paging import PageTokens
from chassis.projection import ProjectionOperator, ProjectionRunner
from chassis.saga import SagaEngine

if TYPE_CHECKING:
    from chassis.runtime import Runtime

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Mechanisms:
    """The mechanisms of one process.

    Args:
        service: its name.
        database: its database.
        page_tokens: for lists.
        relay: its outbox relay.
        outbox: what may be done about the outbox.
        consumers: by group.
        sagas: its saga engine; None when it orchestrates nothing.
        projections: what may be done about its read models.
        started_at: when the process began to serve.
    """

    service: str
    database: Database
    page_tokens: PageTokens
    relay: Relay
    outbox: OutboxOperator
    consumers: Mapping[str, Consumer]
    sagas: SagaEngine | None
    projections: ProjectionOperator
    started_at: datetime

    @classmethod
    def of(
        cls,
        runtime: "Runtime",
        relay: Relay,
        *,
        consumers: Sequence[Consumer] = (),
        sagas: SagaEngine | None = None,
        projections: Sequence[ProjectionRunner] = (),
    ) -> "Mechanisms":
        """Those of a runtime and what runs on it."""
        database = runtime.database
        clock: Clock = runtime.clock
        return cls(
            service=runtime.settings.service,
            database=database,
            page_tokens=runtime.page_tokens,
            relay=relay,
            outbox=OutboxOperator(database, clock),
            consumers={consumer.group: consumer for consumer in consumers},
            sagas=sagas,
            projections=ProjectionOperator(database, projections, clock),
            started_at=clock.now(),
        )


class Methods:
    """Base of the parts of the servicer.

    Args:
        mechanisms: of the process.
    """

    def __init__(self, mechanisms: Mechanisms) -> None:
        self._mechanisms = mechanisms


def order(why: str) -> Order:
    """The order of the caller, for the audit."""
    return Order(caller().subject, why)
