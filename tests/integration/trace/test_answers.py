"""The three questions over one season."""

import pytest

from chassis.context import Principal
from chassis.errors import NotFound
from chassis.quantity import Quantity
from services.trace.adapters.codec import lot_trace_to_proto, order_trace_to_proto
from services.trace.adapters.scope_codec import scope_to_proto
from services.trace.domain.orders import OrderState
from services.trace.domain.scope import ScopeCounts
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import START, Story, season

AUDITOR = Principal("auditor", "user", permissions=frozenset({"trace.read"}))
OPERATOR = Principal("operator", "user", permissions=frozenset({"trace.read", "trace.personal"}))


async def test_a_recall_scope_has_all_that_the_lot_reached_and_nothing_else(trace: Trace) -> None:
    await trace.hear(season().events)
    scope = await trace.scopes.summary(OPERATOR, "a")
    assert [lot.lot_id for lot in scope.lots] == ["a", "a1", "a2", "a3"]
    assert scope.recalled
    assert [(stock.stock_item_id, stock.quarantined) for stock in scope.stock] == [("s1", True), ("s2", True)]
    assert [(venue.venue_id, venue.name) for venue in scope.venues] == [("v1", "Chez v1"), ("v2", "Chez v2")]
    assert [item.menu_item_id for item in scope.menu_items] == ["salad", "special"]
    assert [(order.order_id, order.state, order.lot_ids) for order in scope.orders] == [
        ("again", OrderState.PENDING, ("a1",)),
        ("eaten", OrderState.FULFILLED, ("a1",)),
        ("open", OrderState.CONFIRMED, ("a2",)),
    ]
    assert scope.guest_ids == ("g1", "g2")
    assert scope.counts == ScopeCounts(
        lots=4,
        recalled_lots=4,
        stock=2,
        quarantined_stock=2,
        venues=2,
        menu_items=2,
        orders=3,
        guests=2,
        shipments=0,
        held_lots=0,
        destroyed_lots=0,
        custodians=1,
        partner_lots=0,
    )
    assert scope.complete
    assert scope.first_order is not None
    assert scope.last_order is not None
    assert START < scope.first_order < scope.last_order
    assert scope.as_of == season().events[-1].recorded_time


async def test_the_scope_of_a_part_does_not_reach_upwards(trace: Trace) -> None:
    await trace.hear(season().events)
    scope = await trace.scopes.summary(OPERATOR, "a2")
    assert [lot.lot_id for lot in scope.lots] == ["a2"]
    assert [order.order_id for order in scope.orders] == ["open"]


async def test_guests_are_told_only_to_those_who_may_know(trace: Trace) -> None:
    await trace.hear(season().events)
    scope = await trace.scopes.summary(AUDITOR, "a")
    assert (scope.guest_ids, scope.counts.guests) == ((), 2)
    assert {order.guest_id for order in scope.orders} == {""}
    assert (await trace.ask.order(AUDITOR, "eaten")).order.guest_id == ""
    assert (await trace.ask.order(OPERATOR, "eaten")).order.guest_id == "g1"


async def test_an_order_is_traced_back_to_its_harvests(trace: Trace) -> None:
    await trace.hear(season().events)
    traced = await trace.ask.order(OPERATOR, "eaten")
    assert (traced.order.lot_ids, traced.order.menu_item_ids) == (("a1", "b"), ("salad",))
    assert [lot.lot_id for lot in traced.lots] == ["a", "a1", "b"]


@pytest.mark.parametrize("order_id", ["released", "failed"])
async def test_an_order_that_came_to_nothing_was_served_from_nothing(trace: Trace, order_id: str) -> None:
    await trace.hear(season().events)
    traced = await trace.ask.order(OPERATOR, order_id)
    assert (traced.order.state, traced.order.lot_ids, traced.lots) == (OrderState.FAILED, (), ())


async def test_a_failed_order_whose_goods_had_left_stays_in_scope(trace: Trace) -> None:
    story = season()
    story.consume("failed", "v1", ("s1", "a1", "salad"))
    await trace.hear(story.events)
    scope = await trace.scopes.summary(OPERATOR, "a")
    assert "failed" in {order.order_id for order in scope.orders}


async def test_a_lots_journey_names_ancestors_owners_descendants_and_stock(trace: Trace) -> None:
    await trace.hear(season().events)
    journey = await trace.ask.lot("a2")
    assert [lot.lot_id for lot in journey.ancestors] == ["a", "a1"]
    assert [(step.parent_lot_id, step.lot_id) for step in journey.descent] == [("a", "a1"), ("a1", "a2")]
    split = [event.occurred_time for event in season().events if event.type == "crop.split"]
    assert [step.at for step in journey.descent] == split[:2]
    middle = await trace.ask.lot("a1")
    assert [lot.lot_id for lot in middle.descendants] == ["a2"]
    assert [(owner.owner_id, owner.reference_document) for owner in middle.custody] == [
        ("farm", ""),
        ("owner-v1", "BOL-1"),
        ("trader", "BOL-2"),
        ("owner-v1", "BOL-3"),
    ]
    assert (middle.lot.owner_id, middle.lot.quantity) == ("owner-v1", Quantity.of(30, "KGM"))
    assert [stock.stock_item_id for stock in middle.stock] == ["s1"]


async def test_what_nobody_mentioned_is_not_found(trace: Trace) -> None:
    for question in (
        trace.scopes.summary(OPERATOR, "?"),
        trace.ask.lot("?"),
        trace.ask.order(OPERATOR, "?"),
    ):
        with pytest.raises(NotFound):
            await question


async def test_a_lot_that_was_only_mentioned_is_answered_as_far_as_it_is_known(trace: Trace) -> None:
    story = Story()
    story.receive("s", "v", "early", 5)
    await trace.hear(story.events)
    scope = await trace.scopes.summary(OPERATOR, "early")
    assert ([lot.lot_id for lot in scope.lots], scope.lots[0].quantity, scope.recalled) == (
        ["early"],
        None,
        False,
    )
    assert [venue.venue_id for venue in scope.venues] == ["v"]
    assert scope_to_proto(scope).lots[0].HasField("quantity") is False


async def test_a_circle_of_descent_ends(trace: Trace) -> None:
    story = Story()
    story.split("x", 0, y=1)
    story.split("y", 0, x=1)
    await trace.hear(story.events)
    scope = await trace.scopes.summary(OPERATOR, "x")
    journey = await trace.ask.lot("x")
    assert [lot.lot_id for lot in scope.lots] == ["x", "y"]
    assert [lot.lot_id for lot in journey.ancestors] == [lot.lot_id for lot in journey.descendants] == ["y"]


async def test_answers_go_out_as_the_contract_says(trace: Trace) -> None:
    await trace.hear(season().events)
    scope = scope_to_proto(await trace.scopes.summary(OPERATOR, "a"))
    assert [(order.order_id, order.state) for order in scope.orders][1] == ("eaten", "FULFILLED")
    assert (scope.lots[0].quantity.amount, scope.lots[0].farm_name) == ("50", "Salinas")
    order = order_trace_to_proto(await trace.ask.order(OPERATOR, "eaten"))
    assert order.order.place_time.ToDatetime() > START.replace(tzinfo=None)
    lot = lot_trace_to_proto(await trace.ask.lot("a1"))
    assert [custody.owner_id for custody in lot.custody][:2] == ["farm", "owner-v1"]
