"""Swaps as domain events."""

from chassis.database import Database
from chassis.money import Money
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_to_proto, quantity_to_proto
from greenledger.market.v1 import events_pb2 as pb
from services.market.adapters.pool_codec import SIDES
from services.market.application.pool_ports import SwapRecord
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
