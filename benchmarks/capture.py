"""Capture of visibility events: one a call, and as a document of many, against the store's own bulk append.

All sides write to one PostgreSQL, in turns. `single` is the use case behind CaptureEvent, each event in a
transaction of its own; `document` the one behind CaptureDocument, with findings, indexes, the log and the
outbox; `parse` reads and checks the same bytes and stores nothing; `bulk append` stores as many bare events
with the log. Appends to the log, its proofs and the bare hashes are in `benchmarks.merklelog`.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks.eventstore import DATA
from chassis.clock import SystemClock
from chassis.context import Principal
from chassis.database import Database
from chassis.eventstore import EventStore, NewEvent, StreamAppend
from chassis.ids import SystemIds
from chassis.merklelog.store import MerkleLog
from chassis.outbox import Outbox
from chassis.testing import PostgresServer
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.application.capture_document import CaptureDocument, RecordDocument
from services.crops.application.capture_events import CaptureEvent, Recorder
from services.crops.domain.epcis.context import GS1_CONTEXT
from services.crops.domain.epcis.reading import EventReader, read_events

PARTNER = Principal("11111111-1111-4111-8111-111111111111", "user")
_CHUNK = 65_536


def event(number: int, prefix: str) -> dict[str, Any]:
    """A harvest, a shipment or a receipt of one of many lots."""
    step = ("commissioning", "shipping", "receiving")[number % 3]
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:x-bench:{prefix}:{number}",
        "action": "ADD" if step == "commissioning" else "OBSERVE",
        "bizStep": step,
        "eventTime": f"2026-05-01T{8 + number % 3:02d}:00:00Z",
        "eventTimeZoneOffset": "+02:00",
        "quantityList": [
            {
                "epcClass": f"urn:epc:class:lgtin:4012345.012345.{prefix}{number // 3}",
                "quantity": 10,
                "uom": "KGM",
            }
        ],
    }


def document(count: int) -> Iterator[bytes]:
    """A document of new events, in chunks."""
    prefix, waiting = uuid4().hex[:8], bytearray()
    head = {"@context": GS1_CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0"}
    waiting += json.dumps({**head, "creationDate": "2026-05-01T10:00:00Z"}).encode()[:-1]
    waiting += b', "epcisBody": {"eventList": ['
    for number in range(count):
        waiting += (b"," if number else b"") + json.dumps(event(number, prefix)).encode()
        if len(waiting) >= _CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting) + b"]}}"


async def sent(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks as they would arrive."""
    for chunk in chunks:
        yield chunk


async def singles(capture: CaptureEvent, count: int, tasks: int) -> float:
    """Events a second, each in a call of its own."""
    prefix, numbers = uuid4().hex[:8], iter(range(count))

    async def work() -> None:
        for number in numbers:
            await capture(PARTNER, json.dumps({"@context": GS1_CONTEXT, **event(number, prefix)}))

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return count / (time.perf_counter() - began)


async def documents(capture: CaptureDocument, count: int) -> float:
    """Events a second of one document."""
    began = time.perf_counter()
    job = await capture(PARTNER, str(uuid4()), sent(document(count)))
    if job.captured != count:
        raise RuntimeError(f"{job.captured} of {count} were captured: {job.failure}")
    return count / (time.perf_counter() - began)


def parsing(count: int) -> float:
    """Events a second that are read and checked."""
    began = time.perf_counter()
    read = sum(item.event is not None for item in read_events(document(count), EventReader()))
    return read / (time.perf_counter() - began)


async def bulk(store: EventStore, count: int) -> float:
    """Bare events a second, 500 in a transaction."""
    began = time.perf_counter()
    for _ in range(0, count, 500):
        one = (NewEvent("Made", 1, DATA),)
        await store.append_many([StreamAppend(str(uuid4()), 0, one) for _ in range(500)])
    return count / (time.perf_counter() - began)


async def measure(server: PostgresServer, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """All rounds."""
    dsn = await server.create_database("crops")
    database, clock = await Database.connect(dsn), SystemClock()
    store = EventStore(database, clock, SystemIds(), log=MerkleLog(database))
    record = Recorder(database, StoredVisibilityEvents(database, store, Outbox("crops")), clock, SystemIds())
    jobs = StoredJobs(database)
    one = CaptureEvent(record)
    many = CaptureDocument(RecordDocument(database, record, jobs, clock), jobs, clock)
    results: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name, rate in (
            ("single, 1 task", await singles(one, arguments.singles, 1)),
            ("single, 8 tasks", await singles(one, arguments.singles, 8)),
            ("document", await documents(many, arguments.events)),
            ("parse", parsing(arguments.events)),
            ("bulk append", await bulk(store, arguments.events)),
        ):
            results.setdefault(name, []).append(rate)
    if arguments.large:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results[f"document of {arguments.large}"] = [await documents(many, arguments.large)]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"memory at its highest grew by {grown:.0f} MB over the document of {arguments.large} events")
    await database.close()
    return results


def report(results: dict[str, list[float]]) -> None:
    """Medians and ratios."""
    for name, values in results.items():
        middle = statistics.median(values)
        print(f"{name:24} {middle:9.0f} events/s  (min {min(values):.0f}, max {max(values):.0f})")
    for ours, other in (("document", "parse"), ("document", "bulk append"), ("document", "single, 1 task")):
        ratios = [a / b for a, b in zip(results[ours], results[other], strict=True)]
        print(f"ratio {ours} / {other}: median {statistics.median(ratios):.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000, help="of a document, and bare; default 10,000")
    parser.add_argument("--singles", type=int, default=1000, help="per side and round; default 1000")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument(
        "--large",
        type=int,
        default=100_000,
        help="one document of so many at the end; default 100,000, 0 none",
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
