"""The idempotency store."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from chassis.crashpoints import CrashpointHit, arm
from chassis.database import Database
from chassis.errors import AlreadyExists, FailedPrecondition
from chassis.idempotency import IdempotencyStore
from chassis.schema import IDEMPOTENCY_V1
from chassis.testing import FixedClock


class Payments:
    """A handler whose effect can be counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> bytes:
        number = await self._database.fetchval("INSERT INTO payment DEFAULT VALUES RETURNING id")
        return f"payment {number}".encode()

    async def count(self) -> int:
        return int(await self._database.fetchval("SELECT count(*) FROM payment"))


@pytest_asyncio.fixture
async def payments(database: Database) -> Payments:
    await database.execute(IDEMPOTENCY_V1)
    await database.execute("CREATE TABLE payment (id int GENERATED ALWAYS AS IDENTITY)")
    return Payments(database)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def store(database: Database, clock: FixedClock) -> IdempotencyStore:
    return IdempotencyStore(database, clock)


async def test_a_repeated_request_gets_the_first_answer(store: IdempotencyStore, payments: Payments) -> None:
    assert await store.execute("k", b"h", payments) == (b"payment 1", False)
    assert await store.execute("k", b"h", payments) == (b"payment 1", True)
    assert await payments.count() == 1


async def test_a_key_with_another_request_is_refused(store: IdempotencyStore, payments: Payments) -> None:
    await store.execute("k", b"h", payments)
    with pytest.raises(AlreadyExists) as refusal:
        await store.execute("k", b"other", payments)
    assert refusal.value.reason == "REQUEST_ID_REUSED"
    assert await payments.count() == 1


async def test_a_failed_attempt_may_be_repeated(store: IdempotencyStore, payments: Payments) -> None:
    async def refuse() -> bytes:
        await payments()
        raise FailedPrecondition("DECLINED", "Declined.")

    with pytest.raises(FailedPrecondition):
        await store.execute("k", b"h", refuse)
    assert await payments.count() == 0
    assert (await store.execute("k", b"another try", payments))[1] is False


async def test_a_crash_after_the_work_leaves_neither_work_nor_key(
    store: IdempotencyStore, payments: Payments
) -> None:
    arm("idempotency.handled:throw")
    with pytest.raises(CrashpointHit):
        await store.execute("k", b"h", payments)
    assert await payments.count() == 0
    assert (await store.execute("k", b"h", payments))[1] is False


async def test_of_concurrent_requests_with_one_key_one_does_the_work(
    store: IdempotencyStore, payments: Payments
) -> None:
    answers = await asyncio.gather(*(store.execute("k", b"h", payments) for _ in range(20)))
    assert await payments.count() == 1
    assert len({response for response, _ in answers}) == 1
    assert [repeated for _, repeated in answers].count(False) == 1


async def test_when_the_first_of_two_fails_the_second_does_the_work(
    store: IdempotencyStore, payments: Payments
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def fail() -> bytes:
        begun.set()
        await go.wait()
        raise FailedPrecondition("DECLINED", "Declined.")

    first = asyncio.create_task(store.execute("k", b"h", fail))
    await begun.wait()
    second = asyncio.create_task(store.execute("k", b"h", payments))
    go.set()
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], FailedPrecondition)
    assert (await second)[1] is False


async def test_keys_are_forgotten_after_the_retention(
    store: IdempotencyStore, payments: Payments, clock: FixedClock
) -> None:
    await store.execute("old", b"h", payments)
    clock.advance(timedelta(hours=24))
    await store.execute("young", b"h", payments)
    assert await store.purge() == 0
    clock.advance(timedelta(hours=24, seconds=1))
    assert await store.purge() == 1
    assert (await store.execute("young", b"h", payments))[1] is True
