"""Rules of a cart."""

from datetime import UTC, datetime

import pytest

from chassis.errors import FailedPrecondition
from services.orders.application.checkout import merged
from services.orders.domain.cart import MAX_ITEMS, Cart

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_an_item_keeps_its_place_when_its_count_changes():
    cart = Cart("ann").with_item("a", "v1", 1, NOW).with_item("b", "v1", 2, NOW).with_item("a", "v1", 5, NOW)
    assert (cart.items, cart.revision, cart.venue_id) == ((("a", 5), ("b", 2)), 3, "v1")


def test_taking_the_last_item_out_frees_the_cart_for_another_venue():
    cart = Cart("ann").with_item("a", "v1", 1, NOW).with_item("a", "", 0, NOW)
    assert (cart.items, cart.venue_id) == ((), "")
    assert cart.with_item("x", "v2", 1, NOW).venue_id == "v2"


def test_replacing_the_only_item_by_one_of_another_venue_is_refused_unless_it_is_the_same_item():
    cart = Cart("ann").with_item("a", "v1", 1, NOW)
    with pytest.raises(FailedPrecondition) as caught:
        cart.with_item("b", "v2", 1, NOW)
    assert (caught.value.reason, caught.value.metadata) == ("CART_OTHER_VENUE", {"venue_id": "v1"})


def test_taking_out_what_is_not_there_keeps_the_rest():
    cart = Cart("ann").with_item("a", "v1", 1, NOW)
    assert cart.with_item("b", "", 0, NOW).items == cart.items


def test_a_full_cart_takes_more_of_an_item_but_no_further_item():
    cart = Cart("ann")
    for number in range(MAX_ITEMS):
        cart = cart.with_item(f"item-{number}", "v1", 1, NOW)
    assert dict(cart.with_item("item-7", "v1", 9, NOW).items)["item-7"] == 9
    with pytest.raises(FailedPrecondition) as caught:
        cart.with_item("one-more", "v1", 1, NOW)
    assert caught.value.reason == "CART_FULL"


def test_repeated_items_of_a_request_are_added_up():
    assert merged([("a", 1), ("b", 2), ("a", 3)]) == (("a", 4), ("b", 2))
