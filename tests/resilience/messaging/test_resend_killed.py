"""A relay killed with SIGKILL while it sends the outbox again: the next one goes on, and ends it."""

import asyncio
import signal

import pytest

from chassis.audit import Order
from chassis.clock import SystemClock
from chassis.outbox import OutboxOperator
from chassis.outbox.relay import RELAY_CRASHPOINTS
from chassis.testing import eventually, messaging_process
from chassis.testing.messaging import MessagingWorld, read_topic

pytestmark = pytest.mark.slow

EVENTS = 100


@pytest.mark.parametrize("point", RELAY_CRASHPOINTS)
async def test_a_resend_goes_on_after_its_relay_was_killed(messaging: MessagingWorld, point: str) -> None:
    operator = OutboxOperator(messaging.db, SystemClock())

    async def done() -> bool:
        at = await operator.position()
        return at.position == at.head and not at.resending

    relay = messaging.relay()
    consumer = messaging.consumer()
    for number in range(EVENTS):
        await messaging.publish(f"k{number % 3}", str(number))
    await messaging.quiet()
    await eventually(done)
    await messaging.stop(relay)
    await operator.resend("", Order("ann", "a test"))

    killed = messaging_process.start("relay", messaging, f"{point}@3")
    try:
        await eventually(lambda: killed.poll() is not None, 30)
        assert killed.returncode == -signal.SIGKILL
    finally:
        killed.kill()
        killed.wait(timeout=10)
    at = await operator.position()
    assert at.resending
    assert 0 < at.position < EVENTS
    messaging.relay(batch_size=20)
    await eventually(done, 30)
    await messaging.quiet()
    expected = {f"k{key}": [str(n) for n in range(EVENTS) if n % 3 == key] for key in range(3)}
    assert await messaging.effects() == expected
    again = await asyncio.to_thread(read_topic, messaging.bootstrap)
    assert len(again) >= 2 * EVENTS
    for key, values in expected.items():
        sequences = [event.key_sequence for event in again if event.aggregate_id == key]
        assert sequences[-1] == len(values)
    await messaging.stop(consumer)
