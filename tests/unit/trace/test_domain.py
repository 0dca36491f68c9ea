"""The pure part of trace."""

from dataclasses import replace

from services.trace.domain.answers import OrderTrace, RecallScope, TracedOrder
from services.trace.domain.descent import distances
from services.trace.domain.orders import OrderState

ORDER = TracedOrder(
    order_id="o",
    venue_id="v",
    guest_id="guest",
    state=OrderState.FULFILLED,
    lot_ids=("l",),
    menu_item_ids=("m",),
    place_time=None,
)
SCOPE = RecallScope(
    lot_id="l",
    lots=(),
    stock=(),
    venues=(),
    menu_items=(),
    orders=(ORDER,),
    guest_ids=("guest",),
    guest_count=1,
    as_of=None,
)


def test_without_personal_data_only_the_number_of_guests_is_told() -> None:
    public = SCOPE.without_personal_data()
    assert "guest" not in (*public.guest_ids, *(order.guest_id for order in public.orders))
    assert public.guest_count == 1
    assert public.orders == (replace(ORDER, guest_id=""),)
    assert OrderTrace(ORDER, ()).without_personal_data().order.guest_id == ""


def test_distances_follow_the_shortest_way_and_end_on_circles() -> None:
    parents = {"leaf": ["a", "b"], "a": ["root"], "b": ["a"], "root": ["leaf"]}
    assert distances("leaf", parents) == {"a": 1, "b": 1, "root": 2}
    assert distances("alone", {}) == {}
    assert distances("self", {"self": ["self"]}) == {}


def test_an_order_that_failed_after_it_was_confirmed_has_failed() -> None:
    assert max(OrderState.CONFIRMED, OrderState.FAILED) is OrderState.FAILED
    assert max(OrderState.PENDING, OrderState.UNKNOWN) is OrderState.PENDING
