"""The topics that say how far a recall has come, some of which the graph listens to, too."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from chassis.database import Transaction
from chassis.inbox import ReceivedEvent, Subscription
from greenledger.catalog.v1 import events_pb2 as catalog
from greenledger.crops.v1 import events_pb2 as crops
from greenledger.inventory.v1 import events_pb2 as inventory
from greenledger.notifications.v1 import events_pb2 as notifications
from greenledger.orders.v1 import events_pb2 as orders
from services.trace.adapters.recall_writer import PostgresRecallWriter

PAYLOADS: dict[str, type[Message]] = {
    "crop.recalled": crops.LotRecalled,
    "crop.recall-released": crops.LotRecallReleased,
    "inventory.quarantined": inventory.StockQuarantined,
    "inventory.order-affected": inventory.OrderAffected,
    "catalog.menu-item-delisted": catalog.MenuItemDelisted,
    "order.recalled": orders.OrderRecalled,
    "notification.sent": notifications.NotificationSent,
    "notification.failed": notifications.NotificationFailed,
}


def with_recalls(graph: Sequence[Subscription[Any]], writer: PostgresRecallWriter) -> list[Subscription[Any]]:
    """What the graph listens to and what recalls need, in one subscription for each topic."""
    known = {subscription.topic: subscription for subscription in graph}
    return [
        *(entry for entry in graph if entry.topic not in PAYLOADS),
        *(_listen(topic, payload, known.get(topic), writer) for topic, payload in PAYLOADS.items()),
    ]


def _listen(
    topic: str, payload: type[Message], graph: Subscription[Any] | None, writer: PostgresRecallWriter
) -> Subscription[Any]:
    first = graph.batch_handler if graph else None

    async def apply(events: Sequence[ReceivedEvent[Any]], tx: Transaction) -> None:
        if first is not None:
            await first(events, tx)  # the graph before the recalls, as everyone who locks rows of both
        await writer.add(topic, events)

    if graph is not None:
        return replace(graph, batch_handler=apply)
    return Subscription(topic, payload, batch_handler=apply)
