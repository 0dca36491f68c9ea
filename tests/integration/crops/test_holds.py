"""Holding, destroying and ending recalls with a real database: shown, told, and the same when rebuilt."""

import asyncio

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.crops.application.views import LotFilter
from services.crops.domain.events import RecallClass
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import OPERATOR, Crops, user
from tests.unit.crops.lots import GROWER

TABLES = ("lot_view", "lot_ownership", "lot_history")


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def test_each_state_is_shown_listed_and_told(crops: Crops) -> None:
    minted = await crops.minted()
    held = await crops.hold(OPERATOR, minted.lot_id, "lab")
    assert await crops.read.get(minted.lot_id) == held
    assert await crops.read.page(LotFilter(state=LotState.HELD), None, 10) == [held]
    with pytest.raises(DomainError) as refused:
        await crops.release_hold(user(GROWER), minted.lot_id, "mine")
    assert refused.value.reason == "HOLD_OFFICIAL"
    await crops.release_hold(OPERATOR, minted.lot_id, "clean")
    await crops.destroy(user(GROWER), minted.lot_id, kg(40), "spoilt")
    gone = await crops.destroy(user(GROWER), minted.lot_id, None, "spoilt")
    assert gone.state is LotState.DESTROYED
    assert await crops.read.get(minted.lot_id) == gone
    assert [line.summary for line in await crops.read.events(minted.lot_id, 1, 10)] == [
        "Held by an operator: lab",
        "The hold was released: clean",
        "40 KGM were destroyed, 60 KGM remain: spoilt",
        "60 KGM were destroyed, 0 KGM remain: spoilt",
    ]
    told = [len(await crops.published(f"crop.{topic}")) for topic in ("held", "hold-released", "destroyed")]
    assert told == [1, 1, 2]


async def test_the_end_of_a_recall_reaches_its_family_but_not_what_came_of_another_recalled_lot(
    crops: Crops,
) -> None:
    first, second = await crops.minted("A"), await crops.minted("B")
    _, [part] = await crops.split(user(GROWER), first.lot_id, [("P", kg(10))])
    used = [(part.lot_id, kg(5)), (second.lot_id, kg(5))]
    [mixed] = (await crops.merge(user(GROWER), used, "M")).outputs
    await crops.recall(user(GROWER), first.lot_id, "E. coli", RecallClass.I)
    await crops.recall(user(GROWER), second.lot_id, "glass", RecallClass.II)
    lot, freed = await crops.release_recall(first.lot_id, "clean")
    assert (lot.state, freed) == (LotState.ACTIVE, [first.lot_id, part.lot_id])
    assert (await crops.read.get(mixed.lot_id)).state is LotState.RECALLED
    _, freed = await crops.release_recall(second.lot_id, "clean")
    assert set(freed) == {second.lot_id, mixed.lot_id}
    assert (await crops.read.get(mixed.lot_id)).state is LotState.ACTIVE
    assert len(await crops.published("crop.recall-released")) == 4
    await crops.read.page(LotFilter(), None, 10)
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live


async def test_goods_destroyed_and_split_at_once_are_never_more_than_there_were(crops: Crops) -> None:
    minted = await crops.minted()
    destroys = [crops.destroy(user(GROWER), minted.lot_id, kg(30), "spoilt") for _ in range(4)]
    splits = [crops.split(user(GROWER), minted.lot_id, [(f"P{n}", kg(30))]) for n in range(2)]
    outcomes = await asyncio.gather(*destroys, *splits, return_exceptions=True)
    failures = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, DomainError) for each in failures), failures
    done = len(outcomes) - len(failures)
    assert (await crops.read.get(minted.lot_id)).quantity == kg(100 - 30 * done)
