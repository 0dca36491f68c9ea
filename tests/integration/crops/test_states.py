"""A lot as it was at any version or time, and snapshots, which change nothing but how long that takes."""

from datetime import timedelta

import pytest

from chassis.errors import NotFound
from services.crops.adapters.events import stream_of
from services.crops.adapters.snapshots import EVERY
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import OPERATOR, Crops
from tests.unit.crops.lots import LOT_ID


async def held_often(crops: Crops, times: int) -> str:
    """A lot with a hold and its release so many times."""
    minted = await crops.minted()
    for number in range(times):
        await crops.hold(OPERATOR, minted.lot_id, f"lab {number}")
        await crops.release_hold(OPERATOR, minted.lot_id, "clean")
    return minted.lot_id


async def test_a_lot_is_read_as_it_was_at_each_version_and_time(crops: Crops) -> None:
    lot_id = await held_often(crops, 2)
    states = [(await crops.read.at_version(lot_id, version)).state for version in range(1, 6)]
    active, held = LotState.ACTIVE, LotState.HELD
    assert states == [active, held, active, held, active]
    for event in await crops.read.events(lot_id, 0, 10):
        view = await crops.read.at_time(lot_id, event.recorded_time)
        assert view == await crops.read.at_version(lot_id, view.version)
        assert view.version >= event.version
    assert await crops.read.at_version(lot_id, 5) == await crops.read.get(lot_id)


async def test_a_state_that_never_was_is_not_found(crops: Crops) -> None:
    minted = await crops.minted()
    for attempt, reason in (
        (crops.read.at_version(minted.lot_id, 2), "LOT_STATE_NOT_FOUND"),
        (crops.read.at_time(minted.lot_id, minted.create_time - timedelta(days=1)), "LOT_STATE_NOT_FOUND"),
        (crops.read.at_version(LOT_ID, 1), "LOT_NOT_FOUND"),
        (crops.read.at_time(LOT_ID, minted.create_time), "LOT_NOT_FOUND"),
    ):
        with pytest.raises(NotFound) as refused:
            await attempt
        assert refused.value.reason == reason


async def test_a_long_history_goes_on_from_its_snapshot(crops: Crops) -> None:
    lot_id = await held_often(crops, EVERY // 2 + 2)
    snapshot = await crops.store.load_snapshot(stream_of(lot_id))
    assert snapshot is not None
    assert snapshot.version == EVERY
    newest = await crops.lots.load(lot_id)
    assert newest == await crops.lots.load(lot_id, at_version=newest.version)
    await crops.database.execute("UPDATE snapshot SET schema_version = 99")
    assert await crops.lots.load(lot_id) == newest
