"""What everyone has with the market: goods, money and shares, in double entry.

Nothing is made and nothing is lost within the market: each movement adds up to zero for each asset. What
comes from outside and what goes there passes through the account `OUTSIDE`, whose balance is the negative of
all that the market holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chassis.errors import FailedPrecondition
from chassis.money import LIMIT as MONEY_LIMIT
from services.market.domain.pool import LIMIT, LOCKED_SHARES, Pool, Share, Side, Swap

OUTSIDE: Final = "outside"
NOBODY: Final = "nobody"
"""Has the locked shares."""
_GOODS, _MONEY, _SHARE = "goods:", "money:", "share:"
MAX_DEPOSIT: Final[Mapping[str, int]] = {_GOODS: LIMIT // 10_000, _MONEY: MONEY_LIMIT // 10_000}
"""The most that is brought in at once: so little of a limit that those under way cannot reach it."""


class Kind(StrEnum):
    """Why something moved."""

    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    RETURN = "RETURN"
    SWAP = "SWAP"
    LIQUIDITY_ADDED = "LIQUIDITY_ADDED"
    LIQUIDITY_REMOVED = "LIQUIDITY_REMOVED"
    DRAIN = "DRAIN"
    WRITE_OFF = "WRITE_OFF"

    @property
    def has_happened(self) -> bool:
        """Whether it books what has come in already, so that it cannot be refused for want of room."""
        return self in (Kind.DEPOSIT, Kind.RETURN)


@dataclass(frozen=True, slots=True, order=True)
class Posting:
    """So much more (or less, when negative) of an asset on somebody's account."""

    holder: str
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class Movement:
    """Postings that stand and fall together.

    Args:
        movement_id: names it for ever; the same id moves nothing again.

    Raises:
        ValueError: they do not add up to zero for each asset.
    """

    movement_id: str
    kind: Kind
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if any(sums(self.postings).values()):
            raise ValueError(f"movement {self.movement_id} is not balanced")


def sums(postings: Iterable[Posting]) -> Mapping[str, int]:
    """What postings add up to, by asset."""
    total: dict[str, int] = {}
    for posting in postings:
        total[posting.asset] = total.get(posting.asset, 0) + posting.amount
    return total


def goods_asset(product_code: str, unit: str) -> str:
    """The account of a product, in millionths of a unit."""
    return f"{_GOODS}{product_code}:{unit}"


def money_asset(currency: str) -> str:
    """The account of a currency, in minor units."""
    return f"{_MONEY}{currency}"


def share_asset(pool_id: str) -> str:
    """The account of shares in a pool."""
    return f"{_SHARE}{pool_id}"


def user(user_id: str) -> str:
    """A person as holder."""
    return f"user:{user_id}"


def reserve(pool_id: str) -> str:
    """A pool as holder of its reserves."""
    return f"pool:{pool_id}"


def deposit(movement_id: str, holder: str, asset: str, amount: int) -> Movement:
    """From outside."""
    return _between(movement_id, Kind.DEPOSIT, OUTSIDE, holder, {asset: amount})


def withdrawal(movement_id: str, holder: str, asset: str, amount: int) -> Movement:
    """To the outside."""
    return _between(movement_id, Kind.WITHDRAWAL, holder, OUTSIDE, {asset: amount})


def given_back(movement_id: str, holder: str, asset: str, amount: int) -> Movement:
    """A withdrawal that did not come about."""
    return _between(movement_id, Kind.RETURN, OUTSIDE, holder, {asset: amount})


def swapped(movement_id: str, holder: str, pool: Pool, swap: Swap) -> Movement:
    """A swap of somebody with a pool."""
    sign = 1 if swap.side is Side.BUY else -1
    flows = {
        goods_asset(pool.product_code, pool.unit): sign * swap.goods,
        money_asset(pool.currency): -sign * swap.money,
    }
    return _between(movement_id, Kind.SWAP, reserve(pool.pool_id), holder, flows)


def added(movement_id: str, holder: str, before: Pool, part: Share) -> Movement:
    """Somebody's deposit into a pool; shares are made of nothing, so the outside owes them."""
    share = share_asset(before.pool_id)
    locked = 0 if before.shares else LOCKED_SHARES
    postings = [
        *_flows(holder, reserve(before.pool_id), _parts(before, part)),
        *_flows(OUTSIDE, holder, {share: part.shares}),
        *_flows(OUTSIDE, NOBODY, {share: locked}),
    ]
    return Movement(movement_id, Kind.LIQUIDITY_ADDED, _merged(postings))


def removed(movement_id: str, holder: str, pool: Pool, part: Share) -> Movement:
    """Somebody's part of a pool taken out."""
    postings = [
        *_flows(reserve(pool.pool_id), holder, _parts(pool, part)),
        *_flows(holder, OUTSIDE, {share_asset(pool.pool_id): part.shares}),
    ]
    return Movement(movement_id, Kind.LIQUIDITY_REMOVED, _merged(postings))


def drained(movement_id: str, holder: str, before: Pool, part: Share) -> Movement:
    """All that a launch put in, back to who launched."""
    share = share_asset(before.pool_id)
    locked = before.shares - part.shares
    postings = [
        *_flows(reserve(before.pool_id), holder, _parts(before, part)),
        *_flows(holder, OUTSIDE, {share: part.shares}),
        *_flows(NOBODY, OUTSIDE, {share: locked}),
    ]
    return Movement(movement_id, Kind.DRAIN, _merged(postings))


def require_room(asset: str, amount: int, balance: int, held: int) -> None:
    """Refuse a deposit before it comes in, while half of each limit is still free for those under way.

    Args:
        balance: what the depositor has of the asset.
        held: what the market holds of it.

    Raises:
        FailedPrecondition: POOL_FULL.
    """
    kind = _MONEY if asset.startswith(_MONEY) else _GOODS
    limit = MONEY_LIMIT if kind is _MONEY else LIMIT
    if amount > MAX_DEPOSIT[kind] or balance + amount > limit // 2 or held + amount > LIMIT // 2:
        raise _full(asset)


def require_covered(holder: str, asset: str, balance: int, *, bounded: bool = True) -> None:
    """Refuse what a movement would make of a balance.

    Args:
        bounded: whether `LIMIT` counts, as it does for whatever has not happened yet. Default True.

    Raises:
        FailedPrecondition: BALANCE_EXCEEDED, it would be negative; POOL_FULL, it would exceed `LIMIT`.
    """
    if holder != OUTSIDE and balance < 0:
        raise FailedPrecondition(
            "BALANCE_EXCEEDED",
            "the balance does not cover this",
            metadata={"asset": asset, "missing": str(-balance)},
        )
    limit = MONEY_LIMIT - 1 if asset.startswith(_MONEY) and holder != OUTSIDE else LIMIT
    if bounded and abs(balance) > limit:
        raise _full(asset)


def _full(asset: str) -> FailedPrecondition:
    return FailedPrecondition("POOL_FULL", "the market cannot hold so much", metadata={"asset": asset})


def _parts(pool: Pool, part: Share) -> dict[str, int]:
    return {
        goods_asset(pool.product_code, pool.unit): part.goods,
        money_asset(pool.currency): part.money,
    }


def _between(movement_id: str, kind: Kind, giver: str, taker: str, flows: Mapping[str, int]) -> Movement:
    return Movement(movement_id, kind, _merged(_flows(giver, taker, flows)))


def _flows(giver: str, taker: str, flows: Mapping[str, int]) -> list[Posting]:
    return [
        posting
        for asset, amount in flows.items()
        for posting in (Posting(giver, asset, -amount), Posting(taker, asset, amount))
    ]


def _merged(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    total: dict[tuple[str, str], int] = {}
    for posting in postings:
        account = (posting.holder, posting.asset)
        total[account] = total.get(account, 0) + posting.amount
    return tuple(
        Posting(holder, asset, amount) for (holder, asset), amount in sorted(total.items()) if amount
    )
