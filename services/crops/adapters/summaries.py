"""Lot events in one line for people."""

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
)


def summary_of(event: LotEvent) -> str:  # noqa: PLR0911, PLR0912 - one line for each kind of event
    """What happened. Part of the projection: the same for the same event, for ever."""
    match event:
        case LotMinted(transformation_id=str()):
            made = f"{event.quantity} of {event.product_code}"
            return f"Made of {len(event.parent_lot_ids)} lot(s): {made}."
        case LotMinted(parent_lot_id=None):
            return f"Harvested {event.quantity} of {event.product_code} at {event.origin.farm_name}."
        case LotMinted():
            return f"Split off lot {event.parent_lot_id} with {event.quantity} of {event.product_code}."
        case LotTransferBegun():
            return f"A transfer to {event.new_owner_id} began."
        case LotTransferred():
            document = f" with document {event.reference_document}" if event.reference_document else ""
            return f"Transferred from {event.previous_owner_id} to {event.new_owner_id}{document}."
        case LotTransferCancelled():
            return "The transfer came to nothing."
        case LotSplit():
            return f"Split into {len(event.parts)} part(s); {event.remaining} remain."
        case LotTransformed():
            own, step = event.own, event.step.value.lower().replace("_", " ")
            return f"{own.quantity} went into {len(event.outputs)} lot(s) ({step}); {own.remaining} remain."
        case LotQuantityCommitted(purpose=Purpose.LISTING | Purpose.POOL):
            return f"{event.quantity} were put up for sale."
        case LotQuantityDelivered():
            return f"{event.quantity} were sold to {event.new_owner_id} as lot {event.delivered_lot_id}."
        case LotDeliveryRefused():
            return f"Delivery {event.delivery_id} was refused: {event.reason}."
        case LotQuantityCommitted():
            return f"{event.quantity} were received into the stock of venue {event.venue_id}."
        case LotQuantityReleased(quantity=quantity) if quantity.is_zero:
            return f"Commitment {event.commitment_id} was called off before it came."
        case LotQuantityReleased():
            return f"{event.quantity} were released: commitment {event.commitment_id} came to nothing."
        case LotOffered():
            until = event.expire_time.strftime("%Y-%m-%d %H:%M:%S UTC")
            return f"{event.kind.value.capitalize()} was offered to {event.to_id} until {until}."
        case LotOfferEnded():
            return f"The offer was {event.outcome.value.lower()}."
        case LotCustodyChanged():
            return f"Custody went from {event.previous_custodian_id} to {event.custodian_id}."
        case LotHeld():
            return f"Held{' by an operator' if event.official else ''}: {event.reason}"
        case LotHoldReleased():
            return f"The hold was released: {event.reason}"
        case LotDestroyed():
            return f"{event.quantity} were destroyed, {event.remaining} remain: {event.reason}"
        case LotServed():
            return f"{event.quantity} were served at venue {event.venue_id}; {event.remaining} remain."
        case LotSold():
            document = f" with document {event.reference_document}" if event.reference_document else ""
            return f"{event.quantity} were sold at retail{document}; {event.remaining} remain."
        case LotRecallReleased():
            return f"The recall of lot {event.root_lot_id} was ended: {event.reason}"
        case LotRecalled():
            cause = "" if event.root_lot_id == event.lot_id else f" with lot {event.root_lot_id}"
            return f"Recalled{cause}, class {event.recall_class.value}: {event.reason}"
        case LotCorrected():
            held = f" The lot holds {event.quantity}." if event.quantity else ""
            return f"Event {event.event_id} was wrong: {event.reason}.{held}"
        case _:
            return _physical(event)


def _physical(event: PhysicalEvent) -> str:  # noqa: PLR0911 - one for each kind of event
    match event:
        case LotShipped():
            return f"{event.quantity} were shipped by {event.from_id} to {event.to_id}."
        case LotShipmentVoided():
            return f"The shipment did not take place: {event.reason}"
        case LotArrived():
            announced = "" if event.shipment_id else ", unannounced"
            return f"{event.receiver_id} received {event.quantity} from {event.from_id}{announced}."
        case LotTransportUpdated():
            return f"Under way: {event.stage.value.lower()}."
        case LotPacked():
            return f"Put on logistic unit {event.unit_id} by {event.packed_by}."
        case LotUnpacked():
            return f"Taken off logistic unit {event.unit_id} by {event.unpacked_by}."
        case LotObserved():
            alarms = sum(each.alarm for each in event.readings)
            what = "Cooled" if event.cooling else "Measured"
            return f"{what}: {len(event.readings)} reading(s), {alarms} alarm(s)."
