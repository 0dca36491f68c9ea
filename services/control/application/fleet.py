"""What one replica knows of the fleet, in memory: every read is answered from here."""

from collections.abc import Callable, Mapping

import structlog

from chassis.clock import Clock
from chassis.wakeup import Watchers
from services.control.application.ports import Memory
from services.control.domain.instances import Health, Instance
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.registration import DEFAULT_LEASE
from services.control.domain.registry import Registry, alike
from services.control.domain.versioned import Versioned
from services.control.domain.view import FleetView

INSTANCES, POLICIES, CONFIG, VIEW = "instances", "policies", "config", "view"
"""What `Fleet.changes` can be watched for."""

_log = structlog.get_logger(__name__)
_POLL_S = 30.0


class Fleet:
    """Registry, policies and settings of one replica; implements `Views`.

    Args:
        policies: those of the file that control was started with, by service.
        edge: limits of the edge from that file.
        clock: decides when leases are over.
    """

    def __init__(self, policies: Mapping[str, TrafficPolicy], edge: EdgePolicy, clock: Clock) -> None:
        self.changes = Watchers()
        self.registry = Registry()
        self.policies: Mapping[str, Versioned[TrafficPolicy]] = {}
        self.edge: Versioned[EdgePolicy] = Versioned()
        self.config: Mapping[str, Versioned[str]] = {}
        self.revision = 0
        self.original_edge = edge
        self._file_policies = dict(policies)
        self._clock = clock
        self._started_s = clock.monotonic()
        self._told = False
        self._complete = False
        self._view = FleetView(0)

    def current(self) -> FleetView:
        """The view now; revision 0 as long as nothing is known."""
        return self._view

    async def wait_newer(self, revision: int) -> FleetView:
        """The newest view, once there is one of a later revision."""
        with self.changes.watch(VIEW) as news:
            while self._view.revision <= revision:
                await news.wait(_POLL_S)
        return self._view

    @property
    def services(self) -> tuple[str, ...]:
        """Every service that is registered, or was, or has a policy."""
        registered = {entry.service for entry in self.registry.instances.values()}
        return tuple(sorted({*registered, *self.registry.listed, *self._file_policies, *self.policies}))

    def policy(self, service: str) -> TrafficPolicy:
        """The policy in force for a service: what it was changed to, else the file's, else the defaults."""
        changed = self.policies.get(service)
        if changed is not None and changed.value is not None:
            return changed.value
        return self.original(service)

    def original(self, service: str) -> TrafficPolicy:
        """The policy that a service has when nobody changed it."""
        return self._file_policies.get(service) or TrafficPolicy(service)

    @property
    def edge_policy(self) -> EdgePolicy:
        """The limits of the edge in force."""
        return self.edge.value or self.original_edge

    def change_registry(self, change: Callable[[Registry], Registry]) -> Registry:
        """Make a change of the registry's state, tell those who watch, and give the new one.

        Raises:
            Whatever `change` raises; nothing has changed then.
        """
        before, self.registry = self.registry, change(self.registry)
        if _differ(before.instances, self.registry.instances):
            _note(before.instances, self.registry.instances)
            self._changed(INSTANCES)
        return self.registry

    def sweep(self) -> None:
        """Let time pass: leases end, and a replica that began with nothing has waited long enough."""
        now = self._clock.now()
        self.change_registry(lambda registry: registry.swept(now))
        if self._clock.monotonic() - self._started_s >= DEFAULT_LEASE.total_seconds():
            self._completed()
            self.tell()

    def tell(self) -> None:
        """From now on there are views: what is known is worth telling."""
        if not self._told:
            self._told = True
            self._render()

    def change_settings(
        self,
        policies: Mapping[str, Versioned[TrafficPolicy]],
        edge: Versioned[EdgePolicy],
        config: Mapping[str, Versioned[str]],
    ) -> None:
        """Take over what is stored; nothing happens when it is what is known."""
        if (policies, edge) != (self.policies, self.edge):
            self.policies, self.edge = policies, edge
            self._changed(POLICIES)
        if config != self.config:
            self.config = config
            self._changed(CONFIG)

    def restore(self, memory: Memory, *, settings: bool) -> None:
        """Begin with what was known before.

        Args:
            memory: it.
            settings: whether its policies and settings count, because the stored ones cannot be read.
        """
        now = self._clock.now()
        self._completed()
        self.change_registry(lambda _: Registry.restored(memory.instances, memory.listed, now))
        if settings:
            self.change_settings(memory.policies, memory.edge, memory.config)

    def memory(self) -> Memory:
        """What is known now."""
        return Memory(
            self._clock.now(),
            tuple(self.registry.instances.values()),
            self.registry.listed,
            self.policies,
            self.edge,
            self.config,
        )

    def _completed(self) -> None:
        if not self._complete:
            self._complete = True
            if self._told:
                self._render()

    def _changed(self, what: str) -> None:
        self.revision += 1
        self.changes.changed(what)
        if self._told:
            self._render()

    def _render(self) -> None:
        policies = {service: self.policy(service) for service in self.services}
        known = (self.registry.listed, policies, self.edge_policy, self._complete)
        view = self._view
        if view.revision and known == (view.instances, view.policies, view.edge, view.complete):
            return
        self._view = FleetView(self._view.revision + 1, *known)
        self.changes.changed(VIEW)


def _note(before: Mapping[str, Instance], now: Mapping[str, Instance]) -> None:
    for key in now.keys() - before.keys():
        came = now[key]
        _log.info("instance.came", instance=key, service=came.service, version=came.version)
    for key in before.keys() - now.keys():
        gone = before[key]
        # Whoever was draining has said so; the others left without a word, or did not answer.
        tell = _log.info if gone.health is Health.DRAINING else _log.warning
        tell(
            "instance.gone", instance=key, service=gone.service, health=gone.health, detail=gone.health_detail
        )


def _differ(some: Mapping[str, Instance], others: Mapping[str, Instance]) -> bool:
    """Whether there is more between them than heartbeats."""
    if some.keys() != others.keys():
        return True
    return any(entry is not others[key] and not alike(entry, others[key]) for key, entry in some.items())
