"""What does not fit about an own fact: recorded and flagged, not refused (design of traceability)."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from services.crops.domain.epcis.findings import PARTIES_PER_BILL, FindingCode, Severity
from services.crops.domain.events import LotEvent, LotServed
from services.crops.domain.lot import Lot
from services.crops.domain.physical import (
    LotArrived,
    LotObserved,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    Reading,
    SensorType,
)

_ABSOLUTE_ZERO: Final = {"CEL": Decimal("-273.15"), "FAH": Decimal("-459.67"), "KEL": Decimal(0)}


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that does not fit, in one English sentence."""

    code: FindingCode
    severity: Severity
    explanation: str


def doubts(lot: Lot, event: LotEvent) -> tuple[Doubt, ...]:
    """Everything that does not fit about a fact.

    Args:
        lot: as it was before.
    """
    return tuple(_doubts(lot, event))


def shared_bill(firms: int) -> Doubt | None:
    """What is doubtful about a bill of lading that so many firms use."""
    if firms <= PARTIES_PER_BILL:
        return None
    return Doubt(FindingCode.BILL_OF_LADING_SHARED, Severity.WARNING, f"{firms} firms use it")


def _doubts(lot: Lot, event: LotEvent) -> Iterator[Doubt]:
    match event:
        case LotShipped() | LotShipmentVoided() | LotArrived() | LotTransportUpdated() | LotObserved():
            made = lot.create_time if lot.parent_lot_ids else lot.harvest_time
            if event.occasion.time < made:
                text = f"used at {event.occasion.time.isoformat()}, made at {made.isoformat()}"
                yield Doubt(FindingCode.USED_BEFORE_EXISTENCE, Severity.ERROR, text)
    match event:
        case LotArrived():
            yield from _arrival(lot, event)
        case LotShipmentVoided() | LotTransportUpdated() if lot.shipment is not None:
            if event.occasion.time < lot.shipment.ship_time:
                text = "it is said to have happened before the lot was shipped"
                yield Doubt(FindingCode.MOVED_BEFORE_SHIPPED, Severity.WARNING, text)
        case LotServed():
            yield from _serving(lot, event)
        case LotObserved():
            if any(map(_impossible, event.readings)):
                text = "a reading is below absolute zero, or no humidity from 0 to 100 percent"
                yield Doubt(FindingCode.READING_IMPLAUSIBLE, Severity.ERROR, text)


def _serving(lot: Lot, event: LotServed) -> Iterator[Doubt]:
    taken = sum((each.quantity for each in event.taken), start=event.quantity - event.quantity)
    if taken != event.quantity:
        text = f"{event.quantity} were served where {taken} of the lot were in the venue's stock"
        yield Doubt(FindingCode.QUANTITY_EXCEEDED, Severity.ERROR, text)
    if lot.recalled or lot.hold:
        block = "recalled" if lot.recalled else "held"
        text = f"it was {block} when it became known that it had been served"
        yield Doubt(FindingCode.SERVED_WHILE_BLOCKED, Severity.WARNING, text)


def _arrival(lot: Lot, event: LotArrived) -> Iterator[Doubt]:
    if lot.shipment is None:
        text = "it is received without having been shipped"
        yield Doubt(FindingCode.RECEIVED_UNSHIPPED, Severity.INFO, text)
    elif event.occasion.time < lot.shipment.ship_time:
        text = "it is said to have arrived before it was shipped"
        yield Doubt(FindingCode.MOVED_BEFORE_SHIPPED, Severity.WARNING, text)
    sent = lot.shipment.quantity if lot.shipment else lot.quantity
    if not event.quantity.comparable(sent.unit):
        text = f"{event.quantity} was counted where {sent} was sent"
        yield Doubt(FindingCode.UNIT_MISMATCH, Severity.WARNING, text)
    elif event.quantity.exact != sent.exact:
        text = f"{event.quantity} was counted where {sent} was sent"
        yield Doubt(FindingCode.QUANTITY_DIFFERS, Severity.WARNING, text)


def _impossible(reading: Reading) -> bool:
    told = [reading.value, reading.min_value, reading.mean_value, reading.max_value]
    numbers = [number for number in told if number is not None]
    if reading.type is SensorType.RELATIVE_HUMIDITY:
        return any(not 0 <= number <= 100 for number in numbers)
    return any(number < _ABSOLUTE_ZERO[reading.unit] for number in numbers)
