"""Who is there, for those who ask and those who watch."""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chassis.clock import Clock
from services.control.application.fleet import INSTANCES, Fleet
from services.control.application.watching import Ended, Heartbeat, WatchTimes, watch
from services.control.domain.instances import Instance
from services.control.domain.registry import alike


@dataclass(frozen=True, slots=True)
class All:
    """Everybody who matches, at the beginning."""

    instances: Sequence[Instance]


@dataclass(frozen=True, slots=True)
class Changed:
    """Somebody who came, or who is otherwise now."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Removed:
    """The id of somebody who went."""

    instance_id: str


News = All | Changed | Removed


class InstanceQueries:
    """Answers from memory."""

    def __init__(self, fleet: Fleet, clock: Clock, times: WatchTimes) -> None:
        self._fleet = fleet
        self._clock = clock
        self._times = times

    def discover(self, service: str, version: str) -> Sequence[Instance]:
        """The healthy instances of a service, of one version or of all, by id."""
        healthy = self._fleet.registry.healthy(service)
        return [entry for entry in healthy if version in ("", entry.version)]

    def page(self, service: str, after: str, limit: int) -> Sequence[Instance]:
        """Every instance, of a service or of all, by id, after one."""
        chosen = _matching(self._fleet.registry.instances, [service] if service else [])
        return [chosen[key] for key in sorted(key for key in chosen if key > after)[:limit]]

    def watch(self, services: Collection[str]) -> AsyncGenerator[News | Heartbeat | Ended, None]:
        """Those who match, then each change; no services means all.

        A heartbeat of an instance is no change.
        """
        told: Mapping[str, Instance] | None = None

        def read() -> Iterator[News]:
            nonlocal told
            before, told = told, _matching(self._fleet.registry.instances, services)
            if before is None:
                yield All([told[key] for key in sorted(told)])
            else:
                yield from _differences(before, told)

        return watch(self._fleet.changes, INSTANCES, read, self._clock, self._times)


def _matching(instances: Mapping[str, Instance], services: Collection[str]) -> Mapping[str, Instance]:
    if not services:
        return instances
    return {key: entry for key, entry in instances.items() if entry.service in services}


def _differences(before: Mapping[str, Instance], now: Mapping[str, Instance]) -> Iterator[News]:
    for key, entry in now.items():
        known = before.get(key)
        if known is None or (known is not entry and not alike(known, entry)):
            yield Changed(entry)
    for key in before:
        if key not in now:
            yield Removed(key)
