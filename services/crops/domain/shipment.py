"""Sending a lot, taking that back, and taking it in where it arrives.

Bad real-world data is recorded and flagged (`doubts.py`); refused is only what the parties may not do.
"""

from datetime import datetime

from chassis.errors import FailedPrecondition, PermissionDenied
from chassis.quantity import Quantity
from services.crops.domain.hold import require_something
from services.crops.domain.lot import Lot, Shipment
from services.crops.domain.occasion import Occasion, checked
from services.crops.domain.physical import (
    LotArrived,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    TransportStage,
)
from services.crops.domain.transfer import (
    require_no_transfer,
    require_not_in_transit,
    require_not_in_unit,
    require_uncommitted,
)


def ship(
    lot: Lot,
    *,
    shipment_id: str,
    actor: str,
    to_id: str,
    occasion: Occasion,
    now: datetime,
    unit_id: str = "",
) -> LotShipped:
    """Send a lot, also to another place of one's own.

    A held or recalled lot may be sent, since such goods are brought back, with what of it is committed.

    Args:
        unit_id: of the logistic unit that it is sent with; empty when it is sent alone.

    Raises:
        PermissionDenied: NOT_CUSTODIAN.
        FailedPrecondition: LOT_IN_TRANSIT, LOT_IN_UNIT, LOT_EMPTY, LOT_DESTROYED, TRANSFER_UNDER_WAY or
            OFFER_OPEN; QUANTITY_COMMITTED unless it is held or recalled.
        InvalidArgument: as `occasion.checked`.
    """
    require_custodian(lot, actor)
    _require_with(lot, unit_id)
    require_not_in_transit(lot)
    require_something(lot)
    require_no_transfer(lot)
    if lot.hold is None and not lot.recalled:
        require_uncommitted(lot)
    return LotShipped(
        lot_id=lot.lot_id,
        shipment_id=shipment_id,
        from_id=actor,
        to_id=to_id,
        quantity=lot.quantity,
        unit_id=unit_id,
        occasion=checked(occasion, now),
        at=now,
    )


def void_shipment(
    lot: Lot, *, shipment_id: str, actor: str, reason: str, occasion: Occasion, now: datetime
) -> LotShipmentVoided:
    """Take back that a lot was sent.

    Raises:
        PermissionDenied: NOT_CUSTODIAN, someone else sent it.
        FailedPrecondition: SHIPMENT_NOT_UNDER_WAY.
        InvalidArgument: as `occasion.checked`.
    """
    under_way = _shipment(lot, shipment_id)
    if under_way.from_id != actor:
        raise PermissionDenied("NOT_CUSTODIAN", "Someone else sent the lot.", resource=("lot", lot.lot_id))
    return LotShipmentVoided(
        lot_id=lot.lot_id, shipment_id=shipment_id, reason=reason, occasion=checked(occasion, now), at=now
    )


def record_transport(
    lot: Lot, *, shipment_id: str, actor: str, stage: TransportStage, occasion: Occasion, now: datetime
) -> LotTransportUpdated:
    """Record where goods under way are; stages come in any order, as drivers report them.

    Raises:
        PermissionDenied: NOT_CUSTODIAN, the lot was neither sent by nor to the caller.
        FailedPrecondition: SHIPMENT_NOT_UNDER_WAY.
        InvalidArgument: as `occasion.checked`.
    """
    under_way = _shipment(lot, shipment_id)
    if actor not in (under_way.from_id, under_way.to_id):
        raise PermissionDenied(
            "NOT_CUSTODIAN", "The lot was neither sent by you nor to you.", resource=("lot", lot.lot_id)
        )
    return LotTransportUpdated(
        lot_id=lot.lot_id, shipment_id=shipment_id, stage=stage, occasion=checked(occasion, now), at=now
    )


def receive(
    lot: Lot,
    *,
    shipment_id: str,
    actor: str,
    quantity: Quantity | None,
    occasion: Occasion,
    now: datetime,
    unit_id: str = "",
) -> LotArrived:
    """Take what arrived into custody, in any state of the lot.

    Args:
        shipment_id: empty for goods that nobody announced; only their owner takes such.
        quantity: as counted; None is as it was sent.
        unit_id: of the logistic unit that it arrived with; empty when it arrived alone.

    Raises:
        PermissionDenied: NOT_ADDRESSEE, it was sent to someone else; NOT_OWNER of goods not announced.
        FailedPrecondition: SHIPMENT_NOT_UNDER_WAY or LOT_IN_UNIT; of goods not announced LOT_IN_TRANSIT,
            TRANSFER_UNDER_WAY or OFFER_OPEN.
        InvalidArgument: as `occasion.checked`.
    """
    if shipment_id:
        under_way = _shipment(lot, shipment_id)
        if under_way.to_id != actor:
            raise PermissionDenied(
                "NOT_ADDRESSEE", "The lot was sent to someone else.", resource=("lot", lot.lot_id)
            )
        sender, sent = under_way.from_id, under_way.quantity
    else:
        _require_unannounced(lot, actor)
        sender, sent = lot.custodian_id, lot.quantity
    _require_with(lot, unit_id)
    return LotArrived(
        lot_id=lot.lot_id,
        shipment_id=shipment_id,
        from_id=sender,
        receiver_id=actor,
        quantity=sent if quantity is None else quantity,
        occasion=checked(occasion, now),
        at=now,
    )


def require_custodian(lot: Lot, actor: str) -> None:
    """Refuse anyone who does not have the goods.

    Raises:
        PermissionDenied: NOT_CUSTODIAN.
    """
    if lot.custodian_id != actor:
        raise PermissionDenied(
            "NOT_CUSTODIAN", f"Lot {lot.lot_id} is in someone else's custody.", resource=("lot", lot.lot_id)
        )


def _require_with(lot: Lot, unit_id: str) -> None:
    """A lot on a unit moves with it, and so with all that is on it."""
    if lot.unit_id != unit_id:
        require_not_in_unit(lot)


def _shipment(lot: Lot, shipment_id: str) -> Shipment:
    if lot.shipment is None or lot.shipment.shipment_id != shipment_id:
        raise FailedPrecondition(
            "SHIPMENT_NOT_UNDER_WAY",
            f"Lot {lot.lot_id} is not under way in shipment {shipment_id}.",
            resource=("lot", lot.lot_id),
        )
    return lot.shipment


def _require_unannounced(lot: Lot, actor: str) -> None:
    # Custody is claimed here by one party alone, so that only who owns the goods anyway may do it.
    if lot.owner_id != actor:
        raise PermissionDenied(
            "NOT_OWNER", "Only their owner takes goods that nobody sent.", resource=("lot", lot.lot_id)
        )
    require_not_in_transit(lot)
    require_no_transfer(lot)
