"""An instance in the registries of all replicas of control, whatever happens to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.discovery import Registrar
from chassis.service import Background
from chassis.testing import eventually
from greenledger.control.v1 import control_pb2, control_pb2_grpc
from interceptors.service_token import Token, TokenSource
from tests.integration.discovery.control import Replica, channels_to, replicas

INSTANCE = control_pb2.Instance(
    instance_id="orders-1", service="orders", version="v1", address="127.0.0.1", port=18026
)


@asynccontextmanager
async def running(loop: Background) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        await loop.stop()
        await task


def registrar(channels: Channels, known: list[Replica], **arguments: Any) -> Registrar:
    assert channels.control is not None
    stubs = {
        replica.address: control_pb2_grpc.RegistryServiceStub(channels.control.get(replica.address))
        for replica in known
    }
    pause = timedelta(milliseconds=20)
    return Registrar(INSTANCE, stubs, **{"lease": timedelta(seconds=3), "pause": pause, **arguments})


async def test_it_is_registered_with_every_replica_and_keeps_its_lease() -> None:
    async with replicas() as both:
        channels = channels_to(both)
        kept = registrar(channels, both)
        async with running(kept):
            for replica in both:
                await eventually(lambda replica=replica: replica.control.calls.count("heartbeat") >= 3)
                assert replica.control.instances == {"orders-1": INSTANCE}
                assert replica.control.calls.count("register") == 1
            assert len(kept.registered) == 2
        await channels.close()


async def test_a_replica_that_has_forgotten_it_is_told_again() -> None:
    async with replicas(1) as (one,):
        channels = channels_to([one])
        async with running(registrar(channels, [one])):
            await eventually(lambda: one.control.calls.count("heartbeat") >= 1)
            one.control.instances.clear()
            await eventually(lambda: "orders-1" in one.control.instances)
            assert one.control.calls.count("register") == 2
        await channels.close()


async def test_a_replica_that_is_away_disturbs_nothing_and_is_told_when_it_comes() -> None:
    async with replicas() as both:
        away, there = both
        await away.stop()
        channels = channels_to(both)
        kept = registrar(channels, both)
        async with running(kept):
            await eventually(lambda: there.control.calls.count("heartbeat") >= 3)
            assert kept.registered == {there.address}
            await away.start()
            await eventually(lambda: "orders-1" in away.control.instances)
        await channels.close()


async def test_who_waits_for_control_is_told_whenever_a_replica_has_taken_the_instance() -> None:
    async with replicas(1) as (late,):
        await late.stop()
        taken: list[bool] = []
        channels = channels_to([late])
        kept = registrar(
            channels, [late], on_registered=lambda: taken.append("orders-1" in late.control.instances)
        )
        async with running(kept):
            await late.start()
            await eventually(lambda: late.control.calls.count("heartbeat") >= 3)
            assert taken == [True], "once, and not sooner"
            late.control.instances.clear()
            await eventually(lambda: len(taken) == 2)
            assert taken == [True, True]
        await channels.close()


async def test_a_replica_that_restarts_empty_knows_the_instance_again() -> None:
    async with replicas(1) as (one,):
        channels = channels_to([one])
        async with running(registrar(channels, [one])):
            await eventually(lambda: "orders-1" in one.control.instances)
            await one.stop()
            one.control.instances.clear()
            await one.start()
            await eventually(lambda: "orders-1" in one.control.instances)
        await channels.close()


async def test_deregistering_ends_the_lease_everywhere_and_nothing_is_renewed_after_it() -> None:
    async with replicas() as both:
        channels = channels_to(both)
        kept = registrar(channels, both)
        async with running(kept):
            await eventually(lambda: len(kept.registered) == 2)
            await kept.deregister()
            for replica in both:
                assert replica.control.instances == {}
                assert replica.control.calls[-1] == "deregister"
        assert all(replica.control.calls[-1] == "deregister" for replica in both)
        await channels.close()


async def test_replicas_that_do_not_answer_hold_nobody_who_leaves() -> None:
    async with replicas() as both:

        async def forever() -> None:
            await asyncio.Event().wait()

        both[0].control.on_deregister = forever
        channels = channels_to(both)
        kept = registrar(channels, both)
        async with running(kept):
            await eventually(lambda: len(kept.registered) == 2)
            await kept.deregister(timedelta(milliseconds=100))
            assert both[1].control.instances == {}
        await channels.close()


async def test_calls_to_control_carry_the_services_own_token() -> None:
    async def fetch() -> Token:
        return Token("own", SystemClock().now() + timedelta(hours=1))

    async with replicas(1) as (one,):
        channels = channels_to([one], TokenSource(fetch, SystemClock()))
        async with running(registrar(channels, [one])):
            await eventually(lambda: "heartbeat" in one.control.calls)
        await channels.close()
    assert one.control.tokens == {"Bearer own"}


async def test_without_a_token_it_is_tried_until_there_is_one() -> None:
    tries = 0

    async def fetch() -> Token:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError("auth is not there yet")
        return Token("own", SystemClock().now() + timedelta(hours=1))

    async with replicas(1) as (one,):
        channels = channels_to([one], TokenSource(fetch, SystemClock()))
        async with running(registrar(channels, [one])):
            await eventually(lambda: "orders-1" in one.control.instances)
        await channels.close()
