"""A recall as the messages that trace receives, and a trace that listens to them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

from google.type.money_pb2 import Money as MoneyProto

from chassis.clock import FixedClock
from chassis.context import Principal
from chassis.database import Database
from chassis.inbox import ReceivedEvent
from chassis.money import Money
from chassis.wakeup import Watchers
from greenledger.catalog.v1 import events_pb2 as catalog
from greenledger.crops.v1 import crops_pb2
from greenledger.crops.v1 import events_pb2 as crops
from greenledger.inventory.v1 import events_pb2 as inventory
from greenledger.notifications.v1 import events_pb2 as notifications
from greenledger.orders.v1 import events_pb2 as orders
from services.trace.adapters.graph_writer import PostgresGraphWriter
from services.trace.adapters.kafka import subscriptions
from services.trace.adapters.recall_db import PostgresRecallReader
from services.trace.adapters.recall_kafka import with_recalls
from services.trace.adapters.recall_writer import PostgresRecallWriter
from services.trace.application.learn import Learn
from services.trace.application.recalls import Recalls
from services.trace.domain.recall import DEADLINES, Call, Count, EntryKind, EntryState, Recall
from tests.integration.trace.conftest import TABLES, Trace
from tests.integration.trace.story import START, Story

OPERATOR = Principal("operator", "user", permissions=frozenset({"trace.read", "trace.personal"}))
R1, R2, R3 = "r1", "r2", "r3"
RECALL_TABLES = [
    "recall",
    "recall_lot",
    "recall_stock",
    "recall_menu_item",
    "recall_order",
    "recall_notice",
]


class Tale(Story):
    """A story with the facts of recalls."""

    def lot_recalled(self, lot: str, root: str, recall: str = R1, owner: str = "farm") -> None:
        payload = crops.LotRecalled(
            lot_id=lot,
            root_lot_id=root,
            recall_id=recall,
            reason="listeria",
            recall_class=crops_pb2.RECALL_CLASS_I,
            owner_id=owner,
            grower_id="farm",
        )
        self.tell("crop.recalled", lot, payload)

    def released(self, lot: str, root: str, recall: str = R1) -> None:
        payload = crops.LotRecallReleased(lot_id=lot, root_lot_id=root, recall_id=recall)
        self.tell("crop.recall-released", lot, payload)

    def blocked(self, stock: str, venue: str, lot: str, recall: str = R1) -> None:
        payload = inventory.StockQuarantined(
            stock_item_id=stock, venue_id=venue, lot_id=lot, recall_id=recall
        )
        self.tell("inventory.quarantined", stock, payload)

    def delisted(self, item: str, venue: str, recall: str = R1) -> None:
        payload = catalog.MenuItemDelisted(menu_item_id=item, venue_id=venue, recall_id=recall)
        self.tell("catalog.menu-item-delisted", item, payload)

    def affected(self, order: str, venue: str, *, consumed: bool, recall: str = R1) -> None:
        payload = inventory.OrderAffected(order_id=order, venue_id=venue, consumed=consumed, recall_id=recall)
        self.tell("inventory.order-affected", order, payload)

    def dealt_with(
        self,
        order: str,
        guest: str,
        venue: str,
        *,
        served: bool,
        cents: int,
        recall: str = R1,
        unaffected: bool = False,
    ) -> None:
        units, rest = divmod(cents, 100)
        payload = orders.OrderRecalled(
            order_id=order,
            guest_id=guest,
            venue_id=venue,
            served=served,
            unaffected=unaffected,
            recall_id=recall,
            refunded=MoneyProto(currency_code="USD", units=units, nanos=rest * 10_000_000),
        )
        self.tell("order.recalled", order, payload)

    def noticed(self, user: str, recall: str = R1, *, sent: bool = True) -> None:
        key, ids = f"n-{recall}-{user}", {"user_id": user, "recall_id": recall}
        if sent:
            self.tell("notification.sent", key, notifications.NotificationSent(**ids))
        else:
            self.tell("notification.failed", key, notifications.NotificationFailed(**ids))


def before_the_recall() -> Tale:
    """Lot a, and a1 off it, at a venue that cooks two dishes of it; one order eaten, one open."""
    tale = Tale()
    tale.venue("v1")
    tale.mint("a", 100)
    tale.split("a", 60, a1=40)
    tale.mint("c", 50, product="kale")
    tale.receive("s1", "v1", "a1", 30)
    tale.receive("s9", "v1", "c", 30)
    tale.menu("salad", "v1", 1, product="romaine")
    tale.menu("special", "v1", 1, lot="a1")
    tale.menu("kale-soup", "v1", 1, product="kale")
    tale.place("eaten", "g1", "v1")
    tale.reserve("eaten", "v1", ("s1", "a1", "salad"))
    tale.consume("eaten", "v1", ("s1", "a1", "salad"))
    tale.fulfil("eaten", "g1", "v1")
    tale.place("open", "g2", "v1")
    tale.reserve("open", "v1", ("s1", "a1", "special"))
    return tale


def recalled() -> Tale:
    """The same, and all that a recall of a brings about."""
    tale = before_the_recall()
    tale.lot_recalled("a", "a")
    tale.lot_recalled("a1", "a", owner="owner-v1")
    tale.blocked("s1", "v1", "a1")
    tale.affected("eaten", "v1", consumed=True)
    tale.affected("open", "v1", consumed=False)
    tale.delisted("salad", "v1")
    tale.delisted("special", "v1")
    tale.dealt_with("eaten", "g1", "v1", served=True, cents=1250)
    tale.dealt_with("open", "g2", "v1", served=False, cents=0)
    for user in ("g1", "g2", "owner-v1", "farm"):
        tale.noticed(user)
    return tale


class CountingReader(PostgresRecallReader):
    """Counts how often a recall was looked for, and worked out."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looks: Counter[str] = Counter()
        self.worked_out: Counter[str] = Counter()

    async def heard(self, recall_id: str) -> int | None:
        self.looks[recall_id] += 1
        return await super().heard(recall_id)

    async def progress(self, call: Call) -> tuple[Mapping[EntryKind, Count], Sequence[Money]]:
        self.worked_out[call.recall_id] += 1
        return await super().progress(call)


class Recalling:
    """What a test needs at hand."""

    def __init__(self, trace: Trace, heartbeat: timedelta = timedelta(seconds=30)) -> None:
        self.database, self.clock, self.news = trace.database, FixedClock(START), Watchers()
        self.reader = CountingReader(trace.database)
        self.ask = Recalls(self.reader, self.news, DEADLINES, self.clock, heartbeat)
        graph = subscriptions(Learn(PostgresGraphWriter(trace.database)))
        known = with_recalls(graph, PostgresRecallWriter(trace.database, self.news))
        self._handlers = {entry.topic: entry.batch_handler for entry in known}

    async def hear(self, events: list[ReceivedEvent[Any]], at_once: int = 3) -> None:
        for topic, run in groupby(events, key=lambda event: event.type):
            arrived, handler = list(run), self._handlers[topic]
            assert handler is not None
            for start in range(0, len(arrived), at_once):
                async with self.database.transaction() as tx:
                    await handler(arrived[start : start + at_once], tx)

    async def counts(self, recall_id: str = R1) -> dict[str, tuple[int, int, int]]:
        return table(await self.ask.get(recall_id))

    async def outstanding(self, recall_id: str = R1) -> set[tuple[str, str]]:
        entries = await self.ask.entries(OPERATOR, recall_id, None, True, None, 1000)
        assert {entry.state for entry in entries} <= {EntryState.OUTSTANDING}
        return {(entry.kind.name, entry.entry_id) for entry in entries}

    async def rows(self) -> Mapping[str, int]:
        tables = [*TABLES, *RECALL_TABLES, "outbox"]
        return {name: await self.database.fetchval(f"SELECT count(*) FROM {name}") for name in tables}

    async def forget(self) -> None:
        await self.database.execute(f"TRUNCATE {', '.join([*TABLES, *RECALL_TABLES])}")


def table(recall: Recall) -> dict[str, tuple[int, int, int]]:
    """Expected, done and failed by kind."""
    return {
        each.kind.name: (each.count.expected, each.count.done, each.count.failed) for each in recall.progress
    }


ALL_DONE = {
    "LOT": (2, 2, 0),
    "STOCK": (1, 1, 0),
    "MENU_ITEM": (2, 2, 0),
    "ORDER": (2, 2, 0),
    "REFUND": (1, 1, 0),
    "GUEST": (2, 2, 0),
    "VENUE": (1, 1, 0),
    "HOLDER": (2, 2, 0),
}
