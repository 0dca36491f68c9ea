"""Mass balance, cold chain, gaps and exports over what was heard."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.clock import FixedClock
from chassis.errors import InvalidArgument, NotFound
from chassis.quantity import Quantity
from services.trace.adapters import journal_reader
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.application.cold_chain import ColdChain
from services.trace.application.export_records import ExportRecords
from services.trace.application.find_gaps import FindGaps
from services.trace.application.mass_balance import MassBalances
from services.trace.domain.cold_chain import Limits
from services.trace.domain.findings import FindingCode
from services.trace.domain.records import Row
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import START, Story, celsius, season
from tests.integration.trace.test_answers import AUDITOR, OPERATOR
from tests.integration.trace.test_order_of_arrival import shuffled


def balances(trace: Trace) -> MassBalances:
    return MassBalances(PostgresJournal(trace.database))


def cold_chain(trace: Trace) -> ColdChain:
    return ColdChain(PostgresJournal(trace.database))


async def test_a_season_balances_in_whatever_order_it_was_heard(trace: Trace) -> None:
    story = season()
    await trace.hear(shuffled(story.events, random.Random(5)))
    a1 = await balances(trace).of_lot("a1", None)
    assert [(line.holder_id, line.by_movement, line.by_ledger) for line in a1.lines] == [
        ("farm", 0, 0),
        ("owner-v1", 0, 0),
        ("trader", 0, 0),
        ("owner-v1", 30, 30),
        ("v1", 29, None),
    ]
    assert a1.findings == ()
    e = await balances(trace).of_lot("e", None)
    [line] = e.lines
    assert (line.minted, line.destroyed, line.corrected, line.by_movement) == (50, 21, 1, 30)
    # Its part in the mix was told without a quantity.
    assert [finding.code for finding in e.findings] == [FindingCode.REMAINDER_DIFFERS]


async def test_what_was_sold_at_retail_is_gone_from_the_balance_and_from_the_lot(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.sell("x", 4, 6)
    story.sell("x", 6, 0)
    await trace.hear(reversed(story.events))
    found = await balances(trace).of_lot("x", None)
    assert [(line.sold, line.by_movement, line.by_ledger) for line in found.lines] == [(10, 0, 0)]
    assert found.findings == ()
    scope = await trace.scopes.summary(AUDITOR, "x")
    assert [(lot.quantity, lot.destroyed) for lot in scope.lots] == [(Quantity.of(0, "KGM"), False)]


async def test_servings_before_and_after_a_correction_and_a_change_of_owner_count_once(trace: Trace) -> None:
    story = Story()
    story.mint("x", 100)
    story.commit("x", "k", 30, "v1")
    story.receive("s", "v1", "x", 30)
    story.serve("x", 10, 90)
    story.serve("x", 5, 85)
    story.correct("x", 80)
    story.serve("x", 15, 65)
    story.transfer("x", 1, "next")
    story.commit("x", "k2", 20, "v1")
    story.serve("x", 20, 45)
    story.split("x", 40, y=5)
    await trace.hear(shuffled(story.events, random.Random(7)))
    found = await balances(trace).of_lot("x", Decimal(0))
    lines = {line.holder_id: line for line in found.lines}
    farm, owner = lines["farm"], lines["next"]
    assert (farm.consumed, farm.corrected, farm.transferred) == (30, -5, 65)
    assert (owner.received, owner.consumed, owner.by_movement, owner.by_ledger) == (65, 20, 40, 40)
    assert (owner.committed, lines["v1"].received) == (0, 30)
    [lot] = [lot for lot in (await trace.scopes.summary(AUDITOR, "x")).lots if lot.lot_id == "x"]
    assert lot.quantity == Quantity.of(40, "KGM")


async def test_a_holder_is_told_lot_by_lot(trace: Trace) -> None:
    await trace.hear(season().events)
    first = await balances(trace).of_holder("owner-v1", "", 1, None)
    assert [lot for lot, _ in first] == ["a1"]
    assert await balances(trace).of_holder("owner-v1", "a1", 10, None) == []
    venue = await balances(trace).of_holder("v1", "", 10, None)
    assert [(lot, line.received) for lot, each in venue for line in each.lines] == [
        ("a1", 30),
        ("b", 50),
        ("mix", 10),
    ]
    with pytest.raises(NotFound):
        await balances(trace).of_lot("?", None)


async def test_readings_of_a_source_count_until_the_goods_left_it(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.observe("x", *(celsius("9", minute) for minute in range(-100, -40, 10)))
    story.split("x", 5, y=5)
    story.observe("x", *(celsius("9", minute) for minute in range(60, 120, 10)))
    await trace.hear(reversed(story.events))
    [source] = await cold_chain(trace)("y", Limits(), None, 10)
    assert (source.lot_id, source.start) == ("x", START - timedelta(minutes=100))
    assert len(await cold_chain(trace)("x", Limits(), None, 10)) == 1
    stricter = Limits(max_celsius=Decimal(9))
    assert await cold_chain(trace)("x", stricter, None, 10) == []


async def test_readings_of_a_lot_beside_it_count_while_both_are_on_the_unit(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.mint("y", 10)
    story.pack("unit", "x", "y")
    story.observe("x", celsius("9", 3), celsius("9", 5))
    story.unpack("unit", "y")
    story.observe("x", celsius("9", 60), celsius("1", 70))
    await trace.hear(story.events)
    short = Limits(min_duration=timedelta(0))
    [beside] = await cold_chain(trace)("y", short, None, 10)
    assert (beside.lot_id, beside.end, beside.readings) == ("x", None, 1)
    [own] = await cold_chain(trace)("x", Limits(), None, 10)
    assert own.end == START + timedelta(minutes=70)


async def test_breaches_come_in_pages_and_a_circle_of_descent_ends(trace: Trace) -> None:
    story = Story()
    story.split("x", 0, y=1)
    story.split("y", 0, x=1)
    warm = [celsius("9" if minute % 60 < 40 else "1", minute) for minute in range(-600, 0, 20)]
    story.observe("x", *warm)
    await trace.hear(story.events)
    ask = cold_chain(trace)
    every = await ask("x", Limits(), None, 100)
    assert len(every) == 10
    paged = []
    after = None
    while page := await ask("x", Limits(), after, 3):
        paged += page
        after = page[-1].place
    assert paged == every
    assert len(await ask("y", Limits(), None, 100)) == 10


async def test_gaps_of_a_lot_are_told(trace: Trace) -> None:
    await trace.hear(season().events)
    ask = FindGaps(PostgresJournal(trace.database), FixedClock(START + timedelta(days=10)))
    assert [finding.code for finding in await ask("d1", None)] == [FindingCode.SHIPPED_NOT_RECEIVED]
    assert [finding.difference for finding in await ask("c", None)] == [-1]
    assert await ask("d2", None) == []
    story = Story()
    story.split("x", 0, y=1)
    story.split("y", 0, x=1)
    await trace.hear(story.events)
    assert FindingCode.OWN_ANCESTOR in {finding.code for finding in await ask("x", None)}


async def exported(trace: Trace, *lots: str, related: bool = False, **said: Any) -> list[Row]:
    export = ExportRecords(PostgresJournal(trace.database))
    selection = await export.select(lots, said.get("start"), said.get("end"), related=related)
    return [row async for page in export.rows(selection) for row in page]


async def test_an_export_has_the_events_of_lots_or_of_a_range_of_dates(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "PAGE", 3)
    await trace.hear(season().events)
    c = await exported(trace, "c")
    assert [row["critical_tracking_event"] for row in c] == [
        "harvesting",
        "receiving",
        "shipping",
        "receiving",
    ]
    assert (c[0]["farm_location"], c[1]["receiving_location"]) == ("Salinas", "Chez v2")
    assert c[2]["reference_document_number"] == "BOL 7"
    every = await exported(trace, start=START, end=START + timedelta(days=1))
    assert [row["event_time"] for row in every if "-07:00" not in row["event_time"]] == sorted(
        row["event_time"] for row in every if "-07:00" not in row["event_time"]
    )
    by_lot = [row for row in every if row["lot_id"] == "c"]
    assert by_lot == c
    assert len({(row["event_id"], row["lot_id"], row.get("input_tlc")) for row in every}) == len(every)
    first = await exported(trace, start=START, end=START + timedelta(minutes=3))
    assert [row["lot_id"] for row in first] == ["a"]
    [voided] = [row for row in every if row.get("voided")]
    assert (voided["lot_id"], voided["critical_tracking_event"]) == ("d2", "shipping")


async def test_an_export_may_follow_the_goods_up_and_down(trace: Trace) -> None:
    await trace.hear(season().events)
    alone = {row["lot_id"] for row in await exported(trace, "d1")}
    related = {row["lot_id"] for row in await exported(trace, "d", related=True)}
    assert (alone, related) == ({"d1"}, {"d", "d1", "d2", "mix"})
    assert {row["lot_id"] for row in await exported(trace, "mix", related=True)} == {"d", "e", "mix"}


async def test_an_export_of_everything_is_refused(trace: Trace) -> None:
    for said in ({}, {"start": START}, {"start": START, "end": START}):
        with pytest.raises(InvalidArgument):
            await exported(trace, **said)
    with pytest.raises(NotFound):
        await exported(trace, "?")


async def test_what_is_heard_during_an_export_stays_out_of_it(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "PAGE", 2)
    story = Story()
    for lot in ("x", "y", "z"):
        story.mint(lot, 1)
    await trace.hear(story.events)
    told = len(story.events)
    export = ExportRecords(PostgresJournal(trace.database))
    pages = export.rows(await export.select([], START, START + timedelta(days=1), related=False))
    rows = list(await anext(pages))
    story.mint("later", 1)
    await trace.hear(story.events[told:])
    rows += [row async for page in pages for row in page]
    assert [row["lot_id"] for row in rows] == ["x", "y", "z"]


async def test_a_lot_goes_where_its_first_shipment_that_stands_takes_it(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "PAGE", 1)
    story, recipient = Story(), "immediate_subsequent_recipient_location"
    story.mint("w", 1)
    story.mint("x", 10)
    story.ship("x", "s1", "nobody", 10)
    story.void("x", "s1")
    story.ship("x", "s2", "trader", 10)
    await trace.hear(story.events[:-1])
    export = ExportRecords(PostgresJournal(trace.database))
    pages = export.rows(await export.select(["w", "x"], None, None, related=False))
    [first] = await anext(pages)
    assert first["lot_id"] == "w"
    await trace.hear(story.events[-1:])
    [minted] = await anext(pages)
    assert (minted["lot_id"], minted["critical_tracking_event"]) == ("x", "harvesting")
    assert recipient not in minted
    [minted, *_] = await exported(trace, "x")
    assert minted[recipient] == "party trader"


async def test_only_who_has_or_had_a_lot_says_that_it_is_on_a_unit(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.mint("y", 10)
    story.pack("unit", "x", "y")
    story.capture("c1", "AggregationEvent", action="DELETE", parent="unit", by="user:stranger", goods=["y"])
    story.observe("x", celsius("9", 6), celsius("9", 7))
    await trace.hear(reversed(story.events))
    short = Limits(min_duration=timedelta(0))
    [beside] = await cold_chain(trace)("y", short, None, 10)
    assert (beside.lot_id, beside.readings) == ("x", 2)
    told = len(story.events)
    story.capture("c2", "AggregationEvent", action="DELETE", parent="unit", by="user:farm", goods=["y"])
    await trace.hear(story.events[told:])
    assert await cold_chain(trace)("y", short, None, 10) == []


async def test_a_carrier_and_a_venue_that_had_a_lot_say_so_too(trace: Trace) -> None:
    story = Story()
    for lot in ("x", "y", "z"):
        story.mint(lot, 10)
    story.venue("v")
    story.pack("unit", "x", "y", "z")
    story.take_custody("y", "carrier")
    story.take_custody("y", "shop")
    story.receive("s", "v", "z", 1)
    await trace.hear(story.events)
    told = len(story.events)
    story.capture(
        "c1", "AggregationEvent", action="DELETE", parent="unit", by="user:carrier", goods=["x", "y"]
    )
    story.capture(
        "c2", "AggregationEvent", action="DELETE", parent="unit", by="user:owner-v", goods=["x", "z"]
    )
    await trace.hear(story.events[told:])
    lots = {lot: (await trace.scopes.summary(OPERATOR, lot)).lots[0].unit_id for lot in ("x", "y", "z")}
    assert lots == {"x": "unit", "y": "", "z": ""}
