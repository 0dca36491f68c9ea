"""Recall scope and trace-back on ledgers of growing size, against one naive recursive query.

A generated ledger is many supply chains of ten levels: harvests, then lots split off one lot or made of
several of the level before, some of them on their way, the last levels in stock at venues, on menus and
in orders. The rows are those that the events would leave. A chain has the same size in every ledger, so
that a cost that grows with the ledger and not with the answer shows. The naive side asks the same
tables, with the same indexes, in one recursive query with UNION ALL and joins, as one would write it
first; it is given up after `--give-up` seconds, which then count as its time. Both sides in turns, on
lots chosen at random: harvests, whose scope is the largest, and any.
"""

import argparse
import math
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import uvloop

from chassis.database import Database
from chassis.testing import PostgresServer
from services.trace.adapters.db import PostgresGraphReader
from services.trace.adapters.scope import PostgresScopeReader

LEVELS, WIDTH, SERVED_LEVELS = 10, 20, 3
LOTS = LEVELS * WIDTH
ORDERS = LOTS
# Of a chain: each lot minted, transferred, shipped, arrived; split or transformed; stock; five of each order.
EVENTS = LOTS * 4 + (LEVELS - 1) * WIDTH + SERVED_LEVELS * WIDTH + ORDERS * 5
START = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[Any, ...]

NAIVE_SCOPE = """
WITH RECURSIVE reached AS (
    SELECT $1::text AS lot_id
    UNION ALL
    SELECT lot_edge.child_id FROM reached JOIN lot_edge ON lot_edge.parent_id = reached.lot_id
)
SELECT count(DISTINCT reached.lot_id), count(DISTINCT stock.stock_item_id), count(DISTINCT stock.venue_id),
       count(DISTINCT menu_item.menu_item_id), count(DISTINCT traced_order.order_id),
       count(DISTINCT traced_order.guest_id), count(DISTINCT shipment.shipment_id)
FROM reached
LEFT JOIN stock ON stock.lot_id = reached.lot_id
LEFT JOIN traced_lot ON traced_lot.lot_id = reached.lot_id
LEFT JOIN menu_item ON menu_item.venue_id = stock.venue_id
     AND menu_item.product_codes && ARRAY[traced_lot.product_code]
LEFT JOIN allocation ON allocation.lot_id = reached.lot_id AND (allocation.reserved OR allocation.consumed)
LEFT JOIN traced_order ON traced_order.order_id = allocation.order_id
LEFT JOIN shipment ON shipment.lot_id = reached.lot_id AND shipment.ended_at IS NULL
"""
NAIVE_BACK = """
WITH RECURSIVE above AS (
    SELECT lot_id FROM allocation WHERE order_id = $1
    UNION ALL
    SELECT lot_edge.parent_id FROM above JOIN lot_edge ON lot_edge.child_id = above.lot_id
)
SELECT DISTINCT traced_lot.lot_id, traced_lot.lot_code, traced_lot.grower_id
FROM above JOIN traced_lot ON traced_lot.lot_id = above.lot_id
"""


class Ledger:
    """Rows of so many chains, the same for the same seed."""

    def __init__(self, events: int) -> None:
        self.chains = max(1, round(events / EVENTS))
        self.events = self.chains * EVENTS
        self.venues = max(10, self.events // 100)

    def lot(self, chain: int, level: int, place: int) -> str:
        return f"lot-{chain:06}-{level:02}-{place:02}"

    def edges(self, chain: int, dice: random.Random) -> Iterator[Row]:
        for level in range(1, LEVELS):
            for place in range(WIDTH):
                # Three of ten are made of several lots, as in packing and cooking.
                count = dice.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 3))
                for parent in dice.sample(range(WIDTH), count):
                    yield self.lot(chain, level - 1, parent), self.lot(chain, level, place), START, 1

    def rows(self) -> Iterator[tuple[str, str, list[Row]]]:
        """Tables, their columns and rows, some chains at a time."""
        dice = random.Random(7)
        yield (
            "venue",
            "venue_id name owner_id",
            [(f"venue-{n:06}", f"Venue {n}", f"owner-{n}") for n in range(self.venues)],
        )
        items: list[Row] = [
            (f"item-{n:06}-{m}", f"venue-{n:06}", f"Dish {m}", [f"product-{(n + m) % 50}"], [], 1, 1)
            for n in range(self.venues)
            for m in range(3)
        ]
        yield "menu_item", "menu_item_id venue_id name product_codes lot_ids revision position", items
        for chain in range(self.chains):
            yield from self._chain(chain, dice)

    def _chain(self, chain: int, dice: random.Random) -> Iterator[tuple[str, str, list[Row]]]:
        lots = [self.lot(chain, level, place) for level in range(LEVELS) for place in range(WIDTH)]
        yield (
            "traced_lot",
            "lot_id lot_code product_code grower_id owner_id custodian_id product_position",
            [(lot, f"code-{lot}", f"product-{chain % 50}", "farm", f"owner-{chain}", "c", 1) for lot in lots],
        )
        yield "lot_edge", "parent_id child_id at position", list(self.edges(chain, dice))
        custody = "lot_id number owner_id from_time reference_document"
        yield "custody", custody, [(lot, n, f"owner-{n}", START, "") for lot in lots for n in range(2)]
        arrived = [None if dice.random() < 0.02 else START + timedelta(days=1) for _ in lots]
        yield (
            "shipment",
            "shipment_id lot_id from_id to_id shipped_at ended_at shipped_position ended_position",
            [
                (f"ship-{lot}", lot, "farm", "shop", START, end, 1, 1 if end else None)
                for lot, end in zip(lots, arrived, strict=True)
            ],
        )
        served = lots[-SERVED_LEVELS * WIDTH :]
        stock = {lot: (f"stock-{lot}", f"venue-{dice.randrange(self.venues):06}") for lot in served}
        yield (
            "stock",
            "stock_item_id venue_id lot_id received_amount received_unit position",
            [(item, venue, lot, 100, "KGM", 1) for lot, (item, venue) in stock.items()],
        )
        orders = [(f"order-{chain:06}-{n:03}", dice.choice(served)) for n in range(ORDERS)]
        yield (
            "traced_order",
            "order_id venue_id guest_id state placed_at guest_position",
            [
                (order, stock[lot][1], f"guest-{dice.randrange(self.venues * 5)}", 1, START, 1)
                for order, lot in orders
            ],
        )
        yield (
            "allocation",
            "order_id stock_item_id menu_item_id lot_id reserved reserved_position",
            [(order, stock[lot][0], "item", lot, True, 1) for order, lot in orders],
        )


async def fill(database: Database, ledger: Ledger) -> None:
    """Write the ledger, some thousand rows at a time."""
    began = time.perf_counter()
    waiting: dict[tuple[str, str], list[Row]] = {}

    async def write(key: tuple[str, str]) -> None:
        async with database.transaction() as tx:
            await tx.copy(key[0], key[1].split(), waiting.pop(key))

    for table, columns, rows in ledger.rows():
        key = (table, columns)
        waiting.setdefault(key, []).extend(rows)
        if len(waiting[key]) > 20_000:
            await write(key)
    for key in list(waiting):
        await write(key)
    await database.execute("SELECT learn(now())")
    await database.execute("VACUUM ANALYZE")
    print(
        f"\n{ledger.events} events, {ledger.chains * LOTS} lots, {ledger.venues} venues, "
        f"{ledger.chains * ORDERS} orders, depth {LEVELS - 1}; written in {time.perf_counter() - began:.0f} s"
    )


async def timed(work: Callable[[str], Awaitable[object]], subject: str, give_up_s: float) -> float:
    """Seconds that a question takes; those after which it was given up, when it was."""
    began = time.perf_counter()
    try:
        await work(subject)
    except asyncpg.QueryCanceledError:
        return give_up_s
    return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


async def measure(dsn: str, size: int, arguments: argparse.Namespace) -> None:
    """One ledger: fill it, ask, print."""
    database = await Database.connect(dsn)
    naive = await asyncpg.connect(
        dsn, server_settings={"statement_timeout": f"{arguments.give_up * 1000:.0f}"}
    )
    ledger, dice = Ledger(size), random.Random(11)
    await fill(database, ledger)
    scopes, graph = PostgresScopeReader(database), PostgresGraphReader(database)
    sizes: list[int] = []

    async def scope(lot: str) -> None:
        found = await scopes.summary(lot, await scopes.present())
        assert found is not None
        sizes.append(found.counts.lots + found.counts.stock + found.counts.orders)

    def any_lot(levels: int) -> str:
        return ledger.lot(dice.randrange(ledger.chains), dice.randrange(levels), dice.randrange(WIDTH))

    def any_order() -> str:
        return f"order-{dice.randrange(ledger.chains):06}-{dice.randrange(ORDERS):03}"

    questions: dict[str, tuple[Callable[[], str], Callable[[str], Awaitable[object]], str]] = {
        "recall scope of a harvest": (lambda: any_lot(1), scope, NAIVE_SCOPE),
        "recall scope of any lot": (lambda: any_lot(LEVELS), scope, NAIVE_SCOPE),
        "trace an order back": (any_order, graph.order, NAIVE_BACK),
        "trace a lot both ways": (lambda: any_lot(LEVELS), graph.lot, ""),
    }
    for name, (subject, ask, statement) in questions.items():
        sizes.clear()
        ours, theirs = [], []
        for number in range(arguments.questions):
            each = subject()
            ours.append(await timed(ask, each, arguments.give_up))
            if statement and number < arguments.naive:
                theirs.append(await timed(partial(naive.fetch, statement), each, arguments.give_up))
        report(name, ours, theirs, sizes)
    await naive.close()
    await database.close()


def report(name: str, ours: Sequence[float], theirs: Sequence[float], sizes: Sequence[int]) -> None:
    """One line a question."""
    line = (
        f"{name:28} p50 {percentile(ours, 0.5) * 1000:8.1f} ms  p99 {percentile(ours, 0.99) * 1000:8.1f} ms"
    )
    if sizes:
        line += f"  (answers of {statistics.median(sizes):.0f} things, at most {max(sizes)})"
    if theirs:
        line += (
            f"  naive p50 {percentile(theirs, 0.5) * 1000:8.1f} ms"
            f"  p99 {percentile(theirs, 0.99) * 1000:8.1f} ms"
            f"  ratio of p50 {percentile(theirs, 0.5) / percentile(ours, 0.5):.1f}"
        )
    print(line, flush=True)


async def run(server: PostgresServer, arguments: argparse.Namespace) -> None:
    """Every size in turn, each in a database of its own."""
    for size in arguments.sizes:
        await measure(await server.create_database("trace"), size, arguments)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=[10_000, 100_000, 1_000_000],
        help="events; default 10 k, 100 k, 1 M",
    )
    parser.add_argument("--questions", type=int, default=300, help="of each kind and size; default 300")
    parser.add_argument("--naive", type=int, default=30, help="of these for the naive side; default 30")
    parser.add_argument("--give-up", type=float, default=30, help="seconds for a naive question; default 30")
    arguments = parser.parse_args()
    os.environ.setdefault("TZ", "UTC")
    server = PostgresServer()
    try:
        server.start()
        uvloop.run(run(server, arguments))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
