"""How far a recall has come, out of events in any order, and what one would have to do."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.context import Principal
from chassis.errors import NotFound, PermissionDenied
from chassis.money import Money
from chassis.testing import eventually
from greenledger.crops.v1 import events_pb2 as crops
from services.trace.application import recalls
from services.trace.application.find_stalled import FindStalledRecalls
from services.trace.application.recalls import mark_of
from services.trace.domain.recall import DEADLINES, Entry, EntryKind, Recall, RecallState
from tests.integration.trace.conftest import Trace
from tests.integration.trace.recall_story import (
    ALL_DONE,
    OPERATOR,
    R1,
    R2,
    R3,
    Recalling,
    Tale,
    before_the_recall,
    recalled,
    table,
)
from tests.integration.trace.story import START, kg
from tests.integration.trace.test_order_of_arrival import shuffled

AUDITOR = Principal("auditor", "user", permissions=frozenset({"trace.read"}))


@pytest_asyncio.fixture
async def recalling(trace: Trace) -> AsyncIterator[Recalling]:
    yield Recalling(trace)


async def test_what_the_lot_reached_is_expected_before_anybody_has_dealt_with_it(recalling: Recalling):
    tale = before_the_recall()
    tale.lot_recalled("a", "a")
    await recalling.hear(tale.events)
    assert await recalling.counts() == {
        "LOT": (2, 1, 0),
        "STOCK": (1, 0, 0),
        "MENU_ITEM": (2, 0, 0),
        "ORDER": (2, 0, 0),
        "REFUND": (1, 0, 0),
        "GUEST": (2, 0, 0),
        "VENUE": (1, 0, 0),
        "HOLDER": (1, 0, 0),
    }
    assert await recalling.outstanding() == {
        ("LOT", "a1"),
        ("STOCK", "s1"),
        ("MENU_ITEM", "salad"),
        ("MENU_ITEM", "special"),
        ("ORDER", "eaten"),
        ("ORDER", "open"),
        ("REFUND", "eaten"),
        ("GUEST", "g1"),
        ("GUEST", "g2"),
        ("VENUE", "v1"),
        ("HOLDER", "farm"),
    }


async def test_a_recall_that_has_reached_everything_is_complete(recalling: Recalling):
    await recalling.hear(recalled().events)
    recall = await recalling.ask.get(R1)
    assert table(recall) == ALL_DONE
    assert (recall.state, recall.stalled) == (RecallState.COMPLETE, False)
    assert (recall.call.root_lot_id, recall.call.recall_class, recall.call.reason) == ("a", "I", "listeria")
    assert recall.refunded == (Money(1250, "USD"),)
    assert await recalling.outstanding() == set()


async def test_goods_that_only_partners_have_named_are_not_waited_for(recalling: Recalling):
    tale = recalled()
    made = "urn:epc:id:lgtin:4012345.012345.made-of-a"
    tale.tell("crop.split", "a", crops.LotSplit(lot_id="a", part_lot_ids=[made], remaining=kg(1)))
    await recalling.hear(tale.events)
    assert await recalling.counts() == ALL_DONE


async def test_lots_of_ours_that_only_partners_say_were_made_of_it_are_in_the_scope_and_not_waited_for(
    recalling: Recalling, trace: Trace
):
    tale = recalled()
    begun = next(n for n, event in enumerate(tale.events) if event.type == "crop.recalled")
    reported = Tale(tale.events[:begun])
    reported.capture("t1", "TransformationEvent", inputs=["a1"], outputs=["soup"])
    reported.capture("t2", "TransformationEvent", inputs=["soup", "a1"], outputs=["p"])
    reported.mint("p", 10, owner="trader")
    reported.split("p", 5, p1=5)
    reported.receive("s-p", "v2", "p1", 5)
    reported.menu("pesto", "v2", 1, lot="p1")
    reported.reserve("pasta", "v2", ("s-p", "p1", "pesto"))
    await recalling.hear([*reported.events, *tale.events[begun:]])
    recall = await recalling.ask.get(R1)
    assert (table(recall), recall.state) == (ALL_DONE, RecallState.COMPLETE)
    assert table(await recalling.ask.drill("a"))["LOT"] == (2, 2, 0)
    scope = await trace.scopes.summary(OPERATOR, "a")
    assert {lot.lot_id: lot.by_partners_only for lot in scope.lots} == {
        "a": False,
        "a1": False,
        "p": True,
        "p1": True,
        "urn:soup": True,
    }
    assert (scope.counts.lots, scope.counts.partner_lots, scope.counts.stock) == (5, 3, 2)
    marked = len(reported.events)
    reported.lot_recalled("p", "a")
    await recalling.hear(reported.events[marked:])
    assert (await recalling.counts())["LOT"] == (3, 3, 0)


async def test_what_partners_and_crops_say_was_made_of_it_is_waited_for(recalling: Recalling):
    tale = before_the_recall()
    tale.capture("t1", "TransformationEvent", inputs=["a"], outputs=["a1"])
    tale.lot_recalled("a", "a")
    await recalling.hear(tale.events)
    assert ("LOT", "a1") in await recalling.outstanding()


async def test_somebody_who_cannot_be_told_has_failed_and_is_not_waited_for(recalling: Recalling):
    tale = recalled()
    told = [
        event
        for event in tale.events
        if not (event.type == "notification.sent" and "g2" in event.aggregate_id)
    ]
    tale.events = told
    tale.noticed("g2", sent=False)
    await recalling.hear(tale.events)
    assert (await recalling.counts())["GUEST"] == (2, 1, 1)
    assert (await recalling.ask.get(R1)).state is RecallState.COMPLETE


async def test_an_order_served_after_the_end_for_its_lot_is_done_and_its_guest_is_not_waited_for(
    recalling: Recalling,
):
    tale = before_the_recall()
    tale.affected("open", "v1", consumed=False)
    tale.dealt_with("open", "g2", "v1", served=False, cents=0, unaffected=True)
    tale.lot_recalled("a", "a")
    await recalling.hear(tale.events)
    outstanding = await recalling.outstanding()
    assert ("ORDER", "open") not in outstanding
    assert {entry for kind, entry in outstanding if kind == "GUEST"} == {"g1"}


async def test_what_is_late_stalls_kind_by_kind(recalling: Recalling):
    tale = before_the_recall()
    tale.lot_recalled("a", "a")
    tale.lot_recalled("a1", "a")
    await recalling.hear(tale.events)
    recalling.clock.advance(tale.events[-2].occurred_time + timedelta(seconds=31) - START)
    stalled = {each.kind.name for each in (await recalling.ask.get(R1)).progress if each.stalled}
    assert stalled == {"STOCK", "MENU_ITEM"}


async def test_a_recall_that_was_ended_expects_no_more_than_was_reached(recalling: Recalling):
    tale = before_the_recall()
    tale.lot_recalled("a", "a")
    tale.blocked("s1", "v1", "a1")
    tale.released("a", "a")
    tale.place("later", "g3", "v1")
    tale.reserve("later", "v1", ("s1", "a1", "salad"))
    await recalling.hear(tale.events)
    recalling.clock.advance(tale.events[-1].occurred_time + timedelta(days=1) - START)
    recall = await recalling.ask.get(R1)
    assert (recall.state, recall.stalled) == (RecallState.RELEASED, False)
    counts = table(recall)
    assert (counts["LOT"], counts["STOCK"], counts["ORDER"]) == ((1, 1, 0), (1, 1, 0), (0, 0, 0))


async def test_a_recall_is_released_when_all_its_lots_are(recalling: Recalling):
    tale = recalled()
    tale.released("a", "a")
    await recalling.hear(tale.events)
    recall = await recalling.ask.get(R1)
    assert (recall.state, recall.call.open, recall.call.released_at) == (RecallState.COMPLETE, False, None)
    told = len(tale.events)
    tale.released("a1", "a")
    await recalling.hear(tale.events[told:])
    assert (await recalling.ask.get(R1)).state is RecallState.RELEASED


async def test_a_lot_that_another_recall_still_holds_is_done_for_a_later_one(recalling: Recalling):
    tale = recalled()
    tale.released("a", "a")
    tale.lot_recalled("a", "a", R2)
    await recalling.hear(tale.events)
    counts = await recalling.counts(R2)
    assert (counts["LOT"], counts["STOCK"]) == ((2, 2, 0), (1, 1, 0))
    told = len(tale.events)
    tale.released("a1", "a", R1)
    tale.lot_recalled("a", "a", R3)
    await recalling.hear(tale.events[told:])
    assert (await recalling.counts(R3))["STOCK"] == (1, 0, 0)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rng=st.randoms(use_true_random=False))
async def test_the_end_of_a_recall_is_heard_in_any_order(recalling: Recalling, rng: random.Random) -> None:
    await recalling.forget()
    tale = recalled()
    tale.released("a", "a")
    tale.released("a1", "a")
    await recalling.hear(shuffled(tale.events, rng))
    recall = await recalling.ask.get(R1)
    assert (table(recall), recall.state) == (ALL_DONE, RecallState.RELEASED)
    assert recall.call.released_at == tale.events[-1].occurred_time


async def test_what_an_earlier_recall_holds_need_not_be_reached_again(recalling: Recalling):
    tale = before_the_recall()
    tale.lot_recalled("a1", "a1", R1, owner="owner-v1")
    tale.blocked("s1", "v1", "a1", R1)
    tale.lot_recalled("a", "a", R2)
    await recalling.hear(tale.events)
    counts = await recalling.counts(R2)
    assert (counts["LOT"], counts["STOCK"], counts["HOLDER"]) == ((2, 2, 0), (1, 1, 0), (1, 0, 0))
    assert counts["VENUE"] == (0, 0, 0)
    tale.released("a1", "a1", R1)
    await recalling.hear(tale.events[-1:])
    assert (await recalling.counts(R2))["LOT"] == (2, 2, 0)


async def test_what_the_venue_puts_on_its_menu_afterwards_is_its_own_affair(recalling: Recalling):
    tale = recalled()
    tale.menu("new-salad", "v1", 1, product="romaine")
    tale.menu("salad", "v1", 2, product="romaine")
    await recalling.hear(tale.events)
    assert (await recalling.counts())["MENU_ITEM"] == (2, 2, 0)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rng=st.randoms(use_true_random=False), at_once=st.integers(1, 10))
async def test_any_order_across_topics_gives_the_same_progress(
    recalling: Recalling, rng: random.Random, at_once: int
) -> None:
    await recalling.forget()
    await recalling.hear(shuffled(recalled().events, rng), at_once)
    recall = await recalling.ask.get(R1)
    assert (table(recall), recall.state) == (ALL_DONE, RecallState.COMPLETE)


async def test_entries_come_in_pages_and_guests_only_to_those_who_may_know(recalling: Recalling):
    await recalling.hear(recalled().events)
    everything = await recalling.ask.entries(OPERATOR, R1, None, False, None, 1000)
    paged: list[Entry] = []
    while page := await recalling.ask.entries(
        OPERATOR, R1, None, False, (paged[-1].kind, paged[-1].entry_id) if paged else None, 3
    ):
        paged += page
    assert paged == list(everything)
    assert [(e.entry_id, e.venue_id) for e in everything if e.kind is EntryKind.STOCK] == [("s1", "v1")]
    public = await recalling.ask.entries(AUDITOR, R1, None, False, None, 1000)
    assert {entry.kind for entry in everything} - {entry.kind for entry in public} == {EntryKind.GUEST}
    with pytest.raises(PermissionDenied):
        await recalling.ask.entries(AUDITOR, R1, EntryKind.GUEST, False, None, 10)


async def test_recalls_are_listed_newest_first(recalling: Recalling):
    tale = recalled()
    tale.lot_recalled("c", "c", R2)
    tale.released("a", "a", R1)
    tale.released("a1", "a", R1)
    await recalling.hear(tale.events)
    [newest, first] = await recalling.ask.page(None, False, None, 10)
    assert [newest.call.recall_id, first.call.recall_id] == [R2, R1]
    assert [each.call.recall_id for each in await recalling.ask.page(None, True, None, 10)] == [R2]
    assert [each.call.recall_id for each in await recalling.ask.page("a", False, None, 10)] == [R1]
    begun = newest.call.begun_at
    assert begun is not None
    assert [each.call.recall_id for each in await recalling.ask.page(None, False, (begun, R2), 10)] == [R1]


async def test_an_unknown_recall_or_lot_is_not_found(recalling: Recalling):
    with pytest.raises(NotFound) as caught:
        await recalling.ask.get(str(uuid.uuid4()))
    assert caught.value.reason == "RECALL_NOT_FOUND"
    with pytest.raises(NotFound) as caught:
        await recalling.ask.drill("nowhere")
    assert caught.value.reason == "LOT_NOT_FOUND"


async def test_a_drill_says_what_a_recall_would_have_to_do_and_leaves_no_trace(recalling: Recalling):
    tale = before_the_recall()
    await recalling.hear(tale.events)
    before = await recalling.rows()
    drill = await recalling.ask.drill("a")
    assert drill.state is RecallState.DRILL
    assert table(drill) == {kind: (expected, 0, 0) for kind, (expected, _, _) in ALL_DONE.items()} | {
        "HOLDER": (1, 0, 0)
    }
    assert not drill.stalled
    assert await recalling.rows() == before
    await recalling.hear(recalled().events[len(tale.events) :])
    again = table(await recalling.ask.drill("a"))
    assert all(expected == done for expected, done, _ in again.values()), again


async def test_who_watches_sees_each_step_and_the_end(recalling: Recalling):
    tale = recalled()
    begin = next(n for n, event in enumerate(tale.events) if event.type == "crop.recalled")
    await recalling.hear(tale.events[: begin + 1])
    seen: list[Recall] = []

    async def watch() -> None:
        async for told in recalling.ask.watch(R1, ""):
            if told is not None:
                seen.append(told[0])

    async def shown() -> bool:
        return bool(seen) and mark_of(seen[-1]) == mark_of(await recalling.ask.get(R1))

    watching = asyncio.ensure_future(watch())
    try:
        for event in tale.events[begin + 1 :]:
            await eventually(shown)
            await recalling.hear([event])
        await asyncio.wait_for(watching, 10)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    assert [recall.state for recall in seen[:-1]] == [RecallState.RUNNING] * (len(seen) - 1)
    assert (seen[-1].state, table(seen[-1])) == (RecallState.COMPLETE, ALL_DONE)
    resumed = [told async for told in recalling.ask.watch(R1, mark_of(seen[-1]))]
    assert resumed == []


async def test_who_watches_has_it_worked_out_when_there_is_news_of_it(
    recalling: Recalling, trace: Trace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recalls, "POLL_S", 0.01)
    watched, tale = Recalling(trace), before_the_recall()
    tale.lot_recalled("a", "a")
    await recalling.hear(tale.events)
    seen: list[Recall] = []
    watching = asyncio.ensure_future(follow(watched, seen))
    try:
        await eventually(lambda: watched.reader.looks[R1] > 5)
        assert watched.reader.worked_out[R1] == len(seen) == 1
        watched.clock.advance(tale.events[-1].occurred_time + timedelta(seconds=11) - START)
        await eventually(lambda: seen[-1].stalled)
        assert watched.reader.worked_out[R1] == 1
        tale.blocked("s1", "v1", "a1")
        await recalling.hear(tale.events[-1:])  # by another process
        await eventually(lambda: table(seen[-1])["STOCK"] == (1, 1, 0))
        assert watched.reader.worked_out[R1] == 2
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def test_who_watches_sees_with_the_heartbeat_what_is_no_news_of_the_recall(
    recalling: Recalling, trace: Trace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recalls, "POLL_S", 0.01)
    watched, tale = Recalling(trace, timedelta(milliseconds=50)), before_the_recall()
    tale.lot_recalled("a", "a")
    tale.release("open", "v1")
    await recalling.hear(tale.events[:-1])
    seen: list[Recall] = []
    watching = asyncio.ensure_future(follow(watched, seen))
    try:
        await eventually(lambda: seen)
        await recalling.hear(tale.events[-1:])
        await eventually(lambda: table(seen[-1])["ORDER"] == (1, 0, 0))
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def follow(recalling: Recalling, seen: list[Recall]) -> None:
    async for told in recalling.ask.watch(R1, ""):
        if told is not None:
            seen.append(told[0])


class Heard:
    """What operators are told."""

    def __init__(self) -> None:
        self.counts: Mapping[EntryKind, int] = {}
        self.begun: list[tuple[str, str]] = []

    def stalled(self, recalls: Mapping[EntryKind, int]) -> None:
        self.counts = recalls

    def begun_to_stall(self, recall: Recall, kind: EntryKind) -> None:
        self.begun.append((recall.call.recall_id, kind.name))


async def test_a_stall_is_told_once_until_it_is_over(recalling: Recalling):
    tale, heard = before_the_recall(), Heard()
    tale.lot_recalled("a", "a")
    tale.lot_recalled("a1", "a")
    await recalling.hear(tale.events)
    find = FindStalledRecalls(recalling.ask, recalling.reader, heard, recalling.clock)
    recalling.clock.advance(tale.events[-2].occurred_time - START)
    await find()
    assert set(heard.counts.values()) == {0}
    recalling.clock.advance(DEADLINES[EntryKind.STOCK] + timedelta(seconds=1))
    for _ in range(2):
        await find()
    assert heard.begun == [(R1, "STOCK")]
    assert {kind.name for kind, count in heard.counts.items() if count} == {"STOCK"}
    begun = len(tale.events)
    tale.blocked("s1", "v1", "a1")
    await recalling.hear(tale.events[begun:])
    await find()
    assert heard.counts[EntryKind.STOCK] == 0


async def test_complete_recalls_are_looked_at_again_for_news_and_else_one_each_time(recalling: Recalling):
    tale, heard, named = Tale(), Heard(), [f"r{number}" for number in range(5)]
    for recall in named:
        tale.mint(f"lot-{recall}", 10)
        tale.lot_recalled(f"lot-{recall}", f"lot-{recall}", recall)
        tale.noticed("farm", recall)
    await recalling.hear(tale.events)
    find, looked = FindStalledRecalls(recalling.ask, recalling.reader, heard, recalling.clock), Counter[str]()
    recalling.clock.advance(timedelta(days=1))

    async def looked_at() -> list[str]:
        before = Counter(recalling.reader.worked_out)
        recalling.clock.advance(timedelta(seconds=15))
        await find()
        return sorted((recalling.reader.worked_out - before).elements())

    assert await looked_at() == named
    for _ in named:
        [again] = await looked_at()
        looked[again] += 1
    assert sorted(looked) == named, "each in its turn"
    begun = len(tale.events)
    tale.affected("o", "v", consumed=True, recall="r3")
    tale.receive("s", "v", "lot-r4", 1)
    await recalling.hear(tale.events[begun:])
    assert "r3" in await looked_at()
    for _ in named:
        await looked_at()
    assert {recall for recall, _ in heard.begun} == {"r3", "r4"}
    assert {kind for recall, kind in heard.begun if recall == "r4"} == {"STOCK", "VENUE"}
