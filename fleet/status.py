"""The state of a running fleet, gathered from its record, its processes and its services."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleet.health import health_of
from fleet.membership import Peer
from fleet.memory import proportional_bytes
from fleet.state import ComponentRecord, FleetRecord


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What a service says of itself through its operations service.

    Args:
        version: its own version.
        outbox_lag_rows: committed events that the broker has not confirmed yet.
        consumer_lag: events on its topics that it has not applied yet.
        parked_keys: keys whose events wait for an operator.
        stuck_sagas: sagas that need an operator.
    """

    version: str
    outbox_lag_rows: int
    consumer_lag: int = 0
    parked_keys: int = 0
    stuck_sagas: int = 0


FactsSource = Callable[[ComponentRecord], Awaitable[ServiceFacts | None]]


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One row of `greenledger status`.

    Args:
        record: what the supervisor knows.
        health: answer to grpc.health.v1 for a service, the supervisor's word for the rest.
        memory_bytes: PSS of the process and its children; None when it is external or gone.
        facts: what the service says of itself; None when it does not say.
    """

    record: ComponentRecord
    health: str
    memory_bytes: int | None
    facts: ServiceFacts | None

    @property
    def healthy(self) -> bool:
        return self.health in ("SERVING", "serving")


async def gather_status(record: FleetRecord, facts: FactsSource | None = None) -> list[ComponentStatus]:
    """Ask every part at once.

    Args:
        record: the running fleet.
        facts: asks one service about itself; None leaves those columns empty.
    """
    return list(
        await asyncio.gather(
            *(_status_of(entry, facts, record.peer(entry.name)) for entry in record.components)
        )
    )


async def _status_of(entry: ComponentRecord, facts: FactsSource | None, peer: Peer | None) -> ComponentStatus:
    health = await health_of(entry.address, peer) if entry.kind == "service" else _state_of(entry)
    own = await facts(entry) if facts and entry.kind == "service" and health == "SERVING" else None
    process = entry.process()
    # Reading PSS walks the process's page tables; ten of them in turn would be felt.
    memory = await asyncio.to_thread(proportional_bytes, process.pid) if process else None
    return ComponentStatus(entry, health, memory, own)


def _state_of(entry: ComponentRecord) -> str:
    if entry.external or entry.process() is not None or entry.state != "serving":
        return entry.state
    return "dead"
