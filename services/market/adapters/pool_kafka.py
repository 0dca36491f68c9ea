"""Swaps as domain events."""

from typing import Any

from chassis.database import Database, Transaction
from chassis.ids import IdSource
from chassis.inbox import ReceivedEvent, Subscription
from chassis.money import Money
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_from_proto, money_to_proto, quantity_to_proto
from greenledger.market.v1 import events_pb2 as pb
from greenledger.payments.v1 import events_pb2 as payments_pb
from services.market.adapters.pool_codec import SIDES
from services.market.application.pool_ports import Deposits, Ledger, SwapRecord
from services.market.application.pool_settle_saga import take_refunded
from services.market.domain.pool import goods


class OutboxPoolEvents:
    """Implements `PoolEvents`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def swapped(self, record: SwapRecord) -> None:
        pool, swap = record.pool, record.swap
        payload = pb.Swapped(
            swap_id=record.swap_id,
            pool_id=pool.pool_id,
            product_code=pool.product_code,
            user_id=record.user_id,
            side=SIDES[swap.side],
            goods=quantity_to_proto(goods(swap.goods, pool.unit)),
            money=money_to_proto(Money(swap.money, pool.currency)),
            goods_after=quantity_to_proto(goods(pool.goods, pool.unit)),
            money_after=money_to_proto(Money(pool.money, pool.currency)),
        )
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication("market.swapped", pool.pool_id, payload, "pool")])


def refund_subscriptions(books: Ledger, deposits: Deposits, ids: IdSource) -> list[Subscription[Any]]:
    """Refunds of deposits, of which those by others than the market lower a balance."""

    async def refunded(event: ReceivedEvent[payments_pb.PaymentRefunded], _tx: Transaction) -> None:
        total = money_from_proto(event.payload.refunded_total).minor
        await take_refunded(books, deposits, ids.uuid7(), event.payload.order_id, total)

    return [Subscription("payment.refunded", payments_pb.PaymentRefunded, refunded)]
