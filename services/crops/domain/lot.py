"""A lot's state and how events change it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

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
    LotTransformed,
    Origin,
    Purpose,
)


class LotState(StrEnum):
    """What may still be done with a lot; EMPTY means that everything was split off."""

    ACTIVE = "ACTIVE"
    EMPTY = "EMPTY"
    RECALLED = "RECALLED"


@dataclass(frozen=True, slots=True)
class PendingTransfer:
    """A hand-over that has begun and not ended."""

    transfer_id: str
    new_owner_id: str
    reference_document: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A quantity that is set aside for what is made of it elsewhere."""

    quantity: Quantity
    purpose: Purpose
    venue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A crop lot after `version` events.

    Args:
        quantity: what was not split off, committed or not.
        commitments: by id; None is the tombstone of one that was taken back.
    """

    lot_id: str
    version: int
    lot_code: str
    product_code: str
    description: str
    variety: str
    quantity: Quantity
    grower_id: str
    owner_id: str
    state: LotState
    origin: Origin
    harvest_time: datetime
    harvest_utc_offset: str
    expire_time: datetime
    parent_lot_id: str | None
    transfer_count: int
    last_transfer_time: datetime | None
    recall_reason: str
    pending: PendingTransfer | None
    create_time: datetime
    update_time: datetime
    commitments: Mapping[str, Commitment | None] = field(default_factory=dict)
    parent_lot_ids: tuple[str, ...] = ()

    @property
    def committed(self) -> Quantity:
        """How much of the quantity counts elsewhere."""
        amounts = (each.quantity.amount for each in self.commitments.values() if each)
        return Quantity(sum(amounts, Decimal(0)), self.quantity.unit)

    @property
    def uncommitted(self) -> Quantity:
        """What may still be split off or committed."""
        return self.quantity - self.committed


def evolve(lot: Lot | None, event: LotEvent) -> Lot:  # noqa: PLR0911 - one for each kind of event
    """The state after an event; never refuses, since the event has happened.

    Raises:
        ValueError: the history does not begin with the minting, so it is not a lot's history.
    """
    if isinstance(event, LotMinted):
        return _minted(event)
    if lot is None:
        raise ValueError(f"the history of lot {event.lot_id} begins with {type(event).__name__}")
    lot = replace(lot, version=lot.version + 1, update_time=event.at)
    match event:
        case LotTransferBegun():
            pending = PendingTransfer(event.transfer_id, event.new_owner_id, event.reference_document)
            return replace(lot, pending=pending)
        case LotTransferred():
            return replace(
                lot,
                owner_id=event.new_owner_id,
                transfer_count=event.transfer_number,
                last_transfer_time=event.at,
                pending=None,
            )
        case LotTransferCancelled():
            return replace(lot, pending=None)
        case LotSplit():
            return _left(lot, event.remaining)
        case LotTransformed():
            return _left(lot, event.own.remaining)
        case LotQuantityCommitted():
            made = Commitment(event.quantity, event.purpose, event.venue_id)
            return replace(lot, commitments={**lot.commitments, event.commitment_id: made})
        case LotQuantityReleased():
            return replace(lot, commitments={**lot.commitments, event.commitment_id: None})
        case LotRecalled():
            # A recall ends a transfer under way: the saga that comes to complete it is refused.
            return replace(lot, state=LotState.RECALLED, recall_reason=event.reason, pending=None)


def replay(events: Iterable[LotEvent]) -> Lot | None:
    """The state after a whole history; None when it is empty."""
    lot: Lot | None = None
    for event in events:
        lot = evolve(lot, event)
    return lot


def _left(lot: Lot, remaining: Quantity) -> Lot:
    return replace(lot, quantity=remaining, state=LotState.EMPTY if remaining.is_zero else LotState.ACTIVE)


def _minted(event: LotMinted) -> Lot:
    return Lot(
        lot_id=event.lot_id,
        version=1,
        lot_code=event.lot_code,
        product_code=event.product_code,
        description=event.description,
        variety=event.variety,
        quantity=event.quantity,
        grower_id=event.grower_id,
        owner_id=event.owner_id,
        state=LotState.ACTIVE,
        origin=event.origin,
        harvest_time=event.harvest_time,
        harvest_utc_offset=event.harvest_utc_offset,
        expire_time=event.expire_time,
        parent_lot_id=event.parent_lot_id,
        transfer_count=0,
        last_transfer_time=None,
        recall_reason="",
        pending=None,
        create_time=event.at,
        update_time=event.at,
        parent_lot_ids=event.parent_lot_ids,
    )
