"""Make pools, swap with them, hold shares in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chassis.clock import Clock
from chassis.errors import AlreadyExists, InvalidArgument, NotFound
from chassis.ids import IdSource
from chassis.money import LIMIT as MONEY_LIMIT
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.market.application.pool_ports import Ledger, PoolEvents, Pools, SwapRecord, Vault
from services.market.domain import pool_ledger as ledger
from services.market.domain.pool import (
    LIMIT,
    Pool,
    Share,
    Side,
    State,
    Swap,
    add_liquidity,
    buy_exactly,
    buy_for,
    is_abandoned,
    micro,
    minor,
    remove_liquidity,
    require_open,
    sell,
    sell_for,
)


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a pool.

    Args:
        exact: what is given or got exactly.
        limit: the most that is given, or the least that is got, of the other; None for a question.
    """

    side: Side
    exact: Quantity | Money
    limit: Quantity | Money | None = None

    def on(self, pool: Pool) -> tuple[Pool, Swap]:
        """The pool after it, and what changed hands; refusals as those of `domain.pool`."""
        if isinstance(self.exact, Quantity):
            goods = micro(self.exact, pool.unit)
            if self.side is Side.BUY:
                return buy_exactly(pool, goods, self._money(pool, MONEY_LIMIT - 1))
            return sell(pool, goods, self._money(pool, 1))
        money = minor(self.exact, pool.currency)
        if self.side is Side.BUY:
            return buy_for(pool, money, self._goods(pool, 1))
        return sell_for(pool, money, self._goods(pool, LIMIT))

    def _money(self, pool: Pool, default: int) -> int:
        if isinstance(self.limit, Quantity):
            raise InvalidArgument("AMOUNT_INVALID", "the limit must be one of money")
        return default if self.limit is None else minor(self.limit, pool.currency)

    def _goods(self, pool: Pool, default: int) -> int:
        if isinstance(self.limit, Money):
            raise InvalidArgument("AMOUNT_INVALID", "the limit must be one of goods")
        return default if self.limit is None else micro(self.limit, pool.unit)


async def add_pool(pools: Pools, pool: Pool) -> None:
    """Store a new pool, in the place of one that nobody has funded in time.

    Raises:
        AlreadyExists: POOL_EXISTS.
    """
    present = await pools.like(pool, lock=True)
    if present is not None and is_abandoned(present, pool.created_at):
        await pools.save(replace(present, state=State.CLOSED))
    if not await pools.add(pool):
        raise pool_exists(pool)


def pool_exists(pool: Pool) -> AlreadyExists:
    """The refusal of a second pool."""
    return AlreadyExists(
        "POOL_EXISTS", f"there is a pool of {pool.product_code} in {pool.unit} and {pool.currency}"
    )


class PoolCommands:
    """Every change locks the pool's row, so that each decides on the reserves that it changes."""

    def __init__(
        self,
        transactions: Transactions,
        pools: Pools,
        books: Ledger,
        vault: Vault,
        events: PoolEvents,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._pools = pools
        self._ledger = books
        self._vault = vault
        self._events = events
        self._clock = clock
        self._ids = ids

    async def create(
        self,
        user_id: str,
        product_code: str,
        unit: str,
        currency: str,
        fee_bps: int,
    ) -> Pool:
        """An empty pool, in the place of one that nobody has funded in time.

        Raises:
            InvalidArgument: UNIT_UNKNOWN, FEE_INVALID.
            AlreadyExists: POOL_EXISTS.
        """
        Quantity.of(0, unit)
        pool = Pool(
            self._ids.uuid7(),
            product_code,
            unit,
            currency,
            fee_bps,
            user_id,
            self._clock.now(),
        )
        async with self._transactions.transaction():
            await add_pool(self._pools, pool)
        return pool

    async def require_none_like(self, pool: Pool) -> None:
        """Refuse what there is a pool for.

        Raises:
            AlreadyExists: POOL_EXISTS.
        """
        present = await self._pools.like(pool)
        if present is not None and not is_abandoned(present, pool.created_at):
            raise pool_exists(pool)

    async def get(self, pool_id: str, *, lock: bool = False) -> Pool:
        """One pool.

        Raises:
            NotFound: POOL_NOT_FOUND.
        """
        pool = await self._pools.get(pool_id, lock=lock)
        if pool is None or pool.state is State.CLOSED:
            raise NotFound("POOL_NOT_FOUND", "there is no such pool", resource=("pool", pool_id))
        return pool

    async def page(self, product_code: str | None, before: str | None, limit: int) -> Sequence[Pool]:
        """Pools older than the id `before`, newest first, at most `limit`."""
        return await self._pools.page(product_code, before, limit)

    async def swaps(self, pool_id: str, before: str | None, limit: int) -> Sequence[SwapRecord]:
        """Swaps of a pool older than the id `before`, newest first, at most `limit`."""
        return await self._pools.swaps(await self.get(pool_id), before, limit)

    async def quote(self, pool_id: str, order: Order) -> tuple[Pool, Swap]:
        """What an order without limit would do now. Raises as `swap`, but for the balance."""
        return order.on(await self.get(pool_id))

    async def swap(self, user_id: str, pool_id: str, order: Order) -> SwapRecord:
        """Make a swap, within the order's limit or not at all.

        Raises:
            NotFound: POOL_NOT_FOUND.
            InvalidArgument: UNIT_MISMATCH, CURRENCY_MISMATCH, AMOUNT_INVALID.
            FailedPrecondition: POOL_NOT_OPEN, LIQUIDITY_EXCEEDED, SLIPPAGE_EXCEEDED, POOL_FULL,
                BALANCE_EXCEEDED; GOODS_NOT_COVERED, nobody trades what may not be sold.
        """
        async with self._transactions.transaction():
            pool = await self.get(pool_id, lock=True)
            after, swap = order.on(pool)
            now = self._clock.now()
            leaving = swap.goods if swap.side is Side.BUY else 0
            await self._vault.require_cover(pool.product_code, pool.unit, leaving, now)
            record = SwapRecord(self._ids.uuid7(), user_id, swap, after, now)
            await self._ledger.apply(ledger.swapped(record.swap_id, ledger.user(user_id), pool, swap))
            await self._pools.save(after)
            await self._pools.add_swap(record)
            await self._events.swapped(record)
        return record

    async def add(
        self, user_id: str, pool_id: str, max_goods: Quantity, max_money: Money, min_shares: int
    ) -> tuple[Pool, Share]:
        """Put goods and money in for shares. Raises as `swap`, and LIQUIDITY_TOO_SMALL."""

        def decide(pool: Pool) -> tuple[Pool, Share]:
            require_open(pool)
            goods, money = micro(max_goods, pool.unit), minor(max_money, pool.currency)
            return add_liquidity(pool, goods, money, min_shares or 1)

        return await self._change(user_id, pool_id, decide, ledger.added)

    async def remove(
        self, user_id: str, pool_id: str, shares: int, min_goods: Quantity | None, min_money: Money | None
    ) -> tuple[Pool, Share]:
        """Take out what shares stand for. Raises as `swap`, and SHARES_EXCEEDED, LIQUIDITY_TOO_SMALL."""

        def decide(pool: Pool) -> tuple[Pool, Share]:
            goods = micro(min_goods, pool.unit) if min_goods else 0
            money = minor(min_money, pool.currency) if min_money else 0
            return remove_liquidity(pool, shares, goods, money)

        return await self._change(user_id, pool_id, decide, ledger.removed)

    async def _change(
        self,
        user_id: str,
        pool_id: str,
        decide: Callable[[Pool], tuple[Pool, Share]],
        entry: Callable[[str, str, Pool, Share], ledger.Movement],
    ) -> tuple[Pool, Share]:
        async with self._transactions.transaction():
            pool = await self.get(pool_id, lock=True)
            after, part = decide(pool)
            await self._ledger.apply(entry(self._ids.uuid7(), ledger.user(user_id), pool, part))
            await self._pools.save(after)
        return after, part
