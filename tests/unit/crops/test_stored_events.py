"""What was ever stored is read for ever: a recording of each type and version, and each type has one."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from chassis.eventstore import RecordedEvent
from services.crops.adapters.events import SCHEMA_VERSIONS, UPCASTERS, decode, encode, stream_of
from services.crops.domain.events import (
    LotEvent,
    LotMinted,
    LotRecalled,
    LotRecallReleased,
    LotTransferBegun,
    LotTransferred,
)
from tests.unit.crops.lots import LOT_ID, NOW

RECORDINGS = sorted((Path(__file__).parent / "stored").glob("*.json"))


def read(path: Path) -> tuple[dict[str, Any], LotEvent]:
    recorded = json.loads(path.read_text())
    version, data = UPCASTERS.upcast(recorded["type"], recorded["schema_version"], dict(recorded["data"]))
    event = RecordedEvent(
        position=1,
        stream_id=stream_of(LOT_ID),
        version=1,
        type=recorded["type"],
        schema_version=version,
        data=data,
        meta={},
        event_id="",
        recorded_at=NOW,
    )
    return recorded, decode(event)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_stored_event_is_read_with_nothing_lost(path: Path) -> None:
    recorded, event = read(path)
    again = json.loads(json.dumps(encode(event).data))
    assert {name: again[name] for name in recorded["data"]} == recorded["data"]


def test_every_type_in_every_version_is_recorded() -> None:
    expected = {
        f"{kind.__name__}.v{version}"
        for kind in get_args(LotEvent)
        for version in range(1, SCHEMA_VERSIONS.get(kind.__name__, 1) + 1)
    }
    assert {path.stem for path in RECORDINGS} == expected


def test_a_lot_minted_before_there_were_transformations_has_its_one_parent() -> None:
    _, event = read(Path(__file__).parent / "stored" / "LotMinted.v1.json")
    assert isinstance(event, LotMinted)
    assert event.parent_lot_ids == (event.parent_lot_id,) != (None,)
    assert event.transformation_id is None


def test_before_commitments_were_their_makers_each_purpose_had_its_service() -> None:
    for purpose, maker in (("RECEIPT", "inventory"), ("LISTING", "market"), ("POOL", "market")):
        _, upcast = UPCASTERS.upcast("LotQuantityCommitted", 1, {"purpose": purpose})
        assert upcast["made_by"] == maker


def test_before_recalls_had_names_they_go_by_the_lot_that_was_recalled() -> None:
    folder = Path(__file__).parent / "stored"
    for kind in ("LotRecalled", "LotRecallReleased"):
        _, event = read(folder / f"{kind}.v1.json")
        assert isinstance(event, LotRecalled | LotRecallReleased)
        assert event.recall_id == event.root_lot_id != ""


def test_before_custody_was_apart_the_goods_went_along_with_the_ownership() -> None:
    folder = Path(__file__).parent / "stored"
    for version in ("v1", "v2"):
        _, minted = read(folder / f"LotMinted.{version}.json")
        assert isinstance(minted, LotMinted)
        assert minted.custodian_id == minted.owner_id
    _, begun = read(folder / "LotTransferBegun.v1.json")
    _, transferred = read(folder / "LotTransferred.v1.json")
    assert isinstance(begun, LotTransferBegun)
    assert begun.custody
    assert isinstance(transferred, LotTransferred)
    assert transferred.custodian_id == transferred.new_owner_id
