"""Pricing an order, and what may become of it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest

from chassis.errors import DomainError, FailedPrecondition
from chassis.money import Money
from chassis.quantity import Quantity
from services.orders.application.checkout_data import CheckoutData
from services.orders.domain.order import Ingredient, MenuItem, Need, Order, State, draft

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PATH = [State.PENDING, State.CONFIRMED, State.PAID, State.FULFILLED]
ALLOWED = {*pairwise(PATH), *((state, State.FAILED) for state in PATH[:3])}


def order(state: State = State.PENDING) -> Order:
    return Order("o1", "ann", "v1", (), Money(1, "USD"), state, NOW, NOW, "r1", "h")


def item(name: str = "soup", *, venue: str = "v1", minor: int = 500, **changes: object) -> MenuItem:
    facts = {"price": Money(minor, "USD"), "available": True, "ingredients": ()} | changes
    return MenuItem(menu_item_id=f"id-{name}", venue_id=venue, name=name, **facts)


def reason_of(*wanted: tuple[MenuItem, int]) -> str:
    with pytest.raises(DomainError) as caught:
        draft(wanted)
    return caught.value.reason


@pytest.mark.parametrize(("before", "after"), sorted(ALLOWED))
def test_an_order_moves_along_its_path_and_counts_its_revisions(before, after):
    moved = order(before).to(after, NOW + timedelta(1), "WHY")
    assert (moved.state, moved.revision, moved.failure_reason) == (after, 2, "WHY")


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in product(State, State) if pair not in ALLOWED and len({*pair}) == 2]
)
def test_every_other_move_is_refused(before, after):
    with pytest.raises(FailedPrecondition, match="cannot go from"):
        order(before).to(after, NOW)


@pytest.mark.parametrize("state", State)
def test_a_move_to_the_same_state_is_none(state):
    unmoved = order(state)
    assert unmoved.to(state, NOW) is unmoved


def test_only_fulfilled_and_failed_are_final():
    assert {state for state in State if state.final} == {State.FULFILLED, State.FAILED}


def test_the_total_is_the_sum_of_the_lines_and_the_needs_are_those_of_all_portions():
    soup = item(ingredients=(Ingredient(Quantity.of("0.2", "KGM"), "leek"),))
    bread = item("bread", minor=150, ingredients=(Ingredient(Quantity.of(1, "H87"), lot_id="lot-1"),))
    drafted = draft([(soup, 3), (bread, 2)])
    assert drafted.total == Money(1800, "USD")
    assert drafted.needs == (
        Need("id-soup", Quantity.of("0.6", "KGM"), product_code="leek"),
        Need("id-bread", Quantity.of(2, "H87"), lot_id="lot-1"),
    )


def test_an_order_holds_available_items_of_one_venue_in_one_currency():
    assert reason_of() == "CART_EMPTY"
    assert reason_of((item(), 1), (item("tea", venue="v2"), 1)) == "CART_OTHER_VENUE"
    assert reason_of((item(), 1), (item("tea", price=Money(1, "EUR")), 1)) == "CURRENCY_MIXED"
    assert reason_of((item(available=False), 1)) == "MENU_ITEM_UNAVAILABLE"
    assert reason_of((item(minor=10**14), 10)) == "AMOUNT_INVALID"


def test_what_the_saga_remembers_survives_json():
    need = Need("id-soup", Quantity.of("0.600000", "KGM"), product_code="leek")
    data = CheckoutData("o1", "ann", "v1", "pm_card", Money(7, "USD"), (need,), cart_revision=3)
    assert CheckoutData.from_json({**data.to_json(), "recalled": True}) == data


def test_a_recall_counts_once_changes_no_state_and_takes_back_no_refund():
    served, back, nothing = order(State.FULFILLED), Money(1, "USD"), Money(0, "USD")
    refunded = served.recalled("r1", back, NOW + timedelta(1))
    assert (refunded.state, refunded.revision, refunded.refunded) == (State.FULFILLED, 1, back)
    assert refunded.recalled("r1", nothing, NOW) is refunded
    again = refunded.recalled("r2", nothing, NOW + timedelta(2))
    assert (again.recall_ids, again.refunded, again.updated_at) == (("r1", "r2"), back, NOW + timedelta(2))


def test_what_the_guest_has_back_only_grows():
    served = order(State.FULFILLED)
    for first, then in ((3, 2), (2, 3), (0, 3), (3, 0)):
        told = served.recalled("r1", Money(first, "USD"), NOW).recalled("r2", Money(then, "USD"), NOW)
        assert told.refunded == Money(3, "USD")
    assert served.recalled("r1", Money(0, "USD"), NOW).refunded is None
