"""Handing a lot over between two parties: one offers, the other accepts or rejects, or time ends it."""

from datetime import datetime, timedelta

from chassis.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Violation
from services.crops.domain.events import (
    LotCustodyChanged,
    LotOffered,
    LotOfferEnded,
    LotTransferBegun,
    OfferKind,
    OfferOutcome,
)
from services.crops.domain.hold import require_something
from services.crops.domain.lot import Lot, Offer
from services.crops.domain.transfer import (
    require_at_hand,
    require_no_transfer,
    require_owner,
    require_tradable,
    require_uncommitted,
)

LONGEST = timedelta(days=90)


def offer(
    lot: Lot,
    *,
    offer_id: str,
    kind: OfferKind,
    actor: str,
    to_id: str,
    expire_time: datetime,
    reference_document: str,
    now: datetime,
) -> LotOffered:
    """Offer a lot; until the offer ends nothing else is done with the lot.

    Custody of a held or recalled lot may be offered, since such goods have to be brought back.

    Raises:
        PermissionDenied: NOT_OWNER to offer ownership; NOT_CUSTODIAN to offer custody.
        InvalidArgument: TRANSFER_TO_SELF; TIMES_INVALID unless it ends within 90 days.
        FailedPrecondition: LOT_EMPTY, LOT_DESTROYED, TRANSFER_UNDER_WAY, OFFER_OPEN; for ownership also
            LOT_RECALLED, LOT_HELD or QUANTITY_COMMITTED, for custody as `require_at_hand`.
    """
    if kind is not OfferKind.CUSTODY:
        require_owner(lot, actor)
    if kind is not OfferKind.OWNERSHIP and lot.custodian_id != actor:
        raise PermissionDenied(
            "NOT_CUSTODIAN", f"Lot {lot.lot_id} is in someone else's custody.", resource=("lot", lot.lot_id)
        )
    if to_id == actor:
        violation = Violation("to_id", "is the one who offers")
        raise InvalidArgument("TRANSFER_TO_SELF", "It is yours already.", violations=[violation])
    if not now < expire_time <= now + LONGEST:
        violation = Violation("expire_time", "must lie ahead, within 90 days")
        raise InvalidArgument("TIMES_INVALID", "An offer ends within 90 days.", violations=[violation])
    require_something(lot)
    require_no_transfer(lot)
    if kind is not OfferKind.OWNERSHIP:
        require_at_hand(lot)
    if kind is not OfferKind.CUSTODY:
        require_tradable(lot)
        require_uncommitted(lot)
    return LotOffered(
        lot_id=lot.lot_id,
        offer_id=offer_id,
        kind=kind,
        offered_by=actor,
        to_id=to_id,
        expire_time=expire_time,
        reference_document=reference_document,
        at=now,
    )


def offer_to(lot: Lot, offer_id: str, actor: str) -> Offer:
    """An offer of the lot, open or not, for the one to whom it was made.

    Raises:
        NotFound: OFFER_NOT_FOUND.
        PermissionDenied: NOT_ADDRESSEE.
    """
    found = _find(lot, offer_id)
    if found.to_id != actor:
        raise PermissionDenied(
            "NOT_ADDRESSEE", "The offer was made to someone else.", resource=("lot", lot.lot_id)
        )
    return found


def accept_custody(
    lot: Lot, offer_id: str, *, actor: str, now: datetime
) -> tuple[LotOfferEnded, LotCustodyChanged]:
    """Take the goods.

    Raises:
        NotFound, PermissionDenied: as `offer_to`.
        FailedPrecondition: OFFER_ENDED or OFFER_EXPIRED.
    """
    found = _accepted(lot, offer_id, actor, now)
    return _ended(lot, offer_id, OfferOutcome.ACCEPTED, now), LotCustodyChanged(
        lot_id=lot.lot_id,
        previous_custodian_id=lot.custodian_id,
        custodian_id=actor,
        reference_document=found.reference_document,
        at=now,
    )


def accept_ownership(
    lot: Lot, offer_id: str, *, transfer_id: str, actor: str, now: datetime
) -> tuple[LotOfferEnded, LotTransferBegun]:
    """End the offer and begin the transfer that it was about.

    Raises:
        NotFound, PermissionDenied: as `offer_to`.
        FailedPrecondition: OFFER_ENDED or OFFER_EXPIRED.
    """
    found = _accepted(lot, offer_id, actor, now)
    return _ended(lot, offer_id, OfferOutcome.ACCEPTED, now), LotTransferBegun(
        lot_id=lot.lot_id,
        transfer_id=transfer_id,
        new_owner_id=actor,
        reference_document=found.reference_document,
        custody=found.kind is OfferKind.BOTH,
        at=now,
    )


def reject(lot: Lot, offer_id: str, *, actor: str, now: datetime) -> LotOfferEnded:
    """Refuse what was offered.

    Raises:
        NotFound, PermissionDenied: as `offer_to`.
        FailedPrecondition: OFFER_ENDED.
    """
    _require_open(lot, offer_to(lot, offer_id, actor))
    return _ended(lot, offer_id, OfferOutcome.REJECTED, now)


def withdraw(lot: Lot, offer_id: str, *, actor: str, now: datetime) -> LotOfferEnded:
    """Take an offer back.

    Raises:
        NotFound: OFFER_NOT_FOUND.
        PermissionDenied: NOT_OFFERER.
        FailedPrecondition: OFFER_ENDED.
    """
    found = _find(lot, offer_id)
    if found.offered_by != actor:
        raise PermissionDenied("NOT_OFFERER", "Someone else made the offer.", resource=("lot", lot.lot_id))
    _require_open(lot, found)
    return _ended(lot, offer_id, OfferOutcome.WITHDRAWN, now)


def expire(lot: Lot, *, now: datetime) -> LotOfferEnded | None:
    """End the offer whose time is up; None when there is none."""
    found = lot.offer
    if found is None or now < found.expire_time:
        return None
    return _ended(lot, found.offer_id, OfferOutcome.EXPIRED, now)


def _accepted(lot: Lot, offer_id: str, actor: str, now: datetime) -> Offer:
    found = offer_to(lot, offer_id, actor)
    _require_open(lot, found)
    if found.expire_time <= now:
        raise FailedPrecondition("OFFER_EXPIRED", "The offer has expired.", resource=("lot", lot.lot_id))
    return found


def _find(lot: Lot, offer_id: str) -> Offer:
    found = lot.offers.get(offer_id)
    if found is None:
        raise NotFound("OFFER_NOT_FOUND", f"The lot has no offer {offer_id}.", resource=("lot", lot.lot_id))
    return found


def _require_open(lot: Lot, found: Offer) -> None:
    if found.outcome is not None:
        raise FailedPrecondition(
            "OFFER_ENDED",
            f"The offer has ended: {found.outcome.value}.",
            metadata={"outcome": found.outcome.value},
            resource=("lot", lot.lot_id),
        )


def _ended(lot: Lot, offer_id: str, outcome: OfferOutcome, now: datetime) -> LotOfferEnded:
    return LotOfferEnded(lot_id=lot.lot_id, offer_id=offer_id, outcome=outcome, at=now)
