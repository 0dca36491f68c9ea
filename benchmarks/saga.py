"""Sagas per second: five steps that write one row each, every step recorded durably before the next.

A PostgreSQL server of its own, rounds in turns, so that a noisy machine disturbs all alike; the median
counts. `local` steps commit together with their record; `remote` ones are announced before and recorded
after, here around the same insert. With `--dbos` the same workflow runs on the `dbos` package, which lives
in an environment of its own:

    python -m venv /tmp/dbos && /tmp/dbos/bin/pip install dbos
    PYTHONPATH=. python benchmarks/saga.py --sagas 500 --rounds 5 --dbos /tmp/dbos/bin/python
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
import uvloop

from chassis.database import Database
from chassis.ids import SystemIds
from chassis.saga import Saga, SagaEngine, State, Step, StepContext
from chassis.saga.schema import SAGA_V1
from chassis.testing import PostgresServer, eventually

GOAL = 5
"""Times the rate of dbos, local steps (performance.md)."""

EFFECT = "CREATE TABLE effect (workflow text, step text, PRIMARY KEY (workflow, step))"

DBOS = """
import json, sys, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor
import psycopg
from dbos import DBOS, DBOSConfig

dsn, count, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
DBOS(config=DBOSConfig(name="bench", system_database_url=dsn, run_admin_server=False, log_level="ERROR"))
local = threading.local()

@DBOS.step()
def act(workflow, step):
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(dsn, autocommit=True)
    local.connection.execute("INSERT INTO effect VALUES (%s, %s)", (workflow, step))
    return {step: 1}

@DBOS.workflow()
def five(workflow):
    for i in range(steps):
        act(workflow, f"s{i}")
    return workflow

DBOS.launch()
took = []
def one(_):
    start = time.perf_counter()
    five(str(uuid.uuid4()))
    took.append(time.perf_counter() - start)

with ThreadPoolExecutor(threads) as pool:
    list(pool.map(one, range(threads * 2)))
    took.clear()
    start, cpu = time.perf_counter(), time.process_time()
    list(pool.map(one, range(count)))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
print(json.dumps([seconds, cpu, took]))
DBOS.destroy()
"""

Took = tuple[float, float, list[float]]
"""Seconds in all, CPU seconds of this process (which other load disturbs less), seconds of each workflow."""


async def run_sagas(dsn: str, kind: str, arguments: argparse.Namespace) -> Took:
    """Start sagas and wait for their ends, so many at a time."""
    db = await Database.connect(dsn, arguments.pool)

    async def act(context: StepContext) -> Mapping[str, Any]:
        await db.execute("INSERT INTO effect VALUES ($1, $2)", context.saga_id, context.step)
        return {context.step: 1}

    steps = tuple(Step(f"s{i}", act, local=kind == "local") for i in range(arguments.steps))
    engine, ids = SagaEngine(db, [Saga(f"bench_{kind}", 1, steps)]), SystemIds()
    run = asyncio.create_task(engine.run())
    await eventually(lambda: engine.running)
    took: list[float] = []

    async def one() -> None:
        begun, saga_id = time.perf_counter(), ids.uuid7()
        async with db.transaction() as tx:
            await engine.start(tx, f"bench_{kind}", saga_id, {"n": 1})
        ended = await engine.outcome(saga_id, timedelta(seconds=60))
        assert ended.state is State.COMPLETED
        took.append(time.perf_counter() - begun)

    async def many(count: int) -> float:
        left, begun = iter(range(count)), time.perf_counter()

        async def worker() -> None:
            for _ in left:
                await one()

        await asyncio.gather(*(worker() for _ in range(arguments.in_flight)))
        return time.perf_counter() - begun

    await many(arguments.in_flight * 2)
    took.clear()
    cpu = time.process_time()
    seconds = await many(arguments.sagas)
    cpu = time.process_time() - cpu
    await engine.stop()
    await run
    await db.close()
    return seconds, cpu, took


def run_dbos(dsn: str, arguments: argparse.Namespace) -> Took:
    """The same on dbos, by threads as its documentation has it."""
    numbers = [str(arguments.sagas), str(arguments.dbos_threads), str(arguments.steps)]
    done = subprocess.run(
        [arguments.dbos, "-c", DBOS, dsn, *numbers], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"dbos failed:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return answer[0], answer[1], answer[2]


def measure(server: PostgresServer, arguments: argparse.Namespace) -> dict[str, list[Took]]:
    """All rounds, the kinds in turns; the databases live through all rounds, as a service's would."""
    kinds = ["local", "remote", *(["dbos"] if arguments.dbos else [])]
    dsns = {kind: uvloop.run(_database(server, kind)) for kind in kinds}
    results: dict[str, list[Took]] = {kind: [] for kind in kinds}
    for _ in range(arguments.rounds):
        for kind in kinds:
            if kind == "dbos":
                results[kind].append(run_dbos(dsns[kind], arguments))
            else:
                results[kind].append(uvloop.run(run_sagas(dsns[kind], kind, arguments)))
    return results


async def _database(server: PostgresServer, kind: str) -> str:
    dsn = await server.create_database()
    db = await Database.connect(dsn)
    await db.execute(EFFECT if kind == "dbos" else SAGA_V1 + EFFECT)
    await db.close()
    return dsn


def report(results: dict[str, list[Took]], arguments: argparse.Namespace) -> None:
    """Print a line for each kind, and the ratio that the goal is about."""
    rates = {k: [arguments.sagas / seconds for seconds, _, _ in rounds] for k, rounds in results.items()}
    for kind, rounds in results.items():
        times = sorted(took * 1e3 for _, _, tooks in rounds for took in tooks)
        p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
        rate = statistics.median(rates[kind])
        cpu = statistics.median(used / arguments.sagas * 1e3 for _, used, _ in rounds)
        print(
            f"{kind:7} {rate:6.0f} sagas/s  {rate * arguments.steps:6.0f} steps/s  "
            f"p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  CPU {cpu:5.2f} ms/saga"
        )
    for kind in ("local", "remote"):
        if "dbos" in rates:
            ratio = statistics.median(a / b for a, b in zip(rates[kind], rates["dbos"], strict=True))
            print(f"{kind:7} x{ratio:.1f} of dbos{f'  goal {GOAL}' if kind == 'local' else ''}")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sagas", type=int, default=500, help="sagas a round (default 500)")
    parser.add_argument("--steps", type=int, default=5, help="steps of a saga (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, the median counts (default 3)")
    parser.add_argument("--in-flight", type=int, default=16, help="sagas at a time (default 16)")
    parser.add_argument("--pool", type=int, default=8, help="database connections (default 8)")
    parser.add_argument("--dbos", metavar="PYTHON", help="interpreter that has dbos, to compare with it")
    parser.add_argument("--dbos-threads", type=int, default=8, help="threads of dbos (default 8)")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    server = PostgresServer()
    server.start()
    try:
        report(measure(server, arguments), arguments)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
