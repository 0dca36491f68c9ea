"""Lot events as JSON in the event store. What is written here is read for ever; see `UPCASTERS`."""

from typing import Any, get_args

from chassis.eventstore import NewEvent, RecordedEvent, Upcasters
from services.crops.adapters.stored_json import read, to_json
from services.crops.domain.events import LotEvent, LotServed

SCHEMA_VERSIONS = {
    "LotMinted": 3,
    "LotTransferBegun": 2,
    "LotTransferred": 2,
    "LotQuantityCommitted": 2,
    "LotRecalled": 2,
    "LotRecallReleased": 2,
}
"""Of the types that no longer have their first shape; see `UPCASTERS`."""

STREAM_PREFIX = "lot-"
UPCASTERS = Upcasters()
"""Steps from older shapes to today's."""

_KINDS: dict[str, type[LotEvent]] = {kind.__name__: kind for kind in get_args(LotEvent)}


def _minted_v1(data: dict[str, Any]) -> dict[str, Any]:
    """Before there were transformations a lot had one parent or none."""
    parent = data["parent_lot_id"]
    return {**data, "parent_lot_ids": [parent] if parent else [], "transformation_id": None}


UPCASTERS.register("LotMinted", 1, _minted_v1)
UPCASTERS.register("LotMinted", 2, lambda data: {**data, "custodian_id": data["owner_id"]})
# Before custody was apart from ownership the goods went along with it.
UPCASTERS.register("LotTransferBegun", 1, lambda data: {**data, "custody": True})
UPCASTERS.register("LotTransferred", 1, lambda data: {**data, "custodian_id": data["new_owner_id"]})
# Before commitments were their makers' one service made those of each purpose.
UPCASTERS.register(
    "LotQuantityCommitted",
    1,
    lambda data: {**data, "made_by": "inventory" if data["purpose"] == "RECEIPT" else "market"},
)
# Before recalls had names a lot's recall went by the lot itself; code and grower were not told along.
UPCASTERS.register(
    "LotRecalled",
    1,
    lambda data: {**data, "recall_id": data["root_lot_id"], "lot_code": "", "grower_id": ""},
)
UPCASTERS.register("LotRecallReleased", 1, lambda data: {**data, "recall_id": data["root_lot_id"]})


def stream_of(lot_id: str) -> str:
    """The stream of a lot."""
    return STREAM_PREFIX + lot_id


def encode(event: LotEvent) -> NewEvent:
    """A fact as it is stored, without the lot's id, which the stream says."""
    data = {name: to_json(getattr(event, name)) for name in event.__dataclass_fields__ if name != "lot_id"}
    kind = type(event).__name__
    event_id = event.serving_id if isinstance(event, LotServed) else None
    return NewEvent(kind, SCHEMA_VERSIONS.get(kind, 1), data, event_id=event_id)


def decode(recorded: RecordedEvent) -> LotEvent:
    """A stored fact.

    Raises:
        LookupError: an unknown type.
    """
    lot_id = recorded.stream_id.removeprefix(STREAM_PREFIX)
    return read(_KINDS[recorded.type], recorded.data, lot_id=lot_id)
