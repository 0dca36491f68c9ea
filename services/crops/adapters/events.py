"""Lot events as JSON in the event store. What is written here is read for ever; see `UPCASTERS`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chassis.eventstore import NewEvent, RecordedEvent, Upcasters
from chassis.quantity import Quantity
from services.crops.domain.events import (
    LotEvent,
    LotMinted,
    LotQuantityCommitted,
    LotQuantityReleased,
    LotRecalled,
    LotSplit,
    LotTransferBegun,
    LotTransferCancelled,
    LotTransferred,
    Origin,
    Purpose,
    RecallClass,
    SplitPart,
)

SCHEMA_VERSION = 1
STREAM_PREFIX = "lot-"
UPCASTERS = Upcasters()
"""Steps from older shapes to today's; none so far, since every event has its first shape."""

Data = Mapping[str, Any]


def stream_of(lot_id: str) -> str:
    """The stream of a lot."""
    return STREAM_PREFIX + lot_id


def encode(event: LotEvent) -> NewEvent:
    """A fact as it is stored, without the lot's id, which the stream says."""
    data = {name: _to_json(getattr(event, name)) for name in event.__dataclass_fields__ if name != "lot_id"}
    return NewEvent(type(event).__name__, SCHEMA_VERSION, data)


def decode(recorded: RecordedEvent) -> LotEvent:
    """A stored fact.

    Raises:
        LookupError: an unknown type.
    """
    lot_id = recorded.stream_id.removeprefix(STREAM_PREFIX)
    return _DECODERS[recorded.type](lot_id, recorded.data)


def _to_json(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Quantity():
            return {"amount": value.text, "unit": value.unit}
        case Origin():
            return {name: getattr(value, name) for name in Origin.__dataclass_fields__}
        case SplitPart():
            return {
                "lot_id": value.lot_id,
                "lot_code": value.lot_code,
                "quantity": _to_json(value.quantity),
            }
        case tuple():
            return [_to_json(item) for item in value]
    return value


def _quantity(data: Data) -> Quantity:
    return Quantity.of(data["amount"], data["unit"])


def _at(data: Data) -> datetime:
    return datetime.fromisoformat(data["at"])


def _minted(lot_id: str, data: Data) -> LotMinted:
    return LotMinted(
        lot_id=lot_id,
        lot_code=data["lot_code"],
        product_code=data["product_code"],
        description=data["description"],
        variety=data["variety"],
        quantity=_quantity(data["quantity"]),
        grower_id=data["grower_id"],
        owner_id=data["owner_id"],
        origin=Origin(**data["origin"]),
        harvest_time=datetime.fromisoformat(data["harvest_time"]),
        harvest_utc_offset=data["harvest_utc_offset"],
        expire_time=datetime.fromisoformat(data["expire_time"]),
        parent_lot_id=data["parent_lot_id"],
        at=_at(data),
    )


def _begun(lot_id: str, data: Data) -> LotTransferBegun:
    return LotTransferBegun(
        lot_id=lot_id,
        transfer_id=data["transfer_id"],
        new_owner_id=data["new_owner_id"],
        reference_document=data["reference_document"],
        at=_at(data),
    )


def _transferred(lot_id: str, data: Data) -> LotTransferred:
    return LotTransferred(
        lot_id=lot_id,
        transfer_id=data["transfer_id"],
        previous_owner_id=data["previous_owner_id"],
        new_owner_id=data["new_owner_id"],
        reference_document=data["reference_document"],
        transfer_number=data["transfer_number"],
        at=_at(data),
    )


def _cancelled(lot_id: str, data: Data) -> LotTransferCancelled:
    return LotTransferCancelled(lot_id=lot_id, transfer_id=data["transfer_id"], at=_at(data))


def _split(lot_id: str, data: Data) -> LotSplit:
    parts = tuple(
        SplitPart(part["lot_id"], part["lot_code"], _quantity(part["quantity"])) for part in data["parts"]
    )
    return LotSplit(lot_id=lot_id, parts=parts, remaining=_quantity(data["remaining"]), at=_at(data))


def _committed(lot_id: str, data: Data) -> LotQuantityCommitted:
    return LotQuantityCommitted(
        lot_id=lot_id,
        commitment_id=data["commitment_id"],
        quantity=_quantity(data["quantity"]),
        purpose=Purpose(data["purpose"]),
        venue_id=data["venue_id"],
        at=_at(data),
    )


def _released(lot_id: str, data: Data) -> LotQuantityReleased:
    return LotQuantityReleased(
        lot_id=lot_id,
        commitment_id=data["commitment_id"],
        quantity=_quantity(data["quantity"]),
        at=_at(data),
    )


def _recalled(lot_id: str, data: Data) -> LotRecalled:
    return LotRecalled(
        lot_id=lot_id,
        root_lot_id=data["root_lot_id"],
        reason=data["reason"],
        recall_class=RecallClass(data["recall_class"]),
        owner_id=data["owner_id"],
        at=_at(data),
    )


_DECODERS: dict[str, Callable[[str, Data], LotEvent]] = {
    "LotMinted": _minted,
    "LotTransferBegun": _begun,
    "LotTransferred": _transferred,
    "LotTransferCancelled": _cancelled,
    "LotSplit": _split,
    "LotQuantityCommitted": _committed,
    "LotQuantityReleased": _released,
    "LotRecalled": _recalled,
}
