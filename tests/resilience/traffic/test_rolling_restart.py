"""Every process of the fleet is ended in good order and started again while calls go on: none fails."""

import asyncio
import signal

import pytest

from fleet.services import SERVICES
from tests.resilience.traffic.conftest import Steered
from tests.resilience.traffic.load import changes, reads, under_load, unrepeatable

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
AT_ONCE = 2


async def test_a_rolling_restart_of_every_service_fails_no_call(steered: Steered) -> None:
    live, market = steered.live, steered.market
    names = [entry.name for entry in live.layout.instances]
    await steered.known(*names)
    places = asyncio.Semaphore(AT_ONCE)

    async def restart_all_of(service: str) -> None:
        for entry in live.layout.instances:
            if entry.spec.name == service:
                async with places:
                    await live.restart(entry.name, how=signal.SIGTERM)
                    await steered.known(entry.name)

    async with under_load({**reads(market), **changes(market), **unrepeatable(market)}) as load:
        await load.each_again()
        await asyncio.gather(*(restart_all_of(spec.name) for spec in SERVICES))
        await load.each_again()
    assert not load.failed, load.story
    for name in names:
        assert await steered.counted(name, "grpc_server_handled_total", grpc_code="OK"), f"{name} is idle"
        assert not await steered.counted(name, "greenledger_client_breaker_state"), f"{name} gave somebody up"
