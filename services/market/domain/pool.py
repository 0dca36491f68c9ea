"""A constant-product pool of goods against money, in whole numbers only.

Goods count in millionths of their unit, money in minor units. Whatever does not divide is left with the
pool: what leaves it is rounded down, what must be paid in is rounded up. So neither the product of the
reserves in a swap nor what a share stands for ever falls.

Source: the constant-product rule and the locked first shares are those of Uniswap v2 (Adams et al., 2020).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import isqrt
from typing import Final

from chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.money import LIMIT as MONEY_LIMIT
from chassis.money import Money
from chassis.quantity import Quantity

LIMIT: Final = 2**63 - 1
"""The largest reserve, and the largest number that any request may name."""
PLACES: Final = 6
"""Goods count in so small parts of their unit: millionths."""
BASIS: Final = 10_000
"""Basis points in a whole."""
MAX_FEE: Final = 1_000
"""The largest fee, in basis points."""
LOCKED_SHARES: Final = 1_000
"""Shares of the first deposit that belong to nobody for ever: to make one share dear, so that later deposits
round down to nothing, would cost the attacker a thousand times what a victim loses."""


class State(StrEnum):
    """Where a pool stands. LAUNCHING: funded, not open yet. CLOSED: its launch was undone."""

    OPEN = "OPEN"
    LAUNCHING = "LAUNCHING"
    CLOSED = "CLOSED"


class Side(StrEnum):
    """What the caller does with goods."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True)
class Pool:
    """Reserves of one product and one currency, and the shares in them.

    Args:
        unit: UN/ECE Rec 20 code in which its goods count.
        fee_bps: kept from what is paid in, 0 to `MAX_FEE` basis points.
        goods: millionths of `unit`.
        money: minor units of `currency`.
        shares: all of them, the locked ones included.
    """

    pool_id: str
    product_code: str
    unit: str
    currency: str
    fee_bps: int
    created_by: str
    created_at: datetime
    goods: int = 0
    money: int = 0
    shares: int = 0
    state: State = State.OPEN

    def __post_init__(self) -> None:
        if not 0 <= self.fee_bps <= MAX_FEE:
            raise InvalidArgument("FEE_INVALID", f"a fee is from 0 to {MAX_FEE} basis points")
        whole = all(0 <= number <= LIMIT for number in (self.goods, self.money, self.shares))
        if not whole or self.money >= MONEY_LIMIT:
            raise FailedPrecondition("POOL_FULL", "the pool cannot hold so much", resource=self.resource)

    @property
    def resource(self) -> tuple[str, str]:
        """As errors name it."""
        return ("pool", self.pool_id)


@dataclass(frozen=True, slots=True)
class Swap:
    """Goods against money.

    Args:
        goods: millionths that the caller gets (BUY) or gives (SELL).
        money: minor units that the caller gives (BUY) or gets (SELL).
    """

    side: Side
    goods: int
    money: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part that came into the pool or left it."""

    shares: int
    goods: int
    money: int


UNFUNDED_FOR: Final = timedelta(minutes=10)
"""So long a pool may stand without shares; then anybody may take its place."""


def is_abandoned(pool: Pool, now: datetime) -> bool:
    """Whether nobody has put anything into it in time."""
    return pool.state is State.OPEN and pool.shares == 0 and now - pool.created_at >= UNFUNDED_FOR


def require_amount(number: int, field: str) -> int:
    """A number that an amount can be.

    Raises:
        InvalidArgument: AMOUNT_INVALID, it is not from 1 to `LIMIT`.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= LIMIT:
        raise InvalidArgument(
            "AMOUNT_INVALID", f"{field} must be a whole number from 1 to 2^63-1", metadata={"field": field}
        )
    return number


def micro(quantity: Quantity, unit: str) -> int:
    """Goods in millionths of a unit, which they must be told in: converting could round.

    Raises:
        InvalidArgument: UNIT_MISMATCH; AMOUNT_INVALID, more than `LIMIT`.
    """
    if quantity.unit != unit:
        raise InvalidArgument(
            "UNIT_MISMATCH", f"the goods count in {unit} here", metadata={"from": quantity.unit, "to": unit}
        )
    return _bounded(int(quantity.amount.scaleb(PLACES)), "quantity")


def goods(millionths: int, unit: str) -> Quantity:
    """Millionths of a unit as a quantity."""
    return Quantity(Decimal(millionths).scaleb(-PLACES), unit)


def minor(money: Money, currency: str) -> int:
    """Money in minor units of the currency that it must be of.

    Raises:
        InvalidArgument: CURRENCY_MISMATCH.
    """
    if money.currency != currency:
        raise InvalidArgument("CURRENCY_MISMATCH", f"this takes {currency}, not {money.currency}")
    return money.minor


def require_open(pool: Pool) -> None:
    """Refuse a pool that is not traded.

    Raises:
        NotFound: POOL_NOT_FOUND, its launch was undone.
        FailedPrecondition: POOL_NOT_OPEN, its launch is not over.
    """
    if pool.state is State.CLOSED:
        raise NotFound("POOL_NOT_FOUND", "there is no such pool", resource=pool.resource)
    if pool.state is State.LAUNCHING:
        raise FailedPrecondition("POOL_NOT_OPEN", "the pool is not open yet", resource=pool.resource)


def amount_out(reserve_in: int, reserve_out: int, paid: int, fee_bps: int) -> int:
    """What a payment gets, rounded down; below `reserve_out` always."""
    net = paid * (BASIS - fee_bps)
    return reserve_out * net // (reserve_in * BASIS + net)


def amount_in(reserve_in: int, reserve_out: int, wanted: int, fee_bps: int) -> int:
    """What must be paid for `wanted`, which is below `reserve_out`; rounded up."""
    return _ceil(reserve_in * wanted * BASIS, (reserve_out - wanted) * (BASIS - fee_bps))


def buy_exactly(pool: Pool, goods: int, max_money: int) -> tuple[Pool, Swap]:
    """Take so many goods for at most so much money.

    Raises:
        InvalidArgument: AMOUNT_INVALID.
        NotFound, FailedPrecondition: POOL_NOT_FOUND, POOL_NOT_OPEN, LIQUIDITY_EXCEEDED, SLIPPAGE_EXCEEDED,
            POOL_FULL.
    """
    _check(pool, goods=goods, max_money=max_money)
    _require_liquidity(pool, goods < pool.goods)
    money = amount_in(pool.money, pool.goods, goods, pool.fee_bps)
    _require_price(pool, money <= max_money, "money", money)
    return _swapped(pool, Swap(Side.BUY, goods, money))


def buy_for(pool: Pool, money: int, min_goods: int) -> tuple[Pool, Swap]:
    """Pay so much for at least so many goods. Raises as `buy_exactly`."""
    _check(pool, money=money, min_goods=min_goods)
    _require_liquidity(pool, bool(pool.goods and pool.money))
    goods = amount_out(pool.money, pool.goods, money, pool.fee_bps)
    _require_price(pool, goods >= min_goods, "goods", goods)
    return _swapped(pool, Swap(Side.BUY, goods, money))


def sell(pool: Pool, goods: int, min_money: int) -> tuple[Pool, Swap]:
    """Give so many goods for at least so much money. Raises as `buy_exactly`."""
    _check(pool, goods=goods, min_money=min_money)
    _require_liquidity(pool, bool(pool.goods and pool.money))
    money = amount_out(pool.goods, pool.money, goods, pool.fee_bps)
    _require_price(pool, money >= min_money, "money", money)
    return _swapped(pool, Swap(Side.SELL, goods, money))


def sell_for(pool: Pool, money: int, max_goods: int) -> tuple[Pool, Swap]:
    """Get so much money for at most so many goods. Raises as `buy_exactly`."""
    _check(pool, money=money, max_goods=max_goods)
    _require_liquidity(pool, money < pool.money)
    goods = amount_in(pool.goods, pool.money, money, pool.fee_bps)
    _require_price(pool, goods <= max_goods, "goods", goods)
    return _swapped(pool, Swap(Side.SELL, goods, money))


def add_liquidity(pool: Pool, max_goods: int, max_money: int, min_shares: int = 1) -> tuple[Pool, Share]:
    """Put goods and money in, in the ratio of the reserves; the first deposit sets the ratio.

    Returns:
        The pool, and what was taken and how many shares the depositor gets for it.

    Raises:
        InvalidArgument: AMOUNT_INVALID.
        NotFound: POOL_NOT_FOUND.
        FailedPrecondition: LIQUIDITY_TOO_SMALL, not one share comes of it, or of a first deposit not more
            than the locked ones; SLIPPAGE_EXCEEDED; POOL_FULL.
    """
    _check_numbers(max_goods=max_goods, max_money=max_money, min_shares=min_shares)
    if pool.state is State.CLOSED:
        require_open(pool)
    if pool.shares == 0:
        made = isqrt(max_goods * max_money)
        part = Share(made - LOCKED_SHARES, max_goods, max_money)
    else:
        made = min(max_goods * pool.shares // pool.goods, max_money * pool.shares // pool.money)
        part = Share(made, _ceil(made * pool.goods, pool.shares), _ceil(made * pool.money, pool.shares))
    if part.shares < 1:
        raise FailedPrecondition("LIQUIDITY_TOO_SMALL", "too little for a share", resource=pool.resource)
    _require_price(pool, part.shares >= min_shares, "shares", part.shares)
    grown = replace(
        pool, goods=pool.goods + part.goods, money=pool.money + part.money, shares=pool.shares + made
    )
    return grown, part


def remove_liquidity(pool: Pool, shares: int, min_goods: int = 0, min_money: int = 0) -> tuple[Pool, Share]:
    """Take out what shares stand for.

    Raises:
        InvalidArgument: AMOUNT_INVALID.
        NotFound: POOL_NOT_FOUND.
        FailedPrecondition: POOL_NOT_OPEN, SHARES_EXCEEDED, SLIPPAGE_EXCEEDED; LIQUIDITY_TOO_SMALL, it would
            be nothing.
    """
    _check(pool, shares=shares)
    if shares > pool.shares - LOCKED_SHARES:
        raise FailedPrecondition("SHARES_EXCEEDED", "the pool has fewer shares", resource=pool.resource)
    part = Share(shares, shares * pool.goods // pool.shares, shares * pool.money // pool.shares)
    if not part.goods and not part.money:
        raise FailedPrecondition(
            "LIQUIDITY_TOO_SMALL", "these shares stand for nothing whole", resource=pool.resource
        )
    _require_price(pool, part.goods >= min_goods, "goods", part.goods)
    _require_price(pool, part.money >= min_money, "money", part.money)
    shrunk = replace(
        pool, goods=pool.goods - part.goods, money=pool.money - part.money, shares=pool.shares - shares
    )
    return shrunk, part


def drain(pool: Pool) -> tuple[Pool, Share]:
    """Undo a launch: close the pool and give everything back, which is all its launcher's.

    Raises:
        FailedPrecondition: POOL_OPEN, others have traded with it.
    """
    if pool.state is State.OPEN:
        raise FailedPrecondition("POOL_OPEN", "an open pool is not drained", resource=pool.resource)
    part = Share(max(pool.shares - LOCKED_SHARES, 0), pool.goods, pool.money)
    return replace(pool, goods=0, money=0, shares=0, state=State.CLOSED), part


def _bounded(number: int, field: str) -> int:
    return require_amount(number, field) if number else 0


def _swapped(pool: Pool, swap: Swap) -> tuple[Pool, Swap]:
    sign = 1 if swap.side is Side.SELL else -1
    return replace(pool, goods=pool.goods + sign * swap.goods, money=pool.money - sign * swap.money), swap


def _check(pool: Pool, **numbers: int) -> None:
    _check_numbers(**numbers)
    require_open(pool)


def _check_numbers(**numbers: int) -> None:
    for field, number in numbers.items():
        require_amount(number, field)


def _require_liquidity(pool: Pool, enough: bool) -> None:
    if not enough:
        raise FailedPrecondition(
            "LIQUIDITY_EXCEEDED",
            "the pool does not hold enough",
            metadata={"goods_micro": str(pool.goods), "money_minor": str(pool.money)},
            resource=pool.resource,
        )


def _require_price(pool: Pool, kept: bool, what: str, number: int) -> None:
    if not kept:
        raise FailedPrecondition(
            "SLIPPAGE_EXCEEDED",
            f"the limit is not kept: it would be {number} of {what}",
            metadata={what: str(number)},
            resource=pool.resource,
        )


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
