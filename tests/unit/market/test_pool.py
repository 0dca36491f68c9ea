"""A pool gives nothing away: not by swaps, not by shares, not by rounding, not to hostile numbers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chassis.errors import DomainError, FailedPrecondition, InvalidArgument, NotFound
from chassis.money import LIMIT as MONEY_LIMIT
from services.market.domain import pool_ledger as ledger
from services.market.domain.pool import (
    LIMIT,
    LOCKED_SHARES,
    MAX_FEE,
    UNFUNDED_FOR,
    Pool,
    Share,
    State,
    add_liquidity,
    buy_exactly,
    buy_for,
    drain,
    is_abandoned,
    remove_liquidity,
    sell,
    sell_for,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EMPTY = Pool("p", "kale", "KGM", "EUR", 30, "ann", NOW)
FULL = replace(EMPTY, goods=1_000_000_000, money=500_000, shares=22_360_679)

amounts = st.one_of(st.integers(1, 10), st.integers(1, 10**9), st.integers(2**53, LIMIT))
fees = st.integers(0, MAX_FEE)
HOSTILE = [0, -1, -(2**63), 2**63, 10**30, True, 1.5, float("nan"), float("inf"), "NaN", "1", None]


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Pools that deposits and swaps can lead to."""
    goods, money = draw(st.integers(1, 2**62)), draw(st.integers(2_000_000, MONEY_LIMIT - 1))
    empty = replace(EMPTY, fee_bps=draw(fees))
    pool, _ = add_liquidity(empty, max(goods, 10), money)
    return pool


def test_a_purchase_by_quantity_costs_what_the_rule_says_rounded_up() -> None:
    # 500000 * 10^8 * 10^4 / (9 * 10^8 * 9970) = 55722.7...
    pool, swap = buy_exactly(FULL, 100_000_000, 60_000)
    assert (swap.goods, swap.money) == (100_000_000, 55_723)
    assert (pool.goods, pool.money) == (900_000_000, 555_723)


def test_a_sale_gets_what_the_rule_says_rounded_down() -> None:
    # 500000 * 10^8 * 9970 / (10^9 * 10^4 + 10^8 * 9970) = 45330.5...
    pool, swap = sell(FULL, 100_000_000, 1)
    assert (swap.goods, swap.money) == (100_000_000, 45_330)
    assert (pool.goods, pool.money) == (1_100_000_000, 454_670)


@pytest.mark.parametrize(
    "trade",
    [
        lambda: buy_exactly(FULL, 100_000_000, 55_722),
        lambda: buy_for(FULL, 55_723, 100_010_000),
        lambda: sell(FULL, 100_000_000, 45_331),
        lambda: sell_for(FULL, 45_331, 100_000_000),
        lambda: add_liquidity(FULL, 100_000_000, 50_000, 2_236_068),
        lambda: remove_liquidity(FULL, 1_000_000, 44_721_362, 1),
    ],
    ids=["buy", "buy for", "sell", "sell for", "add", "remove"],
)
def test_a_limit_is_kept_to_the_last_unit(trade: Any) -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        trade()
    assert refusal.value.reason == "SLIPPAGE_EXCEEDED"


@pytest.mark.parametrize("number", HOSTILE, ids=repr)
def test_hostile_numbers_are_refused_wherever_one_may_be_given(number: Any) -> None:
    for attempt in (
        lambda: buy_exactly(FULL, number, LIMIT),
        lambda: buy_exactly(FULL, 1, number),
        lambda: buy_for(FULL, number, 1),
        lambda: sell(FULL, number, 1),
        lambda: sell_for(FULL, number, LIMIT),
        lambda: add_liquidity(FULL, number, 1),
        lambda: add_liquidity(FULL, 1, number),
        lambda: remove_liquidity(FULL, number),
    ):
        with pytest.raises(InvalidArgument) as refusal:
            attempt()
        assert refusal.value.reason == "AMOUNT_INVALID"


def test_an_empty_pool_and_one_asked_for_everything_refuse() -> None:
    for attempt in (
        lambda: sell(EMPTY, 1, 1),
        lambda: buy_for(EMPTY, 1, 1),
        lambda: buy_exactly(FULL, FULL.goods, LIMIT),
        lambda: sell_for(FULL, FULL.money, LIMIT),
    ):
        with pytest.raises(FailedPrecondition) as refusal:
            attempt()
        assert refusal.value.reason == "LIQUIDITY_EXCEEDED"


def test_a_reserve_beyond_what_can_be_stored_is_refused() -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        sell(FULL, LIMIT, 1)
    assert refusal.value.reason == "POOL_FULL"


def test_dust_gets_nothing_and_is_refused_rather_than_taken() -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        sell(FULL, 1, 1)
    assert refusal.value.reason == "SLIPPAGE_EXCEEDED"
    with pytest.raises(FailedPrecondition) as too_small:
        add_liquidity(replace(FULL, goods=10**15, money=10**14), 1, 1)
    assert too_small.value.reason == "LIQUIDITY_TOO_SMALL"


@pytest.mark.parametrize("fee", [-1, MAX_FEE + 1, 10_000])
def test_a_fee_out_of_range_is_refused(fee: int) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        replace(EMPTY, fee_bps=fee)
    assert refusal.value.reason == "FEE_INVALID"


def test_a_first_deposit_locks_shares_and_one_too_small_for_that_is_refused() -> None:
    pool, part = add_liquidity(EMPTY, 4_000_000, 1_000_000)
    assert (pool.shares, part) == (2_000_000, Share(2_000_000 - LOCKED_SHARES, 4_000_000, 1_000_000))
    with pytest.raises(FailedPrecondition) as refusal:
        add_liquidity(EMPTY, LOCKED_SHARES, LOCKED_SHARES)
    assert refusal.value.reason == "LIQUIDITY_TOO_SMALL"


def test_the_locked_shares_cannot_be_taken_out() -> None:
    pool, part = add_liquidity(EMPTY, 4_000_000, 1_000_000)
    with pytest.raises(FailedPrecondition) as refusal:
        remove_liquidity(pool, part.shares + 1)
    assert refusal.value.reason == "SHARES_EXCEEDED"
    rest, _ = remove_liquidity(pool, part.shares)
    assert (rest.goods, rest.money, rest.shares) == (2_000, 500, LOCKED_SHARES)


def test_a_pool_that_nobody_funds_is_abandoned_after_a_while() -> None:
    later = EMPTY.created_at + UNFUNDED_FOR
    assert is_abandoned(EMPTY, later)
    assert not is_abandoned(EMPTY, later - timedelta(seconds=1))
    assert not is_abandoned(replace(EMPTY, state=State.LAUNCHING), later)
    assert not is_abandoned(replace(EMPTY, goods=1, money=1, shares=1_001), later)


def test_only_an_open_pool_is_traded_and_only_one_that_is_not_open_is_drained() -> None:
    launching, part = add_liquidity(replace(EMPTY, state=State.LAUNCHING), 4_000_000, 1_000_000)
    with pytest.raises(FailedPrecondition) as early:
        sell(launching, 10, 1)
    assert early.value.reason == "POOL_NOT_OPEN"
    closed, back = drain(launching)
    assert (closed.goods, closed.money, closed.shares, back) == (0, 0, 0, part)
    with pytest.raises(NotFound):
        add_liquidity(closed, 10**6, 10**6)
    with pytest.raises(FailedPrecondition) as late:
        drain(replace(launching, state=State.OPEN))
    assert late.value.reason == "POOL_OPEN"


@given(pools(), st.sampled_from([buy_for, sell]), amounts)
def test_no_swap_lowers_the_product_of_the_reserves(pool: Pool, trade: Any, paid: int) -> None:
    try:
        after, _ = trade(pool, paid, 1)
    except DomainError:
        return
    assert after.goods * after.money >= pool.goods * pool.money
    assert after.goods > 0
    assert after.money > 0


@given(pools(), amounts)
def test_who_buys_and_sells_again_never_gains(pool: Pool, paid: int) -> None:
    try:
        between, bought = buy_for(pool, paid, 1)
        _, sold = sell(between, bought.goods, 1)
    except DomainError:
        return
    assert sold.money <= paid


@given(pools(), amounts)
def test_what_is_bought_by_quantity_costs_no_less_than_it_would_fetch(pool: Pool, goods: int) -> None:
    try:
        between, bought = buy_exactly(pool, goods, LIMIT)
        _, sold = sell(between, goods, 1)
    except DomainError:
        return
    assert sold.money <= bought.money


@given(pools(), amounts)
def test_both_ways_of_buying_agree(pool: Pool, goods: int) -> None:
    try:
        _, bought = buy_exactly(pool, goods, LIMIT)
        _, again = buy_for(pool, bought.money, 1)
    except DomainError:
        return
    assert again.goods >= goods
    if bought.money > 1:
        try:
            _, cheaper = buy_for(pool, bought.money - 1, 1)
        except DomainError:
            return
        assert cheaper.goods < goods  # the price by quantity is the lowest that gets it


@given(pools(), amounts, amounts)
def test_who_adds_and_removes_at_once_never_gains(pool: Pool, goods: int, money: int) -> None:
    try:
        grown, put = add_liquidity(pool, goods, money)
        _, got = remove_liquidity(grown, put.shares)
    except DomainError:
        return
    assert put.goods <= goods
    assert put.money <= money
    assert got.goods <= put.goods
    assert got.money <= put.money


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(1, 10**12))
def test_making_a_share_dear_costs_the_attacker_more_than_a_victim_loses(
    spent: int, goods: int, money: int
) -> None:
    """The first depositor gives the pool a present, so that the next deposit rounds down."""
    try:
        pool, mine = add_liquidity(EMPTY, LOCKED_SHARES + 1, LOCKED_SHARES + 1)
        dear = replace(pool, goods=pool.goods + spent, money=pool.money + spent)
        after, theirs = add_liquidity(dear, goods, money)
    except DomainError:
        return
    _, loot = remove_liquidity(after, mine.shares)
    assert loot.goods <= mine.goods + spent
    assert theirs.goods * after.shares <= (theirs.shares + 1) * after.goods


class PoolLife(RuleBasedStateMachine):
    """Three people trade; the ledger is kept beside the pool."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = replace(EMPTY, fee_bps=30)
        self.balances: dict[tuple[str, str], int] = {}
        self.moves = 0
        for holder in ("a", "b", "c"):
            for asset in (ledger.goods_asset("kale", "KGM"), ledger.money_asset("EUR")):
                self._apply(ledger.deposit("", holder, asset, 10**13))
        self.worth = (0, 0, 1)

    def _apply(self, movement: ledger.Movement) -> None:
        changed = dict(self.balances)
        for posting in movement.postings:
            account = (posting.holder, posting.asset)
            changed[account] = changed.get(account, 0) + posting.amount
            ledger.require_covered(*account, changed[account])
        self.balances = changed

    def _try(self, decide: Any, entry: Any, holder: str) -> None:
        before = self.pool
        try:
            after, part = decide()
            self._apply(entry("", holder, before, part))
        except DomainError:
            return
        if before.shares and after.shares:
            # What a share stands for, squared, as a fraction: k / S^2 does not fall.
            assert (
                after.goods * after.money * before.shares**2 >= before.goods * before.money * after.shares**2
            )
        self.pool, self.moves = after, self.moves + 1

    @rule(holder=st.sampled_from("abc"), goods=amounts, money=amounts)
    def adds(self, holder: str, goods: int, money: int) -> None:
        self._try(lambda: add_liquidity(self.pool, goods, money), ledger.added, holder)

    @precondition(lambda self: self.pool.shares)
    @rule(holder=st.sampled_from("abc"), part=st.integers(1, 100))
    def removes(self, holder: str, part: int) -> None:
        mine = self.balances.get((holder, ledger.share_asset("p")), 0)
        self._try(lambda: remove_liquidity(self.pool, mine * part // 100), ledger.removed, holder)

    @precondition(lambda self: self.pool.shares)
    @rule(holder=st.sampled_from("abc"), trade=st.sampled_from([buy_for, sell]), paid=amounts)
    def pays(self, holder: str, trade: Any, paid: int) -> None:
        self._try(lambda: trade(self.pool, paid, 1), ledger.swapped, holder)

    @precondition(lambda self: self.pool.shares)
    @rule(holder=st.sampled_from("abc"), trade=st.sampled_from([buy_exactly, sell_for]), wanted=amounts)
    def gets(self, holder: str, trade: Any, wanted: int) -> None:
        self._try(lambda: trade(self.pool, wanted, LIMIT), ledger.swapped, holder)

    @invariant()
    def the_books_say_what_the_pool_says(self) -> None:
        def booked(holder: str, asset: str) -> int:
            return self.balances.get((holder, asset), 0)

        assert booked("pool:p", "goods:kale:KGM") == self.pool.goods
        assert booked("pool:p", "money:EUR") == self.pool.money
        assert -booked(ledger.OUTSIDE, "share:p") == self.pool.shares
        assert sum(self.balances.values()) == 0
        assert booked(ledger.NOBODY, "share:p") == (LOCKED_SHARES if self.pool.shares else 0)


PoolLife.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestPoolLife = PoolLife.TestCase


def test_a_movement_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="not balanced"):
        ledger.Movement("m", ledger.Kind.SWAP, (ledger.Posting("a", "money:EUR", 1),))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.integers(-9, 9)), max_size=6)
)
def test_exactly_balanced_postings_make_a_movement(raw: list[tuple[str, str, int]]) -> None:
    postings = tuple(ledger.Posting(*each) for each in raw)
    balanced = all(sum(p.amount for p in postings if p.asset == asset) == 0 for asset in "xy")
    try:
        ledger.Movement("m", ledger.Kind.SWAP, postings)
    except ValueError:
        assert not balanced
    else:
        assert balanced


def test_a_balance_is_never_overdrawn_except_that_of_the_outside() -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        ledger.require_covered("user:ann", "money:EUR", -1)
    assert refusal.value.reason == "BALANCE_EXCEEDED"
    ledger.require_covered(ledger.OUTSIDE, "goods:kale:KGM", -LIMIT)
    with pytest.raises(FailedPrecondition) as full:
        ledger.require_covered(ledger.OUTSIDE, "goods:kale:KGM", -LIMIT - 1)
    assert full.value.reason == "POOL_FULL"


@pytest.mark.parametrize("asset", ["goods:kale:KGM", "money:EUR"])
def test_a_deposit_is_refused_while_much_room_is_left_for_those_under_way(asset: str) -> None:
    limit = LIMIT if asset.startswith("goods") else MONEY_LIMIT
    most = limit // 10_000
    ledger.require_room(asset, most, limit // 2 - most, limit // 2 - most)
    for amount, balance, held in ((most + 1, 0, 0), (most, limit // 2, 0), (1, 0, LIMIT // 2)):
        with pytest.raises(FailedPrecondition) as refusal:
            ledger.require_room(asset, amount, balance, held)
        assert refusal.value.reason == "POOL_FULL"


@given(st.integers(0, LIMIT), st.integers(1, LIMIT))
def test_what_has_come_in_is_never_refused(balance: int, amount: int) -> None:
    for made in (
        ledger.deposit("m", "user:ann", "money:EUR", amount),
        ledger.given_back("m", "user:ann", "money:EUR", amount),
    ):
        ledger.require_covered("user:ann", "money:EUR", balance + amount, bounded=not made.kind.has_happened)
    assert not ledger.Kind.SWAP.has_happened
