"""Rendering, once for each kind of client and change; what does not render well is not sent."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol

import structlog
from google.protobuf.message import Message

from services.control.adapters.xds import metrics
from services.control.adapters.xds.resources import Resource, Snapshot
from services.control.adapters.xds.validation import violations
from services.control.domain.instances import Instance
from services.control.domain.view import FleetView

_log = structlog.get_logger(__name__)

_SHARED = ""
_MOST_SHOWN = 5


class Renderer(Protocol):
    """Makes resources for one kind of client; plain functions of the view."""

    @property
    def kind(self) -> str:
        """Of client: "grpc" or "envoy"."""
        ...

    def service(self, view: FleetView, service: str) -> Iterable[Message]:
        """All resources of one service."""
        ...

    def shared(self, view: FleetView) -> Iterable[Message]:
        """Resources that belong to no service."""
        ...

    def shared_key(self, view: FleetView) -> Hashable:
        """Equal keys mean that `shared` gives the same."""
        ...


class _Unit:
    """What is rendered, and refused, together: one service."""

    def __init__(self) -> None:
        self.key: Hashable = None
        self.resources: tuple[Resource, ...] = ()


class Snapshots:
    """The newest good resources for each kind of client.

    A service that cannot be rendered, or whose resources break their own rules, keeps those it had; others
    are not held up by it. What a service once had stays when the view says nothing of it any more.

    Args:
        renderers: one for each kind of client.

    Attributes:
        complete: whether what the resources lack is gone, see `FleetView`.
    """

    def __init__(self, renderers: Sequence[Renderer]) -> None:
        self.complete = False
        self._renderers = renderers
        self._units: dict[tuple[str, str], _Unit] = {}
        self._snapshots: dict[str, Snapshot] = {}

    def of(self, kind: str) -> Snapshot | None:
        """The resources for a kind of client; None as long as there was no view."""
        return self._snapshots.get(kind)

    def update(self, view: FleetView) -> bool:
        """Render what has changed; says whether that was anything."""
        changed = [self._update(renderer, view) for renderer in self._renderers]
        before, self.complete = self.complete, view.complete
        return any(changed) or before != view.complete

    def _update(self, renderer: Renderer, view: FleetView) -> bool:
        changed = False
        for service in view.services:
            key = (view.policy(service), tuple(map(_place, view.instances.get(service, ()))))
            changed |= self._render(renderer, view, service, key)
        changed |= self._render(renderer, view, _SHARED, renderer.shared_key(view))
        if changed or renderer.kind not in self._snapshots:
            units = (unit for (kind, _), unit in self._units.items() if kind == renderer.kind)
            self._snapshots[renderer.kind] = Snapshot.of(each for unit in units for each in unit.resources)
            return True
        return False

    def _render(self, renderer: Renderer, view: FleetView, service: str, key: Hashable) -> bool:
        unit = self._units.setdefault((renderer.kind, service), _Unit())
        if unit.key == key:
            return False
        unit.key = key  # also when it fails: it would fail again
        metrics.RENDERS.labels(renderer.kind).inc()
        try:
            messages = list(renderer.service(view, service) if service else renderer.shared(view))
            wrong = [text for each in messages for text in violations(each, type(each).__name__)]
            if wrong:
                raise ValueError("; ".join(wrong[:_MOST_SHOWN]))
        except Exception:  # whatever a renderer raises, clients keep what they have
            _log.exception("xds.render-failed", kind=renderer.kind, service=service or "shared")
            metrics.RENDER_FAILURES.labels(renderer.kind).inc()
            return False
        resources = tuple(map(Resource.of, messages))
        if resources == unit.resources or not resources:
            return False
        unit.resources = resources
        return True


def _place(instance: Instance) -> Hashable:
    """What clients are told of an instance; its lease and health change without them."""
    return instance.instance_id, instance.version, instance.address, instance.port
