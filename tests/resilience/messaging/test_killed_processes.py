"""Relays and consumers killed with SIGKILL, joining and leaving: effects and follow-ups stay exact."""

import asyncio
import signal
import subprocess

import pytest

from chassis.inbox import Consumer
from chassis.inbox.applier import INBOX_CRASHPOINTS
from chassis.outbox.relay import RELAY_CRASHPOINTS
from chassis.testing import eventually, messaging_process
from chassis.testing.messaging import MessagingWorld
from chassis.testing.messaging_process import FOLLOW_UP

pytestmark = pytest.mark.slow

KEYS, EVENTS = 7, 140


async def _publish_all(messaging: MessagingWorld, first: int = 0) -> None:
    for number in range(first, EVENTS):
        await messaging.publish(f"k{number % KEYS}", str(number))


async def _all_applied(messaging: MessagingWorld) -> bool:
    return await messaging.count() >= EVENTS


async def _exact(messaging: MessagingWorld, *, follow_ups: bool) -> None:
    await messaging.quiet()
    expected = {f"k{key}": [str(n) for n in range(EVENTS) if n % KEYS == key] for key in range(KEYS)}
    assert await messaging.effects() == expected
    if follow_ups:
        found = await messaging.db.fetch(
            "SELECT key, count(*) AS n, max(key_seq) AS top FROM outbox WHERE topic = $1 GROUP BY key",
            FOLLOW_UP,
        )
        assert {row["key"]: (row["n"], row["top"]) for row in found} == {
            key: (len(values), len(values)) for key, values in expected.items()
        }


async def _died(process: "subprocess.Popen[bytes]") -> None:
    await eventually(lambda: process.poll() is not None, 30)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", INBOX_CRASHPOINTS)
async def test_a_consumer_killed_in_the_middle_of_a_batch_repeats_and_loses_nothing(
    messaging: MessagingWorld, point: str
) -> None:
    messaging.relay()
    killed = messaging_process.start("consumer", messaging, f"{point}@2")
    successor = None
    try:
        await _publish_all(messaging, 0)
        await _died(killed)
        assert await messaging.count() < EVENTS
        successor = messaging_process.start("consumer", messaging)
        await eventually(lambda: _all_applied(messaging), 40)
        await _exact(messaging, follow_ups=True)
    finally:
        _end(killed, successor)


@pytest.mark.parametrize("point", RELAY_CRASHPOINTS)
async def test_a_leading_relay_killed_at_any_point_is_followed_by_another(
    messaging: MessagingWorld, point: str
) -> None:
    killed = messaging_process.start("relay", messaging, f"{point}@3")
    try:

        async def led() -> bool:
            return bool(await messaging.db.fetchval("SELECT count(*) FROM relay_cursor"))

        await eventually(led, 20)
        messaging.relay()  # stands by
        messaging.consumer()
        await _publish_all(messaging)
        await _died(killed)
        await eventually(lambda: _all_applied(messaging), 40)
        await _exact(messaging, follow_ups=False)
    finally:
        _end(killed)


async def test_consumers_that_join_leave_and_die_share_the_partitions_without_a_slip(
    messaging: MessagingWorld,
) -> None:
    messaging.relay()
    staying = messaging.consumer()
    await eventually(lambda: _has(staying, 2), 20)
    leaving = messaging.consumer()
    killed = None
    try:
        for number in range(EVENTS):
            await messaging.publish(f"k{number % KEYS}", str(number))
            if number == EVENTS // 4:
                await eventually(lambda: _has(leaving, 1), 30)
            if number == EVENTS // 2:
                await messaging.stop(leaving)
        # The killed one holds its share until the group misses it.
        killed = messaging_process.start("consumer", messaging)
        await eventually(lambda: _all_applied(messaging), 40)
        await eventually(lambda: _has(staying, 1), 30)
        killed.kill()
        await eventually(lambda: _has(staying, 2), 30)
        await _exact(messaging, follow_ups=False)
    finally:
        _end(killed)


async def test_sigterm_drains_a_consumer_so_that_its_successor_repeats_nothing(
    messaging: MessagingWorld,
) -> None:
    messaging.relay()
    first = messaging_process.start("consumer", messaging)
    second = None
    try:
        await _publish_all(messaging)
        await eventually(lambda: _some_applied(messaging), 30)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 20) == 0
        second = messaging_process.start("consumer", messaging)
        await eventually(lambda: _all_applied(messaging), 40)
        await _exact(messaging, follow_ups=True)
    finally:
        _end(first, second)


async def _some_applied(messaging: MessagingWorld) -> bool:
    return await messaging.count() > 0


async def _has(consumer: Consumer, partitions: int) -> bool:
    return (await consumer.status()).partitions == partitions


def _end(*processes: "subprocess.Popen[bytes] | None") -> None:
    for process in processes:
        if process is not None:
            process.kill()
            process.wait(timeout=10)
