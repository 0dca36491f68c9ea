"""Events that crops declared wrong, in the journal: whichever of the two was heard first."""

import random
from datetime import timedelta

import pytest

from chassis.clock import FixedClock
from greenledger.crops.v1 import crops_pb2
from greenledger.crops.v1 import events_pb2 as crops
from services.trace.adapters import journal_reader
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.application.cold_chain import ColdChain
from services.trace.application.export_records import ExportRecords
from services.trace.application.find_gaps import FindGaps
from services.trace.application.mass_balance import MassBalances
from services.trace.domain.cold_chain import Limits
from services.trace.domain.findings import FindingCode
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import START, Story, celsius, kg
from tests.integration.trace.test_journal import exported
from tests.integration.trace.test_order_of_arrival import shuffled


async def corrected(trace: Trace, *lots: str) -> list[tuple[str, str]]:
    """Of the rows of a spreadsheet those that are marked: lot and event."""
    rows = await exported(trace, *lots)
    return [(row["lot_id"], row["critical_tracking_event"]) for row in rows if row.get("corrected")]


async def gaps(trace: Trace, lot: str) -> list[FindingCode]:
    ask = FindGaps(PostgresJournal(trace.database), FixedClock(START + timedelta(days=10)))
    return [finding.code for finding in await ask(lot, None)]


async def unbalanced(trace: Trace, lot: str) -> list[FindingCode]:
    found = await MassBalances(PostgresJournal(trace.database)).of_lot(lot, None)
    return [finding.code for finding in found.findings]


@pytest.mark.parametrize("seed", range(4))
async def test_a_row_of_what_was_declared_wrong_says_so_and_stays(trace: Trace, seed: int) -> None:
    story = Story()
    story.mint("x", 10)
    story.ship("x", "s1", "shop", 10)
    wrong = story.last
    story.ship("x", "s2", "shop", 10)
    story.arrive("x", "s2", "shop", 10)
    await trace.hear(story.events)
    assert await corrected(trace, "x") == []
    assert await gaps(trace, "x") == [FindingCode.SHIPPED_NOT_RECEIVED]
    await trace.forget()
    story.correct("x", event=wrong)
    await trace.hear(shuffled(story.events, random.Random(seed)))
    assert await corrected(trace, "x") == [("x", "shipping")]
    rows = await exported(trace, "x")
    assert [row["critical_tracking_event"] for row in rows] == [
        "harvesting",
        "shipping",
        "shipping",
        "receiving",
    ]
    assert await gaps(trace, "x") == []


async def test_a_wrong_shipment_is_not_where_the_goods_went_and_a_wrong_voiding_voids_none(
    trace: Trace,
) -> None:
    story = Story()
    story.mint("x", 10)
    story.ship("x", "s1", "nobody", 10)
    story.correct("x", event=story.last)
    story.ship("x", "s2", "trader", 10)
    story.void("x", "s2")
    story.correct("x", event=story.last)
    await trace.hear(reversed(story.events))
    harvested, _, second = await exported(trace, "x")
    assert harvested["immediate_subsequent_recipient_location"] == "party trader"
    assert (second["ship_to_location"], second.get("voided")) == ("party trader", None)


async def test_an_arrival_that_is_told_again_belongs_to_its_shipment(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.ship("x", "s", "shop", 10)
    story.arrive("x", "s", "shop", 3)
    wrong = story.last
    story.arrive("x", "", "shop", 10)
    right = story.last
    await trace.hear(story.events)
    assert await gaps(trace, "x") == [FindingCode.RECEIVED_NOT_SHIPPED, FindingCode.SHIPMENT_DIFFERS]
    story.correct("x", event=wrong, right=[right])
    await trace.hear(story.events[-1:])
    assert await gaps(trace, "x") == []


async def test_a_wrong_reading_is_no_breach(trace: Trace) -> None:
    story = Story()
    story.mint("x", 10)
    story.observe("x", celsius("90", 0), celsius("1", 60))
    wrong = story.last
    story.observe("x", celsius("9", 100), celsius("1", 160))
    story.correct("x", event=wrong)
    await trace.hear(reversed(story.events))
    [breach] = await ColdChain(PostgresJournal(trace.database))("x", Limits(), None, 10)
    assert breach.highest == 9


def mixed() -> Story:
    """Of 30 kg, as was said, 20 kg came; the ids are those that each lot's history has."""
    story = Story()
    story.mint("x", 100)
    transformed = crops.LotTransformed(
        transformation_id="t",
        inputs=[crops_pb2.TransformedInput(lot_id="x", quantity=kg(30), remaining=kg(70))],
        outputs=[crops_pb2.TransformedOutput(lot_id="y", quantity=kg(20))],
        input_event_ids=["x-used"],
        output_event_ids=["y-minted"],
    )
    story.tell("crop.transformed", "t", transformed)
    story.mint("y", 20)
    minted = story.events[-1].payload
    assert isinstance(minted, crops.LotMinted)
    minted.transformation_id = "t"
    story.events[-1] = story.events[-1]._replace(event_id="y-minted")
    return story


@pytest.mark.parametrize(
    ("lot", "event", "held"), [("x", "x-used", 80), ("y", "y-minted", 30)], ids=["went in", "came out"]
)
async def test_a_transformation_balances_with_what_is_right_of_it(
    trace: Trace, lot: str, event: str, held: int
) -> None:
    story = mixed()
    await trace.hear(story.events)
    assert await unbalanced(trace, "x") == [FindingCode.TRANSFORMATION_DIFFERS]
    await trace.forget()
    story.correct(lot, held, event)
    await trace.hear(shuffled(story.events, random.Random(6)))
    for each in ("x", "y"):
        assert await unbalanced(trace, each) == []
    assert await corrected(trace, "x", "y") == [(lot, "transformation")]


async def test_a_correction_of_a_correction_says_once_more_what_is_right(trace: Trace) -> None:
    story = mixed()
    story.correct("x", 75, "x-used")
    await trace.hear(story.events)
    assert await unbalanced(trace, "x") == [FindingCode.TRANSFORMATION_DIFFERS]
    story.correct("x", 80, story.last)
    await trace.hear(story.events[-1:])
    assert await unbalanced(trace, "x") == []


@pytest.mark.parametrize("wrong", ["of the lot", "of the part"])
async def test_a_part_is_wrong_by_either_history(trace: Trace, wrong: str) -> None:
    story = Story()
    story.mint("x", 10)
    story.split("x", 6, xy=4)
    minted = story.events[-1].payload
    assert isinstance(minted, crops.LotMinted)
    minted.parent_event_id = story.events[-2].event_id
    if wrong == "of the lot":
        story.correct("x", event=minted.parent_event_id)
    else:
        story.correct("xy", event=story.last)
    await trace.hear(reversed(story.events))
    marked = await corrected(trace, "x", "xy")
    assert ("x", "transformation") in marked
    assert (("xy", "transformation") in marked) == (wrong == "of the part")


async def test_a_correction_that_is_heard_during_an_export_stays_out_of_it(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "PAGE", 1)
    story = Story()
    story.mint("x", 10)
    story.ship("x", "s", "shop", 10)
    await trace.hear(story.events)
    export = ExportRecords(PostgresJournal(trace.database))
    pages = export.rows(await export.select(["x"], None, None, related=False))
    await anext(pages)
    story.correct("x", event=story.last)
    await trace.hear(story.events[-1:])
    [shipped] = await anext(pages)
    assert "corrected" not in shipped
    assert await corrected(trace, "x") == [("x", "shipping")]
