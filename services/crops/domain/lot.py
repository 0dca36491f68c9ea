"""A lot's state and how events change it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chassis.quantity import Quantity
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
    LotServed,
    LotSold,
    LotSplit,
    LotTransferBegun,
    LotTransferCancelled,
    LotTransferred,
    LotTransformed,
    OfferKind,
    OfferOutcome,
    Origin,
    Purpose,
)
from services.crops.domain.physical import (
    LotArrived,
    LotObserved,
    LotPacked,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    LotUnpacked,
    PhysicalEvent,
    TransportStage,
)


class LotState(StrEnum):
    """What may still be done with a lot; nothing is left of one that is EMPTY or DESTROYED, of which the last
    was destroyed."""

    ACTIVE = "ACTIVE"
    HELD = "HELD"
    EMPTY = "EMPTY"
    DESTROYED = "DESTROYED"
    RECALLED = "RECALLED"


@dataclass(frozen=True, slots=True)
class PendingTransfer:
    """A hand-over that has begun and not ended."""

    transfer_id: str
    new_owner_id: str
    reference_document: str
    custody: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """What was offered to whom; open while it has no outcome."""

    offer_id: str
    kind: OfferKind
    offered_by: str
    to_id: str
    expire_time: datetime
    reference_document: str
    outcome: OfferOutcome | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a lot is held back; only operators release an official hold."""

    reason: str
    official: bool


@dataclass(frozen=True, slots=True)
class Commitment:
    """A quantity that is set aside for what is made of it elsewhere.

    Args:
        made_by: subject of the service that made it; it alone delivers of it and takes it back.
        delivered: what left by it: became a lot of someone else's, or was served.
    """

    quantity: Quantity
    purpose: Purpose
    venue_id: str
    made_by: str
    delivered: Quantity | None = None

    @property
    def left(self) -> Quantity:
        """What has not left by it."""
        return self.quantity - self.delivered if self.delivered else self.quantity


@dataclass(frozen=True, slots=True)
class Delivered:
    """The lot that a delivery made of a commitment."""

    commitment_id: str
    lot_id: str
    quantity: Quantity
    new_owner_id: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """Goods under way.

    Args:
        quantity: as it was sent.
        ship_time: when it was sent.
        stage: where it was last; None until somebody said so.
    """

    shipment_id: str
    from_id: str
    to_id: str
    quantity: Quantity
    ship_time: datetime
    stage: TransportStage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A crop lot after `version` events.

    Args:
        quantity: what was not taken out, committed or not.
        recall_root_id: the lot for whose recall this one is recalled; empty unless it is.
        recall_id: that recall; empty unless it is recalled.
        offers: by id, open or ended; `offer` is the open one.
        destroyed: the last that was taken out was destroyed.
        commitments: by id; None is the tombstone of one that was taken back.
        shipment: set while it is in transit.
        unit_id: of the logistic unit that it is on; empty when it is on none.
        corrected: ids of its events that were declared wrong.
        deliveries: made of commitments, by the delivery's id.
        refused_deliveries: why, by the delivery's id.
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
    deliveries: Mapping[str, Delivered] = field(default_factory=dict)
    refused_deliveries: Mapping[str, str] = field(default_factory=dict)
    parent_lot_ids: tuple[str, ...] = ()
    recall_root_id: str = ""
    recall_id: str = ""
    hold: Hold | None = None
    destroyed: bool = False
    custodian_id: str = ""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    offer: Offer | None = None
    shipment: Shipment | None = None
    unit_id: str = ""
    corrected: tuple[str, ...] = ()

    @property
    def recalled(self) -> bool:
        """Whether it must not be used."""
        return bool(self.recall_root_id)

    @property
    def hold_reason(self) -> str:
        """Why it is held back; empty when it is not."""
        return self.hold.reason if self.hold else ""

    @property
    def state(self) -> LotState:
        """The strongest of what holds; a recall wins."""
        if self.recalled:
            return LotState.RECALLED
        if self.quantity.is_zero:
            return LotState.DESTROYED if self.destroyed else LotState.EMPTY
        return LotState.HELD if self.hold else LotState.ACTIVE

    @property
    def committed(self) -> Quantity:
        """How much of the quantity counts elsewhere."""
        amounts = (each.left.amount for each in self.commitments.values() if each)
        return Quantity(sum(amounts, Decimal(0)), self.quantity.unit)

    @property
    def uncommitted(self) -> Quantity:
        """What may still be split off or committed."""
        return self.quantity - self.committed

    @property
    def goes_along(self) -> bool:
        """Whether the goods go with the lot to a new owner: its owner has them, and they are at hand."""
        # What is under way arrives where it was sent, whosever it is by then, and a pallet is not torn apart.
        return self.custodian_id == self.owner_id and self.shipment is None and not self.unit_id


def evolve(  # noqa: PLR0911, PLR0912 - one for each kind of event
    lot: Lot | None, event: LotEvent
) -> Lot:
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
            pending = PendingTransfer(
                event.transfer_id, event.new_owner_id, event.reference_document, event.custody
            )
            return replace(lot, pending=pending)
        case LotTransferred():
            return replace(
                lot,
                owner_id=event.new_owner_id,
                custodian_id=event.custodian_id,
                transfer_count=event.transfer_number,
                last_transfer_time=event.at,
                pending=None,
            )
        case LotTransferCancelled():
            return replace(lot, pending=None)
        case LotSplit() | LotSold():
            return replace(lot, quantity=event.remaining)
        case LotTransformed():
            return replace(lot, quantity=event.own.remaining)
        case LotQuantityCommitted():
            made = Commitment(event.quantity, event.purpose, event.venue_id, event.made_by)
            return replace(lot, commitments={**lot.commitments, event.commitment_id: made})
        case LotQuantityDelivered():
            return _delivered(lot, event)
        case LotServed():
            return _served(lot, event)
        case LotDeliveryRefused():
            refused = {**lot.refused_deliveries, event.delivery_id: event.reason}
            return replace(lot, refused_deliveries=refused)
        case LotQuantityReleased():
            return replace(lot, commitments={**lot.commitments, event.commitment_id: None})
        case LotRecalled():
            # A recall ends a transfer under way: the saga that comes to complete it is refused.
            return replace(
                _without_offer(lot, OfferOutcome.WITHDRAWN),
                recall_root_id=event.root_lot_id,
                recall_id=event.recall_id,
                recall_reason=event.reason,
                pending=None,
            )
        case LotRecallReleased():
            return replace(lot, recall_root_id="", recall_id="", recall_reason="")
        case LotHeld():
            hold = Hold(event.reason, event.official)
            return replace(_without_offer(lot, OfferOutcome.WITHDRAWN), hold=hold, pending=None)
        case LotHoldReleased():
            return replace(lot, hold=None)
        case LotOffered():
            offer = Offer(
                event.offer_id,
                event.kind,
                event.offered_by,
                event.to_id,
                event.expire_time,
                event.reference_document,
            )
            return replace(lot, offer=offer, offers={**lot.offers, offer.offer_id: offer})
        case LotOfferEnded():
            return _without_offer(lot, event.outcome)
        case LotCustodyChanged():
            return replace(lot, custodian_id=event.custodian_id)
        case LotDestroyed():
            return replace(lot, quantity=event.remaining, destroyed=event.remaining.is_zero)
        case LotCorrected():
            quantity = lot.quantity if event.quantity is None else event.quantity
            return replace(
                lot,
                quantity=quantity,
                destroyed=lot.destroyed and quantity.is_zero,
                corrected=(*lot.corrected, event.event_id),
            )
        case _:
            return _moved(lot, event)


def replay(events: Iterable[LotEvent]) -> Lot | None:
    """The state after a whole history; None when it is empty."""
    lot: Lot | None = None
    for event in events:
        lot = evolve(lot, event)
    return lot


def replay_from(lot: Lot, events: Iterable[LotEvent]) -> Lot:
    """The state after further events."""
    for event in events:
        lot = evolve(lot, event)
    return lot


def _moved(lot: Lot, event: PhysicalEvent) -> Lot:  # noqa: PLR0911 - one for each kind of event
    match event:
        case LotShipped():
            shipment = Shipment(
                event.shipment_id, event.from_id, event.to_id, event.quantity, event.occasion.time
            )
            return replace(lot, shipment=shipment)
        case LotShipmentVoided():
            return replace(lot, shipment=None)
        case LotArrived():
            return replace(lot, custodian_id=event.receiver_id, shipment=None)
        case LotTransportUpdated() if lot.shipment is not None:
            return replace(lot, shipment=replace(lot.shipment, stage=event.stage))
        case LotPacked():
            return replace(lot, unit_id=event.unit_id)
        case LotUnpacked():
            return replace(lot, unit_id="")
        case LotTransportUpdated() | LotObserved():
            return lot


def _delivered(lot: Lot, event: LotQuantityDelivered) -> Lot:
    delivery = Delivered(event.commitment_id, event.delivered_lot_id, event.quantity, event.new_owner_id)
    return replace(
        lot,
        commitments=_without(lot, event.commitment_id, event.quantity),
        deliveries={**lot.deliveries, event.delivery_id: delivery},
    )


def _served(lot: Lot, event: LotServed) -> Lot:
    for each in event.taken:
        lot = replace(lot, commitments=_without(lot, each.commitment_id, each.quantity))
    return replace(lot, quantity=event.remaining)


def _without(lot: Lot, commitment_id: str, quantity: Quantity) -> Mapping[str, Commitment | None]:
    made = lot.commitments[commitment_id]
    if made is None:
        raise ValueError(f"commitment {commitment_id} of lot {lot.lot_id} was taken back before")
    so_far = made.delivered + quantity if made.delivered else quantity
    return {**lot.commitments, commitment_id: replace(made, delivered=so_far)}


def _without_offer(lot: Lot, outcome: OfferOutcome) -> Lot:
    if lot.offer is None:
        return lot
    ended = replace(lot.offer, outcome=outcome)
    return replace(lot, offer=None, offers={**lot.offers, ended.offer_id: ended})


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
        custodian_id=event.custodian_id,
    )
