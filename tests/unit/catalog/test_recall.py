"""What a recall takes off a menu, and what comes back."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import FailedPrecondition
from chassis.money import Money
from chassis.quantity import Quantity
from services.catalog.domain.menu_item import Ingredient, MenuItem
from services.catalog.domain.recall import QuarantinedStock, ensure_may_be_offered

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KILO = Quantity.of("1", "KGM")
OF_LOT, OF_PRODUCT = Ingredient(KILO, lot_id="l1"), Ingredient(KILO, product_code="leek")
SOUP = MenuItem("m1", "v1", "Soup", "", Money(500, "USD"), (OF_LOT,), NOW, NOW)
LEEK = QuarantinedStock("s1", "v1", "l1", "leek")


@pytest.mark.parametrize(
    ("stock", "ingredient", "concerned"),
    [
        (LEEK, OF_LOT, True),
        (LEEK, OF_PRODUCT, True),
        (replace(LEEK, lot_id="l2"), OF_LOT, False),
        (replace(LEEK, lot_id="l2"), OF_PRODUCT, True),
        (replace(LEEK, product_code=""), OF_PRODUCT, False),
        (replace(LEEK, product_code=""), OF_LOT, True),
        (replace(LEEK, lot_id=""), OF_LOT, False),
    ],
)
def test_stock_concerns_what_names_its_lot_or_its_product(stock, ingredient, concerned):
    assert stock.concerns(replace(SOUP, ingredients=(ingredient,))) is concerned


def test_only_what_names_the_lot_may_not_be_offered():
    with pytest.raises(FailedPrecondition) as caught:
        ensure_may_be_offered(SOUP, [LEEK])
    assert caught.value.reason == "LOT_RECALLED"
    ensure_may_be_offered(replace(SOUP, available=False), [LEEK])
    ensure_may_be_offered(replace(SOUP, ingredients=(OF_PRODUCT,)), [LEEK])
    ensure_may_be_offered(SOUP, [])


def test_an_item_is_as_before_when_no_recall_keeps_it_off():
    off = SOUP.taken_off("r1", NOW).taken_off("r2", NOW)
    assert (off.available, off.recall_ids, off.revision) == (False, ("r1", "r2"), 3)
    assert off.taken_off("r1", NOW) is off
    back = off.put_back(NOW)
    assert back == replace(SOUP, revision=4)
    hidden = replace(SOUP, available=False)
    assert hidden.taken_off("r1", NOW).put_back(NOW).available is False


@given(st.lists(st.sampled_from(["off", "on", "recall", "name"]), max_size=8))
def test_what_the_venue_said_last_of_an_item_holds_after_a_recall(said: list[str]):
    item, wanted = SOUP, True
    for word in said:
        if word == "recall":
            item = item.taken_off("r1", NOW)
        elif word == "name":
            item = item.changed({"name": item.name + "!"}, NOW)
        else:
            wanted = word == "on"
            item = item.changed({"available": wanted}, NOW)
    if item.recall_ids:
        assert not item.available
        item = item.put_back(NOW)
    assert item.available is wanted
    assert not item.recall_ids
