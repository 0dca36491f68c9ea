"""Progress of recalls: states, deadlines and their settings."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.settings import SettingsError
from services.trace.adapters.recall_settings import VARIABLE, deadlines_from_environment
from services.trace.domain.recall import (
    DEADLINES,
    Call,
    Count,
    EntryKind,
    Recall,
    RecallState,
    progress_of,
)

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
CALL = Call(recall_id="r", root_lot_id="l", begun_at=BEGUN)
ENDED = Call(recall_id="r", root_lot_id="l", begun_at=BEGUN, released_at=BEGUN)
LATE = BEGUN + timedelta(days=1)
OPEN = {EntryKind.STOCK: Count(3, 1, 1)}
CLOSED = {EntryKind.STOCK: Count(3, 2, 1)}


@pytest.mark.parametrize(
    ("call", "counts", "state", "stalled"),
    [
        (CALL, OPEN, RecallState.RUNNING, True),
        (CALL, CLOSED, RecallState.COMPLETE, False),
        (ENDED, OPEN, RecallState.RELEASED, False),
        (Call(recall_id="", root_lot_id="l"), OPEN, RecallState.DRILL, False),
        (Call(recall_id="r"), CLOSED, RecallState.RUNNING, False),
    ],
    ids=["running", "complete", "released", "drill", "only its effects were heard of"],
)
def test_a_recall_has_one_state_and_stalls_only_while_it_is_waited_for(call, counts, state, stalled):
    recall = Recall(call, progress_of(call, counts, DEADLINES, LATE))
    assert (recall.state, recall.stalled, recall.at_rest) == (
        state,
        stalled,
        state is not RecallState.RUNNING,
    )


def test_every_kind_has_its_place_and_deadline():
    progress = progress_of(CALL, OPEN, DEADLINES, BEGUN)
    assert [each.kind for each in progress] == list(EntryKind)
    assert [each.deadline for each in progress] == [DEADLINES[kind] for kind in EntryKind]
    assert {each.kind: each.count.outstanding for each in progress if each.count.outstanding} == {
        EntryKind.STOCK: 1
    }


def test_a_kind_stalls_when_its_own_deadline_is_over():
    counts = {EntryKind.STOCK: Count(1), EntryKind.GUEST: Count(1)}
    at = BEGUN + DEADLINES[EntryKind.STOCK]
    assert not any(each.stalled for each in progress_of(CALL, counts, DEADLINES, at))
    late = progress_of(CALL, counts, DEADLINES, at + timedelta(milliseconds=1))
    assert {each.kind for each in late if each.stalled} == {EntryKind.STOCK}


def test_deadlines_are_set_by_kind():
    found = deadlines_from_environment({VARIABLE: "stock=5, menu-item=600"})
    assert found == {
        **DEADLINES,
        EntryKind.STOCK: timedelta(seconds=5),
        EntryKind.MENU_ITEM: timedelta(minutes=10),
    }
    assert deadlines_from_environment({}) == DEADLINES


@pytest.mark.parametrize("text", ["stock", "stock=0", "stock=-1", "stock=x", "dish=5", "=5", "stock=5;lot=6"])
def test_a_deadline_that_says_nothing_is_refused(text):
    with pytest.raises(SettingsError, match=VARIABLE):
        deadlines_from_environment({VARIABLE: text})
