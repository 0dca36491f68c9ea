"""What must hold of recalls in a fleet at rest."""

from collections import Counter
from typing import Any

from fleet.testing.live import LiveFleet
from greenledger.events.v1.event_pb2 import Event
from greenledger.inventory.v1 import events_pb2 as inventory_events
from greenledger.orders.v1 import events_pb2 as order_events

_SERVED_OF_BLOCKED_STOCK = """
SELECT DISTINCT order_id::text
FROM allocation JOIN reservation USING (order_id) JOIN stock_item USING (stock_item_id)
WHERE quarantined AND state = 'CONSUMED'
"""


async def recalls_heard(live: LiveFleet) -> bool:
    """Orders has begun to see to all that inventory tells of."""
    told = await live.fetchval(
        "inventory", "SELECT count(*) FROM outbox WHERE topic = 'inventory.order-affected'"
    )
    heard = await live.fetchval(
        "orders", "SELECT coalesce(sum(last_seq), 0) FROM inbox_key WHERE topic = 'inventory.order-affected'"
    )
    return bool(told == heard)


async def recalls_seen_to(live: LiveFleet, orders: dict[str, dict[str, Any]]) -> None:
    """Each order that a recall reached is told of once for it; whoever was served of it has all back."""
    affected = await live.fetch("inventory", "SELECT recall_id, order_id::text, consumed FROM affected_order")
    of_orders = [row for row in affected if row["order_id"] in orders]
    wanted = Counter((row["recall_id"], row["order_id"]) for row in of_orders)
    for service, topic, message in (
        ("inventory", "inventory.order-affected", inventory_events.OrderAffected),
        ("orders", "order.recalled", order_events.OrderRecalled),
    ):
        told = Counter[tuple[str, str]]()
        for row in await live.fetch(service, "SELECT payload FROM outbox WHERE topic = $1", topic):
            event = message()
            assert Event.FromString(row["payload"]).payload.Unpack(event)
            told[event.recall_id, event.order_id] += 1
        assert {each: count for each, count in told.items() if each[1] in orders} == wanted, topic
    for row in of_orders:
        order = orders[row["order_id"]]
        assert row["recall_id"] in order["recall_ids"], (dict(row), order)
        if row["consumed"]:
            assert order["refunded_minor"] == order["total_minor"], (dict(row), order)
    for row in await live.fetch("inventory", _SERVED_OF_BLOCKED_STOCK):
        served = orders.get(row["order_id"])
        assert served is None or served["refunded_minor"] == served["total_minor"], served
    reached = {row["order_id"] for row in of_orders}
    assert not [order for id, order in orders.items() if id not in reached and order["refunded_minor"]]
