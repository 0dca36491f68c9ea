"""What is heard of recalls, into PostgreSQL: the same rows whatever was heard before.

Each fact is a row, or raises something in one; so any order of arrival across topics is right.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chassis.database import Database
from chassis.inbox import ReceivedEvent
from chassis.protobuf import money_from_proto
from chassis.wakeup import Watchers
from greenledger.crops.v1 import crops_pb2

Event = ReceivedEvent[Any]
Row = tuple[Any, ...]
Write = tuple[str, Callable[[Event], Row]]

_MENTION = "INSERT INTO recall (recall_id) VALUES ($1) ON CONFLICT DO NOTHING"
# The position is that of the batch, which the graph has taken in the same transaction.
_BEGIN = """
INSERT INTO recall AS r (recall_id, root_lot_id, recall_class, reason, begun_at, position)
VALUES ($1, $2, $3, $4, $5, currval('learned_position'))
ON CONFLICT (recall_id) DO UPDATE
SET root_lot_id = excluded.root_lot_id, recall_class = excluded.recall_class, reason = excluded.reason,
    begun_at = least(r.begun_at, excluded.begun_at), position = greatest(r.position, excluded.position)
"""
# Locks the recall, as _BEGIN does, so that what ends it sees all that was heard of its lots.
_LOCK = """
INSERT INTO recall (recall_id) VALUES ($1)
ON CONFLICT (recall_id) DO UPDATE SET recall_id = excluded.recall_id
"""
_LOT = """
INSERT INTO recall_lot (recall_id, lot_id, owner_id, grower_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (recall_id, lot_id) DO UPDATE SET owner_id = excluded.owner_id, grower_id = excluded.grower_id
"""
_RELEASE = """
INSERT INTO recall_lot AS l (recall_id, lot_id, owner_id, grower_id, released_at) VALUES ($1, $2, '', '', $3)
ON CONFLICT (recall_id, lot_id) DO UPDATE SET released_at = least(l.released_at, excluded.released_at)
"""
# The end of one recall may leave a lot to it that came of another recalled one, too.
_END = """
UPDATE recall SET released_at = lots.released_at
FROM (
    SELECT CASE WHEN bool_and(released_at IS NOT NULL) THEN max(released_at) END AS released_at
    FROM recall_lot WHERE recall_id = $1
) AS lots
WHERE recall_id = $1
"""
# Last of all, so that others who hear of the same recall wait the shortest time.
_NEWS = "UPDATE recall SET heard = heard + 1, settled_at = NULL WHERE recall_id = $1"
_STOCK = """
INSERT INTO recall_stock (recall_id, stock_item_id, venue_id, lot_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""
_MENU_ITEM = """
INSERT INTO recall_menu_item (recall_id, menu_item_id, venue_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_AFFECTED = """
INSERT INTO recall_order AS o (recall_id, order_id, venue_id, consumed) VALUES ($1, $2, $3, $4)
ON CONFLICT (recall_id, order_id) DO UPDATE SET consumed = o.consumed OR excluded.consumed
"""
_DEALT_WITH = """
INSERT INTO recall_order (
    recall_id, order_id, venue_id, guest_id, dealt_with, unaffected, consumed, refunded_minor, currency
) VALUES ($1, $2, $3, $4, true, $5, $6, $7, $8)
ON CONFLICT (recall_id, order_id) DO UPDATE
SET guest_id = excluded.guest_id, dealt_with = true, unaffected = excluded.unaffected,
    consumed = recall_order.consumed OR excluded.consumed,
    refunded_minor = excluded.refunded_minor, currency = excluded.currency
"""
_NOTICE = """
INSERT INTO recall_notice AS n (recall_id, user_id, sent) VALUES ($1, $2, $3)
ON CONFLICT (recall_id, user_id) DO UPDATE SET sent = n.sent OR excluded.sent
"""
_CLASSES = {
    crops_pb2.RECALL_CLASS_I: "I",
    crops_pb2.RECALL_CLASS_II: "II",
    crops_pb2.RECALL_CLASS_III: "III",
}


class PostgresRecallWriter:
    """Takes in batches of events of one topic, in the running transaction."""

    def __init__(self, database: Database, watchers: Watchers) -> None:
        self._database = database
        self._watchers = watchers

    async def add(self, topic: str, events: Sequence[Event]) -> None:
        """Write down what the events of a topic of `HEARD` say; those that name no recall are passed over."""
        named = [event for event in events if recall_of(event)]
        recalls = sorted({recall_of(event) for event in named})
        async with self._database.transaction() as tx:
            for statement, row_of in HEARD[topic]:
                # In one order, so that batches that meet wait for each other instead of dying of it.
                rows = sorted({row_of(event) for event in named})
                if rows:
                    await tx.executemany(statement, rows)
            if recalls:
                await tx.executemany(_NEWS, [(recall_id,) for recall_id in recalls])
        self._database.after_commit(lambda: self._tell(recalls))

    def _tell(self, recalls: Iterable[str]) -> None:
        for recall_id in recalls:
            self._watchers.changed(recall_id)


def recall_of(event: Event) -> str:
    """The recall that an event is about; older ones of crops name only the lot for which it was called."""
    payload = event.payload
    if event.type in _OF_LOTS:
        return str(payload.recall_id or payload.root_lot_id)
    return str(payload.recall_id)


def _began(event: Event) -> Row:
    lot = event.payload
    recall_class = _CLASSES.get(lot.recall_class, "")
    return recall_of(event), lot.root_lot_id, recall_class, lot.reason, event.occurred_time


def _dealt_with(event: Event) -> Row:
    order = event.payload
    ids = (order.recall_id, order.order_id, order.venue_id, order.guest_id, order.unaffected, order.served)
    if not order.refunded.currency_code:
        return *ids, 0, ""
    money = money_from_proto(order.refunded)
    return *ids, money.minor, money.currency


def _mention(event: Event) -> Row:
    return (recall_of(event),)


_OF_LOTS = ("crop.recalled", "crop.recall-released")
HEARD: dict[str, Sequence[Write]] = {
    "crop.recalled": [
        (_BEGIN, _began),
        (_LOT, lambda e: (recall_of(e), e.payload.lot_id, e.payload.owner_id, e.payload.grower_id)),
        (_END, _mention),
    ],
    "crop.recall-released": [
        (_LOCK, _mention),
        (_RELEASE, lambda e: (recall_of(e), e.payload.lot_id, e.occurred_time)),
        (_END, _mention),
    ],
    "inventory.quarantined": [
        (_MENTION, _mention),
        (
            _STOCK,
            lambda e: (recall_of(e), e.payload.stock_item_id, e.payload.venue_id, e.payload.lot_id),
        ),
    ],
    "catalog.menu-item-delisted": [
        (_MENTION, _mention),
        (_MENU_ITEM, lambda e: (recall_of(e), e.payload.menu_item_id, e.payload.venue_id)),
    ],
    "inventory.order-affected": [
        (_MENTION, _mention),
        (_AFFECTED, lambda e: (recall_of(e), e.payload.order_id, e.payload.venue_id, e.payload.consumed)),
    ],
    "order.recalled": [(_MENTION, _mention), (_DEALT_WITH, _dealt_with)],
    "notification.sent": [
        (_MENTION, _mention),
        (_NOTICE, lambda e: (recall_of(e), e.payload.user_id, True)),
    ],
    "notification.failed": [
        (_MENTION, _mention),
        (_NOTICE, lambda e: (recall_of(e), e.payload.user_id, False)),
    ],
}
"""What is written down of each topic."""
