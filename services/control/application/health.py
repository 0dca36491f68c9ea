"""Asking every instance again and again how it is."""

import asyncio
from collections.abc import Hashable

import structlog

from chassis.clock import Clock
from chassis.wakeup import Wakeup
from services.control.application.fleet import INSTANCES, Fleet
from services.control.application.ports import Probe
from services.control.domain.instances import Health, Instance

_log = structlog.get_logger(__name__)
_POLL_S = 5.0


class WatchHealth:
    """Checks each registered instance at its own interval, the first time in each of its lives at once.

    A check that takes long holds up no other. Instances that are draining are left alone.
    """

    def __init__(self, fleet: Fleet, probe: Probe, clock: Clock) -> None:
        self._fleet = fleet
        self._probe = probe
        self._clock = clock
        self._followed: dict[Hashable, asyncio.Task[None]] = {}
        self._stopping = False
        self._woken: Wakeup | None = None
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> None:
        """Follow whoever is registered, until `stop` was called."""
        self._ended.clear()
        try:
            with self._fleet.changes.watch(INSTANCES) as changed:
                self._woken = changed
                while not self._stopping:
                    await self._reconcile(self._to_follow())
                    await changed.wait(_POLL_S)
        finally:
            await self._reconcile({})
            self._ended.set()

    async def stop(self) -> None:
        """Ask `run` to end; returns when it has. Checks under way are given up."""
        self._stopping = True
        if self._woken is not None:
            self._woken.notify()
        await self._ended.wait()

    def _to_follow(self) -> dict[Hashable, Instance]:
        return {
            (entry.instance_id, entry.address, entry.port, entry.health_check, entry.registered_at): entry
            for entry in self._fleet.registry.instances.values()
            if entry.health is not Health.DRAINING
        }

    async def _reconcile(self, wanted: dict[Hashable, Instance]) -> None:
        gone = [self._followed.pop(key) for key in list(self._followed) if key not in wanted]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        for key, instance in wanted.items():
            if key not in self._followed or self._followed[key].done():
                self._followed[key] = asyncio.create_task(self._follow(instance))

    async def _follow(self, instance: Instance) -> None:
        try:
            while True:
                await self._check(instance)
                await asyncio.sleep(instance.health_check.interval.total_seconds())
        except Exception:
            # The next look at the registry begins anew: nobody must go unchecked for a fault of ours.
            _log.exception("instance.check_failed", instance=instance.instance_id)
        finally:
            await self._probe.forget(instance)

    async def _check(self, instance: Instance) -> None:
        known = self._fleet.registry.instances.get(instance.instance_id)
        if known is None:
            return  # the next reconciliation ends this task
        detail = await self._probe.check(known)
        if detail and known.health is not Health.CRITICAL:
            _log.warning(
                "instance.critical", instance=known.instance_id, service=known.service, detail=detail
            )
        now = self._clock.now()
        self._fleet.change_registry(lambda registry: registry.checked(known, detail, now))
