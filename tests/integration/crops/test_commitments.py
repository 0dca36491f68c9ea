"""Committing and releasing with a real database: goods count once, however many ask at once."""

import asyncio
from collections.abc import Awaitable
from uuid import uuid4

import pytest

from chassis.errors import Aborted, DomainError, FailedPrecondition, NotFound
from chassis.quantity import Quantity
from greenledger.crops.v1 import events_pb2
from services.crops.application.views import LotView
from services.crops.domain.events import Purpose, RecallClass
from services.crops.domain.lot import Commitment, LotState
from tests.integration.crops.conftest import Crops, service, user
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, MAKER

VENUE = "66666666-6666-4666-8666-666666666666"
MARKET = service(MAKER)


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def commit(crops: Crops, lot_id: str, amount: int, commitment_id: str = "") -> tuple[LotView, Quantity]:
    wanted = Commitment(kg(amount), Purpose.RECEIPT, VENUE, MAKER)
    return await crops.commit(lot_id, commitment_id or str(uuid4()), GROWER, wanted)


async def reason_of(call: Awaitable[object]) -> str:
    with pytest.raises(DomainError) as refused:
        await call
    return refused.value.reason


async def test_a_commitment_is_shown_told_and_kept_in_the_history(crops: Crops) -> None:
    minted, commitment_id = await crops.minted(), str(uuid4())
    lot, quantity = await commit(crops, minted.lot_id, 30, commitment_id)
    assert (quantity, lot.quantity, lot.committed) == (kg(30), kg(100), kg(30))
    assert await crops.read.get(minted.lot_id) == lot
    released = await crops.release(MARKET, minted.lot_id, commitment_id)
    assert await crops.read.get(minted.lot_id) == released
    assert released.committed == kg(0)
    events = await crops.read.events(minted.lot_id, 1, 10)
    assert [(event.type, event.quantity) for event in events] == [
        ("LotQuantityCommitted", kg(30)),
        ("LotQuantityReleased", kg(30)),
    ]
    assert events[0].summary == f"30 KGM were received into the stock of venue {VENUE}."
    [event] = await crops.published("crop.quantity-committed")
    payload = events_pb2.LotQuantityCommitted()
    assert event.payload.Unpack(payload)
    assert (event.aggregate_id, payload.commitment_id) == (minted.lot_id, commitment_id)
    assert (payload.quantity.amount, payload.venue_id) == ("30", VENUE)
    assert len(await crops.published("crop.quantity-released")) == 1


async def test_what_is_repeated_is_done_and_told_once(crops: Crops) -> None:
    minted, commitment_id = await crops.minted(), str(uuid4())
    tries = (commit(crops, minted.lot_id, 30, commitment_id) for _ in range(6))
    assert {quantity for _, quantity in await asyncio.gather(*tries)} == {kg(30)}
    assert len(await crops.published("crop.quantity-committed")) == 1
    for _ in range(2):
        await crops.release(MARKET, minted.lot_id, commitment_id)
    assert len(await crops.published("crop.quantity-released")) == 1


async def test_a_release_that_comes_first_refuses_its_commitment_and_nobody_is_told(crops: Crops) -> None:
    minted, commitment_id = await crops.minted(), str(uuid4())
    await crops.release(MARKET, minted.lot_id, commitment_id)
    assert await reason_of(commit(crops, minted.lot_id, 30, commitment_id)) == "COMMITMENT_RELEASED"
    assert (await crops.read.get(minted.lot_id)).committed == kg(0)
    assert await crops.published("crop.quantity-released") == []


@pytest.mark.parametrize("round_", range(5))
async def test_of_a_commitment_and_its_release_at_once_nothing_stays(crops: Crops, round_: int) -> None:
    minted, commitment_id = await crops.minted(f"R{round_}"), str(uuid4())
    made, released = await asyncio.gather(
        commit(crops, minted.lot_id, 30, commitment_id),
        crops.release(MARKET, minted.lot_id, commitment_id),
        return_exceptions=True,
    )
    assert isinstance(released, LotView)
    assert isinstance(made, tuple) or (isinstance(made, FailedPrecondition) and made.reason)
    assert (await crops.read.get(minted.lot_id)).committed == kg(0)


async def test_commitments_and_splits_that_race_never_take_more_than_the_lot(crops: Crops) -> None:
    minted = await crops.minted()
    commits = [commit(crops, minted.lot_id, 15) for _ in range(10)]
    splits = [crops.split(user(GROWER), minted.lot_id, [(f"P{n}", kg(15))]) for n in range(5)]
    outcomes = await asyncio.gather(*commits, *splits, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {getattr(failure, "reason", repr(failure)) for failure in failures} <= {
        "QUANTITY_EXCEEDED",
        "CONCURRENT_CHANGE",
    }
    # A commitment decides anew when another decision came first.
    assert not [outcome for outcome in outcomes[:10] if isinstance(outcome, Aborted)]
    committed = sum(not isinstance(outcome, BaseException) for outcome in outcomes[:10])
    parts = sum(not isinstance(outcome, BaseException) for outcome in outcomes[10:])
    lot = await crops.read.get(minted.lot_id)
    assert lot.committed == kg(15 * committed)
    assert lot.quantity == kg(100 - 15 * parts)
    assert lot.committed <= lot.quantity


async def test_a_lot_with_committed_goods_is_not_transferred_until_they_are_released(crops: Crops) -> None:
    minted, commitment_id = await crops.minted(), str(uuid4())
    await commit(crops, minted.lot_id, 1, commitment_id)
    transfer = crops.transfer(user(GROWER), str(uuid4()), minted.lot_id, BUYER, "")
    assert await reason_of(transfer) == "QUANTITY_COMMITTED"
    await crops.release(MARKET, minted.lot_id, commitment_id)
    moved = await crops.transfer(user(GROWER), str(uuid4()), minted.lot_id, BUYER, "")
    assert moved.owner_id == BUYER
    assert await reason_of(commit(crops, minted.lot_id, 1)) == "NOT_OWNER"


async def test_what_is_free_of_a_lot_is_split_off_and_transferred(crops: Crops) -> None:
    minted = await crops.minted()
    await commit(crops, minted.lot_id, 30)
    split = crops.split(user(GROWER), minted.lot_id, [("ALL", kg(100))])
    assert await reason_of(split) == "QUANTITY_EXCEEDED"
    rest, [part] = await crops.split(user(GROWER), minted.lot_id, [("REST", kg(70))])
    assert (rest.quantity, rest.committed, rest.state) == (kg(30), kg(30), LotState.ACTIVE)
    moved = await crops.transfer(user(GROWER), str(uuid4()), part.lot_id, BUYER, "")
    assert (moved.owner_id, moved.quantity, moved.committed) == (BUYER, kg(70), kg(0))


async def test_a_recall_reaches_committed_goods_and_they_can_still_be_released(crops: Crops) -> None:
    minted, commitment_id = await crops.minted(), str(uuid4())
    await commit(crops, minted.lot_id, 100, commitment_id)
    recalled, _ = await crops.recall(user(GROWER), minted.lot_id, "glass", RecallClass.I)
    assert (recalled.state, recalled.committed) == (LotState.RECALLED, kg(100))
    assert len(await crops.published("crop.recalled")) == 1
    assert await reason_of(commit(crops, minted.lot_id, 1)) == "LOT_RECALLED"
    released = await crops.release(MARKET, minted.lot_id, commitment_id)
    assert (released.state, released.committed) == (LotState.RECALLED, kg(0))
    assert await crops.read.get(minted.lot_id) == released


async def test_of_an_unknown_lot_nothing_is_committed_or_released(crops: Crops) -> None:
    for call in (commit(crops, LOT_ID, 1), crops.release(MARKET, LOT_ID, str(uuid4()))):
        with pytest.raises(NotFound) as refused:
            await call
        assert refused.value.reason == "LOT_NOT_FOUND"
