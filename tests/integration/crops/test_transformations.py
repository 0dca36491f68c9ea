"""Merging and transforming with a real database: one transaction over many lots, told once."""

import asyncio
from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from chassis.errors import AlreadyExists, DomainError
from chassis.quantity import Quantity
from greenledger.crops.v1 import crops_pb2, events_pb2
from services.crops.application.transform_lots import Transformed, Wanted
from services.crops.application.views import LotFilter
from services.crops.domain.events import RecallClass, Step
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import BUYER, GROWER

TABLES = ("lot_view", "lot_ownership", "lot_history")


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def cooked(crops: Crops, lot_id: str, amount: int, code: str = "SOUP") -> Transformed:
    later = SystemClock().now() + timedelta(days=30)
    wanted = Wanted(code, "soup", "", "", kg(amount - 1), later)
    return await crops.transform(user(GROWER), [(lot_id, kg(amount))], [wanted], Step.COOK, kg(1))


async def test_a_transformation_is_in_every_history_and_told_once(crops: Crops) -> None:
    first, second = await crops.minted("A"), await crops.minted("B")
    done = await crops.merge(user(GROWER), [(first.lot_id, None), (second.lot_id, kg(30))], "M")
    [made] = done.outputs
    assert (made.quantity, made.parent_lot_ids) == (kg(130), (first.lot_id, second.lot_id))
    assert [await crops.read.get(each.lot_id) for each in [*done.inputs, made]] == [*done.inputs, made]
    assert [(each.quantity, each.state) for each in done.inputs] == [
        (kg(0), LotState.EMPTY),
        (kg(70), LotState.ACTIVE),
    ]
    for each in done.inputs:
        [line] = await crops.read.events(each.lot_id, 1, 10)
        assert (line.type, line.reference_document) == ("LotTransformed", done.transformation_id)
    [event] = await crops.published("crop.transformed")
    payload = events_pb2.LotTransformed()
    assert event.payload.Unpack(payload)
    assert (event.aggregate_id, payload.step) == (done.transformation_id, crops_pb2.TRANSFORMATION_STEP_MERGE)
    assert [each.lot_id for each in payload.inputs] == [first.lot_id, second.lot_id]
    assert len(await crops.published("crop.minted")) == 3


async def test_a_recall_reaches_what_was_made_of_a_lot_through_merges_and_kitchens(crops: Crops) -> None:
    first, second = await crops.minted("A"), await crops.minted("B")
    _, [part] = await crops.split(user(GROWER), first.lot_id, [("P", kg(10))])
    merged = (await crops.merge(user(GROWER), [(part.lot_id, None), (second.lot_id, kg(5))], "M")).outputs[0]
    soup = (await cooked(crops, merged.lot_id, 8)).outputs[0]
    _, reached = await crops.recall(user(GROWER), first.lot_id, "E. coli", RecallClass.I)
    assert set(reached) == {first.lot_id, part.lot_id, merged.lot_id, soup.lot_id}
    assert (await crops.read.get(soup.lot_id)).state is LotState.RECALLED
    assert (await crops.read.get(second.lot_id)).state is LotState.ACTIVE


@pytest.mark.parametrize("round_", range(3))
async def test_transformations_at_once_never_use_more_than_a_lot_has(crops: Crops, round_: int) -> None:
    minted = await crops.minted(f"R{round_}")
    tries = (cooked(crops, minted.lot_id, 40, f"S{round_}{n}") for n in range(5))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    failures = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, DomainError) for each in failures), failures
    done = len(outcomes) - len(failures)
    assert 1 <= done <= 2
    assert (await crops.read.get(minted.lot_id)).quantity == kg(100 - 40 * done)
    assert len(await crops.published("crop.transformed")) == done


async def test_merges_that_name_the_same_lots_in_opposite_order_both_end(crops: Crops) -> None:
    first, second = await crops.minted("A"), await crops.minted("B")
    orders = [(first.lot_id, second.lot_id), (second.lot_id, first.lot_id)] * 3
    tries = (
        crops.merge(user(GROWER), [(one, kg(10)), (two, kg(10))], f"M{n}")
        for n, (one, two) in enumerate(orders)
    )
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    done = sum(isinstance(each, Transformed) for each in outcomes)
    assert done >= 1
    assert {(await crops.read.get(each.lot_id)).quantity for each in (first, second)} == {kg(100 - 10 * done)}


async def test_a_recall_that_races_with_kitchens_leaves_no_dish_out(crops: Crops) -> None:
    minted = await crops.minted()
    tries = [cooked(crops, minted.lot_id, 5, f"S{n}") for n in range(5)]
    recall = crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    await asyncio.gather(recall, *tries, return_exceptions=True)
    if (await crops.read.get(minted.lot_id)).state is not LotState.RECALLED:
        await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    rows = await crops.dump("lot_code")
    assert {(await crops.read.get(row["lot_id"])).state for row in rows} == {LotState.RECALLED}


async def test_a_transformation_with_a_code_in_use_leaves_no_trace(crops: Crops) -> None:
    minted = await crops.minted("A")
    with pytest.raises(AlreadyExists):
        await cooked(crops, minted.lot_id, 10, "A")
    assert await crops.read.get(minted.lot_id) == minted
    assert await crops.published("crop.transformed") == []
    assert await crops.dump("lot_parent") == []


async def test_nobody_uses_what_is_not_theirs(crops: Crops) -> None:
    minted = await crops.minted()
    with pytest.raises(DomainError) as refused:
        await crops.merge(user(BUYER), [(minted.lot_id, None), (minted.lot_id, None)], "M")
    assert refused.value.reason == "NOT_OWNER"


async def test_a_rebuilt_projection_shows_transformations_as_the_live_one(crops: Crops) -> None:
    minted = await crops.minted()
    await cooked(crops, minted.lot_id, 10)
    await crops.read.page(LotFilter(), None, 10)
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live
