"""A lot's state as JSON, so that a long history need not be replayed from its beginning.

A snapshot only saves time: raise `SCHEMA_VERSION` when the state changes, and older ones are ignored.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chassis.eventstore import Aggregate, SnapshotCodec
from chassis.quantity import Quantity
from services.crops.adapters.events import decode, encode
from services.crops.domain.events import LotEvent, OfferKind, OfferOutcome, Origin, Purpose
from services.crops.domain.lot import Commitment, Hold, Lot, Offer, PendingTransfer, evolve

SCHEMA_VERSION = 2
EVERY = 50

_PARTS = (Origin, PendingTransfer, Commitment, Hold, Offer)


def encode_lot(lot: Lot | None) -> dict[str, Any]:
    """The state as JSON types.

    Raises:
        ValueError: there is no state, so there was no event.
    """
    if lot is None:
        raise ValueError("there is no lot")
    return {name: _to_json(getattr(lot, name)) for name in lot.__dataclass_fields__}


def decode_lot(state: dict[str, Any]) -> Lot:
    """The state that `encode_lot` was given."""
    facts = dict(state)
    for name in ("harvest_time", "expire_time", "create_time", "update_time", "last_transfer_time"):
        facts[name] = datetime.fromisoformat(facts[name]) if facts[name] else None
    facts["quantity"] = _quantity(facts["quantity"])
    facts["origin"] = Origin(**facts["origin"])
    facts["parent_lot_ids"] = tuple(facts["parent_lot_ids"])
    facts["pending"] = PendingTransfer(**facts["pending"]) if facts["pending"] else None
    facts["hold"] = Hold(**facts["hold"]) if facts["hold"] else None
    facts["offer"] = _offer(facts["offer"]) if facts["offer"] else None
    facts["offers"] = {id: _offer(each) for id, each in facts["offers"].items()}
    facts["commitments"] = {id: _commitment(each) for id, each in facts["commitments"].items()}
    return Lot(**facts)


LOT: Aggregate[Lot | None, LotEvent] = Aggregate(
    kind="lot",
    initial=lambda lot_id: None,
    evolve=evolve,
    encode=encode,
    decode=decode,
    snapshots=SnapshotCodec(encode_lot, decode_lot, SCHEMA_VERSION, EVERY),
)


def _to_json(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Quantity():
            return {"amount": value.text, "unit": value.unit}
        case Mapping():
            return {key: _to_json(each) for key, each in value.items()}
        case tuple():
            return list(value)
    if isinstance(value, _PARTS):
        return {name: _to_json(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def _quantity(data: Mapping[str, str]) -> Quantity:
    return Quantity.of(data["amount"], data["unit"])


def _offer(data: Mapping[str, Any]) -> Offer:
    return Offer(
        offer_id=data["offer_id"],
        kind=OfferKind(data["kind"]),
        offered_by=data["offered_by"],
        to_id=data["to_id"],
        expire_time=datetime.fromisoformat(data["expire_time"]),
        reference_document=data["reference_document"],
        outcome=OfferOutcome(data["outcome"]) if data["outcome"] else None,
    )


def _commitment(data: Mapping[str, Any] | None) -> Commitment | None:
    if data is None:
        return None
    return Commitment(_quantity(data["quantity"]), Purpose(data["purpose"]), data["venue_id"])
