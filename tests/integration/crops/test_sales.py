"""Selling at retail with a real database: shown, told, the same when rebuilt, never more than there is."""

import asyncio

from chassis.errors import DomainError
from chassis.quantity import Quantity
from greenledger.crops.v1.events_pb2 import LotSold
from services.crops.application.views import LotFilter
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import GROWER

TABLES = ("lot_view", "lot_ownership", "lot_history")


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def test_sales_are_shown_told_and_end_in_an_empty_lot(crops: Crops) -> None:
    minted = await crops.minted()
    await crops.sell(user(GROWER), minted.lot_id, Quantity.of(40_000, "GRM"), "till 7")
    sold = await crops.sell(user(GROWER), minted.lot_id, kg(60), "")
    assert sold.state is LotState.EMPTY
    assert await crops.read.get(minted.lot_id) == sold
    assert await crops.read.page(LotFilter(state=LotState.EMPTY), None, 10) == [sold]
    first, second = await crops.read.events(minted.lot_id, 1, 10)
    assert [first.summary, second.summary] == [
        "40 KGM were sold at retail with document till 7; 60 KGM remain.",
        "60 KGM were sold at retail; 0 KGM remain.",
    ]
    assert first.reference_document == "till 7"
    told = []
    for event in await crops.published("crop.sold"):
        payload = LotSold()
        assert event.payload.Unpack(payload)
        told.append((payload.quantity.amount, payload.remaining.amount, payload.sold_by))
    assert told == [("40", "60", GROWER), ("60", "0", GROWER)]
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live


async def test_goods_sold_and_destroyed_at_once_are_never_more_than_there_were(crops: Crops) -> None:
    minted = await crops.minted()
    sales = [crops.sell(user(GROWER), minted.lot_id, kg(30), f"{n}") for n in range(4)]
    destroys = [crops.destroy(user(GROWER), minted.lot_id, kg(30), "spoilt") for _ in range(2)]
    outcomes = await asyncio.gather(*sales, *destroys, return_exceptions=True)
    failures = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, DomainError) for each in failures), failures
    done = len(outcomes) - len(failures)
    assert (await crops.read.get(minted.lot_id)).quantity == kg(100 - 30 * done)
