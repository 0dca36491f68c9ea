"""When instances are asked how they are."""

import asyncio
from datetime import timedelta

from chassis.clock import SystemClock
from chassis.testing.eventually import eventually
from services.control.application.fleet import Fleet
from services.control.application.health import WatchHealth
from services.control.domain.instances import Health, HealthCheck, Instance
from services.control.domain.policy import EdgePolicy
from services.control.domain.registration import Announcement

SELDOM = HealthCheck(interval=timedelta(minutes=10))
TOLD = Announcement("crops-1", "crops", "v1", "10.0.0.1", 8080, health_check=SELDOM)


class Answers:
    """Answers every check with the same words."""

    def __init__(self, detail: str) -> None:
        self.detail = detail

    async def check(self, _instance: Instance) -> str:
        return self.detail

    async def forget(self, _instance: Instance) -> None:
        pass


async def test_an_instance_that_starts_again_is_checked_at_once():
    clock, probe = SystemClock(), Answers("UNAVAILABLE")
    fleet = Fleet({}, EdgePolicy(), clock)
    watching = WatchHealth(fleet, probe, clock)
    running = asyncio.create_task(watching.run())

    def register() -> None:
        fleet.change_registry(lambda known: known.registered(TOLD, clock.now()))

    def health() -> Health:
        return fleet.registry.instances["crops-1"].health

    try:
        register()
        await eventually(lambda: health() is Health.CRITICAL)
        probe.detail = ""
        register()
        await eventually(lambda: health() is Health.PASSING)
    finally:
        await watching.stop()
        await running
