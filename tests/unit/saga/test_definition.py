"""What a saga's definition promises and refuses."""

import random
from datetime import timedelta
from uuid import UUID

import pytest

from chassis.saga import FOREVER, Direction, Retry, Saga, Step, StepContext, crashpoints_of, idempotency_key


async def act(_context: StepContext) -> None:
    return None


def saga(*steps: Step, **changes: object) -> Saga:
    return Saga(**({"name": "checkout", "version": 1, "steps": steps} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (saga, "no steps"),
        (lambda: saga(Step("a", act), Step("a", act)), "two steps are named 'a'"),
        (lambda: saga(Step("a", act), on_failed=Step("a", act)), "two steps are named 'a'"),
        (lambda: saga(Step("a", act, pivot=True), Step("b", act, pivot=True)), "more than one pivot"),
        (lambda: saga(Step("a", act, pivot=True), Step("b", act, undo=act)), "cannot have an undo"),
        (lambda: saga(Step("a", act), on_failed=Step("f", act, undo=act)), "on_failed"),
        (lambda: saga(Step("a", act), on_failed=Step("f", act, pivot=True)), "on_failed"),
        (lambda: saga(Step("Reserve", act)), "not lower_snake_case"),
        (lambda: saga(Step("a", act), name="check out"), "not lower_snake_case"),
        (lambda: saga(Step("a", act), version=0), "version"),
        (lambda: saga(Step("a", act), deadline=timedelta(0)), "deadline"),
        (lambda: saga(Step("a", act, timeout=timedelta(0))), "timeout of 'a'"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused_with_the_rule(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    "arguments",
    [
        {"attempts": 0},
        {"first": timedelta(0)},
        {"first": timedelta(seconds=2), "ceiling": timedelta(seconds=1)},
        {"factor": 0.5},
        {"jitter": 1.5},
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(ValueError, match=r"must be|within"):
        Retry(**arguments)


def test_waits_grow_up_to_the_ceiling_and_lose_at_most_the_jitter():
    retry = Retry(first=timedelta(seconds=1), factor=2, ceiling=timedelta(seconds=10), jitter=0.5)
    for attempts, longest in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (10_000, 10)):
        waits = [retry.delay(attempts, random.Random(seed)).total_seconds() for seed in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_steps_from_the_pivot_on_are_retried_for_ever_unless_they_say_otherwise():
    steps = (Step("a", act), Step("p", act, pivot=True), Step("b", act), Step("c", act, retry=Retry(2)))
    definition = saga(*steps, on_failed=Step("f", act))
    retries = [definition.retry_of(step, Direction.ACTION) for step in steps]
    assert retries == [Retry(), FOREVER, FOREVER, Retry(2)]
    assert definition.retry_of(Step("f", act), Direction.ACTION) is FOREVER
    assert definition.retry_of(Step("a", act, undo_retry=Retry(3)), Direction.UNDO) == Retry(3)


def test_an_idempotency_key_is_a_uuid_of_saga_step_and_direction():
    key = idempotency_key("s1", "reserve", Direction.ACTION)
    assert str(UUID(key)) == key
    # Pinned: another process, or a later release, must find what this one has begun.
    assert key == "a76eff76-d52c-5981-b3e1-f30d3cf1eca5"
    others = {
        idempotency_key("s2", "reserve", Direction.ACTION),
        idempotency_key("s1", "charge", Direction.ACTION),
        idempotency_key("s1", "reserve", Direction.UNDO),
    }
    assert len(others | {key}) == 4


def test_the_shape_changes_with_the_steps_and_not_with_timeouts():
    shape = saga(Step("a", act, undo=act), Step("b", act)).shape
    assert shape == saga(Step("a", act, undo=act, timeout=timedelta(seconds=1)), Step("b", act)).shape
    assert shape != saga(Step("b", act), Step("a", act, undo=act)).shape
    assert shape != saga(Step("a", act), Step("b", act)).shape
    assert shape != saga(Step("a", act, undo=act), Step("b", act), on_failed=Step("f", act)).shape


def test_crash_points_are_listed_for_every_direction_that_a_step_has():
    definition = saga(Step("a", act, undo=act), Step("p", act, pivot=True), on_failed=Step("f", act))
    points = crashpoints_of(definition)
    assert len(points) == len(set(points)) == 12
    assert points[0] == "saga.checkout.a.action.before"
    assert "saga.checkout.a.undo.after_effect" in points
    assert points[-1] == "saga.checkout.f.action.after_record"
