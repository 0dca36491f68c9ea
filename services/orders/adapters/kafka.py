"""Order facts as domain events, and recalls that reach orders."""

from google.protobuf.message import Message

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_to_proto
from greenledger.inventory.v1 import events_pb2 as inventory_pb
from greenledger.orders.v1 import events_pb2 as pb
from services.orders.adapters.codec import line_to_proto
from services.orders.application.recalled_order import AffectedOrder, SeeToAffectedOrder
from services.orders.domain.events import Confirmed, Failed, Fulfilled, OrderEvent, Placed, Recalled


class OrderEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, event: OrderEvent) -> None:
        topic, payload = _encode(event)
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication(topic, event.order.order_id, payload, "order")])


def affected_orders(see_to: SeeToAffectedOrder) -> Subscription[inventory_pb.OrderAffected]:
    """Stops or refunds the orders that a recall reaches."""

    async def handle(event: ReceivedEvent[inventory_pb.OrderAffected], _tx: Transaction) -> None:
        told = event.payload
        await see_to(AffectedOrder(told.order_id, told.recall_id, tuple(told.lot_ids), told.consumed))

    return Subscription("inventory.order-affected", inventory_pb.OrderAffected, handle)


def _encode(event: OrderEvent) -> tuple[str, Message]:
    order = event.order
    ids = {"order_id": order.order_id, "guest_id": order.guest_id, "venue_id": order.venue_id}
    total = money_to_proto(order.total)
    match event:
        case Placed():
            lines = map(line_to_proto, order.lines)
            return "order.placed", pb.OrderPlaced(**ids, lines=lines, total=total)
        case Confirmed():
            return "order.confirmed", pb.OrderConfirmed(**ids)
        case Fulfilled():
            return "order.fulfilled", pb.OrderFulfilled(**ids, total=total)
        case Failed():
            return "order.failed", pb.OrderFailed(**ids, reason=order.failure_reason)
        case Recalled():
            return "order.recalled", pb.OrderRecalled(
                **ids,
                recall_id=event.recall_id,
                lot_ids=event.lot_ids,
                served=event.served,
                refunded=money_to_proto(event.refunded),
                unaffected=event.unaffected,
            )
    raise TypeError(f"no topic for {event!r}")
