"""Which stock serves an order: first expired, first out; never more than there is."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.quantity import Quantity
from services.inventory.domain.stock import Need, StockItem, allocate

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MASS = ("KGM", "GRM", "LBR")
PRODUCTS = ("kale", "leek")


def item(number: int, amount: str, unit: str = "KGM", **changes: object) -> StockItem:
    facts = {
        "stock_item_id": f"s{number}",
        "venue_id": "v1",
        "lot_id": f"l{number}",
        "product_code": "kale",
        "on_hand": Quantity.of(amount, unit),
        "reserved": Quantity.of(0, unit),
        "expires_at": NOW + timedelta(days=number),
        "received_at": NOW,
    }
    return StockItem(**(facts | changes))


def need(amount: str, unit: str = "KGM", **kind: str) -> Need:
    return Need("m1", Quantity.of(amount, unit), **(kind or {"product_code": "kale"}))


def taken(needs: list[Need], stock: list[StockItem]) -> list[tuple[str, str]]:
    return [(each.stock_item_id, str(each.quantity)) for each in allocate(needs, stock, NOW)]


def test_what_expires_first_is_used_first_and_the_rest_comes_from_the_next():
    assert taken([need("5")], [item(2, "9"), item(1, "3")]) == [("s1", "3 KGM"), ("s2", "2 KGM")]


def test_of_equal_expiry_what_came_first_is_used_first():
    old = item(2, "1", expires_at=NOW + timedelta(1), received_at=NOW - timedelta(1))
    assert taken([need("1")], [item(1, "1"), old]) == [("s2", "1 KGM")]


def test_reserved_expired_and_quarantined_stock_is_left_alone():
    stock = [
        item(1, "4", reserved=Quantity.of(3, "KGM")),
        item(2, "9", expires_at=NOW),
        item(3, "9", quarantined=True),
        item(3, "9", held=True),
        item(4, "9"),
    ]
    assert taken([need("2")], stock) == [("s1", "1 KGM"), ("s4", "1 KGM")]


def test_a_need_of_one_lot_is_served_by_that_lot_only():
    assert taken([need("2", lot_id="l2")], [item(1, "9"), item(2, "9")]) == [("s2", "2 KGM")]


def test_two_needs_share_what_there_is():
    with pytest.raises(FailedPrecondition) as caught:
        allocate([need("6"), need("5")], [item(1, "10")], NOW)
    assert caught.value.reason == "OUT_OF_STOCK"
    assert caught.value.metadata == {"product_code": "kale", "needed": "5 KGM", "missing": "1 KGM"}


def test_units_of_one_dimension_are_converted():
    assert taken([need("1500", "GRM")], [item(1, "1"), item(2, "2")]) == [("s1", "1 KGM"), ("s2", "0.5 KGM")]


def test_units_of_different_dimensions_are_refused():
    with pytest.raises(InvalidArgument) as caught:
        allocate([need("1", "LTR")], [item(1, "1")], NOW)
    assert caught.value.reason == "UNIT_MISMATCH"


amounts = st.decimals("0.001", "50", places=3)
stocks = st.lists(
    st.builds(
        lambda number, amount, share, unit, product, days, bad: item(
            number,
            str(amount),
            unit,
            reserved=Quantity((amount * share / 4).quantize(Decimal("0.000001")), unit),
            product_code=product,
            expires_at=NOW + timedelta(days=days),
            quarantined=bad,
        ),
        st.integers(1, 10**6),
        amounts,
        st.integers(0, 4),
        st.sampled_from(MASS),
        st.sampled_from(PRODUCTS),
        st.integers(-1, 5),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda each: each.stock_item_id,
)
wanted = st.lists(
    st.builds(
        lambda amount, unit, product: need(str(amount), unit, product_code=product),
        amounts,
        st.sampled_from(MASS),
        st.sampled_from(PRODUCTS),
    ),
    min_size=1,
    max_size=4,
)
TOLERANCE_KG = Decimal("0.000005")  # conversions round to six places, once for each item touched


@given(wanted, stocks)
def test_an_allocation_serves_every_need_from_what_is_available_earliest_expiry_first(needs, stock):
    try:
        allocations = allocate(needs, stock, NOW)
    except FailedPrecondition:
        short = [
            product
            for product in PRODUCTS
            if _kg(n.quantity for n in needs if n.product_code == product)
            > _kg(s.available(NOW) for s in stock if s.product_code == product) - TOLERANCE_KG
        ]
        assert short, "it was refused although there was enough"
        return
    by_id = {each.stock_item_id: each for each in stock}
    used: dict[str, Decimal] = defaultdict(Decimal)
    for each in allocations:
        assert each.quantity.amount > 0
        assert each.quantity.unit == by_id[each.stock_item_id].on_hand.unit
        used[each.stock_item_id] += each.quantity.amount
    for stock_item_id, amount in used.items():
        assert amount <= by_id[stock_item_id].available(NOW).amount
    for product in PRODUCTS:
        of_product = [a for a in allocations if by_id[a.stock_item_id].product_code == product]
        asked = _kg(n.quantity for n in needs if n.product_code == product)
        assert abs(_kg(a.quantity for a in of_product) - asked) <= TOLERANCE_KG
        _ensure_no_earlier_was_left([s for s in stock if s.product_code == product], used)


def _ensure_no_earlier_was_left(stock: list[StockItem], used: dict[str, Decimal]) -> None:
    touched = [s for s in stock if used.get(s.stock_item_id)]
    latest = max((s.expires_at for s in touched), default=NOW)
    for earlier in stock:
        left = earlier.available(NOW).amount - used.get(earlier.stock_item_id, Decimal(0))
        if earlier.expires_at < latest:
            assert left <= TOLERANCE_KG * 1000  # less than a conversion can tell, in grams


def _kg(quantities) -> Decimal:
    return sum((quantity.to("KGM").amount for quantity in quantities), Decimal(0))
