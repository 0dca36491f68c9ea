"""Recalls that wait until inventory has blocked the stock, with a real database and saga engine."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from chassis.context import RequestContext, use
from chassis.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    PermissionDenied,
    Unavailable,
)
from chassis.quantity import Quantity
from chassis.testing import eventually
from greenledger.crops.v1 import events_pb2
from services.crops.application import recall_steps
from services.crops.application.recall_lot import recall_id_of
from services.crops.application.recall_ports import Recall
from services.crops.domain.events import RecallClass
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import OPERATOR, Crops, Running, user
from tests.unit.crops.lots import GROWER, STRANGER

AWAY = Unavailable("UNAVAILABLE", "away")


async def parts(crops: Crops, lot_id: str, *codes: str) -> list[str]:
    _, made = await crops.split(user(GROWER), lot_id, [(code, Quantity.of(1, "KGM")) for code in codes])
    return [each.lot_id for each in made]


async def test_it_is_answered_when_the_stock_of_all_of_it_is_blocked(crops: Crops) -> None:
    minted = await crops.minted()
    family = {minted.lot_id, *await parts(crops, minted.lot_id, "A", "B")}
    request_id = str(uuid4())
    recall_id, lot, recalled = await crops.recall_lot(
        user(GROWER), request_id, minted.lot_id, "E. coli", RecallClass.I
    )
    assert (recall_id, lot.state, set(recalled)) == (
        recall_id_of(GROWER, request_id),
        LotState.RECALLED,
        family,
    )
    assert crops.quarantine.blocked == {recall_id: family}
    for event in await crops.published("crop.recalled"):
        payload = events_pb2.LotRecalled()
        assert event.payload.Unpack(payload)
        assert (payload.recall_id, payload.grower_id) == (recall_id, GROWER)
        assert payload.lot_code != ""


async def test_the_same_request_is_the_same_recall_and_another_one_is_refused(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    ask = (user(GROWER), request_id, minted.lot_id, "glass", RecallClass.II)
    answers = await asyncio.gather(*(crops.recall_lot(*ask) for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert await crops.recall_lot(*ask) == answers[0]
    assert len(await crops.published("crop.recalled")) == 1
    with pytest.raises(AlreadyExists) as refused:
        await crops.recall_lot(user(GROWER), request_id, minted.lot_id, "metal", RecallClass.II)
    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_a_refused_request_may_be_repeated(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    await crops.recall(OPERATOR, minted.lot_id, "glass", RecallClass.II)
    with pytest.raises(FailedPrecondition) as refused:
        await crops.recall_lot(user(GROWER), request_id, minted.lot_id, "mould", RecallClass.III)
    assert refused.value.reason == "LOT_RECALLED"
    await crops.release_recall(minted.lot_id, "clean")
    recall_id, lot, _ = await crops.recall_lot(
        user(GROWER), request_id, minted.lot_id, "mould", RecallClass.III
    )
    assert (lot.recall_reason, recall_id) == ("mould", recall_id_of(GROWER, request_id, 2))


async def test_while_inventory_is_away_it_is_recorded_and_goes_on(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    ask = (user(GROWER), request_id, minted.lot_id, "glass", RecallClass.II)
    crops.quarantine.failure = AWAY
    with use(RequestContext(deadline=time.monotonic() + 0.6)), pytest.raises(DeadlineExceeded) as late:
        await crops.recall_lot(*ask)
    assert late.value.reason == "RECALL_UNDER_WAY"
    assert (await crops.read.get(minted.lot_id)).state is LotState.RECALLED
    crops.quarantine.failure = None
    await eventually(lambda: crops.quarantine.blocked)
    recall_id, *_ = await crops.recall_lot(*ask)
    # However often it was asked, it was one request.
    assert {call[0] for call in crops.quarantine.calls} == {crops.quarantine.calls[0][0]}
    assert crops.quarantine.blocked == {recall_id: {minted.lot_id}}


async def test_a_stranger_is_refused_and_inventory_not_asked(crops: Crops) -> None:
    minted = await crops.minted()
    with pytest.raises(PermissionDenied) as refused:
        await crops.recall(user(STRANGER), minted.lot_id, "?", RecallClass.I)
    assert refused.value.reason == "NOT_OWNER"
    assert crops.quarantine.calls == []


async def test_many_lots_are_blocked_page_by_page(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_steps, "PAGE", 2)
    minted = await crops.minted()
    await parts(crops, minted.lot_id, "A", "B", "C", "D")
    _, recalled = await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    assert [len(lot_ids) for _, _, lot_ids in crops.quarantine.calls] == [2, 2, 1]
    assert len({request_id for request_id, _, _ in crops.quarantine.calls}) == 3
    assert sorted(lot for _, _, lots in crops.quarantine.calls for lot in lots) == sorted(recalled)


async def test_what_an_earlier_recall_holds_is_blocked_too_in_its_name(crops: Crops) -> None:
    minted = await crops.minted()
    [part] = await parts(crops, minted.lot_id, "A")
    earlier, *_ = await crops.recall_lot(user(GROWER), str(uuid4()), part, "glass", RecallClass.II)
    crops.quarantine.blocked.clear()
    later, *_ = await crops.recall_lot(user(GROWER), str(uuid4()), minted.lot_id, "E. coli", RecallClass.I)
    assert crops.quarantine.blocked == {earlier: {part}, later: {minted.lot_id}}


async def test_nothing_is_made_of_a_recalled_lot(crops: Crops) -> None:
    minted = await crops.minted()
    await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    with pytest.raises(FailedPrecondition) as refused:
        await parts(crops, minted.lot_id, "A")
    assert refused.value.reason == "LOT_RECALLED"


async def test_the_end_of_a_recall_names_it(crops: Crops) -> None:
    minted = await crops.minted()
    recall_id, *_ = await crops.recall_lot(user(GROWER), str(uuid4()), minted.lot_id, "r", RecallClass.I)
    await crops.release_recall(minted.lot_id, "clean")
    [event] = await crops.published("crop.recall-released")
    payload = events_pb2.LotRecallReleased()
    assert event.payload.Unpack(payload)
    assert (payload.lot_id, payload.recall_id) == (minted.lot_id, recall_id)


def recall_of(lot_id: str) -> Recall:
    return Recall(lot_id, OPERATOR.subject, "E. coli", RecallClass.I, is_operator=True)


async def done_or_waits(crops: Crops, task: asyncio.Task[Any]) -> bool:
    """Whether it has ended, or something waits for a lock that a running transaction has."""
    waiting = "SELECT true FROM pg_locks WHERE NOT granted AND locktype = 'advisory' LIMIT 1"
    return task.done() or bool(await crops.database.fetchval(waiting))


async def test_a_recall_that_another_one_ends_under_is_not_left_with_free_parts(idle_crops: Crops) -> None:
    crops, minted = idle_crops, await idle_crops.minted()
    [part] = await parts(crops, minted.lot_id, "A")
    await crops.recall_steps.record(str(uuid4()), recall_of(part))
    async with crops.database.transaction():
        await crops.recall_steps.record(str(uuid4()), recall_of(minted.lot_id))
        ending = asyncio.create_task(crops.release_recall(part, "clean"))
        await eventually(lambda: done_or_waits(crops, ending))
    with pytest.raises(FailedPrecondition) as refused:
        await ending
    assert refused.value.reason == "ANCESTOR_RECALLED"
    assert (await crops.lots.load(part)).recalled


async def test_the_end_of_a_recall_that_another_one_comes_under_leaves_no_free_parts(
    idle_crops: Crops,
) -> None:
    crops, minted = idle_crops, await idle_crops.minted()
    [part] = await parts(crops, minted.lot_id, "A")
    await crops.recall_steps.record(str(uuid4()), recall_of(part))
    async with crops.database.transaction():
        await crops.release_recall(part, "clean")
        recall = asyncio.create_task(crops.recall_steps.record(str(uuid4()), recall_of(minted.lot_id)))
        await eventually(lambda: done_or_waits(crops, recall))
    await recall
    assert (await crops.lots.load(part)).recalled


async def test_recalls_and_ends_at_once_never_leave_a_free_part_of_a_recalled_lot(idle_crops: Crops) -> None:
    crops = idle_crops
    for turn in range(8):
        minted = await crops.minted(f"LOT-{turn}")
        [part] = await parts(crops, minted.lot_id, f"PART-{turn}")
        await crops.recall_steps.record(str(uuid4()), recall_of(part))
        both = [
            crops.recall_steps.record(str(uuid4()), recall_of(minted.lot_id)),
            crops.release_recall(part, "clean"),
        ]
        outcomes = await asyncio.gather(*(both if turn % 2 else reversed(both)), return_exceptions=True)
        assert all(isinstance(each, DomainError) for each in outcomes if isinstance(each, BaseException))
        assert (await crops.lots.load(minted.lot_id)).recalled
        assert (await crops.lots.load(part)).recalled


async def test_a_recall_outlives_any_outage_before_it_was_recorded(idle_crops: Crops) -> None:
    crops, minted, request_id = idle_crops, await idle_crops.minted(), str(uuid4())
    ask = (user(GROWER), request_id, minted.lot_id, "glass", RecallClass.II)
    with use(RequestContext(deadline=time.monotonic() + 0.3)), pytest.raises(DeadlineExceeded) as late:
        await crops.recall_lot(*ask)
    assert late.value.reason == "RECALL_UNDER_WAY"
    await crops.database.execute("UPDATE saga SET deadline_at = deadline_at - interval '30 days'")
    async with AsyncExitStack() as stack:
        Running(stack).start(crops.engine)
        recall_id, *_ = await crops.recall_lot(*ask)
    assert crops.quarantine.blocked == {recall_id: {minted.lot_id}}
