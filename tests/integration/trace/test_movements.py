"""Custody, shipments, logistic units, holds, destruction and the end of recalls, in a recall scope."""

import random

import pytest

from chassis.quantity import Quantity
from greenledger.crops.v1.events_pb2 import LotMinted
from services.trace.domain.answers import TracedShipment
from services.trace.domain.scope import ScopeKind
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import Story, season
from tests.integration.trace.test_answers import AUDITOR, OPERATOR
from tests.integration.trace.test_order_of_arrival import shuffled


async def shipments(trace: Trace, lot: str, position: int = 0) -> list[TracedShipment]:
    at = await trace.scopes.position(position)
    found = await trace.scopes.entries(AUDITOR, lot, at, ScopeKind.SHIPMENT, None, 100)
    return [entry.what for entry in found if isinstance(entry.what, TracedShipment)]


async def test_a_scope_says_what_is_on_its_way_and_who_has_the_goods(trace: Trace) -> None:
    await trace.hear(season().events)
    scope = await trace.scopes.summary(AUDITOR, "d")
    assert scope.shipments == tuple(await shipments(trace, "d"))
    [told, moving] = scope.shipments
    assert (told.lot_id, told.by_partners_only, moving.by_partners_only) == ("urn:soup", True, False)
    assert (moving.lot_id, moving.shipment_id, moving.from_id, moving.to_id, moving.unit_id) == (
        "d1",
        "on-the-way",
        "farm",
        "owner-v1",
        "sscc",
    )
    assert moving.quantity == Quantity.of(10, "KGM")
    assert (scope.counts.shipments, scope.custodian_ids, scope.counts.custodians) == (2, ("farm",), 1)
    lots = {lot.lot_id: lot for lot in scope.lots}
    assert (lots["d1"].in_transit, lots["d1"].unit_id) == (True, "sscc")
    assert (lots["d2"].in_transit, lots["d2"].unit_id) == (False, "")
    assert (await trace.scopes.summary(AUDITOR, "c")).custodian_ids == ("owner-v2",)


async def test_a_lot_follows_its_unit_only_as_long_as_it_is_in_it(trace: Trace) -> None:
    story = Story()
    for lot in ("x", "y", "z"):
        story.mint(lot, 10)
    story.pack("unit", "x", "y", "z")
    story.unpack("unit", "z")
    story.ship("x", "away", "shop", unit="unit")
    await trace.hear(story.events)
    before = await trace.scopes.position(0)
    assert [(each.lot_id, each.quantity) for each in await shipments(trace, "y")] == [("y", None)]
    assert await shipments(trace, "z") == []
    story = Story(story.events[:])
    told = len(story.events)
    story.unpack("unit", "y")
    await trace.hear(story.events[told:])
    assert await shipments(trace, "y") == []
    # A list that began before the unpacking was heard of stays as it was.
    assert len(await shipments(trace, "y", before)) == 1


async def test_a_released_recall_a_hold_and_a_destruction_are_told(trace: Trace) -> None:
    await trace.hear(season().events)
    assert [(await trace.ask.lot(lot)).lot.recalled for lot in ("a", "b", "c")] == [True, False, False]
    mix = await trace.scopes.summary(AUDITOR, "mix")
    # Of its two recalls one goes on.
    assert (mix.recalled, mix.counts.recalled_lots) == (True, 1)
    assert [stock.quarantined for stock in mix.stock] == [False]
    scope = await trace.scopes.summary(AUDITOR, "e")
    assert (scope.counts.held_lots, scope.counts.destroyed_lots) == (1, 1)
    e = next(lot for lot in scope.lots if lot.lot_id == "e")
    assert (e.held, e.destroyed, e.quantity) == (True, True, Quantity.of(0, "KGM"))
    assert not (await trace.ask.lot("d2")).lot.held


async def test_a_recall_that_is_called_again_holds_again(trace: Trace) -> None:
    story = Story()
    story.mint("x", 1)
    story.recall("x")
    story.end_recall("x")
    story.recall("x")
    await trace.hear(shuffled(story.events, random.Random(3)))
    assert (await trace.ask.lot("x")).lot.recalled


@pytest.mark.parametrize("first", ["crop.minted", "crop.transformed"])
async def test_either_telling_of_a_transformation_makes_the_descent(trace: Trace, first: str) -> None:
    story = Story()
    story.mint("x", 1)
    story.mint("y", 1)
    story.transform("made", 2, x=0, y=0)
    minted = story.events[-1].payload
    assert isinstance(minted, LotMinted)
    minted.parent_lot_ids.extend(["x", "y"])
    await trace.hear([event for event in story.events if event.type == first])
    assert [lot.lot_id for lot in (await trace.scopes.summary(OPERATOR, "x")).lots] == ["made", "x"]


async def test_goods_are_followed_through_what_partners_reported(trace: Trace) -> None:
    await trace.hear(shuffled(season().events, random.Random(11)))
    scope = await trace.scopes.summary(AUDITOR, "d1")
    assert [lot.lot_id for lot in scope.lots] == ["d1", "f", "urn:soup"]
    assert [lot.unit_id for lot in scope.lots] == ["sscc", "crate", ""]
    journey = await trace.ask.lot("f")
    assert [lot.lot_id for lot in journey.ancestors] == ["d", "d1", "urn:foreign", "urn:soup"]


async def test_a_correction_may_raise_what_a_lot_holds(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.split("x", 4, part=6)
    story.correct("x", 7)
    await trace.hear(reversed(story.events))
    assert (await trace.ask.lot("x")).lot.quantity == Quantity.of(7, "KGM")
