"""Views for tests of what is rendered."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from services.control.domain.instances import Instance
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.view import FleetView

LIMITS = EdgePolicy()
BORN = datetime(2026, 1, 1, tzinfo=UTC)


def instance(
    name: str,
    version: str = "v1",
    *,
    service: str = "orders",
    address: str = "127.0.0.1",
    port: int | None = None,
    born: datetime = BORN,
) -> Instance:
    """An instance with a port of its own."""
    return Instance(
        instance_id=name,
        service=service,
        version=version,
        address=address,
        port=port or 1000 + sum(map(ord, name)),
        lease=timedelta(seconds=15),
        registered_at=born,
        lease_expires_at=born,
        health_changed_at=born,
    )


def view(
    *instances: Instance,
    policies: tuple[TrafficPolicy, ...] = (),
    edge: EdgePolicy = LIMITS,
    revision: int = 1,
) -> FleetView:
    """A view of these."""
    by_service: dict[str, tuple[Instance, ...]] = defaultdict(tuple)
    for each in instances:
        by_service[each.service] += (each,)
    by_name = {policy.service: policy for policy in policies}
    known = {service: TrafficPolicy(service) for service in by_service}
    return FleetView(revision, dict(by_service), known | by_name, edge)
