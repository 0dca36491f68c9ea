"""Goods that have expired are nobody's any more: who bears that.

First who brought them, as far as they still have of the product; then the pools' reserves, each by its part.
What neither bears stays uncovered: nothing is taken from what others bought.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.market.domain.pool import Pool
from services.market.domain.pool_ledger import (
    OUTSIDE,
    Kind,
    Movement,
    Posting,
    goods_asset,
    reserve,
    user,
)
from services.market.domain.pool_settlement import VaultLot


@dataclass(frozen=True, slots=True)
class WriteOff:
    """What is taken off the balances for a vault lot.

    Args:
        amount: in all; at most what remains of the lot.
        pools: those whose reserves bear a part, as they are afterwards.
    """

    amount: int
    movement: Movement
    pools: tuple[Pool, ...]


def write_off(movement_id: str, lot: VaultLot, balance: int, pools: Sequence[Pool]) -> WriteOff | None:
    """What is to be taken off for an expired lot; None where nothing can be.

    Args:
        balance: what the lot's owner has of the product.
        pools: the open ones of the product, of which each keeps a millionth, so that it keeps a price.
    """
    asset = goods_asset(lot.product_code, lot.unit)
    own = min(lot.remaining, balance)
    parts = _parts([max(pool.goods - 1, 0) for pool in pools], lot.remaining - own)
    borne = [(pool, part) for pool, part in zip(pools, parts, strict=True) if part]
    amount = own + sum(part for _, part in borne)
    if not amount:
        return None
    postings = [Posting(reserve(pool.pool_id), asset, -part) for pool, part in borne]
    if own:
        postings.append(Posting(user(lot.owner_id), asset, -own))
    postings.append(Posting(OUTSIDE, asset, amount))
    movement = Movement(movement_id, Kind.WRITE_OFF, tuple(sorted(postings)))
    return WriteOff(amount, movement, tuple(replace(pool, goods=pool.goods - part) for pool, part in borne))


def _parts(spare: Sequence[int], wanted: int) -> list[int]:
    """So much of each, in proportion; what does not divide is the first ones'."""
    whole = sum(spare)
    charged = min(wanted, whole)
    parts = [charged * each // whole if whole else 0 for each in spare]
    left = charged - sum(parts)
    for number, each in enumerate(spare):
        more = min(left, each - parts[number])
        parts[number] += more
        left -= more
    return parts
