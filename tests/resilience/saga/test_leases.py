"""Engines that compete, stall and come back: one instance is moved by one engine at a time."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import pytest_asyncio

from chassis import crashpoints
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.saga import FOREVER, Direction, Retry, Saga, SagaEngine, State, Step, StepContext, StepState
from chassis.saga.instance import Instance
from chassis.saga.outcomes import Succeeded
from chassis.saga.schema import SAGA_V1
from chassis.saga.store import LeaseLost, SagaStore
from chassis.saga.transitions import Course
from chassis.testing import PostgresServer, eventually
from tests.integration.saga.conftest import running
from tests.integration.saga.participants import (
    SCHEMA,
    LocalEffects,
    Participants,
    calls,
    local_effects,
    remote_effects,
)
from tests.resilience.saga.program import engine_of

pytestmark = pytest.mark.slow

NO_TIME = timedelta(0)
SHORT = timedelta(milliseconds=300)


@pytest_asyncio.fixture
async def db(database: Database) -> AsyncIterator[Database]:
    await database.execute(SAGA_V1)
    await database.execute(SCHEMA)
    yield database


async def start(db: Database, engine: SagaEngine, saga_id: str, name: str = "order") -> None:
    async with db.transaction() as tx:
        await engine.start(tx, name, saga_id, {})


def one_step(act, name: str = "order") -> Saga:
    return Saga(name, 1, (Step("only", act, timeout=timedelta(seconds=20)), Step("last", act, local=True)))


async def test_engines_that_compete_for_a_backlog_run_every_saga_once(db):
    pools = [await Database.connect(db.dsn, 4) for _ in range(4)]
    engines = [engine_of(pools[i], pools[i + 1], "commit") for i in (0, 2)]
    ids = [f"s{i}" for i in range(60)]
    for saga_id in ids:
        await start(pools[0], engines[0], saga_id)
    async with running(engines[0]), running(engines[1]):
        for saga_id in ids:
            ended = await engines[0].outcome(saga_id, timedelta(seconds=30))
            assert ended.state is State.COMPLETED
    for saga_id in ids:
        local = await local_effects(db, saga_id)
        assert local == [("confirm", "action"), ("place", "action"), ("price", "action")]
        assert set((await remote_effects(db, saga_id)).values()) == {"APPLIED"}
    for pool in pools:
        pool.terminate()


async def claimed(db: Database, store: SagaStore, saga: Saga) -> Instance:
    async def claim() -> list[Instance]:
        return await store.claim([saga], 1)

    (instance,) = await eventually(claim)
    return instance


async def test_a_zombie_with_an_old_epoch_cannot_write(db):
    saga = one_step(LocalEffects(db).act)
    await start(db, SagaEngine(db, [saga]), "s1")
    clock = SystemClock()
    zombie = SagaStore(db, clock, "zombie", lease=timedelta(milliseconds=1))
    heir = SagaStore(db, clock, "heir", lease=timedelta(minutes=1))
    stale = await claimed(db, zombie, saga)
    fresh = await claimed(db, heir, saga)
    assert fresh.epoch > stale.epoch
    with pytest.raises(LeaseLost):
        await zombie.move(db, stale, Course(saga, stale, clock.now()).begin())
    assert await zombie.renew([stale]) == set()
    await zombie.release([stale])
    untouched = await heir.get("s1")
    assert untouched is not None
    assert (untouched.lease_owner, untouched.revision, untouched.records) == ("heir", fresh.revision, {})
    assert await heir.renew([fresh]) == {"s1"}


async def test_a_commit_whose_answer_was_lost_is_not_recorded_a_second_time(db):
    saga = one_step(LocalEffects(db).act)
    await start(db, SagaEngine(db, [saga]), "s1")
    clock = SystemClock()
    store = SagaStore(db, clock, "me", lease=timedelta(minutes=1))
    instance = await claimed(db, store, saga)
    await store.move(db, instance, Course(saga, instance, clock.now()).begin())
    # The answer did not arrive, so the instance in memory knows nothing of it.
    move = Course(saga, instance, clock.now()).settle(Succeeded(None), clock.now(), random.Random(1))
    with pytest.raises(LeaseLost):
        await store.move(db, instance, move)
    recorded = await store.get("s1")
    assert recorded is not None
    assert recorded.records["only", Direction.ACTION].state is StepState.STARTED


async def test_a_held_instance_is_not_claimed_by_another_engine(db):
    saga = one_step(LocalEffects(db).act)
    await start(db, SagaEngine(db, [saga]), "s1")
    stores = [SagaStore(db, SystemClock(), f"e{i}", lease=timedelta(minutes=1)) for i in range(8)]
    claims = await asyncio.gather(*(store.claim([saga], 1) for store in stores))
    assert sum(len(claim) for claim in claims) == 1


async def test_a_long_step_keeps_its_lease_by_renewal(db):
    entered, leave, entries = asyncio.Event(), asyncio.Event(), 0

    async def act(_context: StepContext) -> None:
        nonlocal entries
        entries += 1
        entered.set()
        await leave.wait()

    saga = one_step(act)
    settings = {"lease": SHORT, "poll": timedelta(milliseconds=20)}
    other_pool = await Database.connect(db.dsn, 2)
    async with running(SagaEngine(db, [saga], **settings)) as engine:
        await start(db, engine, "s1")
        await entered.wait()
        lease = "SELECT lease_until FROM saga WHERE saga_id = 's1'"
        first = await db.fetchval(lease)
        async with running(SagaEngine(other_pool, [saga], **settings)):

            async def outlived() -> bool:
                return bool(await db.fetchval(f"SELECT ({lease}) > $1::timestamptz + $2", first, 3 * SHORT))

            await eventually(outlived)
            leave.set()
            assert (await engine.outcome("s1", timedelta(seconds=10))).state is State.COMPLETED
    assert entries == 2  # one each of the two steps
    other_pool.terminate()


async def test_an_engine_whose_lease_ran_out_goes_on_when_nobody_else_has_begun(db):
    begun, released, attempts = asyncio.Event(), asyncio.Event(), []

    async def act(context: StepContext) -> None:
        attempts.append(context.idempotency_key)
        begun.set()
        await released.wait()

    long = Step("only", act, timeout=timedelta(seconds=20), retry=Retry(attempts=1))
    saga = Saga("order", 1, (long, Step("last", LocalEffects(db).act, local=True)))
    engine = SagaEngine(db, [saga], lease=timedelta(minutes=5), poll=timedelta(milliseconds=20))
    async with running(engine):
        await start(db, engine, "s1")
        await begun.wait()
        before = await db.fetchval(
            "UPDATE saga SET lease_until = now() - interval '1 second' RETURNING epoch"
        )

        async def taken_again() -> bool:
            return bool(await db.fetchval("SELECT epoch > $1 AND lease_until > now() FROM saga", before))

        await eventually(taken_again)
        released.set()
        ended = await engine.outcome("s1", timedelta(seconds=30))
    assert (ended.state, len(attempts)) == (State.COMPLETED, 1)


async def test_an_engine_that_stalls_past_its_lease_is_replaced_and_fenced_off(db):
    entered, leave = asyncio.Event(), asyncio.Event()
    other_pool, participants_pool = await Database.connect(db.dsn, 2), await Database.connect(db.dsn, 2)
    remote = Participants(participants_pool)

    async def stall(context: StepContext):
        entered.set()
        await leave.wait()
        return await remote.act(context)

    long = timedelta(minutes=5)
    stalled = SagaEngine(db, [Saga("order", 1, (Step("only", stall, timeout=long),))], lease=long, poll=long)
    healthy = SagaEngine(other_pool, [Saga("order", 1, (Step("only", remote.act, timeout=long),))])
    # Started before, so that the first claim takes it and no later one gets in our way.
    await start(db, stalled, "s1")
    async with running(stalled):
        await entered.wait()
        # What a process that is stopped and continued finds: its lease has run out meanwhile.
        await db.execute("UPDATE saga SET lease_until = now() - interval '1 second'")
        async with running(healthy):
            assert (await healthy.outcome("s1", timedelta(seconds=10))).state is State.COMPLETED
        before = await healthy.operator.get("s1")
        leave.set()

        async def answered() -> bool:
            return len(await calls(db, "s1")) == 2

        await eventually(answered)
    after = await healthy.operator.get("s1")
    assert (after.revision, after.epoch, after.records) == (before.revision, before.epoch, before.records)
    assert await remote_effects(db, "s1") == {"only": "APPLIED"}
    for pool in (other_pool, participants_pool):
        pool.terminate()


async def test_an_undo_that_overtakes_its_action_makes_the_action_refuse(db):
    """The first engine's call is held up on the way, the saga runs out of time elsewhere, then it arrives."""
    entered, leave, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()
    other_pool, participants_pool = await Database.connect(db.dsn, 2), await Database.connect(db.dsn, 2)
    remote = Participants(participants_pool)

    async def held_up(context: StepContext):
        entered.set()
        await leave.wait()
        try:
            return await remote.act(context)
        finally:
            refused.set()

    def saga(act) -> Saga:
        retry = Retry(1)
        step = Step("reserve", act, undo=remote.undo, retry=retry, timeout=timedelta(minutes=5))
        return Saga("order", 1, (step, Step("last", remote.act)))

    long = timedelta(minutes=5)
    stalled = SagaEngine(db, [saga(held_up)], lease=long, poll=long)
    # Started before, so that the first claim takes it and no later one gets in our way.
    await start(db, stalled, "s1")
    async with running(stalled):
        await entered.wait()
        await db.execute("UPDATE saga SET lease_until = now() - interval '1 second'")
        async with running(SagaEngine(other_pool, [saga(remote.act)])) as healthy:
            ended = await healthy.outcome("s1", timedelta(seconds=10))
        assert ended.state is State.COMPENSATED
        assert await calls(db, "s1") == [("reserve", "undo")]
        leave.set()
        await refused.wait()
    assert await calls(db, "s1") == [("reserve", "undo"), ("reserve", "action")]
    assert await remote_effects(db, "s1") == {"reserve": "UNDONE"}
    for pool in (other_pool, participants_pool):
        pool.terminate()


async def test_an_instance_whose_task_died_is_taken_up_again_when_its_lease_ends(db):
    saga = Saga("order", 1, (Step("only", LocalEffects(db).act, local=True),))
    crashpoints.arm("saga.order.only.action.after_effect:throw")
    engine = SagaEngine(db, [saga], lease=SHORT, poll=timedelta(milliseconds=20))
    async with running(engine):
        await start(db, engine, "s1")
        assert (await engine.outcome("s1", timedelta(seconds=10))).state is State.COMPLETED
    assert await local_effects(db, "s1") == [("only", "action")]
    assert (await engine.operator.get("s1")).epoch == 2


async def test_sagas_survive_a_restart_of_the_database_while_they_flow():
    server = PostgresServer()
    await asyncio.to_thread(server.start)
    try:
        async with AsyncExitStack() as stack:
            db = await Database.connect(await server.create_database())
            stack.callback(db.terminate)
            other_pool = await Database.connect(db.dsn)
            stack.callback(other_pool.terminate)
            await db.execute(SAGA_V1)
            await db.execute(SCHEMA)
            await _flow_through_restart(server, db, Participants(other_pool))
    finally:
        await asyncio.to_thread(server.stop)


async def _flow_through_restart(server: PostgresServer, db: Database, remote: Participants) -> None:
    local = LocalEffects(db)
    patient = Retry(attempts=None, first=timedelta(milliseconds=50), ceiling=timedelta(seconds=1))
    steps = (
        Step("place", local.act, undo=local.act, local=True, retry=patient),
        Step("reserve", remote.act, undo=remote.undo, retry=patient),
        Step("capture", remote.act, pivot=True, retry=FOREVER),
        Step("confirm", local.act, local=True),
    )
    engine = SagaEngine(db, [Saga("order", 1, steps)], lease=timedelta(seconds=1), concurrency=8)
    ids = [f"s{i}" for i in range(200)]
    async with running(engine):
        for saga_id in ids:
            await start(db, engine, saga_id)
        finished = "SELECT count(*) >= 20 FROM saga WHERE state = 'COMPLETED'"
        await eventually(lambda: db.fetchval(finished))
        await asyncio.to_thread(server.restart)
        for saga_id in ids:
            await eventually(lambda saga_id=saga_id: _completed(engine, saga_id), 60, ignore=(Exception,))
    for saga_id in ids:
        assert await local_effects(db, saga_id) == [("confirm", "action"), ("place", "action")]
        assert await remote_effects(db, saga_id) == {"reserve": "APPLIED", "capture": "APPLIED"}


async def _completed(engine: SagaEngine, saga_id: str) -> bool:
    return (await engine.outcome(saga_id, timedelta(seconds=20))).state is State.COMPLETED
