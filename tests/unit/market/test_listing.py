"""What is left of a listing, and what a part of it costs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import DomainError
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.domain.listing import Block, Goods, Listing, Offer, State, listed, require_something
from services.market.domain.purchase import Purchase, delivered_code, purchase

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SELLER, BUYER = "seller", "buyer"


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


def listing(amount: str = "10", price_minor: int = 250, price_unit: str = "KGM") -> Listing:
    offer = Offer(SELLER, "lot", Quantity.of(1, price_unit), Money(price_minor, "USD"))
    goods = Goods("LEEK-1", "leek", kg(amount), NOW + timedelta(days=3))
    return listed(offer, goods, listing_id="l", commitment_id="c", block=Block.NONE, now=NOW)


def bought(of: Listing, quantity: Quantity, buyer: str = BUYER) -> tuple[Listing, Purchase]:
    return purchase(
        of,
        quantity,
        purchase_id="01a1fe00-0000-7000-8000-00000000abcd",
        buyer_id=buyer,
        request_id="r",
        request_hash="h",
        now=NOW,
    )


def reason(call: pytest.ExceptionInfo[DomainError]) -> str:
    return call.value.reason


def test_a_purchase_takes_its_part_and_knows_its_price() -> None:
    left, part = bought(listing(), Quantity.of("2500", "GRM"))
    assert (left.remaining, left.taken, left.state) == (kg("7.5"), kg("2.5"), State.OPEN)
    assert (part.quantity, part.total) == (kg("2.5"), Money(625, "USD"))


def test_the_last_purchase_sells_out_and_its_failure_opens_again() -> None:
    left, part = bought(listing(), kg("10"))
    assert left.state is State.SOLD_OUT
    again = left.give_back(part.quantity, NOW)
    assert (again.state, again.remaining, again.taken) == (State.OPEN, kg("10"), kg("0"))
    gone = left.deliver(part.quantity, NOW)
    assert (gone.state, gone.taken) == (State.SOLD_OUT, kg("0"))


@pytest.mark.parametrize(
    ("quantity", "price_minor", "price_unit", "total"),
    [
        ("0.5", 1, "KGM", None),  # half a cent is rounded to the even, nothing
        ("1.5", 1, "KGM", 2),
        ("2.5", 1, "KGM", 2),
        ("2.500001", 1, "KGM", 3),
        ("1", 100, "GRM", 100_000),
        ("1", 45359237, "LBR", 100_000_000),
        ("0.001", 1999, "KGM", 2),
    ],
)
def test_a_price_is_computed_exactly_and_rounded_once_half_to_even(
    quantity: str, price_minor: int, price_unit: str, total: int | None
) -> None:
    goods = listing("1000", price_minor, price_unit)
    if total is None:
        with pytest.raises(DomainError) as refused:
            goods.price_of(kg(quantity))
        assert reason(refused) == "AMOUNT_INVALID"
    else:
        assert goods.price_of(kg(quantity)) == Money(total, "USD")


@given(
    st.decimals(min_value="0.000001", max_value=10**6, places=6),
    st.integers(1, 10**6),
    st.sampled_from(["KGM", "GRM", "LBR", "ONZ", "TNE"]),
)
def test_a_price_is_never_off_by_more_than_half_a_minor_unit(
    amount: Decimal, price_minor: int, price_unit: str
) -> None:
    quantity, goods = Quantity(amount, "KGM"), listing("1", price_minor, price_unit)
    exact = quantity.exact / Quantity.of(1, price_unit).exact * price_minor
    try:
        total = goods.price_of(quantity).minor
    except DomainError:
        assert exact <= Fraction(1, 2) or exact >= 10**15 - 1
        return
    assert abs(total - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("state", "quantity", "buyer", "expected"),
    [
        pytest.param(listing(), kg("10.000001"), BUYER, "QUANTITY_EXCEEDED", id="too much"),
        pytest.param(listing(), kg("0"), BUYER, "QUANTITY_ZERO", id="nothing"),
        pytest.param(listing(), Quantity.of("1", "LTR"), BUYER, "UNIT_MISMATCH", id="a volume"),
        pytest.param(listing(), kg("1"), SELLER, "BUYER_IS_SELLER", id="by its seller"),
        pytest.param(bought(listing(), kg("10"))[0], kg("1"), BUYER, "LISTING_SOLD_OUT", id="sold out"),
        pytest.param(listing().cancel(SELLER, NOW), kg("1"), BUYER, "LISTING_CANCELLED", id="cancelled"),
        pytest.param(listing().blocked(Block.HELD, NOW), kg("1"), BUYER, "LISTING_BLOCKED", id="held"),
        pytest.param(replace(listing(), expires_at=NOW), kg("1"), BUYER, "LOT_EXPIRED", id="expired"),
        pytest.param(replace(listing(), expired=True), kg("1"), BUYER, "LOT_EXPIRED", id="ended"),
    ],
)
def test_what_cannot_be_bought_is_refused(
    state: Listing, quantity: Quantity, buyer: str, expected: str
) -> None:
    with pytest.raises(DomainError) as refused:
        bought(state, quantity, buyer)
    assert reason(refused) == expected


def test_a_cancelled_listing_stays_cancelled_whatever_becomes_of_the_lot() -> None:
    cancelled = listing().cancel(SELLER, NOW)
    assert cancelled.cancel(SELLER, NOW) is cancelled
    assert cancelled.blocked(Block.RECALLED, NOW).state is State.CANCELLED
    with pytest.raises(DomainError) as refused:
        listing().cancel(BUYER, NOW)
    assert reason(refused) == "NOT_OWNER"


def test_what_is_left_past_the_expiry_has_expired_and_never_opens_again() -> None:
    before, after = NOW + timedelta(days=3, microseconds=-1), NOW + timedelta(days=3)
    fresh, (left, part) = listing(), bought(listing(), kg("4"))
    assert fresh.as_of(before) is fresh
    expired = left.as_of(after)
    assert (expired.state, expired.updated_at, expired.as_of(after)) == (State.EXPIRED, after, expired)
    assert expired.give_back(part.quantity, after).state is State.EXPIRED
    assert expired.blocked(Block.RECALLED, after).blocked(Block.NONE, after).state is State.EXPIRED
    assert expired.cancel(SELLER, after).state is State.CANCELLED
    assert fresh.blocked(Block.HELD, NOW).as_of(after).state is State.EXPIRED
    assert fresh.cancel(SELLER, NOW).as_of(after).state is State.CANCELLED


def test_what_is_sold_out_expires_only_when_a_purchase_of_it_fails() -> None:
    after = NOW + timedelta(days=3)
    sold, part = bought(listing(), kg("10"))
    assert sold.as_of(after).state is State.SOLD_OUT
    assert sold.give_back(part.quantity, after).as_of(after).state is State.EXPIRED


def test_a_blocked_listing_opens_when_the_block_ends() -> None:
    blocked = listing().blocked(Block.RECALLED, NOW)
    assert blocked.blocked(Block.RECALLED, NOW) is blocked
    assert (blocked.state, blocked.blocked(Block.NONE, NOW).state) == (State.BLOCKED, State.OPEN)


@pytest.mark.parametrize("block", [Block.HELD, Block.RECALLED])
def test_goods_that_were_blocked_before_they_were_listed_are_refused(block: Block) -> None:
    goods = Goods("LEEK-1", "leek", kg("1"), NOW + timedelta(days=3))
    offer = Offer(SELLER, "lot", kg("1"), Money(1, "USD"))
    with pytest.raises(DomainError) as refused:
        listed(offer, goods, listing_id="l", commitment_id="c", block=block, now=NOW)
    assert reason(refused) == f"LOT_{block.value}"


def test_nothing_is_not_listed() -> None:
    with pytest.raises(DomainError) as refused:
        require_something(Offer(SELLER, "lot", kg("0"), Money(1, "USD")))
    assert reason(refused) == "QUANTITY_ZERO"


ends = st.sampled_from(["pay", "fail", "wait"])
wishes = st.decimals(min_value=0, max_value=12, places=3)


@given(st.lists(st.tuples(wishes, ends), max_size=30))
def test_what_is_left_taken_and_delivered_is_what_was_listed(steps: Sequence[tuple[Decimal, str]]) -> None:
    state, delivered = listing("10", 1000), Decimal(0)
    for amount, end in steps:
        try:
            state, part = bought(state, Quantity(amount, "KGM"))
        except DomainError:
            continue
        if end == "pay":
            state, delivered = state.deliver(part.quantity, NOW), delivered + part.quantity.amount
        elif end == "fail":
            state = state.give_back(part.quantity, NOW)
        assert state.remaining.amount + state.taken.amount + delivered == 10
        assert (state.state is State.SOLD_OUT) == state.remaining.is_zero


def test_the_code_of_a_delivered_lot_is_the_sold_lots_with_the_purchases_end() -> None:
    assert delivered_code("LEEK-1", "01a1fe00-0000-7000-8000-00000000abcd") == "LEEK-1-00000000abcd"
    long = delivered_code("x" * 80, "01a1fe00-0000-7000-8000-00000000abcd")
    assert (len(long), long[-13:]) == (80, "-00000000abcd")


def test_a_purchase_ends_once() -> None:
    _, part = bought(listing(), kg("1"))
    done = part.paid(NOW).completed("new", "code", NOW)
    assert done.completed("other", "code", NOW) is done
    assert done.failed("LOT_RECALLED", NOW) is done
    assert part.failed("PAYMENT_DECLINED", NOW).paid(NOW).failure_reason == "PAYMENT_DECLINED"
