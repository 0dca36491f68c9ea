"""What must hold in a fleet at rest, whatever has died on the way; read from the databases themselves."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chassis.inbox import Subscription
from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.events.v1.event_pb2 import Event
from greenledger.inventory.v1 import events_pb2 as inventory_events
from greenledger.orders.v1.events_pb2 import OrderFailed
from greenledger.payments.v1.events_pb2 import PaymentRefunded
from services.auth.adapters.kafka import user_deleted
from services.catalog.adapters.kafka import quarantine_subscriptions
from services.crops.adapters.stock_events import served_orders
from services.crops.domain.serving import Serving
from services.inventory.adapters.kafka import holds, recalls, released_recalls
from services.market.adapters.kafka import lot_subscriptions
from services.notifications.adapters.kafka import RECALL_REFUND, Subscriptions
from services.notifications.adapters.recalls import recall_subscriptions
from services.orders.adapters.kafka import affected_orders
from services.trace.adapters.kafka import subscriptions as trace_subscriptions
from services.trace.adapters.recall_kafka import with_recalls
from services.trace.domain.orders import OrderState
from tests.resilience.fleet import exchange
from tests.resilience.fleet.recall_invariants import recalls_heard, recalls_seen_to

_NOBODY: Any = None
ORCHESTRATORS = ("orders", "crops", "users", "inventory", "market")
PRODUCERS = (
    *("auth", "users", "crops", "catalog", "inventory", "orders", "payments", "notifications"),
    "market",
)
_CONSUMERS: dict[str, list[Subscription[Any]]] = {
    "auth": [user_deleted(_NOBODY)],
    "catalog": quarantine_subscriptions(_NOBODY),
    "notifications": [*Subscriptions(_NOBODY, _NOBODY).all(), *recall_subscriptions(_NOBODY)],
    "trace": with_recalls(trace_subscriptions(_NOBODY), _NOBODY),
    "inventory": [recalls(_NOBODY), released_recalls(_NOBODY), *holds(_NOBODY)],
    "orders": [affected_orders(_NOBODY)],
    "crops": [served_orders(_NOBODY)],
    "market": lot_subscriptions(_NOBODY),
}
CONSUMED = {name: {entry.topic for entry in entries} for name, entries in _CONSUMERS.items()}
"""Topics by consumer, from the services' own declarations."""


async def everything_ended(live: LiveFleet, timeout_s: float = 40.0) -> None:
    """Wait until no saga is under way; one that is stuck fails the test."""

    async def ended() -> bool:
        for service in ORCHESTRATORS:
            rows = await live.fetch(
                service,
                "SELECT saga_id, name, state, step, failure FROM saga"
                " WHERE state NOT IN ('COMPLETED', 'COMPENSATED')",
            )
            stuck = [dict(row) for row in rows if row["state"] == "STUCK"]
            if stuck:
                raise RuntimeError(f"stuck: {stuck}")
            assert not rows, [dict(row) for row in rows]
        return True

    await eventually(ended, timeout_s)


async def check(live: LiveFleet) -> None:
    """Wait for the end of all sagas, then look at money, stock, people and lots."""
    await everything_ended(live)
    await eventually(lambda: recalls_heard(live), 40)
    await everything_ended(live)
    orders = await _orders(live)
    await _money(live, orders)
    await recalls_seen_to(live, orders)
    await _stock(live, orders)
    await eventually(lambda: _served(live), 40, interval_s=0.1)
    await _goods(live)
    await _people(live)
    await _lots(live)
    await exchange.check_books(live)


async def check_events(live: LiveFleet, timeout_s: float = 40.0) -> None:
    """Every event was delivered and took effect once, in every consumer."""
    await eventually(lambda: _delivered(live), timeout_s, interval_s=0.1)
    await _trace(live)
    await _notifications(live)


async def _orders(live: LiveFleet) -> dict[str, dict[str, Any]]:
    rows = await live.fetch(
        "orders",
        "SELECT order_id::text, state, total_minor, refunded_minor, recall_ids FROM customer_order",
    )
    found = {row["order_id"]: dict(row) for row in rows}
    assert {entry["state"] for entry in found.values()} <= {"FULFILLED", "FAILED"}
    return found


async def _money(live: LiveFleet, orders: dict[str, dict[str, Any]]) -> None:
    """The provider's books, not our own, say what was taken: of purchases, for what was delivered."""
    rows = await live.fetch(
        "payments",
        """
        SELECT p.order_id::text, p.state AS ours, c.state, c.captured_minor - c.refunded_minor AS kept
        FROM simulated_charge c LEFT JOIN payment p ON p.payment_id::text = c.key
        """,
    )
    assert all(row["order_id"] for row in rows), "the provider has a charge that we know nothing of"
    kept = {row["order_id"]: row["kept"] for row in rows}
    orders = orders | await _purchases(live)
    for order_id, order in orders.items():
        kept_of = order["state"] in ("FULFILLED", "COMPLETED")
        wanted = order["total_minor"] - order.get("refunded_minor", 0) if kept_of else 0
        assert kept.get(order_id, 0) == wanted, (order, kept.get(order_id))
    assert not [dict(row) for row in rows if row["order_id"] in orders and row["state"] == "AUTHORIZED"]
    unsure = ("PENDING", "CAPTURING", "VOIDING")
    assert not [dict(row) for row in rows if row["order_id"] in orders and row["ours"] in unsure]


async def _stock(live: LiveFleet, orders: dict[str, dict[str, Any]]) -> None:
    reservations = {
        row["order_id"]: row["state"]
        for row in await live.fetch("inventory", "SELECT order_id::text, state FROM reservation")
    }
    for order_id, state in reservations.items():
        if order_id in orders:
            fulfilled = orders[order_id]["state"] == "FULFILLED"
            assert (state == "CONSUMED") == fulfilled, (order_id, state, orders[order_id])
            assert state not in ("HELD", "CONFIRMED"), f"{order_id} ended and still holds stock"
    fulfilled_orders = {order_id for order_id, order in orders.items() if order["state"] == "FULFILLED"}
    assert fulfilled_orders <= reservations.keys()
    received = await _received(live)
    rows = await live.fetch(
        "inventory",
        """
        SELECT s.stock_item_id::text, s.on_hand, s.reserved,
               coalesce(sum(a.amount) FILTER (WHERE r.state IN ('HELD', 'CONFIRMED')), 0) AS promised,
               coalesce(sum(a.amount) FILTER (WHERE r.state = 'CONSUMED'), 0) AS gone
        FROM stock_item s
        LEFT JOIN allocation a USING (stock_item_id) LEFT JOIN reservation r USING (order_id)
        GROUP BY s.stock_item_id
        """,
    )
    for row in rows:
        assert row["reserved"] == row["promised"], dict(row)
        assert row["on_hand"] == received[row["stock_item_id"]] - row["gone"], dict(row)


async def _purchases(live: LiveFleet) -> dict[str, dict[str, Any]]:
    """Each has ended; those that are completed, and no others, have a lot of the buyer's."""
    rows = await live.fetch(
        "market",
        """
        SELECT purchase_id::text, lot_id::text, buyer_id::text, state, amount, total_minor, delivered_lot_id
        FROM purchase
        """,
    )
    found = {row["purchase_id"]: dict(row) for row in rows}
    assert {each["state"] for each in found.values()} <= {"COMPLETED", "FAILED"}
    made = {
        row["made"]: (row["lot_id"], row["buyer_id"], Decimal(row["amount"]))
        for row in await live.fetch(
            "crops",
            """
            SELECT substr(stream_id, 5) AS lot_id, data->>'delivered_lot_id' AS made,
                   data->>'new_owner_id' AS buyer_id, data->'quantity'->>'amount' AS amount
            FROM event WHERE type = 'LotQuantityDelivered' AND data->>'commitment_id' IN (
                SELECT data->>'commitment_id' FROM event
                WHERE type = 'LotQuantityCommitted' AND data->>'purpose' = 'LISTING'
            )
            """,
        )
    }
    assert {
        each["delivered_lot_id"]: (each["lot_id"], each["buyer_id"], each["amount"])
        for each in found.values()
        if each["state"] == "COMPLETED"
    } == made
    return found


async def _for_sale(live: LiveFleet) -> dict[str, Decimal]:
    """What is left of listings by lot; nothing is taken for a purchase that has not ended."""
    rows = await live.fetch(
        "market",
        """
        SELECT lot_id::text, sum(remaining) FILTER (WHERE NOT cancelled AND NOT expired) AS remaining,
               sum(taken) AS taken
        FROM listing GROUP BY lot_id
        """,
    )
    assert not [dict(row) for row in rows if row["taken"]]
    return {row["lot_id"]: row["remaining"] or Decimal(0) for row in rows}


async def _served(live: LiveFleet) -> bool:
    """What orders took out of stock has left its lots and what was committed of them, each once."""
    rows = await live.fetch(
        "inventory",
        """
        SELECT order_id::text, lot_id::text, sum(amount) AS amount FROM allocation
        JOIN reservation USING (order_id) WHERE state = 'CONSUMED' GROUP BY order_id, lot_id
        """,
    )
    gone = {
        Serving(row["lot_id"], row["order_id"], "", (), datetime.now(UTC)).serving_id: row["amount"]
        for row in rows
    }
    recorded = await live.fetch(
        "crops",
        """
        SELECT event_id::text, (data->'quantity'->>'amount')::numeric AS amount, (
            SELECT sum((part->'quantity'->>'amount')::numeric)
            FROM jsonb_array_elements(data->'taken') AS part
        ) AS taken
        FROM event WHERE type = 'LotServed'
        """,
    )
    assert len(recorded) == len(gone), (len(recorded), len(gone))
    assert {row["event_id"]: row["amount"] for row in recorded} == gone
    assert {row["event_id"]: row["taken"] for row in recorded} == gone
    return True


async def _goods(live: LiveFleet) -> None:
    """What is committed of a lot is what its receipts brought into stock and nobody has eaten, and what is
    left of its listings and behind balances, and never more than there is."""
    received: dict[str, Decimal] = defaultdict(Decimal, await _for_sale(live))
    for lot_id, amount in (await exchange.vault(live)).items():
        received[lot_id] += amount
    rows = await live.fetch("inventory", "SELECT stock_item_id::text, lot_id::text FROM stock_item")
    amounts = await _received(live)
    assert amounts.keys() == {row["stock_item_id"] for row in rows}
    for row in rows:
        received[row["lot_id"]] += amounts[row["stock_item_id"]]
    for row in await live.fetch(
        "inventory",
        "SELECT lot_id::text, amount FROM allocation JOIN reservation USING (order_id)"
        " WHERE state = 'CONSUMED'",
    ):
        received[row["lot_id"]] -= row["amount"]
    lots = await live.fetch(
        "crops",
        """
        SELECT substr(stream_id, 5) AS lot_id,
               sum((data->'quantity'->>'amount')::numeric * CASE type
                   WHEN 'LotQuantityCommitted' THEN 1
                   WHEN 'LotQuantityReleased' THEN -1 WHEN 'LotQuantityDelivered' THEN -1
                   WHEN 'LotServed' THEN -1 ELSE 0
               END) AS committed,
               min((data->'quantity'->>'amount')::numeric) FILTER (WHERE type = 'LotMinted') AS minted
        FROM event WHERE stream_id LIKE 'lot-%' GROUP BY stream_id
        """,
    )
    for lot in lots:
        assert received[lot["lot_id"]] == (lot["committed"] or 0) <= lot["minted"], dict(lot)


async def _received(live: LiveFleet) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = {}
    for row in await live.fetch("inventory", "SELECT payload FROM outbox WHERE topic = 'inventory.received'"):
        event = inventory_events.StockReceived()
        assert Event.FromString(row["payload"]).payload.Unpack(event)
        assert event.stock_item_id not in amounts
        amounts[event.stock_item_id] = Decimal(event.quantity.amount)
    return amounts


async def _people(live: LiveFleet) -> None:
    """Registered on both sides, or on neither."""
    persons = {
        row["user_id"]: (row["state"], row["email"])
        for row in await live.fetch("users", "SELECT user_id::text, state, email FROM person")
    }
    accounts = {
        row["user_id"]: (row["state"], row["email"])
        for row in await live.fetch("auth", "SELECT user_id::text, state, email FROM account")
    }
    assert {state for state, _ in persons.values()} <= {"ACTIVE", "FAILED", "DELETED"}
    for user_id, (state, email) in persons.items():
        account = accounts.get(user_id, ("REVOKED", None))
        assert account == (("ACTIVE", email) if state == "ACTIVE" else ("REVOKED", None)), (user_id, account)
    told = Counter(
        row["aggregate"]
        for row in await live.fetch(
            "users", "SELECT key AS aggregate FROM outbox WHERE topic = 'user.registered'"
        )
    )
    active_once = {user_id for user_id, (state, _) in persons.items() if state in ("ACTIVE", "DELETED")}
    assert told == Counter(active_once), "each registration is told of once"


async def _lots(live: LiveFleet) -> None:
    """The events are the truth; no lot is left spoken for, and the read model says the same."""
    await eventually(lambda: _shown(live), 20)
    rows = await live.fetch(
        "crops",
        """
        SELECT substr(stream_id, 5) AS lot_id,
               count(*) FILTER (WHERE type = 'LotTransferBegun') AS begun,
               count(*) FILTER (WHERE type = 'LotTransferred') AS done,
               count(*) FILTER (WHERE type = 'LotTransferred' AND version = 2) AS delivered,
               count(*) FILTER (WHERE type = 'LotTransferCancelled') AS cancelled,
               count(*) FILTER (WHERE type = 'LotRecalled') AS recalled
        FROM event WHERE stream_id LIKE 'lot-%' GROUP BY stream_id
        """,
    )
    done = {row["lot_id"]: row["done"] for row in rows}
    assert not [
        dict(row)
        for row in rows
        if row["begun"] != row["done"] - row["delivered"] + row["cancelled"] and not row["recalled"]
    ]
    for row in await live.fetch(
        "crops",
        """
        SELECT l.lot_id, l.owner_id, l.transfer_count, count(o.number) AS periods,
               array_agg(o.owner_id) FILTER (WHERE o.until_time IS NULL) AS present
        FROM lot_view l JOIN lot_ownership o USING (lot_id)
        GROUP BY l.lot_id, l.owner_id, l.transfer_count
        """,
    ):
        assert row["present"] == [row["owner_id"]], f"one owner each: {dict(row)}"
        assert row["transfer_count"] == row["periods"] - 1 == done[row["lot_id"]], dict(row)


async def _shown(live: LiveFleet) -> bool:
    written = await live.fetchval("crops", "SELECT max(position) FROM event")
    shown = await live.fetchval("crops", "SELECT max(position) FROM projection WHERE name = 'lots'")
    return bool(shown >= written)


async def _delivered(live: LiveFleet) -> bool:
    written: dict[str, dict[tuple[str, str], int]] = {}
    for producer in PRODUCERS:
        rows = await live.fetch(
            producer,
            """
            SELECT k.topic, k.key, k.last_seq,
                   count(o.key_seq) AS n, min(o.key_seq) AS low, max(o.key_seq) AS top
            FROM outbox_key k LEFT JOIN outbox o USING (topic, key) GROUP BY k.topic, k.key, k.last_seq
            """,
        )
        for row in rows:
            assert (row["low"], row["top"], row["n"]) == (1, row["last_seq"], row["last_seq"]), dict(row)
            written.setdefault(row["topic"], {})[row["key"], producer] = row["last_seq"]
    for consumer, topics in CONSUMED.items():
        parked = await live.fetch(consumer, "SELECT topic, key, reason FROM parked_key")
        assert not parked, [dict(row) for row in parked]
        applied: dict[str, dict[tuple[str, str], int]] = {}
        for row in await live.fetch(consumer, "SELECT topic, key, source, last_seq FROM inbox_key"):
            applied.setdefault(row["topic"], {})[row["key"], row["source"]] = row["last_seq"]
        for topic in topics:
            wanted, got = written.get(topic, {}), applied.get(topic, {})
            missing = {key: seq for key, seq in wanted.items() if got.get(key) != seq}
            assert not missing, f"{consumer} lacks {len(missing)} of {topic}: {list(missing.items())[:3]}"
    return True


async def _trace(live: LiveFleet) -> None:
    """The graph has every order in its last state, every allocation and every change of hands, once."""
    orders = {
        row["order_id"]: row["state"]
        for row in await live.fetch("orders", "SELECT order_id::text, state FROM customer_order")
    }
    traced = {
        row["order_id"]: row["state"]
        for row in await live.fetch("trace", "SELECT order_id, state FROM traced_order WHERE guest_id <> ''")
    }
    assert traced.keys() == orders.keys()
    assert {order_id: OrderState[state] for order_id, state in orders.items()} == traced
    allocated = "SELECT DISTINCT order_id::text, stock_item_id::text, menu_item_id::text FROM allocation"
    ours = {tuple(row) for row in await live.fetch("inventory", allocated)}
    assert {tuple(row) for row in await live.fetch("trace", allocated)} == ours
    owned = "SELECT lot_id, number, owner_id FROM {}"
    owners = {tuple(row) for row in await live.fetch("crops", owned.format("lot_ownership"))}
    assert {tuple(row) for row in await live.fetch("trace", owned.format("custody"))} == owners


async def _notifications(live: LiveFleet) -> None:
    """One message for each fact that people are told of; of a recall, for each person whom it reached."""
    told = await live.fetch(
        "notifications", "SELECT source, template, recall_id, user_id FROM notification WHERE recall_id <> ''"
    )
    assert len({(row["recall_id"], row["user_id"]) for row in told}) == len(told)
    assert {row["template"] for row in told} <= {"recall"}
    sent = Counter(
        (row["source"], row["template"])
        for row in await live.fetch(
            "notifications", "SELECT source, template FROM notification WHERE recall_id = ''"
        )
    )
    assert all(count == 1 or template == "lot-transferred" for (_, template), count in sent.items())
    by_template = Counter[str]()
    for (_, template), count in sent.items():
        by_template[template] += count
    wanted = Counter[str]()
    ids = "SELECT message_id::text AS id, payload FROM outbox WHERE topic = $1"
    for producer, topic, template in (
        ("orders", "order.fulfilled", "order-fulfilled"),
        ("orders", "order.failed", "order-failed"),
        ("payments", "payment.refunded", "payment-refunded"),
        ("users", "user.registered", "welcome"),
    ):
        rows = await live.fetch(producer, ids, topic)
        events = [row for row in rows if not _of_a_recall(topic, Event.FromString(row["payload"]))]
        wanted[template] = len(events)
        if template != "welcome":
            assert {source for source, name in sent if name == template} == {row["id"] for row in events}
    # Of a delivery, which is a lot's second event, nobody is told: the buyer has asked for it.
    handed_over = "SELECT count(*) FROM event WHERE type = 'LotTransferred' AND version > 2"
    done = await live.fetchval("crops", handed_over)
    wanted["lot-transferred"] = 2 * done
    told = "SELECT count(*) FROM campaign_recipient WHERE state = 'TOLD'"
    wanted["market-news"] = await live.fetchval("market", told)
    # Orders that a recall reached when the message of it had gone out.
    late = {source for source, name in sent if name == "order-recalled"}
    assert late <= {row["id"] for row in await live.fetch("orders", ids, "order.recalled")}
    wanted["order-recalled"] = len(late)
    assert by_template == +wanted


def _of_a_recall(topic: str, event: Event) -> bool:
    """Whether the guest hears of it by the recall instead."""
    if topic == "order.failed":
        failed = OrderFailed()
        return event.payload.Unpack(failed) and failed.reason == "LOT_RECALLED"
    refunded = PaymentRefunded()
    return event.payload.Unpack(refunded) and (event.actor, refunded.reason) == RECALL_REFUND
