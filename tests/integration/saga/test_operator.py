"""What operators can see and do, and that it is recorded."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from chassis import errors
from chassis.saga import Direction, Retry, Saga, State, Step, StepContext, StepRejected, StepState
from chassis.testing import eventually
from tests.integration.saga.conftest import QUICK, World
from tests.integration.saga.participants import local_effects, remote_effects


@dataclass
class Broken:
    """An action that fails until it is repaired."""

    world: World
    error: Exception | None

    async def act(self, context: StepContext):
        if self.error is not None:
            raise self.error
        return await self.world.remote.act(context)

    async def undo(self, context: StepContext) -> None:
        if self.error is not None:
            raise self.error
        await self.world.remote.undo(context)


DOWN = errors.Unavailable("DOWN", "it is down")
NO = StepRejected("NO", "never")


async def stuck_undo(world: World):
    """An engine with a saga that is stuck in the undo of `reserve`."""
    broken = Broken(world, DOWN)
    refusing = Broken(world, NO)
    steps = (
        Step("place", world.local.act, undo=world.local.act, local=True),
        Step("reserve", world.remote.act, undo=broken.undo, undo_retry=QUICK),
        Step("capture", refusing.act, pivot=True),
    )
    engine = await world.run(Saga("order", 1, steps, on_failed=Step("told", world.local.act, local=True)))
    saga_id = await world.start(engine)
    await until_stuck(engine, saga_id)
    return engine, saga_id, broken


async def stuck_forward(world: World, error: Exception = NO, **capture):
    """An engine with a saga that is stuck at `ship`, behind the pivot."""
    broken = Broken(world, error)
    steps = (
        Step("reserve", world.remote.act, undo=world.remote.undo),
        Step("capture", world.remote.act, pivot=True, **capture),
        Step("ship", broken.act, retry=QUICK),
    )
    engine = await world.run(Saga("order", 1, steps))
    saga_id = await world.start(engine)
    await until_stuck(engine, saga_id)
    return engine, saga_id, broken


async def until_stuck(engine, saga_id: str) -> None:
    async def stuck() -> bool:
        return (await engine.operator.get(saga_id)).state is State.STUCK

    await eventually(stuck)


async def test_an_undo_that_ran_out_of_attempts_is_stuck_listed_and_counted(world):
    engine, saga_id, _ = await stuck_undo(world)
    assert [i.saga_id for i in await engine.operator.list(State.STUCK)] == [saga_id]
    assert await engine.operator.list(State.STUCK, name="other") == []
    assert await engine.operator.list(State.COMPLETED) == []
    step = (await engine.operator.get(saga_id)).records["reserve", Direction.UNDO]
    assert (step.attempts, step.state) == (3, StepState.UNKNOWN)
    assert step.error is not None
    assert step.error["reason"] == "DOWN"
    await eventually(lambda: REGISTRY.get_sample_value("saga_stuck", {"saga": "order"}) == 1.0)


async def test_a_stuck_saga_is_not_terminal_for_those_who_wait(world):
    engine, saga_id, _ = await stuck_undo(world)
    with pytest.raises(errors.DeadlineExceeded):
        await engine.outcome(saga_id, timedelta(milliseconds=100))


async def test_a_retry_goes_on_where_it_was_stuck_with_a_fresh_budget(world):
    engine, saga_id, broken = await stuck_undo(world)
    broken.error = None
    await engine.operator.retry(saga_id, "ada", "inventory is back")
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert await remote_effects(world.db, saga_id) == {"reserve": "UNDONE"}
    assert await local_effects(world.db, saga_id) == [
        ("place", "action"),
        ("place", "undo"),
        ("told", "action"),
    ]
    (action,) = await engine.operator.actions(saga_id)
    assert (action.who, action.what, action.why) == ("ada", "retry", "inventory is back")


async def test_a_retry_that_fails_again_gets_stuck_again(world):
    engine, saga_id, _ = await stuck_undo(world)
    before = (await engine.operator.get(saga_id)).revision
    await engine.operator.retry(saga_id, "ada", "hope")

    async def stuck_again() -> bool:
        now = await engine.operator.get(saga_id)
        return now.state is State.STUCK and now.revision > before + 3

    await eventually(stuck_again)


async def test_a_waiting_saga_can_be_retried_at_once(world):
    broken = Broken(world, DOWN)
    patient = Retry(first=timedelta(minutes=1), ceiling=timedelta(hours=1))
    saga = Saga("order", 1, (Step("a", broken.act, retry=patient),), deadline=timedelta(days=1))
    engine = await world.run(saga)
    saga_id = await world.start(engine)

    async def waiting() -> bool:
        instance = await engine.operator.get(saga_id)
        return instance.records["a", Direction.ACTION].state is StepState.WAITING

    await eventually(waiting)
    broken.error = None
    await engine.operator.retry(saga_id, "ada", "it is back")
    assert (await world.outcome(engine, saga_id)).state is State.COMPLETED


async def test_a_skipped_undo_is_taken_as_done_and_the_rest_goes_on(world):
    engine, saga_id, _ = await stuck_undo(world)
    with pytest.raises(errors.FailedPrecondition) as refused:
        await engine.operator.skip(saga_id, "place", "ada", "wrong step")
    assert refused.value.reason == "SAGA_NOT_STUCK_THERE"
    await engine.operator.skip(saga_id, "reserve", "ada", "released by hand")
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.records["reserve", Direction.UNDO].state is StepState.SKIPPED
    assert ("told", "action") in await local_effects(world.db, saga_id)
    assert [a.what for a in await engine.operator.actions(saga_id)] == ["skip reserve"]


async def test_a_skipped_last_step_completes_the_saga(world):
    engine, saga_id, _ = await stuck_forward(world)
    await engine.operator.skip(saga_id, "ship", "ada", "carried over by hand")
    assert (await world.outcome(engine, saga_id)).state is State.COMPLETED


async def test_force_compensate_is_refused_when_half_a_saga_would_remain(world):
    engine, saga_id, _ = await stuck_forward(world)
    with pytest.raises(errors.FailedPrecondition) as refused:
        await engine.operator.force_compensate(saga_id, "ada", "give up")
    assert refused.value.reason == "SAGA_PAST_PIVOT"
    assert (await engine.operator.get(saga_id)).state is State.STUCK
    assert await engine.operator.actions(saga_id) == []


async def test_force_compensate_undoes_a_pivot_that_can_be_undone(world):
    engine, saga_id, _ = await stuck_forward(world, undo=world.remote.undo)
    await engine.operator.force_compensate(saga_id, "ada", "the carrier will not take it")
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.reason == "FORCED_BY_OPERATOR"
    assert await remote_effects(world.db, saga_id) == {"reserve": "UNDONE", "capture": "UNDONE"}


async def test_force_compensate_fences_off_the_engine_that_is_at_work(world):
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(context: StepContext):
        entered.set()
        await leave.wait()
        return await world.remote.act(context)

    steps = (
        Step("reserve", world.remote.act, undo=world.remote.undo),
        Step("authorize", slow, undo=world.remote.undo),
        Step("capture", world.remote.act, pivot=True),
    )
    engine = await world.run(Saga("order", 1, steps))
    saga_id = await world.start(engine)
    await entered.wait()
    await engine.operator.force_compensate(saga_id, "ada", "the guest called")
    leave.set()
    assert (await world.outcome(engine, saga_id)).state is State.COMPENSATED
    effects = await remote_effects(world.db, saga_id)
    assert effects == {"reserve": "UNDONE", "authorize": "UNDONE"}


async def test_what_has_ended_cannot_be_moved_and_what_is_unknown_is_not_found(world):
    engine = await world.run(Saga("order", 1, (Step("place", world.local.act, local=True),)))
    saga_id = await world.start(engine)
    await world.outcome(engine, saga_id)
    operator = engine.operator
    with pytest.raises(errors.FailedPrecondition, match="COMPLETED"):
        await operator.retry(saga_id, "ada", "why not")
    with pytest.raises(errors.FailedPrecondition, match="COMPLETED"):
        await operator.skip(saga_id, "place", "ada", "why not")
    with pytest.raises(errors.FailedPrecondition, match="COMPLETED"):
        await operator.force_compensate(saga_id, "ada", "why not")
    for act in (operator.retry, operator.force_compensate):
        with pytest.raises(errors.NotFound):
            await act("nobody", "ada", "why not")


@pytest.mark.parametrize(("who", "why"), [("", "reason"), ("ada", "  ")])
async def test_an_act_without_a_name_or_a_reason_is_refused(world, who, why):
    engine, saga_id, _ = await stuck_forward(world)
    with pytest.raises(errors.InvalidArgument) as refused:
        await engine.operator.skip(saga_id, "ship", who, why)
    assert refused.value.reason == "OPERATOR_REASON_REQUIRED"
    assert (await engine.operator.get(saga_id)).state is State.STUCK


async def test_the_list_is_paged_from_the_newest_without_gaps(world):
    engine = await world.run(Saga("order", 1, (Step("place", world.local.act, local=True),)))
    ids = [await world.start(engine) for _ in range(7)]
    for saga_id in ids:
        await world.outcome(engine, saga_id)
    seen: list[str] = []
    while page := await engine.operator.list(before=seen[-1] if seen else None, limit=3):
        seen += [instance.saga_id for instance in page]
    assert seen == sorted(ids, reverse=True)


async def test_what_a_definition_hides_is_not_shown(world):
    steps = (Step("place", world.local.act, local=True),)
    engine = world.engine(Saga("order", 1, steps, hidden=frozenset({"card"})))
    instance = await engine.operator.get(await world.start(engine, card="pm_secret", venue="v"))
    shown = engine.operator.visible(instance)
    assert (shown["card"], shown["venue"]) == ("[hidden]", "v")
    assert set(engine.operator.visible(replace(instance, version=2)).values()) == {"[hidden]"}


@pytest.mark.parametrize("refused", [False, True], ids=["completed", "compensated"])
async def test_what_a_definition_hides_is_forgotten_when_the_saga_ends(world, refused):
    last = Broken(world, NO if refused else None)
    steps = (
        Step("place", world.local.act, local=True),
        Step("capture", last.act, pivot=True),
        Step("ship", world.remote.act),
    )
    engine = await world.run(Saga("order", 1, steps, hidden=frozenset({"card"})))
    saga_id = await world.start(engine, card="pm_secret", venue="v")
    ended = await world.outcome(engine, saga_id)
    assert ended.state is (State.COMPENSATED if refused else State.COMPLETED)
    kept = (await engine.operator.get(saga_id)).data
    assert kept["venue"] == "v"
    assert "card" not in kept


async def test_a_stuck_saga_keeps_what_it_hides_until_it_has_ended(world):
    broken = Broken(world, NO)
    steps = (Step("capture", world.remote.act, pivot=True), Step("ship", broken.act, retry=QUICK))
    engine = await world.run(Saga("order", 1, steps, hidden=frozenset({"card"})))
    saga_id = await world.start(engine, card="pm_secret")
    await until_stuck(engine, saga_id)
    assert (await engine.operator.get(saga_id)).data["card"] == "pm_secret"
    await engine.operator.skip(saga_id, "ship", "op", "shipped by hand")
    await world.outcome(engine, saga_id)
    assert "card" not in (await engine.operator.get(saga_id)).data
