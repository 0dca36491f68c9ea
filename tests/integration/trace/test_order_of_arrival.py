"""Topics overtake one another; what is known in the end is the same."""

import random
from typing import Any

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.inbox import ReceivedEvent
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import season


def shuffled(events: list[ReceivedEvent[Any]], rng: random.Random) -> list[ReceivedEvent[Any]]:
    """The events in another order, but for those of one topic and key, as the broker guarantees."""
    queues: dict[tuple[str, str], list[ReceivedEvent[Any]]] = {}
    for event in events:
        queues.setdefault((event.type, event.aggregate_id), []).append(event)
    turns = [key for key, queue in queues.items() for _ in queue]
    rng.shuffle(turns)
    return [queues[turn].pop(0) for turn in turns]


@pytest_asyncio.fixture
async def expected(trace: Trace) -> Any:
    """What is known when everything is heard in order, one thing at a time."""
    await trace.hear(season().events, at_once=1)
    return await trace.graph()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rng=st.randoms(use_true_random=False), at_once=st.integers(1, 20), by_topic=st.booleans())
async def test_any_order_across_topics_gives_the_same_graph(
    trace: Trace, expected: Any, rng: random.Random, at_once: int, by_topic: bool
) -> None:
    events = season().events
    await trace.forget()
    arrival = shuffled(events, rng)
    if by_topic:
        topics = sorted({event.type for event in events})
        rng.shuffle(topics)
        arrival.sort(key=lambda event: topics.index(event.type))
    await trace.hear(arrival, at_once)
    assert await trace.graph() == expected


async def test_the_season_has_every_topic_that_trace_listens_to(trace: Trace) -> None:
    assert {event.type for event in season().events} == trace.topics
