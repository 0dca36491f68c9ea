"""Event appends: ours, the `eventsourcing` package and a bare insert, on one PostgreSQL, in turns.

`append` is one event in a transaction of its own, by several tasks (ours, bare) or threads (package).
`batch` is 100 events in a transaction. `load 20 and save` reads an aggregate of 20 events and appends one,
both without snapshots. The bare insert goes through asyncpg's pool, its reset turned off, and through ours.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import uvloop
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate as PackageAggregate
from eventsourcing.domain import event

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.eventstore import Aggregate, EventStore, NewEvent, Repository, StreamAppend
from chassis.ids import SystemIds
from chassis.schema import EVENT_STORE_V1
from chassis.testing import PostgresServer

DATA = {"lot": "0190a3c2", "quantity": "12.5", "unit": "KGM", "owner": "ada", "note": "x" * 60}
BARE = """
CREATE TABLE bare (
    position bigserial PRIMARY KEY, stream text, version int, data jsonb, UNIQUE (stream, version)
)
"""
INSERT = "INSERT INTO bare (stream, version, data) VALUES ($1, 1, $2)"


TWENTY = [NewEvent("Changed", 1, DATA) for _ in range(20)]
COUNTED: Aggregate[int, str] = Aggregate(
    kind="thing",
    initial=lambda _id: 0,
    evolve=lambda count, _event: count + 1,
    encode=lambda kind: NewEvent(kind, 1, DATA),
    decode=lambda recorded: recorded.type,
)


class Thing(PackageAggregate):
    """An aggregate of the package."""

    @event("Made")
    def __init__(self, data: dict[str, str]) -> None:
        self.data = data

    @event("Changed")
    def change(self, data: dict[str, str]) -> None:
        self.data = data


async def _no_reset(_connection: object) -> None:
    return


async def rate(work: Callable[[], Awaitable[None]], count: int, tasks: int) -> float:
    """Runs per second."""
    left = count

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await work()

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(tasks)))
    return count / (time.perf_counter() - began)


def package_rate(work: Callable[[], None], count: int, threads: int) -> float:
    """Runs per second on threads."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: work(), range(count)))
    return count / (time.perf_counter() - began)


def package(dsn: str) -> Application:
    """The package on the same server."""
    parts = urlsplit(dsn)
    return Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts.path.lstrip("/"),
            "POSTGRES_HOST": parts.hostname or "",
            "POSTGRES_PORT": str(parts.port),
            "POSTGRES_USER": parts.username or "",
            "POSTGRES_PASSWORD": parts.password or "unused",
            "POSTGRES_POOL_SIZE": "8",
            "POSTGRES_MAX_OVERFLOW": "0",
        }
    )


def _package_thing(app: Application) -> UUID:
    thing = Thing(DATA)
    for _ in range(19):
        thing.change(DATA)
    app.save(thing)
    return thing.id


async def one_round(dsn: str, app: Application, arguments: argparse.Namespace) -> dict[str, float]:
    """Every side once."""
    ours = await Database.connect(dsn, pool_size=8)
    pool = await asyncpg.create_pool(dsn, min_size=8, max_size=8, reset=_no_reset)
    store = EventStore(ours, SystemClock(), SystemIds())
    data, count, tasks = json.dumps(DATA), arguments.appends, arguments.tasks

    async def append() -> None:
        await store.append(str(uuid4()), 0, [NewEvent("Made", 1, DATA)])

    async def bare() -> None:
        await pool.execute(INSERT, str(uuid4()), data)

    async def bare_on_ours() -> None:
        await ours.execute(INSERT, str(uuid4()), data)

    async def batch() -> None:
        await store.append_many(
            [StreamAppend(str(uuid4()), 0, [NewEvent("Made", 1, DATA)]) for _ in range(100)]
        )

    repository = Repository(store, COUNTED)
    ids = iter([str(uuid4()) for _ in range(count // 4 + tasks)])
    for _ in range(0, count // 4 + tasks, 50):
        await store.append_many([StreamAppend(f"thing-{i}", 0, TWENTY) for i in itertools.islice(ids, 50)])
    made = await ours.fetch("SELECT DISTINCT stream_id FROM event WHERE stream_id LIKE 'thing-%'")
    mine = iter([row["stream_id"].removeprefix("thing-") for row in made])

    async def load_and_save() -> None:
        await repository.save(await repository.load(next(mine)), ["Changed"])

    theirs = iter([_package_thing(app) for _ in range(count // 16)])

    def package_load_and_save() -> None:
        thing = app.repository.get(next(theirs))
        thing.change(DATA)
        app.save(thing)

    try:
        return {
            "append": await rate(append, count, tasks),
            "bare insert": await rate(bare, count, tasks),
            "bare insert, our pool": await rate(bare_on_ours, count, tasks),
            "append, package": package_rate(lambda: app.save(Thing(DATA)) and None, count // 8, tasks),
            "batch (events/s)": 100 * await rate(batch, count // 50, 2),
            "batch, package (events/s)": 100
            * package_rate(lambda: app.save(*[Thing(DATA) for _ in range(100)]) and None, count // 400, 2),
            "load 20 and save": await rate(load_and_save, count // 4, tasks),
            "load 20 and save, package": package_rate(package_load_and_save, count // 16, tasks),
        }
    finally:
        await pool.close()
        await ours.close()


async def measure(dsn: str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """All rounds."""
    setup = await Database.connect(dsn)
    await setup.execute(EVENT_STORE_V1)
    await setup.execute(BARE)
    await setup.close()
    app = package(dsn)
    results: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name, value in (await one_round(dsn, app, arguments)).items():
            results.setdefault(name, []).append(value)
    app.close()
    return results


def report(results: dict[str, list[float]]) -> None:
    """Medians and the ratios that count."""
    for name, values in results.items():
        print(f"{name:28} {statistics.median(values):9.0f}/s  (min {min(values):.0f}, max {max(values):.0f})")
    for ours, other, goal in (
        ("append", "bare insert", ">= 0.9"),
        ("append", "bare insert, our pool", "-"),
        ("append", "append, package", ">= 6"),
        ("batch (events/s)", "batch, package (events/s)", "-"),
        ("load 20 and save", "load 20 and save, package", ">= 8"),
    ):
        ratios = [a / b for a, b in zip(results[ours], results[other], strict=True)]
        print(f"ratio {ours} / {other}: median {statistics.median(ratios):.2f} (goal {goal})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--appends", type=int, default=8000, help="per side and round; default 8000")
    parser.add_argument("--tasks", type=int, default=8, help="tasks or threads; default 8")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    arguments = parser.parse_args()
    os.environ.setdefault("TZ", "UTC")
    server = PostgresServer()
    try:
        server.start()
        dsn = asyncio.run(server.create_database())
        report(uvloop.run(measure(dsn, arguments)))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
