"""Logistic units, such as pallets: what is on one moves with it until it is taken off."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Violation
from services.crops.domain.epcis.identifiers import CANONICAL_DOMAIN, read
from services.crops.domain.hold import require_something
from services.crops.domain.lot import Lot
from services.crops.domain.occasion import Occasion, checked
from services.crops.domain.physical import LotPacked, LotUnpacked, Packed
from services.crops.domain.shipment import require_custodian
from services.crops.domain.transfer import (
    require_at_hand,
    require_no_transfer,
    require_not_held,
    require_not_in_transit,
    require_not_recalled,
    require_uncommitted,
)

MOST_LOTS: Final = 500
"""So many lots are on one unit."""
_SSCC_DIGITS: Final = 18


def unit_of(text: str) -> str:
    """The canonical GS1 Digital Link of an SSCC, given as 18 digits, URN or link.

    Raises:
        InvalidArgument: IDENTIFIER_INVALID.
    """
    digits = len(text) == _SSCC_DIGITS and text.isascii() and text.isdigit()
    violations = [Violation("unit_id", "is no SSCC, by number, URN or GS1 Digital Link")]
    try:
        found = read(f"{CANONICAL_DOMAIN}/00/{text}" if digits else text)
    except InvalidArgument as error:
        raise InvalidArgument(
            error.reason, error.message, metadata=error.metadata, violations=violations
        ) from None
    if found.scheme != "sscc":
        raise InvalidArgument("IDENTIFIER_INVALID", "unit_id is no SSCC.", violations=violations)
    return found.canonical


def pack(
    lots: Sequence[Lot],
    inside: Sequence[Lot],
    *,
    unit_id: str,
    packing_id: str,
    actor: str,
    occasion: Occasion,
    now: datetime,
) -> list[tuple[Lot, LotPacked]]:
    """Put lots on a unit.

    Held and recalled lots are not packed: they would travel hidden among others. What is recalled when it
    is on a unit already travels on with it, and can be taken off.

    Args:
        unit_id: canonical.
        inside: what is on it already.

    Raises:
        PermissionDenied: NOT_CUSTODIAN of each lot and of the unit.
        FailedPrecondition: LOT_IN_UNIT, LOT_IN_TRANSIT, LOT_EMPTY, LOT_DESTROYED, LOT_RECALLED, LOT_HELD,
            TRANSFER_UNDER_WAY, OFFER_OPEN, QUANTITY_COMMITTED; UNIT_FULL.
        InvalidArgument: as `occasion.checked`.
    """
    for lot in lots:
        require_custodian(lot, actor)
        require_at_hand(lot)
        require_something(lot)
        require_not_recalled(lot)
        require_not_held(lot)
        require_no_transfer(lot)
        require_uncommitted(lot)
    for lot in inside:
        _require_holder(lot, actor)
        require_not_in_transit(lot)
    if len(inside) + len(lots) > MOST_LOTS:
        raise FailedPrecondition(
            "UNIT_FULL", f"At most {MOST_LOTS} lots are on one unit.", resource=("unit", unit_id)
        )
    when, contents = checked(occasion, now), _contents(lots)
    return [
        (
            lot,
            LotPacked(
                lot_id=lot.lot_id,
                packing_id=packing_id,
                unit_id=unit_id,
                contents=contents,
                packed_by=actor,
                occasion=when,
                at=now,
            ),
        )
        for lot in lots
    ]


def unpack(
    lots: Sequence[Lot], *, unit_id: str, packing_id: str, actor: str, occasion: Occasion, now: datetime
) -> list[tuple[Lot, LotUnpacked]]:
    """Take lots off a unit, in any state.

    Raises:
        PermissionDenied: NOT_CUSTODIAN.
        FailedPrecondition: LOT_NOT_IN_UNIT, LOT_IN_TRANSIT.
        InvalidArgument: as `occasion.checked`.
    """
    for lot in lots:
        if lot.unit_id != unit_id:
            raise not_on(unit_id, lot.lot_id)
        require_custodian(lot, actor)
        require_not_in_transit(lot)
    when, contents = checked(occasion, now), _contents(lots)
    return [
        (
            lot,
            LotUnpacked(
                lot_id=lot.lot_id,
                packing_id=packing_id,
                unit_id=unit_id,
                contents=contents,
                unpacked_by=actor,
                occasion=when,
                at=now,
            ),
        )
        for lot in lots
    ]


def not_on(unit_id: str, lot_id: str) -> FailedPrecondition:
    """The refusal of a lot that is not on the unit."""
    return FailedPrecondition(
        "LOT_NOT_IN_UNIT", f"Lot {lot_id} is not on unit {unit_id}.", resource=("lot", lot_id)
    )


def _contents(lots: Sequence[Lot]) -> tuple[Packed, ...]:
    return tuple(Packed(lot.lot_id, lot.quantity) for lot in lots)


def _require_holder(lot: Lot, actor: str) -> None:
    if lot.custodian_id != actor:
        raise PermissionDenied(
            "NOT_CUSTODIAN", "Someone else has the logistic unit.", resource=("unit", lot.unit_id)
        )
