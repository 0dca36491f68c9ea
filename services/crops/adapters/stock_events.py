"""What crops hears of goods that left the stock of venues."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from chassis.database import Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.protobuf import quantity_from_proto
from chassis.quantity import Quantity
from greenledger.inventory.v1 import events_pb2 as inventory
from services.crops.application.serve_orders import ServeOrders
from services.crops.domain.serving import Serving


def served_orders(serve: ServeOrders) -> Subscription[inventory.StockConsumed]:
    """Records in batches what was served: a lot that many order costs one append for all of them."""

    async def apply(events: Sequence[ReceivedEvent[inventory.StockConsumed]], _tx: Transaction) -> None:
        await serve([serving for event in events for serving in _servings(event)])

    return Subscription("inventory.consumed", inventory.StockConsumed, batch_handler=apply)


def _servings(event: ReceivedEvent[inventory.StockConsumed]) -> Iterator[Serving]:
    order = event.payload
    parts: dict[str, list[tuple[str, Quantity]]] = defaultdict(list)
    for each in order.allocations:
        parts[each.lot_id].append((each.stock_item_id, quantity_from_proto(each.quantity)))
    for lot_id, taken in parts.items():
        yield Serving(lot_id, order.order_id, order.venue_id, tuple(taken), event.occurred_time)
