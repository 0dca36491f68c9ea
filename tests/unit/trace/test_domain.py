"""The pure part of trace."""

from dataclasses import replace

from services.trace.domain.answers import OrderTrace, TracedOrder
from services.trace.domain.descent import distances
from services.trace.domain.orders import OrderState
from services.trace.domain.scope import Place, RecallScope, ScopeCounts, ScopeEntry, ScopeKind

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
    recalled=True,
    counts=ScopeCounts(
        lots=1,
        recalled_lots=1,
        stock=0,
        quarantined_stock=0,
        venues=0,
        menu_items=0,
        orders=1,
        guests=1,
        shipments=0,
        held_lots=0,
        destroyed_lots=0,
        custodians=0,
        partner_lots=0,
    ),
    lots=(),
    stock=(),
    venues=(),
    menu_items=(),
    orders=(ORDER,),
    guest_ids=("guest",),
    shipments=(),
    custodian_ids=(),
    first_order=None,
    last_order=None,
    as_of=None,
    position=1,
    complete=True,
)


def test_without_personal_data_only_the_number_of_guests_is_told() -> None:
    public = SCOPE.without_personal_data()
    assert "guest" not in (*public.guest_ids, *(order.guest_id for order in public.orders))
    assert public.counts.guests == 1
    assert public.orders == (replace(ORDER, guest_id=""),)
    assert ScopeEntry(Place(ScopeKind.ORDER, "o"), ORDER).without_personal_data().what == replace(
        ORDER, guest_id=""
    )
    assert OrderTrace(ORDER, ()).without_personal_data().order.guest_id == ""


def test_distances_follow_the_shortest_way_and_end_on_circles() -> None:
    parents = {"leaf": ["a", "b"], "a": ["root"], "b": ["a"], "root": ["leaf"]}
    assert distances("leaf", parents) == {"a": 1, "b": 1, "root": 2}
    assert distances("alone", {}) == {}
    assert distances("self", {"self": ["self"]}) == {}


def test_an_order_that_failed_after_it_was_confirmed_has_failed() -> None:
    assert max(OrderState.CONFIRMED, OrderState.FAILED) is OrderState.FAILED
    assert max(OrderState.PENDING, OrderState.UNKNOWN) is OrderState.PENDING
