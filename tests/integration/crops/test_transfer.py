"""The transfer saga with a real engine and database; users and notifications behind their ports."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

import pytest

from chassis.context import RequestContext, use
from chassis.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from chassis.quantity import Quantity
from chassis.saga import State
from chassis.testing import eventually
from greenledger.crops.v1 import events_pb2
from services.crops.application.transfer_lot import transfer_id_of
from services.crops.domain.events import RecallClass
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, STRANGER

AWAY = Unavailable("UNAVAILABLE", "it does not answer")


async def test_a_transfer_is_recorded_visible_told_to_others_and_to_both_owners(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    lot = await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "BOL-7")
    assert (lot.owner_id, lot.transfer_count) == (BUYER, 1)
    assert await crops.database.fetchval("SELECT owner_id FROM lot_view") == BUYER
    [event] = await crops.published("crop.transferred")
    payload = events_pb2.LotTransferred()
    assert event.payload.Unpack(payload)
    assert (payload.previous_owner_id, payload.new_owner_id) == (GROWER, BUYER)
    assert (payload.transfer_number, payload.reference_document) == (1, "BOL-7")
    await eventually(lambda: len(crops.notifier.sent) == 2)
    assert sorted(crops.notifier.sent.values()) == [
        (GROWER, "ROM-1", "Green Acres", "Bistro"),
        (BUYER, "ROM-1", "Green Acres", "Bistro"),
    ]


async def test_a_repeated_request_answers_the_same_whatever_came_later(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    first = await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    await crops.transfer(user(BUYER), str(uuid4()), minted.lot_id, GROWER, "")
    assert await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "") == first
    assert len(await crops.published("crop.transferred")) == 2


async def test_one_request_sent_many_times_at_once_transfers_once(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    calls = (crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "") for _ in range(8))
    answers = await asyncio.gather(*calls)
    assert answers == [answers[0]] * 8
    assert len(await crops.published("crop.transferred")) == 1


async def test_different_requests_for_one_lot_at_once_transfer_it_once(crops: Crops) -> None:
    minted = await crops.minted()
    calls = (crops.transfer(user(GROWER), str(uuid4()), minted.lot_id, BUYER, "") for _ in range(6))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
    assert len(refusals) == 5
    assert {refusal.reason for refusal in refusals} <= {"TRANSFER_UNDER_WAY", "NOT_OWNER"}
    assert len(await crops.published("crop.transferred")) == 1


async def test_a_request_id_is_not_used_for_another_transfer(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    with pytest.raises(AlreadyExists) as refused:
        await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "another document")
    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_two_callers_may_use_the_same_request_id(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    back = await crops.transfer(user(BUYER), request_id, minted.lot_id, GROWER, "")
    assert (back.owner_id, back.transfer_count) == (GROWER, 2)


async def test_an_unknown_new_owner_is_refused_and_the_lot_free_again(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    with pytest.raises(FailedPrecondition) as refused:
        await crops.transfer(user(GROWER), request_id, minted.lot_id, STRANGER, "")
    assert refused.value.reason == "NEW_OWNER_UNKNOWN"
    lot = await crops.lots.load(minted.lot_id)
    assert (lot.owner_id, lot.pending, lot.transfer_count) == (GROWER, None, 0)
    assert await crops.published("crop.transferred") == []


async def test_a_refused_request_may_be_repeated_once_the_cause_is_gone(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    with pytest.raises(FailedPrecondition):
        await crops.transfer(user(GROWER), request_id, minted.lot_id, STRANGER, "")
    crops.directory.add(STRANGER, "No stranger any more")
    lot = await crops.transfer(user(GROWER), request_id, minted.lot_id, STRANGER, "")
    assert lot.owner_id == STRANGER
    assert await crops.transfer(user(GROWER), request_id, minted.lot_id, STRANGER, "") == lot


@pytest.mark.parametrize(
    ("actor", "new_owner", "kind", "reason"),
    [
        (STRANGER, BUYER, PermissionDenied, "NOT_OWNER"),
        (GROWER, GROWER, InvalidArgument, "TRANSFER_TO_SELF"),
    ],
)
async def test_a_refusal_keeps_its_kind(
    crops: Crops, actor: str, new_owner: str, kind: type[DomainError], reason: str
) -> None:
    minted = await crops.minted()
    with pytest.raises(kind) as refused:
        await crops.transfer(user(actor), str(uuid4()), minted.lot_id, new_owner, "")
    assert refused.value.reason == reason
    assert crops.directory.asked == []


async def test_an_unknown_lot_is_not_found(crops: Crops) -> None:
    with pytest.raises(NotFound) as refused:
        await crops.transfer(user(GROWER), str(uuid4()), LOT_ID, BUYER, "")
    assert refused.value.reason == "LOT_NOT_FOUND"


async def test_a_users_service_that_is_away_fails_the_transfer_and_frees_the_lot(crops: Crops) -> None:
    minted = await crops.minted()
    crops.directory.failure = AWAY
    with pytest.raises(Unavailable) as refused:
        await crops.transfer(user(GROWER), str(uuid4()), minted.lot_id, BUYER, "")
    assert (refused.value.reason, refused.value.metadata) == ("TRANSFER_FAILED", {"cause": "UNAVAILABLE"})
    lot = await crops.lots.load(minted.lot_id)
    assert (lot.owner_id, lot.pending) == (GROWER, None)


async def test_a_lot_under_transfer_is_neither_transferred_nor_split_but_recalled(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    crops.directory.failure = AWAY
    under_way = asyncio.create_task(crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, ""))
    await eventually(lambda: crops.directory.asked)
    with pytest.raises(FailedPrecondition) as no_transfer:
        await crops.transfer(user(GROWER), str(uuid4()), minted.lot_id, BUYER, "")
    with pytest.raises(FailedPrecondition) as no_split:
        await crops.split(user(GROWER), minted.lot_id, [("A", Quantity.of(1, "KGM"))])
    assert no_transfer.value.reason == no_split.value.reason == "TRANSFER_UNDER_WAY"
    await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    crops.directory.failure = None
    with pytest.raises(FailedPrecondition) as refused:
        await under_way
    assert refused.value.reason == "LOT_RECALLED"
    lot = await crops.lots.load(minted.lot_id)
    assert (lot.owner_id, lot.state, lot.pending) == (GROWER, LotState.RECALLED, None)
    assert await crops.published("crop.transferred") == []


async def test_an_answer_does_not_wait_for_the_messages_which_are_sent_in_the_end(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    crops.notifier.failure = AWAY
    lot = await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    assert lot.owner_id == BUYER
    await eventually(lambda: crops.notifier.attempts >= 2)
    crops.notifier.failure = None
    await eventually(lambda: len(crops.notifier.sent) == 2)
    saga = await crops.engine.outcome(transfer_id_of(GROWER, request_id), timedelta(seconds=10))
    assert saga.state is State.COMPLETED


async def test_a_former_owner_who_is_gone_does_not_hold_the_saga_up(crops: Crops) -> None:
    minted, request_id = await crops.minted(), str(uuid4())
    crops.notifier.known.discard(GROWER)
    del crops.directory.people[GROWER]
    await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    saga = await crops.engine.outcome(transfer_id_of(GROWER, request_id), timedelta(seconds=10))
    assert saga.state is State.COMPLETED
    assert list(crops.notifier.sent.values()) == [(BUYER, "ROM-1", "a former user", "Bistro")]


async def test_an_outcome_that_is_not_known_in_time_can_be_asked_for_again(
    idle_crops: Crops,
) -> None:
    crops, request_id = idle_crops, str(uuid4())
    minted = await crops.minted()
    impatient = RequestContext(deadline=time.monotonic() + 0.3)
    with use(impatient), pytest.raises(DeadlineExceeded) as unknown:
        await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    assert unknown.value.reason == "TRANSFER_UNDER_WAY"
    loops = [asyncio.create_task(crops.engine.run()), asyncio.create_task(crops.projection.run())]
    lot = await crops.transfer(user(GROWER), request_id, minted.lot_id, BUYER, "")
    assert lot.owner_id == BUYER
    await crops.engine.stop()
    await crops.projection.stop()
    await asyncio.gather(*loops)
