"""Take goods that have expired off the balances, so that what is left is covered again."""

import structlog

from chassis.clock import Clock
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.market.application.pool_ports import Ledger, Pools, Vault
from services.market.domain import pool_ledger as ledger
from services.market.domain.pool_settlement import VaultLot
from services.market.domain.write_off import write_off

BATCH = 100
_log = structlog.get_logger(__name__)


class WriteOffExpired:
    """Each lot in its own transaction, in which what remains of it falls by what is taken off: so once,
    however often it is tried and by however many replicas."""

    def __init__(
        self,
        transactions: Transactions,
        pools: Pools,
        books: Ledger,
        vault: Vault,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._pools = pools
        self._ledger = books
        self._vault = vault
        self._clock = clock
        self._ids = ids

    async def __call__(self) -> None:
        """All that have expired by now.

        Raises:
            DomainError: the database cannot do it now; the next time goes on with it.
        """
        now, after = self._clock.now(), None
        while lots := await self._vault.expired(now, after, BATCH):
            for lot in lots:
                await self._take_off(lot)
            after = lots[-1].deposit_id

    async def _take_off(self, seen: VaultLot) -> None:
        async with self._transactions.transaction():
            pools = await self._pools.locked_of(seen.product_code, seen.unit)
            asset = ledger.goods_asset(seen.product_code, seen.unit)
            balance = await self._ledger.lock(ledger.user(seen.owner_id), asset)
            lot = await self._vault.get(seen.deposit_id)
            made = write_off(self._ids.uuid7(), lot, balance, pools) if lot else None
            if made is None:
                return
            await self._ledger.apply(made.movement)
            await self._vault.lower(seen.deposit_id, made.amount)
            for pool in made.pools:
                await self._pools.save(pool)
        _log.info("pool.goods_written_off", lot_id=seen.lot_id, micro=made.amount)
