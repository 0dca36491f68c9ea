"""Property: whatever fails, whenever an engine dies, a saga ends whole or not at all."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.saga import Direction, Instance, Retry, Saga, State, Step, StepContext, StepState
from chassis.saga.instance import Move, new_instance
from chassis.saga.outcomes import Faulted, Outcome, Refused, Succeeded
from chassis.saga.transitions import Course, task_of

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDED = (State.COMPLETED, State.COMPENSATED, State.STUCK)


async def act(_context: StepContext) -> None:
    return None


@st.composite
def sagas(draw: st.DrawFn) -> Saga:
    count = draw(st.integers(1, 5))
    pivot = draw(st.integers(0, count))  # equal to count: none
    retries = st.sampled_from([None, Retry(1), Retry(3)])
    steps = tuple(
        Step(
            f"s{i}",
            act,
            undo=act if i < pivot or (i == pivot and draw(st.booleans())) else None,
            retry=draw(retries),
            undo_retry=draw(st.sampled_from([Retry(2), Retry(10)])),
            pivot=i == pivot,
            local=draw(st.booleans()),
        )
        for i in range(count)
    )
    on_failed = Step("failed", act, local=draw(st.booleans())) if draw(st.booleans()) else None
    return Saga("any", 1, steps, deadline=timedelta(minutes=5), on_failed=on_failed)


@dataclass
class World:
    """Participants with tombstones, and the record that survives an engine's death."""

    saga: Saga
    draw: st.DataObject
    kinds: st.SearchStrategy[str]
    now: datetime = START
    effects: set[str] = field(default_factory=set)
    tombstones: set[str] = field(default_factory=set)
    failed_told: int = 0

    def attempt(self, instance: Instance) -> Outcome | None:
        """One call; None when the engine dies between the effect and its record."""
        task = task_of(self.saga, instance)
        kind = self.draw.draw(self.kinds)
        self.now += timedelta(seconds=self.draw.draw(st.sampled_from([0, 1, 100])))
        if kind == "refused" and task.direction is Direction.ACTION and task.step.name != "failed":
            # The same key must get the same answer from whom cannot be undone; others may even lie.
            kept = task.step.undo is None and task.step.name in self.effects
            return Succeeded(None) if kept else Refused("NO", "no", {})
        if kind in ("lost", "dies_before") or kind == "refused":
            return Faulted("LOST", "lost", "lost") if kind != "dies_before" else None
        took_effect = kind in ("done", "late", "dies_after")
        if task.step.local and kind != "done":
            took_effect = False  # rolled back
        if took_effect and not self._apply(task.step.name, task.direction):
            return Refused("CANCELLED", "a compensation came first", {})
        return {"done": Succeeded(None), "late": Faulted("LATE", "late", "late")}.get(kind)

    def _apply(self, step: str, direction: Direction) -> bool:
        if direction is Direction.UNDO:
            self.effects.discard(step)
            self.tombstones.add(step)
        elif step in self.tombstones:
            return False
        elif step == "failed":
            self.failed_told += 1
        else:
            self.effects.add(step)
        return True


def next_move(world: World, instance: Instance) -> Move | None:
    """What the runner does, without a database; None when the engine died."""
    course = Course(world.saga, instance, world.now)
    task = task_of(world.saga, instance)
    if not instance.armed and course.expired:
        return course.time_out()
    if not task.step.local and course.interrupted_for_good:
        instance.armed = True
        return course.settle(Faulted("STEP_INTERRUPTED", "", ""), world.now, random.Random(1))
    if not task.step.local and not instance.armed:
        return course.begin()
    outcome = world.attempt(instance)
    if outcome is None:
        return None
    return Course(world.saga, instance, world.now).settle(outcome, world.now, random.Random(1))


def run(world: World, most_moves: int = 400) -> Instance:
    instance = new_instance(world.saga, "i", {}, {}, START)
    for _ in range(most_moves):
        if instance.state in ENDED:
            return instance
        move = next_move(world, instance)
        if move is None:
            instance = replace(instance, armed=False)  # what the next engine reads
            continue
        instance.apply(move)
        world.now += move.delay or timedelta(0)
    raise AssertionError(f"no end after {most_moves} moves: {instance}")


KINDS = ["done", "done", "refused", "lost", "late", "dies_before", "dies_after"]


@settings(max_examples=400)
@given(sagas(), st.data())
def test_every_saga_ends_whole_or_not_at_all_whatever_fails(saga, data):
    # After 60 troubled calls the world calms down, so that "retried for ever" ends.
    calls = iter(range(60))
    kinds = st.sampled_from(KINDS).map(lambda kind: kind if next(calls, None) is not None else "done")
    world = World(saga, data, kinds)
    ended = run(world)
    names = {step.name for step in saga.steps}
    if ended.state is State.COMPLETED:
        assert world.effects == names
        assert ended.failure is None
    elif ended.state is State.COMPENSATED:
        assert world.effects == set()
        assert ended.failure is not None
        assert world.failed_told >= (saga.on_failed is not None)
    else:
        assert ended.step >= saga.pivot or ended.turned_back
        last = ended.records[task_of(saga, ended).step.name, task_of(saga, ended).direction]
        assert last.state in (StepState.REFUSED, StepState.UNKNOWN, StepState.FAILED)
        assert last.error is not None


@settings(max_examples=100)
@given(sagas(), st.data())
def test_nothing_is_undone_once_the_pivot_has_succeeded(saga, data):
    world = World(saga, data, st.sampled_from(KINDS))
    instance = new_instance(saga, "i", {}, {}, START)
    for _ in range(150):
        if instance.state in ENDED:
            break
        past = instance.step > saga.pivot and not instance.turned_back
        move = next_move(world, instance)
        if move is None:
            instance = replace(instance, armed=False)
            continue
        instance.apply(move)
        assert not (past and instance.turned_back)


@settings(max_examples=100)
@given(sagas())
def test_without_faults_each_step_is_attempted_once_and_nothing_is_undone(saga):
    instance, now = new_instance(saga, "i", {}, {}, START), START
    while instance.state not in ENDED:
        course, task = Course(saga, instance, now), task_of(saga, instance)
        if not task.step.local and not instance.armed:
            instance.apply(course.begin())
            continue
        instance.apply(course.settle(Succeeded('{"n": 1}'), now, random.Random(1)))
    assert instance.state is State.COMPLETED
    assert {record.attempts for record in instance.records.values()} == {1}
    assert {record.direction for record in instance.records.values()} == {Direction.ACTION}
    assert instance.data == {"n": 1}


def after(saga: Saga, *outcomes: Outcome, now: datetime = START) -> Instance:
    instance = new_instance(saga, "i", {}, {}, START)
    for outcome in outcomes:
        course = Course(saga, instance, now)
        if not instance.armed and not task_of(saga, instance).step.local:
            instance.apply(course.begin())
        instance.apply(course.settle(outcome, now, random.Random(1)))
    return instance


LOST = Faulted("LOST", "lost", "lost")
NO = Refused("NO", "no", {})
DONE = Succeeded(None)
ONCE = Retry(1)
TWO = (Step("a", act, undo=act, retry=ONCE), Step("b", act, undo=act, retry=ONCE))


def test_the_refusing_step_is_not_undone():
    instance = after(Saga("any", 1, TWO), DONE, NO)
    assert (instance.state, instance.step) == (State.COMPENSATING, 0)
    assert instance.failure is not None
    assert (instance.failure.step, instance.failure.reason) == ("b", "NO")


def test_a_step_refused_after_an_attempt_of_unknown_outcome_is_undone_too():
    steps = (TWO[0], replace(TWO[1], retry=Retry(3)))
    instance = after(Saga("any", 1, steps), DONE, LOST, NO)
    assert (instance.state, instance.step) == (State.COMPENSATING, 1)
    assert instance.failure is not None
    assert instance.failure.reason == "NO"


def test_a_step_of_unknown_outcome_is_undone_too():
    instance = after(Saga("any", 1, TWO), DONE, LOST)
    assert (instance.state, instance.step) == (State.COMPENSATING, 1)
    assert instance.records["b", Direction.ACTION].state is StepState.UNKNOWN


def test_a_local_step_that_failed_is_known_to_have_had_no_effect():
    steps = (TWO[0], replace(TWO[1], local=True))
    instance = after(Saga("any", 1, steps), DONE, LOST)
    assert (instance.state, instance.step) == (State.COMPENSATING, 0)
    assert instance.records["b", Direction.ACTION].state is StepState.FAILED


def test_a_saga_whose_first_step_is_refused_is_over_at_once():
    assert after(Saga("any", 1, TWO), NO).state is State.COMPENSATED


def test_only_the_first_failure_is_kept():
    instance = after(Saga("any", 1, TWO), DONE, NO, LOST, LOST)
    assert instance.failure is not None
    assert instance.failure.reason == "NO"


def test_a_refused_undo_is_stuck_at_once_and_a_lost_one_after_its_attempts():
    steps = (replace(TWO[0], undo_retry=Retry(2)), TWO[1])
    assert after(Saga("any", 1, steps), DONE, NO, NO).state is State.STUCK
    assert after(Saga("any", 1, steps), DONE, NO, LOST).state is State.COMPENSATING
    assert after(Saga("any", 1, steps), DONE, NO, LOST, LOST).state is State.STUCK


def test_a_refusal_behind_the_pivot_is_stuck_because_nothing_can_be_taken_back():
    steps = (Step("p", act, pivot=True), Step("b", act))
    assert after(Saga("any", 1, steps), DONE, NO).state is State.STUCK


def test_a_pivot_of_unknown_outcome_is_undone_if_it_can_be_and_stuck_if_not():
    bare = Step("p", act, pivot=True, retry=ONCE)
    assert after(Saga("any", 1, (TWO[0], bare)), DONE, LOST).state is State.STUCK
    instance = after(Saga("any", 1, (TWO[0], replace(bare, undo=act))), DONE, LOST)
    assert (instance.state, instance.step) == (State.COMPENSATING, 1)


def test_a_deadline_that_passes_during_a_step_turns_back_with_that_step_included():
    saga = Saga("any", 1, TWO, deadline=timedelta(minutes=1))
    instance = after(saga, DONE)
    late = Course(saga, instance, START + timedelta(minutes=2))
    instance.apply(late.settle(DONE, START, random.Random(1)))
    assert instance.state is State.COMPLETED, (
        "the last step had succeeded, so there is nothing to turn back for"
    )

    instance = after(saga)
    instance.apply(Course(saga, instance, START).begin())
    instance.apply(Course(saga, instance, START + timedelta(minutes=2)).settle(DONE, START, random.Random(1)))
    assert (instance.state, instance.step) == (State.COMPENSATING, 0)
    assert instance.failure is not None
    assert instance.failure.reason == "SAGA_DEADLINE_EXCEEDED"


def test_a_deadline_no_longer_counts_once_the_pivot_has_begun():
    saga = Saga("any", 1, (TWO[0], Step("p", act, pivot=True)), deadline=timedelta(minutes=1))
    late = START + timedelta(hours=1)
    instance = after(saga, DONE, LOST)
    assert not Course(saga, instance, late).expired
    assert Course(saga, after(saga), late).expired


def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for():
    steps = (replace(TWO[0], retry=Retry(5)), TWO[1])
    saga = Saga("any", 1, steps, deadline=timedelta(minutes=1))
    busy = Faulted("BUSY", "busy", "busy", retry_after=timedelta(hours=1))
    instance = after(saga, busy)
    assert instance.state is State.COMPENSATING
    assert instance.failure is not None
    assert instance.failure.reason == "SAGA_DEADLINE_EXCEEDED"


def test_a_crash_during_the_last_allowed_attempt_leaves_the_outcome_unknown():
    saga = Saga("any", 1, TWO)
    instance = new_instance(saga, "i", {}, {}, START)
    instance.apply(Course(saga, instance, START).begin())
    recovered = replace(instance, armed=False)
    assert Course(saga, recovered, START).interrupted_for_good
