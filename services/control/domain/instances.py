"""One process of a service, as the registry knows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Health(StrEnum):
    """What is known of an instance."""

    UNKNOWN = "unknown"
    PASSING = "passing"
    CRITICAL = "critical"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How an instance's health is asked for.

    Args:
        service: name asked for by grpc.health.v1; default the whole process.
        interval: between two checks; default 10 s.
        timeout: longest wait for an answer; default 3 s.
        critical_timeout: how long it may be critical until it is taken out of the registry; default 30 s.
    """

    service: str = ""
    interval: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=3)
    critical_timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service.

    Args:
        instance_id: chosen by the process, the same for as long as it lives.
        service: name of the service, such as "orders".
        version: what runs there, such as "v1".
        address: IP address or host name.
        port: of its gRPC server.
        lease: how long it stays listed without a heartbeat.
        registered_at, lease_expires_at, health_changed_at: aware UTC.
        health_check: how its health is asked for.
        dependencies: services that it calls.
        metadata: what else operators want to know.
        health: what was seen last; default UNKNOWN.
        health_detail: what the last failed check met.
    """

    instance_id: str
    service: str
    version: str
    address: str
    port: int
    lease: timedelta
    registered_at: datetime
    lease_expires_at: datetime
    health_changed_at: datetime
    health_check: HealthCheck = HealthCheck()
    dependencies: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    health: Health = Health.UNKNOWN
    health_detail: str = ""


def callable_instances(known: Iterable[Instance]) -> tuple[Instance, ...]:
    """Those of one service that calls may be sent to, ordered by id.

    The passing ones. When none passes, all that are not draining: to send calls to instances that look dead
    is better than to have nowhere to send them, since it may be the checks that fail (Envoy's panic).
    """
    instances = sorted(known, key=lambda instance: instance.instance_id)
    passing = tuple(instance for instance in instances if instance.health is Health.PASSING)
    if passing:
        return passing
    return tuple(instance for instance in instances if instance.health is not Health.DRAINING)
