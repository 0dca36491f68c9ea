"""What proxy and clients are told of the fleet at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.control.domain.instances import Instance
from services.control.domain.policy import EdgePolicy, TrafficPolicy


@dataclass(frozen=True, slots=True)
class FleetView:
    """One moment of registry and policies.

    Args:
        revision: grows with every change, within one process.
        instances: those that can be called, by service. A service that ever had some is never left out and
            never empty: the last ones known stay, since an empty list would make errors of calls that may
            succeed.
        policies: by service, for every service of `instances` and every one that has a policy.
        edge: limits of the edge.
        complete: whether who is missing is gone. A replica that began with no memory of anybody does not know
            for one lease, and callers who know more keep it.
    """

    revision: int
    instances: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    policies: Mapping[str, TrafficPolicy] = field(default_factory=dict)
    edge: EdgePolicy = field(default_factory=EdgePolicy)
    complete: bool = True

    @property
    def services(self) -> tuple[str, ...]:
        """Every service that is known, by name."""
        return tuple(sorted({*self.instances, *self.policies}))

    def policy(self, service: str) -> TrafficPolicy:
        """The policy in force for a service."""
        return self.policies.get(service) or TrafficPolicy(service)

    def of_version(self, service: str, version: str) -> tuple[Instance, ...]:
        """The instances of one version that can be called; all of the service's when that version has none.

        Calls for a version that nobody runs are better answered by another than not at all.
        """
        instances = self.instances.get(service, ())
        return tuple(entry for entry in instances if entry.version == version) or instances
