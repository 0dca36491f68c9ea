"""What Prometheus sees of the registry."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Gauge

from services.control.domain.instances import Instance

INSTANCES = Gauge("control_instances", "Registered instances.", ["service", "version", "health"])
VIEW = Gauge("control_view_revision", "Revision of what proxy and clients are told; 0 is nothing yet.")


class RegistryMetrics:
    """Keeps the gauges as the registry is."""

    def __init__(self) -> None:
        self._shown: Counter[tuple[str, str, str]] = Counter()

    def show(self, instances: Iterable[Instance], revision: int) -> None:
        """Set them; what is there no longer shows nothing, or every version that ever ran would stay."""
        VIEW.set(revision)
        now = Counter((entry.service, entry.version, entry.health.value) for entry in instances)
        for labels in {*now, *self._shown}:
            if not now[labels]:
                INSTANCES.remove(*labels)
            elif now[labels] != self._shown[labels]:
                INSTANCES.labels(*labels).set(now[labels])
        self._shown = now
