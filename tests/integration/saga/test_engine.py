"""The ways a saga goes through the engine and its database."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chassis import context as contexts
from chassis import errors
from chassis.clock import FixedClock
from chassis.context import Principal, RequestContext
from chassis.saga import (
    Direction,
    Retry,
    Saga,
    SagaEngine,
    State,
    Step,
    StepContext,
    StepRejected,
    StepState,
    UnknownDefinition,
)
from chassis.testing import eventually
from tests.integration.saga.conftest import QUICK, World, running
from tests.integration.saga.participants import calls, local_effects, remote_effects


def failing(first: Exception, times: int, then: Callable[[StepContext], Awaitable[object]]):
    """An action that raises a number of times before it works."""
    left = iter(range(times))

    async def act(context: StepContext):
        if next(left, None) is not None:
            raise first
        return await then(context)

    return act


def order(world: World, **changes: Step) -> Saga:
    """place (local), reserve, authorize, capture (pivot), ship; on_failed tells."""
    steps = [
        Step("place", world.local.act, undo=world.local.act, local=True),
        Step("reserve", world.remote.act, undo=world.remote.undo, retry=QUICK),
        Step("authorize", world.remote.act, undo=world.remote.undo, retry=QUICK),
        Step("capture", world.remote.act, pivot=True, retry=replace(QUICK, attempts=None)),
        Step("ship", world.remote.act, retry=replace(QUICK, attempts=None)),
    ]
    told = changes.pop("told", Step("told", world.local.act, local=True))
    return Saga("order", 1, tuple(changes.get(s.name, s) for s in steps), on_failed=told)


WHOLE = {"reserve": "APPLIED", "authorize": "APPLIED", "capture": "APPLIED", "ship": "APPLIED"}


async def test_a_saga_completes_with_every_effect_once_and_the_replies_merged(world):
    engine = await world.run(order(world))
    saga_id = await world.start(engine, guest="g1")
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPLETED
    assert ended.data["guest"] == "g1"
    assert {"place", "reserve", "authorize", "capture", "ship"} < set(ended.data)
    assert await remote_effects(world.db, saga_id) == WHOLE
    assert await local_effects(world.db, saga_id) == [("place", "action")]
    assert [r.attempts for r in ended.records.values()] == [1] * 5


async def test_a_refusal_undoes_the_steps_before_it_in_reverse_and_tells_the_reason(world):
    seen: list[StepContext] = []

    async def told(context: StepContext) -> None:
        seen.append(context)

    async def refuse(_context: StepContext) -> None:
        raise StepRejected("CARD_DECLINED", "the card was declined", {"code": "51"})

    saga = order(
        world,
        capture=Step("capture", refuse, pivot=True),
        told=Step("told", told, local=True),
    )
    engine = await world.run(saga)
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert (ended.failure.step, ended.failure.reason) == ("capture", "CARD_DECLINED")
    assert ended.failure.metadata == {"code": "51"}
    assert await calls(world.db, saga_id) == [
        ("reserve", "action"),
        ("authorize", "action"),
        ("authorize", "undo"),
        ("reserve", "undo"),
    ]
    assert await local_effects(world.db, saga_id) == [("place", "action"), ("place", "undo")]
    assert [context.failure for context in seen] == [ended.failure]


async def test_a_transient_fault_is_retried_with_the_same_key_after_a_recorded_wait(world):
    attempts: list[tuple[int, str]] = []

    async def reserve(context: StepContext):
        attempts.append((context.attempt, context.idempotency_key))
        if len(attempts) < 3:
            raise errors.Unavailable("DOWN", "inventory is down")
        return await world.remote.act(context)

    engine = await world.run(order(world, reserve=Step("reserve", reserve, world.remote.undo, retry=QUICK)))
    ended = await world.outcome(engine, await world.start(engine))
    assert ended.state is State.COMPLETED
    assert [attempt for attempt, _ in attempts] == [1, 2, 3]
    assert len({key for _, key in attempts}) == 1
    assert ended.records["reserve", Direction.ACTION].attempts == 3


async def test_a_step_that_runs_out_of_attempts_is_undone_too_because_nobody_knows(world):
    down = failing(errors.Unavailable("DOWN", "payments is down"), 99, world.remote.act)
    saga = order(world, authorize=Step("authorize", down, world.remote.undo, retry=QUICK))
    engine = await world.run(saga)
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.reason == "DOWN"
    assert ended.records["authorize", Direction.ACTION].state is StepState.UNKNOWN
    assert await remote_effects(world.db, saga_id) == {"reserve": "UNDONE", "authorize": "UNDONE"}


async def test_an_unknown_exception_is_retried_logged_and_its_text_stays_inside(world, logs):
    bug = KeyError("secret")
    broken = failing(bug, 99, world.remote.act)
    engine = await world.run(order(world, reserve=Step("reserve", broken, world.remote.undo, retry=QUICK)))
    ended = await world.outcome(engine, await world.start(engine))
    assert ended.failure is not None
    assert ended.failure.reason == "STEP_FAILED"
    assert "secret" not in ended.failure.message
    error = ended.records["reserve", Direction.ACTION].error
    assert error is not None
    assert "secret" in error["detail"]
    assert [entry["exc_info"] for entry in logs if entry["event"] == "saga_step_failed"] == [bug] * 3


async def test_a_participant_that_answers_after_the_timeout_changes_nothing_any_more(world):
    released, late = asyncio.Event(), []

    async def slow(context: StepContext) -> None:
        async def answer() -> None:
            await released.wait()
            await world.remote.act(context)

        late.append(asyncio.create_task(answer()))
        await asyncio.shield(late[0])

    slow_step = Step("reserve", slow, world.remote.undo, timedelta(milliseconds=30), retry=Retry(1))
    engine = await world.run(order(world, reserve=slow_step))
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.reason == "STEP_TIMED_OUT"
    released.set()
    with pytest.raises(errors.FailedPrecondition, match="compensation came first"):
        await late[0]
    assert await remote_effects(world.db, saga_id) == {"reserve": "UNDONE"}


async def test_an_answer_that_was_lost_is_asked_for_again_and_the_effect_stays_single(world):
    async def authorize(context: StepContext):
        reply = await world.remote.act(context)
        if context.attempt == 1:
            raise errors.DeadlineExceeded("LATE", "the answer did not arrive")
        return reply

    engine = await world.run(
        order(world, authorize=Step("authorize", authorize, world.remote.undo, retry=QUICK))
    )
    saga_id = await world.start(engine)
    assert (await world.outcome(engine, saga_id)).state is State.COMPLETED
    assert await remote_effects(world.db, saga_id) == WHOLE
    assert (await calls(world.db, saga_id)).count(("authorize", "action")) == 2


async def test_a_client_library_that_cancels_its_own_call_is_a_fault_of_the_step(world):
    cancelled = failing(asyncio.CancelledError(), 1, world.remote.act)  # type: ignore[arg-type]
    saga = order(world, reserve=Step("reserve", cancelled, world.remote.undo, retry=QUICK))
    # Were it taken for the end of the task, the saga would wait for this lease to end.
    engine = await world.run(saga, lease=timedelta(minutes=5))
    ended = await world.outcome(engine, await world.start(engine))
    assert ended.state is State.COMPLETED
    assert ended.records["reserve", Direction.ACTION].attempts == 2


async def test_after_the_pivot_a_saga_only_goes_forward(world):
    down = failing(errors.Unavailable("DOWN", "shipping is down"), 25, world.remote.act)
    quick = replace(QUICK, attempts=None, ceiling=timedelta(milliseconds=2))
    engine = await world.run(order(world, ship=Step("ship", down, retry=quick)))
    ended = await world.outcome(engine, await world.start(engine))
    assert ended.state is State.COMPLETED
    assert ended.records["ship", Direction.ACTION].attempts == 26


async def test_a_local_step_that_fails_leaves_no_trace_of_its_attempt(world):
    async def place(context: StepContext):
        await world.local.act(context)
        if context.attempt == 1:
            raise errors.Aborted("CONFLICT", "somebody was faster")

    engine = await world.run(
        order(world, place=Step("place", place, world.local.act, retry=QUICK, local=True))
    )
    saga_id = await world.start(engine)
    assert (await world.outcome(engine, saga_id)).state is State.COMPLETED
    assert await local_effects(world.db, saga_id) == [("place", "action")]


async def test_local_steps_in_a_row_share_one_transaction(world):
    async def act(context: StepContext):
        await world.local.act(context)
        return {context.step: await world.db.fetchval("SELECT pg_current_xact_id()::text")}

    steps = tuple(Step(name, act, undo=act, local=True) for name in ("a", "b", "c"))
    engine = await world.run(Saga("order", 1, steps))
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPLETED
    assert len({ended.data["a"], ended.data["b"], ended.data["c"]}) == 1
    assert await local_effects(world.db, saga_id) == [("a", "action"), ("b", "action"), ("c", "action")]
    assert [record.attempts for record in ended.records.values()] == [1, 1, 1]


@pytest.mark.parametrize("reply", ["applied", "refused"])
async def test_a_reply_commits_with_the_local_steps_that_follow_it(world, reply):
    async def act(context: StepContext):
        await world.local.act(context)
        return {context.step: await world.db.fetchval("SELECT pg_current_xact_id()::text")}

    async def refuse(_context: StepContext) -> None:
        raise StepRejected("NO", "no")

    asked = Step("asked", world.remote.act if reply == "applied" else refuse, retry=QUICK)
    before, after = (Step(name, act, undo=act, local=True) for name in ("before", "after"))
    engine = await world.run(Saga("order", 1, (before, asked, after)))
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is (State.COMPLETED if reply == "applied" else State.COMPENSATED)
    recorded = await world.db.fetchval(
        "SELECT xmin::text FROM saga_step WHERE saga_id = $1 AND step = 'asked'", saga_id
    )
    assert recorded == ended.data["after" if reply == "applied" else "before"]
    doing = ["after", "before"] if reply == "applied" else ["before", "before"]
    assert [step for step, _ in await local_effects(world.db, saga_id)] == doing


@pytest.mark.parametrize("fault", [errors.Unavailable("DOWN", "down"), ValueError("bug")])
async def test_a_reply_is_kept_when_the_local_step_after_it_fails(world, fault):
    shaky = Step("shaky", failing(fault, 2, world.local.act), local=True, retry=QUICK)
    engine = await world.run(Saga("order", 1, (Step("asked", world.remote.act, retry=QUICK), shaky)))
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPLETED
    assert await calls(world.db, saga_id) == [("asked", "action")]
    assert ended.records["asked", Direction.ACTION].attempts == 1
    assert await local_effects(world.db, saga_id) == [("shaky", "action")]


@pytest.mark.parametrize(
    "fault", [StepRejected("NO", "no"), errors.Unavailable("DOWN", "down"), ValueError("bug")]
)
async def test_local_steps_before_one_that_fails_are_done_and_undone_once(world, fault):
    async def fail(context: StepContext) -> None:
        await world.local.act(context)
        raise fault

    steps = [Step(name, world.local.act, undo=world.local.act, local=True) for name in ("a", "b", "d")]
    steps.insert(2, Step("c", fail, undo=world.local.act, local=True, retry=QUICK))
    engine = await world.run(
        Saga("order", 1, tuple(steps), on_failed=Step("told", world.local.act, local=True))
    )
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.step == "c"
    assert await local_effects(world.db, saga_id) == [
        ("a", "action"),
        ("a", "undo"),
        ("b", "action"),
        ("b", "undo"),
        ("told", "action"),
    ]
    attempts = {step: ended.records[step, Direction.ACTION].attempts for step in ("a", "b", "c")}
    assert attempts == {"a": 1, "b": 1, "c": 1 if isinstance(fault, StepRejected) else 3}


async def test_a_local_step_whose_commit_is_refused_is_the_one_that_failed(world):
    await world.db.execute("CREATE TABLE slot (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    async def take(_context: StepContext) -> None:
        await world.db.execute("INSERT INTO slot VALUES (1), (1)")

    steps = (
        Step("a", world.local.act, undo=world.local.act, local=True),
        Step("b", take, local=True, retry=QUICK),
        Step("c", world.local.act, local=True),
    )
    engine = await world.run(Saga("order", 1, steps))
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.failure is not None
    assert ended.failure.step == "b"
    assert await local_effects(world.db, saga_id) == [("a", "action"), ("a", "undo")]
    assert await world.db.fetchval("SELECT count(*) FROM slot") == 0


async def test_a_reply_that_cannot_be_stored_rolls_a_local_step_back(world):
    async def place(context: StepContext):
        await world.local.act(context)
        return {"price": float("nan")}

    engine = await world.run(
        order(world, place=Step("place", place, world.local.act, retry=QUICK, local=True))
    )
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert await local_effects(world.db, saga_id) == [("told", "action")]


async def test_a_saga_that_is_out_of_time_before_the_pivot_turns_back(world):
    clock = FixedClock()

    async def authorize(context: StepContext):
        clock.advance(timedelta(minutes=16))
        return await world.remote.act(context)

    saga = order(world, authorize=Step("authorize", authorize, world.remote.undo))
    engine = await world.run(saga, clock=clock)
    saga_id = await world.start(engine)
    ended = await world.outcome(engine, saga_id)
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert (ended.failure.step, ended.failure.reason) == ("capture", "SAGA_DEADLINE_EXCEEDED")
    assert await remote_effects(world.db, saga_id) == {"reserve": "UNDONE", "authorize": "UNDONE"}


async def test_a_saga_that_is_out_of_time_after_the_pivot_completes(world):
    clock = FixedClock()

    async def capture(context: StepContext):
        clock.advance(timedelta(minutes=16))
        return await world.remote.act(context)

    engine = await world.run(order(world, capture=Step("capture", capture, pivot=True)), clock=clock)
    saga_id = await world.start(engine)
    assert (await world.outcome(engine, saga_id)).state is State.COMPLETED
    assert await remote_effects(world.db, saga_id) == WHOLE


async def test_a_start_that_is_rolled_back_never_runs(world):
    engine = await world.run(order(world))

    async def start_and_fail() -> None:
        async with world.db.transaction() as tx:
            await engine.start(tx, "order", "s1", {})
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await start_and_fail()
    with pytest.raises(errors.NotFound):
        await engine.outcome("s1", timedelta(seconds=1))


async def test_a_second_start_with_the_same_id_returns_the_first_instance(world):
    engine = await world.run(order(world))
    async with world.db.transaction() as tx:
        await engine.start(tx, "order", "s1", {"n": 1})
    first = await world.outcome(engine, "s1")
    async with world.db.transaction() as tx:
        again = await engine.start(tx, "order", "s1", {"n": 2})
    assert again.state is State.COMPLETED
    assert again.data == first.data
    assert await local_effects(world.db, "s1") == [("place", "action")]


async def test_concurrent_starts_with_one_id_make_one_saga(world):
    engine = await world.run(order(world))

    async def start() -> None:
        async with world.db.transaction() as tx:
            await engine.start(tx, "order", "s1", {})

    await asyncio.gather(*(start() for _ in range(20)))
    assert (await world.outcome(engine, "s1")).state is State.COMPLETED
    assert await local_effects(world.db, "s1") == [("place", "action")]
    assert await remote_effects(world.db, "s1") == WHOLE


async def test_an_id_that_belongs_to_another_saga_is_refused(world):
    other = Saga("other", 1, (Step("place", world.local.act, local=True),))
    engine = world.engine(order(world), other)
    async with world.db.transaction() as tx:
        await engine.start(tx, "order", "s1", {})

    with pytest.raises(errors.AlreadyExists) as refused:
        async with world.db.transaction() as tx:
            await engine.start(tx, "other", "s1", {})
    assert refused.value.reason == "SAGA_ID_REUSED"


async def test_a_saga_that_does_not_exist_or_bad_data_is_refused_at_the_start(world):
    engine = world.engine(order(world))
    async with world.db.transaction() as tx:
        with pytest.raises(LookupError):
            await engine.start(tx, "checkout", "s1", {})
        with pytest.raises(ValueError, match="JSON compliant"):
            await engine.start(tx, "order", "s1", {"price": float("nan")})


async def test_waiting_for_a_saga_that_does_not_end_in_time_says_so(world):
    never = asyncio.Event()

    async def hang(_context: StepContext) -> None:
        await never.wait()

    engine = await world.run(order(world, ship=Step("ship", hang)), drain=timedelta(milliseconds=10))
    saga_id = await world.start(engine)
    with pytest.raises(errors.DeadlineExceeded) as late:
        await engine.outcome(saga_id, timedelta(milliseconds=200))
    assert late.value.reason == "SAGA_UNFINISHED"


async def test_the_end_of_a_saga_is_seen_by_a_process_that_does_not_run_it(world):
    bystander = world.engine(order(world))
    engine = await world.run(order(world))
    saga_id = await world.start(engine)
    assert (await bystander.outcome(saga_id, timedelta(seconds=10))).state is State.COMPLETED


async def test_steps_run_in_the_context_of_the_start(world):
    seen: list[RequestContext] = []

    async def look(_context: StepContext) -> None:
        seen.append(contexts.current())

    engine = await world.run(Saga("order", 1, (Step("a", look), Step("b", look, local=True))))
    principal = Principal("u1", "user", frozenset({"guest"}), frozenset({"orders.place"}))
    request = RequestContext("r1", "c1", "m1", principal, "00-aa-bb-01", deadline=1.0)
    with contexts.use(request):
        saga_id = await world.start(engine)
    await world.outcome(engine, saga_id)
    assert len(seen) == 2
    for context in seen:
        assert context.deadline not in (None, 1.0)
        assert replace(context, deadline=None) == replace(request, causation_id=saga_id, deadline=None)


async def test_steps_go_to_the_version_of_the_request_until_they_fail(world):
    seen: list[tuple[str, int, tuple]] = []

    def noted(act):
        async def look(context: StepContext):
            seen.append(
                (f"{context.step} {context.direction.value}", context.attempt, contexts.current().routing)
            )
            return await act(context)

        return look

    away = failing(errors.Unavailable("DOWN", "inventory is down"), 1, world.remote.act)

    async def refuse(_context: StepContext) -> None:
        raise errors.FailedPrecondition("NO_MONEY", "no")

    reserve = Step("reserve", noted(away), noted(world.remote.undo), retry=QUICK)
    authorize = Step("authorize", noted(refuse), world.remote.undo, retry=QUICK)
    engine = await world.run(order(world, reserve=reserve, authorize=authorize))
    canary = (("x-version", "v2"),)
    with contexts.use(RequestContext("r1", routing=canary)):
        saga_id = await world.start(engine)
    await world.outcome(engine, saga_id)
    assert seen == [
        ("reserve action", 1, canary),
        ("reserve action", 2, ()),
        ("authorize action", 1, canary),
        ("reserve undo", 1, ()),
    ]


async def test_a_step_cannot_change_the_data_of_later_steps_behind_the_records_back(world):
    seen = []

    async def change(context: StepContext) -> None:
        context.data["items"].append("smuggled")
        with pytest.raises(TypeError):
            context.data["other"] = 1  # type: ignore[index]

    async def look(context: StepContext) -> None:
        seen.append(context.data["items"])

    engine = await world.run(Saga("order", 1, (Step("a", change), Step("b", look))))
    await world.outcome(engine, await world.start(engine, items=["one"]))
    assert seen == [["one"]]


async def test_a_step_may_start_a_saga_of_its_own(world):
    engines: list[SagaEngine] = []

    async def spawn(context: StepContext) -> None:
        async with world.db.transaction() as tx:
            await engines[0].start(tx, "inner", f"{context.saga_id}/inner", {})

    inner = Saga("inner", 1, (Step("place", world.local.act, local=True),))
    engines.append(await world.run(Saga("order", 1, (Step("spawn", spawn, local=True),)), inner))
    saga_id = await world.start(engines[0])
    await world.outcome(engines[0], saga_id)
    assert (await world.outcome(engines[0], f"{saga_id}/inner")).state is State.COMPLETED


async def test_no_more_instances_are_in_flight_than_allowed_and_all_end(world):
    running_now, most, full = 0, 0, asyncio.Event()

    async def act(_context: StepContext) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        if running_now == 3:
            full.set()
        try:
            await full.wait()  # the first ones stay until as many as are allowed have come
            await asyncio.sleep(0)
        finally:  # also of one that is called off because the machine stood still for longer than its lease
            running_now -= 1

    engine = await world.run(Saga("order", 1, (Step("a", act), Step("b", act))), concurrency=3)
    ids = await asyncio.gather(*(world.start(engine) for _ in range(40)))
    for saga_id in ids:
        assert (await world.outcome(engine, saga_id)).state is State.COMPLETED
    assert most == 3


async def test_what_is_started_while_others_are_claimed_waits_for_room(world, monkeypatch):
    begun: list[str] = []
    claimed, go_on, leave = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def act(context: StepContext) -> None:
        begun.append(context.saga_id)
        await leave.wait()

    saga = Saga("order", 1, (Step("a", act),))
    elsewhere = world.engine(saga)  # does not run: what it starts is there to be claimed
    ids = [await world.start(elsewhere) for _ in range(2)]
    engine = world.engine(saga, concurrency=2)
    claim = engine._store.claim

    async def slow_claim(*arguments):
        found = await claim(*arguments)
        claimed.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(engine._store, "claim", slow_claim)
    async with running(engine):
        await claimed.wait()
        ids += [await world.start(engine) for _ in range(2)]
        go_on.set()
        await eventually(lambda: set(ids[:2]) <= set(begun))
        assert len(begun) == 2
        leave.set()
        for saga_id in ids:
            assert (await world.outcome(engine, saga_id)).state is State.COMPLETED


async def test_what_waits_for_room_when_the_engine_stops_is_given_back_unbegun(world, monkeypatch):
    begun: list[str] = []
    claiming, go_on = asyncio.Event(), asyncio.Event()

    async def act(context: StepContext) -> None:
        begun.append(context.saga_id)

    engine = world.engine(Saga("order", 1, (Step("a", act),)), concurrency=1, lease=timedelta(minutes=5))
    claim = engine._store.claim

    async def slow_claim(*arguments):
        claiming.set()
        await go_on.wait()
        return await claim(*arguments)

    monkeypatch.setattr(engine._store, "claim", slow_claim)
    async with running(engine):
        await claiming.wait()  # which has taken the only place
        saga_id = await world.start(engine)
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0)
        go_on.set()
        await stopping
    assert begun == []
    assert (await engine.operator.get(saga_id)).lease_owner is None


async def test_stopping_finishes_the_step_in_hand_and_gives_the_lease_back(world):
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(context: StepContext):
        entered.set()
        await leave.wait()
        return await world.remote.act(context)

    saga = order(world, reserve=Step("reserve", slow, world.remote.undo))
    engine = world.engine(saga, lease=timedelta(minutes=5))
    async with running(engine):
        saga_id = await world.start(engine)
        await entered.wait()
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0)
        leave.set()
        await stopping
    stopped = await engine.operator.get(saga_id)
    assert stopped.lease_owner is None
    assert stopped.records["reserve", Direction.ACTION].state is StepState.SUCCEEDED
    assert await calls(world.db, saga_id) == [("reserve", "action")]
    successor = await world.run(order(world))
    assert (await world.outcome(successor, saga_id)).state is State.COMPLETED
    assert await remote_effects(world.db, saga_id) == WHOLE


async def test_what_was_started_while_no_engine_ran_is_found_by_the_next(world):
    saga_id = await world.start(world.engine(order(world)))
    engine = await world.run(order(world))
    assert (await world.outcome(engine, saga_id)).state is State.COMPLETED


async def test_an_engine_without_a_needed_definition_refuses_to_run_and_lists_it(world):
    saga = order(world)
    await world.start(world.engine(saga))
    other = Saga("order", 2, (Step("place", world.local.act, local=True),))
    with pytest.raises(UnknownDefinition, match="order version 1") as refused:
        await world.engine(other).run()
    assert refused.value.missing == (("order", 1, 1),)
    reordered = replace(saga, steps=(saga.steps[1], saga.steps[0], *saga.steps[2:]))
    with pytest.raises(UnknownDefinition):
        await world.engine(reordered).run()
    await world.engine(saga, other).check_definitions()


async def test_new_instances_take_the_highest_version_and_old_ones_keep_theirs(world):
    first = order(world)
    old = await world.start(world.engine(first))
    second = Saga("order", 2, (Step("place", world.local.act, local=True),))
    engine = await world.run(second, first)
    new = await world.start(engine)
    assert (await world.outcome(engine, old)).version == 1
    assert (await world.outcome(engine, new)).version == 2
    assert await remote_effects(world.db, old) == WHOLE
    assert await remote_effects(world.db, new) == {}


async def test_a_definition_given_twice_is_refused(world):
    with pytest.raises(ValueError, match="twice"):
        world.engine(order(world), order(world))


async def test_ended_sagas_can_be_purged_and_unfinished_ones_stay(world):
    engine = await world.run(order(world))
    ended = await world.start(engine)
    await world.outcome(engine, ended)
    await engine.stop()
    waiting = await world.start(engine)
    assert await engine.purge(timedelta(0)) == 1
    with pytest.raises(errors.NotFound):
        await engine.operator.get(ended)
    assert (await engine.operator.get(waiting)).state is State.RUNNING
    assert await world.db.fetchval("SELECT count(*) FROM saga_step WHERE saga_id = $1", ended) == 0
