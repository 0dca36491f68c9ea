"""Queues per key: order within a key, no key given out twice, a count of what is in flight."""

import asyncio

import pytest

from chassis.inbox.events import Delivery, KeyId, Record
from chassis.inbox.key_queues import KeyQueues
from chassis.inbox.progress import PartitionProgress

PASS = PartitionProgress("t", 0)


def delivery(key: str, sequence: int, progress: PartitionProgress = PASS, topic: str = "t") -> Delivery:
    record = Record(topic, key, b"")
    return Delivery(KeyId(topic, key, "s"), sequence, f"{key}{sequence}", record, None, progress=progress)


@pytest.fixture
def queues() -> KeyQueues:
    return KeyQueues()


def taken(queues: KeyQueues, most: int = 100) -> list[list[str]]:
    return [[delivery.event_id for delivery in run.deliveries] for run in queues.take(most)]


def test_consecutive_events_of_a_key_are_taken_together(queues: KeyQueues) -> None:
    for sequence in (1, 2, 3, 5):
        queues.add(delivery("a", sequence))
    queues.add(delivery("b", 1))
    assert taken(queues) == [["a1", "a2", "a3"], ["b1"]]


def test_a_key_that_is_worked_on_is_not_given_out_again(queues: KeyQueues) -> None:
    queues.add(delivery("a", 1))
    (run,) = queues.take(100)
    queues.add(delivery("a", 2))
    assert taken(queues) == []
    queues.release(run)
    assert taken(queues) == [["a2"]]


def test_no_more_is_taken_than_asked_for(queues: KeyQueues) -> None:
    for sequence in range(1, 6):
        queues.add(delivery("a", sequence))
        queues.add(delivery("b", sequence))
    assert taken(queues, 3) == [["a1", "a2", "a3"]]
    assert taken(queues, 3) == [["b1", "b2", "b3"]]


def test_topics_take_turns(queues: KeyQueues) -> None:
    for key in "abc":
        queues.add(delivery(key, 1, topic="busy"))
    queues.add(delivery("z", 1, topic="quiet"))
    assert taken(queues, 1) == [["a1"]]
    assert taken(queues, 1) == [["z1"]]


def test_what_is_queued_worked_on_or_retried_is_in_flight_until_released(queues: KeyQueues) -> None:
    for sequence in (1, 2):
        queues.add(delivery("a", sequence))
    (run,) = queues.take(100)
    assert queues.size == 2
    queues.release(run)
    assert queues.size == 0


def test_dropping_a_pass_forgets_what_is_queued_and_keeps_the_rest(queues: KeyQueues) -> None:
    over = PartitionProgress("t", 1)
    queues.add(delivery("a", 1))
    queues.add(delivery("b", 1, over))
    (run,) = queues.take(1)
    queues.add(delivery("a", 2, over))
    queues.drop(over)
    assert queues.size == 1
    assert queues.working_on([PASS])
    queues.release(run)
    assert queues.size == 0
    assert taken(queues) == []


async def test_waiting_for_room_ends_when_enough_was_released(queues: KeyQueues) -> None:
    for key in "abc":
        queues.add(delivery(key, 1))
    runs = queues.take(100)
    waiting = asyncio.create_task(queues.wait_until(1, timeout_s=5))
    await asyncio.sleep(0)
    queues.release(runs[0])
    queues.release(runs[1])
    assert await waiting
    assert not await queues.wait_until(0, timeout_s=0.01)
