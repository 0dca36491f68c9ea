"""A lot's state as JSON, so that a long history need not be replayed from its beginning.

A snapshot only saves time: raise `SCHEMA_VERSION` when the state changes, and older ones are ignored.
"""

from typing import Any

from chassis.eventstore import Aggregate, SnapshotCodec
from services.crops.adapters.events import decode, encode
from services.crops.adapters.stored_json import read, to_json
from services.crops.domain.events import LotEvent
from services.crops.domain.lot import Lot, evolve

SCHEMA_VERSION = 3
EVERY = 50


def encode_lot(lot: Lot | None) -> dict[str, Any]:
    """The state as JSON types.

    Raises:
        ValueError: there is no state, so there was no event.
    """
    if lot is None:
        raise ValueError("there is no lot")
    return {name: to_json(getattr(lot, name)) for name in lot.__dataclass_fields__}


def decode_lot(state: dict[str, Any]) -> Lot:
    """The state that `encode_lot` was given."""
    return read(Lot, state)


LOT: Aggregate[Lot | None, LotEvent] = Aggregate(
    kind="lot",
    initial=lambda lot_id: None,
    evolve=evolve,
    encode=encode,
    decode=decode,
    snapshots=SnapshotCodec(encode_lot, decode_lot, SCHEMA_VERSION, EVERY),
)
