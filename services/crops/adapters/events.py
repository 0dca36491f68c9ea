"""Lot events as JSON in the event store. What is written here is read for ever; see `UPCASTERS`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, get_args

from chassis.eventstore import NewEvent, RecordedEvent, Upcasters
from services.crops.adapters.stored_json import quantity_from_json as _quantity
from services.crops.adapters.stored_json import read, to_json
from services.crops.domain.events import (
    LotCorrected,
    LotCustodyChanged,
    LotDeliveryRefused,
    LotDestroyed,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotMinted,
    LotOffered,
    LotOfferEnded,
    LotQuantityCommitted,
    LotQuantityDelivered,
    LotQuantityReleased,
    LotRecalled,
    LotRecallReleased,
    LotSplit,
    LotTransferBegun,
    LotTransferCancelled,
    LotTransferred,
    LotTransformed,
    OfferKind,
    OfferOutcome,
    Origin,
    Purpose,
    RecallClass,
    SplitPart,
    Step,
    TransformInput,
    TransformOutput,
)
from services.crops.domain.physical import PhysicalEvent

SCHEMA_VERSIONS = {
    "LotMinted": 3,
    "LotTransferBegun": 2,
    "LotTransferred": 2,
    "LotRecalled": 2,
    "LotRecallReleased": 2,
}
"""Of the types that no longer have their first shape; see `UPCASTERS`."""

STREAM_PREFIX = "lot-"
UPCASTERS = Upcasters()
"""Steps from older shapes to today's."""

Data = Mapping[str, Any]


def _minted_v1(data: dict[str, Any]) -> dict[str, Any]:
    """Before there were transformations a lot had one parent or none."""
    parent = data["parent_lot_id"]
    return {**data, "parent_lot_ids": [parent] if parent else [], "transformation_id": None}


UPCASTERS.register("LotMinted", 1, _minted_v1)
UPCASTERS.register("LotMinted", 2, lambda data: {**data, "custodian_id": data["owner_id"]})
# Before custody was apart from ownership the goods went along with it.
UPCASTERS.register("LotTransferBegun", 1, lambda data: {**data, "custody": True})
UPCASTERS.register("LotTransferred", 1, lambda data: {**data, "custodian_id": data["new_owner_id"]})
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
    return NewEvent(kind, SCHEMA_VERSIONS.get(kind, 1), data)


def decode(recorded: RecordedEvent) -> LotEvent:
    """A stored fact.

    Raises:
        LookupError: an unknown type.
    """
    lot_id = recorded.stream_id.removeprefix(STREAM_PREFIX)
    if kind := _AS_THEY_ARE.get(recorded.type):
        return read(kind, recorded.data, lot_id=lot_id)
    return _DECODERS[recorded.type](lot_id, recorded.data)


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
        custodian_id=data["custodian_id"],
        origin=Origin(**data["origin"]),
        harvest_time=datetime.fromisoformat(data["harvest_time"]),
        harvest_utc_offset=data["harvest_utc_offset"],
        expire_time=datetime.fromisoformat(data["expire_time"]),
        parent_lot_id=data["parent_lot_id"],
        at=_at(data),
        parent_lot_ids=tuple(data["parent_lot_ids"]),
        transformation_id=data["transformation_id"],
    )


def _begun(lot_id: str, data: Data) -> LotTransferBegun:
    return LotTransferBegun(
        lot_id=lot_id,
        transfer_id=data["transfer_id"],
        new_owner_id=data["new_owner_id"],
        reference_document=data["reference_document"],
        custody=data["custody"],
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
        custodian_id=data["custodian_id"],
        at=_at(data),
    )


def _cancelled(lot_id: str, data: Data) -> LotTransferCancelled:
    return LotTransferCancelled(lot_id=lot_id, transfer_id=data["transfer_id"], at=_at(data))


def _split(lot_id: str, data: Data) -> LotSplit:
    parts = tuple(
        SplitPart(part["lot_id"], part["lot_code"], _quantity(part["quantity"])) for part in data["parts"]
    )
    return LotSplit(lot_id=lot_id, parts=parts, remaining=_quantity(data["remaining"]), at=_at(data))


def _transformed(lot_id: str, data: Data) -> LotTransformed:
    return LotTransformed(
        lot_id=lot_id,
        transformation_id=data["transformation_id"],
        step=Step(data["step"]),
        owner_id=data["owner_id"],
        inputs=tuple(
            TransformInput(each["lot_id"], _quantity(each["quantity"]), _quantity(each["remaining"]))
            for each in data["inputs"]
        ),
        outputs=tuple(
            TransformOutput(
                each["lot_id"], each["lot_code"], each["product_code"], _quantity(each["quantity"])
            )
            for each in data["outputs"]
        ),
        loss=_quantity(data["loss"]) if data["loss"] else None,
        at=_at(data),
    )


def _committed(lot_id: str, data: Data) -> LotQuantityCommitted:
    return LotQuantityCommitted(
        lot_id=lot_id,
        commitment_id=data["commitment_id"],
        quantity=_quantity(data["quantity"]),
        purpose=Purpose(data["purpose"]),
        venue_id=data["venue_id"],
        at=_at(data),
    )


def _delivered(lot_id: str, data: Data) -> LotQuantityDelivered:
    return LotQuantityDelivered(
        lot_id=lot_id,
        commitment_id=data["commitment_id"],
        delivery_id=data["delivery_id"],
        delivered_lot_id=data["delivered_lot_id"],
        new_owner_id=data["new_owner_id"],
        quantity=_quantity(data["quantity"]),
        at=_at(data),
    )


def _delivery_refused(lot_id: str, data: Data) -> LotDeliveryRefused:
    return LotDeliveryRefused(
        lot_id=lot_id, delivery_id=data["delivery_id"], reason=data["reason"], at=_at(data)
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
        recall_id=data["recall_id"],
        lot_code=data["lot_code"],
        grower_id=data["grower_id"],
        at=_at(data),
    )


def _recall_released(lot_id: str, data: Data) -> LotRecallReleased:
    return LotRecallReleased(
        lot_id=lot_id,
        root_lot_id=data["root_lot_id"],
        reason=data["reason"],
        recall_id=data["recall_id"],
        at=_at(data),
    )


def _held(lot_id: str, data: Data) -> LotHeld:
    return LotHeld(
        lot_id=lot_id,
        reason=data["reason"],
        held_by=data["held_by"],
        official=data["official"],
        at=_at(data),
    )


def _hold_released(lot_id: str, data: Data) -> LotHoldReleased:
    return LotHoldReleased(lot_id=lot_id, reason=data["reason"], at=_at(data))


def _destroyed(lot_id: str, data: Data) -> LotDestroyed:
    return LotDestroyed(
        lot_id=lot_id,
        quantity=_quantity(data["quantity"]),
        remaining=_quantity(data["remaining"]),
        reason=data["reason"],
        at=_at(data),
    )


def _offered(lot_id: str, data: Data) -> LotOffered:
    return LotOffered(
        lot_id=lot_id,
        offer_id=data["offer_id"],
        kind=OfferKind(data["kind"]),
        offered_by=data["offered_by"],
        to_id=data["to_id"],
        expire_time=datetime.fromisoformat(data["expire_time"]),
        reference_document=data["reference_document"],
        at=_at(data),
    )


def _offer_ended(lot_id: str, data: Data) -> LotOfferEnded:
    outcome = OfferOutcome(data["outcome"])
    return LotOfferEnded(lot_id=lot_id, offer_id=data["offer_id"], outcome=outcome, at=_at(data))


def _custody_changed(lot_id: str, data: Data) -> LotCustodyChanged:
    return LotCustodyChanged(
        lot_id=lot_id,
        previous_custodian_id=data["previous_custodian_id"],
        custodian_id=data["custodian_id"],
        reference_document=data["reference_document"],
        at=_at(data),
    )


_DECODERS: dict[str, Callable[[str, Data], LotEvent]] = {
    "LotMinted": _minted,
    "LotTransferBegun": _begun,
    "LotTransferred": _transferred,
    "LotTransferCancelled": _cancelled,
    "LotSplit": _split,
    "LotTransformed": _transformed,
    "LotQuantityCommitted": _committed,
    "LotQuantityDelivered": _delivered,
    "LotDeliveryRefused": _delivery_refused,
    "LotQuantityReleased": _released,
    "LotRecalled": _recalled,
    "LotRecallReleased": _recall_released,
    "LotHeld": _held,
    "LotHoldReleased": _hold_released,
    "LotDestroyed": _destroyed,
    "LotOffered": _offered,
    "LotOfferEnded": _offer_ended,
    "LotCustodyChanged": _custody_changed,
}
# Read by the names and types of their fields.
_AS_THEY_ARE: dict[str, type[LotCorrected | PhysicalEvent]] = {
    kind.__name__: kind for kind in (LotCorrected, *get_args(PhysicalEvent))
}
