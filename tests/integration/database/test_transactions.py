"""The ambient transaction."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import pytest
import pytest_asyncio

from chassis.database import Database, Transaction, TransactionFailedError
from chassis.errors import Aborted, DeadlineExceeded, Unavailable
from chassis.testing import PostgresServer, rolled_back


@pytest_asyncio.fixture
async def notes(database: Database) -> Database:
    await database.execute("CREATE TABLE note (id int PRIMARY KEY, text text)")
    return database


async def count(database: Database) -> int:
    connection = await asyncpg.connect(database.dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM note"))
    finally:
        await connection.close()


async def write(database: Database, id: int) -> None:
    await database.execute("INSERT INTO note (id) VALUES ($1)", id)


async def test_a_transaction_commits_at_its_end(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.execute("INSERT INTO note (id) VALUES (1)")
        assert await count(notes) == 0
    assert await count(notes) == 1


async def test_an_error_rolls_everything_back(notes: Database) -> None:
    async def fail() -> None:
        async with notes.transaction():
            await write(notes, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await count(notes) == 0


async def test_statements_of_the_database_join_the_transaction_of_their_task(notes: Database) -> None:
    async with notes.transaction() as outer:
        await write(notes, 1)
        async with notes.transaction() as inner:
            assert inner is outer
            assert await notes.fetchval("SELECT count(*) FROM note") == 1
        assert await count(notes) == 0
    assert await count(notes) == 1


async def test_a_child_task_does_not_join(notes: Database) -> None:
    async def child() -> Transaction:
        assert notes.ambient() is None
        async with notes.transaction() as tx:
            await tx.execute("INSERT INTO note (id) VALUES (2)")
            return tx

    async with rolled_back(notes.transaction()) as parent:
        await write(notes, 1)
        assert await asyncio.create_task(child()) is not parent
    assert await notes.fetch("SELECT id FROM note") == [(2,)]


async def test_a_task_that_outlives_the_transaction_of_its_parent_does_not_write_to_it(
    notes: Database,
) -> None:
    go = asyncio.Event()

    async def late() -> None:
        await go.wait()
        await write(notes, 3)

    async with notes.transaction():
        task = asyncio.create_task(late())
    go.set()
    await task
    assert await count(notes) == 1


async def test_a_transaction_that_is_over_takes_no_more_statements(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.execute("INSERT INTO note (id) VALUES (1)")
    with pytest.raises(RuntimeError, match="over"):
        await tx.execute("INSERT INTO note (id) VALUES (2)")
    assert await count(notes) == 1


async def test_a_swallowed_error_of_a_joined_scope_forbids_the_commit(notes: Database) -> None:
    async def outer() -> None:
        async with notes.transaction():
            await write(notes, 1)
            try:
                async with notes.transaction():
                    raise RuntimeError
            except RuntimeError:
                pass

    with pytest.raises(TransactionFailedError):
        await outer()
    assert await count(notes) == 0


async def test_a_swallowed_failed_statement_is_not_a_silent_rollback(notes: Database) -> None:
    async def outer() -> None:
        async with notes.transaction():
            await write(notes, 1)
            with suppress(asyncpg.UniqueViolationError):
                await write(notes, 1)

    with pytest.raises(TransactionFailedError):
        await outer()


async def test_a_savepoint_lets_its_body_fail_alone(notes: Database) -> None:
    announced: list[str] = []

    async def fail(tx: Transaction) -> None:
        async with tx.savepoint(), notes.transaction():
            tx.on_commit(lambda: announced.append("undone"))
            await write(notes, 2)
            raise RuntimeError

    async with notes.transaction() as tx:
        await write(notes, 1)
        tx.on_commit(lambda: announced.append("kept"))
        with pytest.raises(RuntimeError):
            await fail(tx)
        async with tx.savepoint():
            await write(notes, 3)
    assert [row["id"] for row in await notes.fetch("SELECT id FROM note ORDER BY id")] == [1, 3]
    assert announced == ["kept"]


async def test_callbacks_run_after_the_commit_and_only_then(notes: Database) -> None:
    seen: list[bool] = []
    async with notes.transaction() as tx:
        tx.on_commit(lambda: seen.append(notes.ambient() is None))
        assert not seen
    assert seen == [True]
    async with rolled_back(notes.transaction()) as tx:
        tx.on_commit(lambda: seen.append(True))
    assert seen == [True]


async def test_a_callback_that_fails_does_not_hide_the_commit(notes: Database) -> None:
    seen: list[int] = []
    async with notes.transaction() as tx:
        await write(notes, 1)
        tx.on_commit(lambda: seen[7])
        tx.on_commit(lambda: seen.append(1))
    assert seen == [1]
    assert await count(notes) == 1


async def test_without_a_transaction_a_callback_runs_at_once(notes: Database) -> None:
    seen: list[int] = []
    notes.after_commit(lambda: seen.append(1))
    assert seen == [1]


async def test_a_cancelled_task_leaves_the_pool_usable(database_dsn: str) -> None:
    database = await Database.connect(database_dsn, pool_size=1)
    started = asyncio.Event()

    async def hang() -> None:
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE gone ()")
            started.set()
            await tx.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(hang())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.fetchval("SELECT to_regclass('gone')") is None
    await database.close()


async def test_records_are_copied_in_bulk(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.copy("note", ["id", "text"], [(n, "x") for n in range(1000)])
        await tx.executemany("INSERT INTO note (id) VALUES ($1)", [(2000,), (2001,)])
    assert await count(notes) == 1002


async def test_a_deadlock_is_an_abort(notes: Database) -> None:
    await notes.execute("INSERT INTO note (id) VALUES (1), (2)")
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with notes.transaction() as tx:
            await tx.execute("SELECT FROM note WHERE id = $1 FOR UPDATE", first)
            await both.wait()
            await tx.execute("SELECT FROM note WHERE id = $1 FOR UPDATE", second)

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert sorted(type(outcome) for outcome in outcomes if outcome is not None) == [Aborted]


async def test_a_statement_that_takes_too_long_is_a_missed_deadline(notes: Database) -> None:
    async with rolled_back(notes.transaction()) as tx:
        await tx.execute("SET LOCAL statement_timeout = '20ms'")
        with pytest.raises(DeadlineExceeded):
            await tx.execute("SELECT pg_sleep(10)")


async def test_a_killed_backend_is_unavailable_and_the_next_call_works(notes: Database) -> None:
    async with rolled_back(notes.transaction()) as tx:
        pid = await tx.fetchval("SELECT pg_backend_pid()")
        killer = await asyncpg.connect(notes.dsn)
        await killer.execute("SELECT pg_terminate_backend($1)", pid)
        await killer.close()
        with pytest.raises(Unavailable):
            await tx.execute("SELECT 1")
    assert await notes.fetchval("SELECT 1") == 1


async def test_nobody_at_the_address_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Database.connect("postgresql://nobody@127.0.0.1:1/none")


async def test_a_restart_of_the_server_is_survived_by_the_pool() -> None:
    server = PostgresServer()
    try:
        server.start()
        database = await Database.connect(server.admin_dsn)
        await database.execute("CREATE TABLE kept AS SELECT 7 AS n")
        await asyncio.to_thread(server.halt)
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")
        await asyncio.to_thread(server.start)
        assert await database.fetchval("SELECT n FROM kept") == 7
        await database.close()
    finally:
        server.stop()


class Noting:
    """Writes its items as notes, all in one statement."""

    def __init__(self) -> None:
        self.calls: list[list[object]] = []

    def commit_sql(self, items: Sequence[object]) -> str:
        self.calls.append(list(items))
        return "INSERT INTO note (id) VALUES " + ", ".join(f"({item})" for item in items)


async def test_work_left_for_the_commit_runs_once_with_all_its_items_in_order(notes: Database) -> None:
    one, other = Noting(), Noting()
    async with notes.transaction() as tx:
        for item, work in ((3, one), (1, other), (2, one)):
            tx.at_commit(work, item)
        assert await tx.fetchval("SELECT count(*) FROM note") == 0
    assert (one.calls, other.calls) == ([[3, 2]], [[1]])
    assert await count(notes) == 3


async def test_work_left_for_the_commit_is_undone_with_its_savepoint(notes: Database) -> None:
    work = Noting()
    async with notes.transaction() as tx:
        tx.at_commit(work, 1)
        async with rolled_back(tx.savepoint()):
            tx.at_commit(work, 2)
        async with tx.savepoint():
            tx.at_commit(work, 3)
    assert work.calls == [[1, 3]]


async def test_work_at_the_commit_that_fails_undoes_everything(notes: Database) -> None:
    await write(notes, 1)

    async def collide() -> None:
        async with notes.transaction() as tx:
            await write(notes, 2)
            tx.at_commit(Noting(), 1)

    with pytest.raises(asyncpg.UniqueViolationError):
        await collide()
    assert await count(notes) == 1


STANDSTILL = "idle_in_transaction_session_timeout"


async def test_a_transaction_that_stands_still_lets_go_of_what_it_holds(notes: Database) -> None:
    frozen = await Database.connect(notes.dsn)

    async def stand_still() -> None:
        async with frozen.transaction() as tx:
            assert await tx.fetchval(f"SHOW {STANDSTILL}") == "10s"
            await tx.execute(f"SET LOCAL {STANDSTILL} = '200ms'")
            await write(frozen, 1)
            # Each would wait for the other for ever.
            await write(notes, 1)
            await write(frozen, 2)

    try:
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await stand_still()
        assert await count(notes) == 1
        await write(frozen, 3)
    finally:
        frozen.terminate()
