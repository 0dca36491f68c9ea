"""The tamper-evident log: appends and proofs against the same store without it, and against the bare hashes.

`append` is one event in a transaction of its own, `batch` 100 events in one, each with and without the log,
on one PostgreSQL, in turns. `hash` is the tree in memory alone: what the mathematics costs. Proofs are read
from logs of two sizes: the cost should grow with the logarithm.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import uvloop

from benchmarks.eventstore import DATA, rate
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.eventstore import EventStore, NewEvent, StreamAppend
from chassis.ids import SystemIds
from chassis.merklelog.audit import Audit
from chassis.merklelog.leaf import event_leaf
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.note import SigningKey
from chassis.merklelog.store import MerkleLog
from chassis.merklelog.tree import Frontier, fold, inclusion_path, leaf_hash, verify_inclusion
from chassis.schema import EVENT_STORE_V1, MERKLE_LOG_V1, MERKLE_LOG_V2
from chassis.testing import PostgresServer

EVENT = NewEvent("Made", 1, DATA)
KEY = SigningKey("greenledger/bench", bytes(32))


def hashes_alone(count: int) -> dict[str, float]:
    """Rates of the pure parts, in memory."""
    leaves = [leaf_hash(str(n).encode()) for n in range(count)]
    nodes = {(0, index): digest for index, digest in enumerate(leaves)}
    frontier = Frontier(lambda level, index, digest: nodes.update({(level, index): digest}))
    began = time.perf_counter()
    frontier.extend(leaves)
    grown = time.perf_counter() - began
    root, dice = frontier.root(), random.Random(1)
    indexes = [dice.randrange(count) for _ in range(2000)]
    began = time.perf_counter()
    proofs = [[fold([nodes[n] for n in part]) for part in inclusion_path(i, count)] for i in indexes]
    made = time.perf_counter() - began
    began = time.perf_counter()
    for index, proof in zip(indexes, proofs, strict=True):
        verify_inclusion(leaves[index], index, count, proof, root)
    checked = time.perf_counter() - began
    return {
        "hash: append": count / grown,
        "hash: inclusion proof": len(indexes) / made,
        "hash: verify inclusion": len(indexes) / checked,
    }


async def leaves_alone(store: EventStore, count: int) -> float:
    """Canonical bytes and leaf hash of stored events, a second."""
    events = await store.read_all(0, count)
    began = time.perf_counter()
    for event in events:
        leaf_hash(event_leaf(event))
    return len(events) / (time.perf_counter() - began)


async def fill(store: EventStore, count: int) -> None:
    """Append events by the thousand."""
    for _ in range(0, count, 1000):
        await store.append_many([StreamAppend(str(uuid4()), 0, (EVENT,)) for _ in range(1000)])


async def one_round(databases: dict[str, Database], arguments: argparse.Namespace) -> dict[str, float]:
    """Every side once."""
    found: dict[str, float] = {}
    for name, database in databases.items():
        log = MerkleLog(database) if name == "log" else None
        store = EventStore(database, SystemClock(), SystemIds(), log=log)

        async def append(store: EventStore = store, database: Database = database) -> None:
            # In a transaction on both sides, as every command has one.
            async with database.transaction():
                await store.append(str(uuid4()), 0, [EVENT])

        async def batch(store: EventStore = store) -> None:
            await store.append_many([StreamAppend(str(uuid4()), 0, (EVENT,)) for _ in range(100)])

        found[f"append, {name}"] = await rate(append, arguments.appends, arguments.tasks)
        found[f"batch of 100, {name} (events/s)"] = 100 * await rate(batch, arguments.appends // 40, 2)
    return found


async def proofs(database: Database, arguments: argparse.Namespace) -> dict[str, float]:
    """Proofs and receipts from the log as large as it is."""
    log = MerkleLog(database)
    ledger = Ledger(database, log, KEY, SystemClock())
    size, dice = await log.size(), random.Random(2)
    await ledger.checkpoint()
    ids = [(await log.leaves(i, i + 1, 1))[0].event_id for i in (dice.randrange(size) for _ in range(200))]

    async def inclusion() -> None:
        await log.inclusion_proof(dice.randrange(size), size)

    async def consistency() -> None:
        await log.consistency_proof(dice.randrange(1, size), size)

    async def receipt() -> None:
        await ledger.receipt(dice.choice(ids))

    works: dict[str, Callable[[], Awaitable[None]]] = {
        "inclusion proof": inclusion,
        "consistency proof": consistency,
        "receipt": receipt,
    }
    found = {f"{name}, {size} leaves": await rate(work, arguments.proofs, 4) for name, work in works.items()}
    began = time.perf_counter()
    async for step in Audit(database, log, [KEY.verifier]).run():
        if step.report is not None and step.report.findings:
            raise RuntimeError(step.report.findings[0].detail)
    found[f"audit, {size} leaves (leaves/s)"] = size / (time.perf_counter() - began)
    return found


async def measure(server: PostgresServer, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """All rounds."""
    results: dict[str, list[float]] = {}
    databases: dict[str, Database] = {}
    for name in ("plain", "log"):
        databases[name] = await Database.connect(await server.create_database())
        await databases[name].execute(EVENT_STORE_V1)
    await databases["log"].execute(MERKLE_LOG_V1)
    await databases["log"].execute(MERKLE_LOG_V2)
    for _ in range(arguments.rounds):
        measured = {**await one_round(databases, arguments), **hashes_alone(50_000)}
        for name, value in measured.items():
            results.setdefault(name, []).append(value)
    logged = EventStore(databases["log"], SystemClock(), SystemIds(), log=MerkleLog(databases["log"]))
    results["hash: leaf of an event"] = [await leaves_alone(logged, 5000) for _ in range(arguments.rounds)]
    for size in arguments.sizes:
        await fill(logged, size - await MerkleLog(databases["log"]).size())
        await databases["log"].execute("ANALYZE")
        for name, value in (await proofs(databases["log"], arguments)).items():
            results[name] = [value]
    for database in databases.values():
        await database.close()
    return results


def report(results: dict[str, list[float]]) -> None:
    """Medians and the ratios that count."""
    for name, values in results.items():
        print(f"{name:40} {statistics.median(values):9.0f}/s  (min {min(values):.0f}, max {max(values):.0f})")
    for ours, other in (
        ("append, log", "append, plain"),
        ("batch of 100, log (events/s)", "batch of 100, plain (events/s)"),
        ("append, log", "hash: append"),
        ("batch of 100, log (events/s)", "hash: append"),
    ):
        ratios = [a / b for a, b in zip(results[ours], results[other], strict=True)]
        print(f"ratio {ours} / {other}: median {statistics.median(ratios):.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--appends", type=int, default=4000, help="per side and round; default 4000")
    parser.add_argument("--proofs", type=int, default=2000, help="of each kind and size; default 2000")
    parser.add_argument("--tasks", type=int, default=8, help="default 8")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[100_000, 1_000_000], help="of logs; default 100 k and 1 M"
    )
    arguments = parser.parse_args()
    os.environ.setdefault("TZ", "UTC")
    server = PostgresServer()
    try:
        server.start()
        report(uvloop.run(measure(server, arguments)))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
