"""Shipments and readings that partners reported."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest

from chassis.clock import FixedClock
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.application.cold_chain import ColdChain
from services.trace.application.find_gaps import FindGaps
from services.trace.domain.cold_chain import Breach, Limits
from services.trace.domain.findings import Finding, FindingCode
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import START, Story, celsius
from tests.integration.trace.test_answers import AUDITOR
from tests.integration.trace.test_movements import shipments
from tests.integration.trace.test_order_of_arrival import shuffled

SOUP = "urn:soup"
MADE = ("TransformationEvent",)
SEEN = ("ObjectEvent", "OBSERVE")


def soup() -> Story:
    """A lot of ours of which a partner made soup."""
    story = Story()
    story.mint("x", 10)
    story.capture("t", *MADE, inputs=["x"], outputs=["soup"], by="user:cook")
    return story


async def under_way(trace: Trace, lot: str = "x", position: int = 0) -> list[tuple[str, str, str, bool]]:
    """Of a lot's scope: event or shipment, lot, unit, and whether only partners say so."""
    return [
        (each.shipment_id, each.lot_id, each.unit_id, each.by_partners_only)
        for each in await shipments(trace, lot, position)
    ]


async def gaps(trace: Trace, lot: str) -> list[Finding]:
    return await FindGaps(PostgresJournal(trace.database), FixedClock(START + timedelta(days=10)))(lot, None)


async def breaches(trace: Trace, lot: str) -> list[Breach]:
    limits = Limits(min_duration=timedelta(0))
    return await ColdChain(PostgresJournal(trace.database))(lot, limits, None, 10)


async def test_goods_that_a_partner_shipped_are_on_their_way_until_somebody_has_them(trace: Trace) -> None:
    story = soup()
    story.capture("s", *SEEN, step="shipping", to="urn:shop", goods=["soup"], by="user:cook")
    await trace.hear(shuffled(story.events, random.Random(1)))
    [moving] = await shipments(trace, "x")
    assert (moving.lot_id, moving.shipment_id, moving.to_id, moving.by_partners_only) == (
        SOUP,
        "s",
        "urn:shop",
        True,
    )
    lots = {lot.lot_id: lot for lot in (await trace.scopes.summary(AUDITOR, "x")).lots}
    assert (lots[SOUP].in_transit, lots[SOUP].in_transit_by_partners_only) == (True, True)
    assert (lots["x"].in_transit, lots["x"].in_transit_by_partners_only) == (False, False)
    before, told = await trace.scopes.position(0), len(story.events)
    story.capture("r", *SEEN, step="receiving", goods=["soup"], by="user:shop")
    await trace.hear(story.events[told:])
    assert await under_way(trace) == []
    # A list that began before the arrival was heard of stays as it was.
    assert len(await under_way(trace, position=before)) == 1
    told = len(story.events)
    story.capture("r", *SEEN, step="receiving", goods=["soup"], by="user:shop", wrong=True)
    await trace.hear(story.events[told:])
    assert len(await under_way(trace)) == 1, "an arrival that was declared wrong is none"


@pytest.mark.parametrize("end", ["void_shipping", "declared wrong"])
async def test_a_shipment_that_was_taken_back_is_none(trace: Trace, end: str) -> None:
    story = soup()
    story.capture("s", *SEEN, step="shipping", goods=["soup"], by="user:cook")
    if end == "declared wrong":
        story.capture("s", *SEEN, step="shipping", goods=["soup"], by="user:cook", wrong=True)
    else:
        story.capture("v", *SEEN, step=end, goods=["soup"], by="user:cook")
    await trace.hear(shuffled(story.events, random.Random(2)))
    assert await under_way(trace) == []


async def test_nobody_takes_back_what_another_partner_said(trace: Trace) -> None:
    story = soup()
    story.capture("s", *SEEN, step="shipping", goods=["soup"], by="user:cook")
    story.capture("s", *SEEN, step="shipping", goods=["soup"], by="user:rival", wrong=True)
    await trace.hear(story.events)
    assert len(await under_way(trace)) == 1


async def test_an_arrival_ends_the_shipment_whose_papers_it_has(trace: Trace) -> None:
    story = soup()
    story.capture("s1", *SEEN, step="shipping", goods=["soup"], documents=["urn:bol:1", "urn:po"])
    story.capture("s2", *SEEN, step="shipping", goods=["soup"], documents=["urn:bol:2"])
    story.capture("r", *SEEN, step="receiving", goods=["soup"], documents=["urn:bol:1"])
    await trace.hear(shuffled(story.events, random.Random(3)))
    assert [event for event, *_ in await under_way(trace)] == ["s2"]


async def test_of_a_lot_of_ours_only_who_has_or_had_it_says_that_it_is_under_way(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.capture("s", *SEEN, step="shipping", goods=["x"], by="user:stranger")
    await trace.hear(story.events)
    assert await under_way(trace) == []
    assert not (await trace.ask.lot("x")).lot.in_transit
    told = len(story.events)
    story.capture("s2", *SEEN, step="shipping", goods=["x"], by="user:farm")
    story.capture("r2", *SEEN, step="receiving", goods=["x"], by="user:stranger")
    await trace.hear(story.events[told:])
    assert await under_way(trace) == [("s2", "x", "", True)]
    assert (await trace.ask.lot("x")).lot.in_transit_by_partners_only
    told = len(story.events)
    story.take_custody("x", "carrier")
    await trace.hear(story.events[told:])
    assert await under_way(trace) == [], "our own word that somebody has it"


async def test_our_own_shipment_stays_open_whatever_partners_say(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.ship("x", "ours", "shop", 10)
    story.capture("r", *SEEN, step="receiving", goods=["x"], by="user:farm")
    await trace.hear(story.events)
    assert await under_way(trace) == [("ours", "x", "", False)]
    lot = (await trace.ask.lot("x")).lot
    assert (lot.in_transit, lot.in_transit_by_partners_only) == (True, False)
    assert [(each.code, each.by_partners_only) for each in await gaps(trace, "x")] == [
        (FindingCode.SHIPPED_NOT_RECEIVED, False)
    ]


async def test_a_lot_is_on_its_way_with_the_unit_that_it_is_on(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.pack("urn:pallet", "x")
    story.capture("s", *SEEN, step="shipping", goods=["pallet"], by="user:stranger")
    await trace.hear(story.events)
    assert await under_way(trace) == [], "a stranger to the lot speaks of the unit that it is on"
    told = len(story.events)
    story.capture("s2", *SEEN, step="shipping", goods=["pallet"], by="user:farm")
    await trace.hear(story.events[told:])
    assert await under_way(trace) == [("s2", "x", "urn:pallet", True)]
    told = len(story.events)
    story.unpack("urn:pallet", "x")
    await trace.hear(story.events[told:])
    assert await under_way(trace) == []


async def test_gaps_tell_what_partners_shipped_and_nobody_received(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.capture("r", *SEEN, step="receiving", goods=["x"], by="user:farm")
    story.capture("s", *SEEN, step="shipping", to="urn:shop", goods=["x"], by="user:farm")
    story.capture("s2", *SEEN, step="shipping", goods=["x"], by="user:stranger")
    await trace.hear(shuffled(story.events, random.Random(4)))
    assert [
        (each.code, each.reference, each.party_id, each.by_partners_only) for each in await gaps(trace, "x")
    ] == [
        (FindingCode.SHIPPED_NOT_RECEIVED, "s", "urn:shop", True),
        (FindingCode.RECEIVED_NOT_SHIPPED, "r", "farm", True),
    ]


async def test_partners_readings_are_breaches_by_their_word(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.observe("x", celsius("9", 2), celsius("8", 60))
    story.capture("m", *SEEN, goods=["x"], by="user:farm", readings=[celsius("7", 3), celsius("1", 90)])
    story.capture("n", *SEEN, goods=["x"], by="user:stranger", readings=[celsius("30", 4)])
    await trace.hear(shuffled(story.events, random.Random(5)))
    own, told = await breaches(trace, "x")
    assert (own.highest, own.end, own.reported_by) == (Decimal(9), None, "")
    assert (told.highest, told.end, told.reported_by) == (Decimal(7), START + timedelta(minutes=90), "farm")
    heard = len(story.events)
    story.capture("m", *SEEN, goods=["x"], by="user:farm", readings=[celsius("7", 3)], wrong=True)
    await trace.hear(story.events[heard:])
    assert await breaches(trace, "x") == [own]


async def test_a_unit_is_as_warm_as_what_is_on_it_while_it_is_on_it(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.pack("urn:pallet", "x")
    story.unpack("urn:pallet", "x")
    warm = [celsius("9", 0), celsius("8", 1), celsius("9", 30)]
    story.capture("m", *SEEN, goods=["pallet"], by="user:farm", readings=warm)
    story.capture("n", *SEEN, goods=["pallet"], by="user:stranger", readings=[celsius("30", 1)])
    await trace.hear(story.events)
    [breach] = await breaches(trace, "x")
    assert (breach.lot_id, breach.highest, breach.readings) == ("urn:pallet", Decimal(8), 1)


async def test_what_partners_measured_of_goods_before_ours_were_made_of_them_counts(trace: Trace) -> None:
    story = Story()
    story.capture("m", *SEEN, goods=["milk"], by="user:dairy", readings=[celsius("9", 0), celsius("9", 40)])
    story.capture("t", *MADE, inputs=["milk"], outputs=["x"], by="user:dairy")
    story.mint("x", 10)
    await trace.hear(reversed(story.events))
    [breach] = await breaches(trace, "x")
    assert (breach.lot_id, breach.readings, breach.reported_by) == ("urn:milk", 1, "dairy")
