"""The read models: what they show, that they can be rebuilt, and that readers do not read the past."""

import asyncio
from uuid import uuid4

import pytest

from chassis.errors import Unavailable
from chassis.quantity import Quantity
from services.crops.application.views import LotFilter
from services.crops.domain.events import Purpose, RecallClass
from services.crops.domain.lot import Commitment, LotState
from tests.integration.crops.conftest import Crops, service, user
from tests.unit.crops.lots import BUYER, GROWER, MAKER, harvest

TABLES = ("lot_view", "lot_ownership", "lot_history")


async def eventful(crops: Crops) -> str:
    """A lot with a history of transfers, a split and a recall; returns its id."""
    minted = await crops.minted("EVENTFUL")
    await crops.transfer(user(GROWER), str(uuid4()), minted.lot_id, BUYER, "BOL-7")
    await crops.split(user(BUYER), minted.lot_id, [("PART", Quantity.of(40, "KGM"))])
    with pytest.raises(Exception, match="not an active user"):
        await crops.transfer(user(BUYER), str(uuid4()), minted.lot_id, str(uuid4()), "")
    await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    return minted.lot_id


async def test_a_lots_history_and_owners_are_listed_in_order(crops: Crops) -> None:
    lot_id = await eventful(crops)
    events = await crops.read.events(lot_id, 0, 100)
    assert [(event.version, event.type) for event in events] == [
        (1, "LotMinted"),
        (2, "LotTransferBegun"),
        (3, "LotTransferred"),
        (4, "LotSplit"),
        (5, "LotTransferBegun"),
        (6, "LotTransferCancelled"),
        (7, "LotRecalled"),
    ]
    assert [event.summary for event in events][0::3] == [
        "Harvested 100 KGM of romaine-lettuce at Salinas Farm.",
        "Split into 1 part(s); 60 KGM remain.",
        "Recalled, class I: E. coli",
    ]
    assert [event.version for event in await crops.read.events(lot_id, 3, 2)] == [4, 5]
    owners = await crops.read.ownership(lot_id, -1, 10)
    assert [(owner.owner_id, owner.until_time is None) for owner in owners] == [
        (GROWER, False),
        (BUYER, True),
    ]
    assert owners[0].until_time == owners[1].from_time


async def test_the_read_model_is_what_the_aggregate_says(crops: Crops) -> None:
    lot_id = await eventful(crops)
    view, lot = await crops.read.get(lot_id), await crops.lots.load(lot_id)
    assert view == type(view).of(lot)


async def test_a_rebuilt_projection_equals_the_live_one(crops: Crops) -> None:
    await eventful(crops)
    last = await crops.minted("LAST")
    for commitment_id, amount in (("kept", 30), ("released", 20)):
        wanted = Commitment(Quantity.of(amount, "KGM"), Purpose.RECEIPT, "venue", MAKER)
        await crops.commit(last.lot_id, commitment_id, GROWER, wanted)
    await crops.release(service(MAKER), last.lot_id, "released")
    await crops.read.page(LotFilter(), None, 10)
    live = {table: await crops.dump(table) for table in TABLES}
    report = await crops.projection.rebuild()
    assert (report.events, report.identical, report.swapped) == (13, True, True)
    assert {table: await crops.dump(table) for table in TABLES} == live


async def test_lots_are_listed_by_each_filter_and_page_by_page(crops: Crops) -> None:
    lots = [await crops.minted(f"L{n}") for n in range(5)]
    kale = await crops.mint(user(BUYER), harvest(lot_code="K", product_code="kale"))
    await crops.recall(user(GROWER), lots[0].lot_id, "E. coli", RecallClass.I)

    async def ids(limit: int = 10, after: str | None = None, **where: object) -> list[str]:
        return [lot.lot_id for lot in await crops.read.page(LotFilter(**where), after, limit)]  # type: ignore[arg-type]

    everything = [*(lot.lot_id for lot in lots), kale.lot_id]
    assert await ids() == everything
    assert await ids(limit=2, after=everything[1]) == everything[2:4]
    assert await ids(owner_id=BUYER) == await ids(grower_id=BUYER) == [kale.lot_id]
    assert await ids(product_code="kale", owner_id=GROWER) == []
    assert await ids(lot_code="L3") == [lots[3].lot_id]
    assert await ids(state=LotState.RECALLED) == [lots[0].lot_id]


async def test_a_reader_waits_for_what_was_committed_before_the_question(idle_crops: Crops) -> None:
    crops = idle_crops
    minted = await crops.minted()
    get = asyncio.create_task(crops.read.get(minted.lot_id))
    page = asyncio.create_task(crops.read.page(LotFilter(), None, 10))
    history = asyncio.create_task(crops.read.events(minted.lot_id, 0, 10))
    done, _ = await asyncio.wait({get, page, history}, timeout=0.1)
    assert not done
    await crops.projection.catch_up()
    assert await get == minted
    assert await page == [minted]
    assert len(await history) == 1


async def test_a_list_waits_for_nothing_that_is_committed_after_the_question(idle_crops: Crops) -> None:
    crops = idle_crops
    await crops.projection.catch_up()
    await crops.minted("BEFORE")
    head = await crops.database.fetchval("SELECT max(position) FROM event")
    page = asyncio.create_task(crops.read.page(LotFilter(), None, 10))
    done, _ = await asyncio.wait({page}, timeout=0.1)
    assert not done
    await crops.minted("AFTER")
    await crops.database.execute("UPDATE projection SET position = $1 WHERE status = 'live'", head)
    await asyncio.wait_for(page, 3)


async def test_a_reader_gets_the_last_known_state_when_the_projection_stands_still(idle_crops: Crops) -> None:
    crops = idle_crops
    crops.queries._patience_s = 0.05
    minted = await crops.minted()
    await crops.projection.catch_up()
    await crops.split(user(GROWER), minted.lot_id, [("A", Quantity.of(1, "KGM"))])
    assert await crops.read.get(minted.lot_id) == minted
    fresh = await crops.minted("FRESH")
    with pytest.raises(Unavailable):
        await crops.read.get(fresh.lot_id)
