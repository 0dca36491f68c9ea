"""Who bears goods that have expired."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.market.domain.pool import Pool
from services.market.domain.pool_ledger import OUTSIDE
from services.market.domain.pool_settlement import VaultLot
from services.market.domain.write_off import write_off

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LOT = VaultLot("d", "l", "c", "ann", "kale", "KGM", 10, NOW)
POOL = Pool("p", "kale", "KGM", "EUR", 30, "ann", NOW, goods=100, money=100, shares=2_000)


def test_who_brought_the_goods_bears_them_first() -> None:
    made = write_off("m", LOT, 10, [POOL])
    assert made is not None
    assert (made.amount, made.pools) == (10, ())
    rest = write_off("m", LOT, 4, [POOL])
    assert rest is not None
    assert (rest.amount, [pool.goods for pool in rest.pools]) == (10, [94])


def test_nothing_is_taken_where_nothing_is() -> None:
    assert write_off("m", LOT, 0, []) is None
    assert write_off("m", LOT, 0, [replace(POOL, goods=0, shares=0)]) is None


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=5))
def test_as_much_is_taken_as_can_be_and_each_reserve_keeps_something(
    remaining: int, balance: int, reserves: list[int]
) -> None:
    pools = [replace(POOL, pool_id=str(number), goods=goods) for number, goods in enumerate(reserves)]
    made = write_off("m", replace(LOT, remaining=remaining), balance, pools)
    bearable = balance + sum(max(goods - 1, 0) for goods in reserves)
    assert (made.amount if made else 0) == min(remaining, bearable)
    if made is not None:
        lowered = {posting.holder: -posting.amount for posting in made.movement.postings}
        assert lowered.pop(OUTSIDE) == -made.amount
        assert lowered.pop("user:ann", 0) == min(remaining, balance)
        assert lowered == {
            f"pool:{pool.pool_id}": reserves[int(pool.pool_id)] - pool.goods for pool in made.pools
        }
        assert all(0 < pool.goods < reserves[int(pool.pool_id)] for pool in made.pools)
