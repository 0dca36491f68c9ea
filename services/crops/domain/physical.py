"""What physically happens to goods. `at` is when it was told, the occasion when it happened."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chassis.quantity import Quantity
from services.crops.domain.occasion import Occasion


class TransportStage(StrEnum):
    """Where goods under way are."""

    LOADING = "LOADING"
    DEPARTING = "DEPARTING"
    TRANSPORTING = "TRANSPORTING"
    ARRIVING = "ARRIVING"
    UNLOADING = "UNLOADING"


class SensorType(StrEnum):
    """What is measured."""

    TEMPERATURE = "TEMPERATURE"
    RELATIVE_HUMIDITY = "RELATIVE_HUMIDITY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was measured: at a moment (`time`, `value`), or over a span with any of minimum, maximum and mean.

    Args:
        unit: UN/ECE Rec 20 code, e.g. "CEL".
        device_id: URI or serial number of what measured.
        alarm: the device itself raised an alarm.
    """

    type: SensorType
    unit: str
    time: datetime | None = None
    value: Decimal | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    mean_value: Decimal | None = None
    device_id: str = ""
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LotShipped:
    """Goods left towards someone; `from_id` keeps the custody until they arrive."""

    lot_id: str
    shipment_id: str
    from_id: str
    to_id: str
    quantity: Quantity
    unit_id: str
    occasion: Occasion
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotShipmentVoided:
    """A shipment did not take place after all."""

    lot_id: str
    shipment_id: str
    reason: str
    occasion: Occasion
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotArrived:
    """Goods arrived and are in the receiver's custody.

    Args:
        shipment_id: empty when nobody had announced them.
        quantity: as the receiver counted, in the receiver's unit.
    """

    lot_id: str
    shipment_id: str
    from_id: str
    receiver_id: str
    quantity: Quantity
    occasion: Occasion
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransportUpdated:
    """Goods under way got somewhere."""

    lot_id: str
    shipment_id: str
    stage: TransportStage
    occasion: Occasion
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotObserved:
    """Goods were cooled before packing (21 CFR 1.1325(b)), or something was measured of them."""

    lot_id: str
    observed_by: str
    cooling: bool
    readings: tuple[Reading, ...]
    occasion: Occasion
    at: datetime


@dataclass(frozen=True, slots=True)
class Packed:
    """A lot that was put on a unit or taken off, and what it held."""

    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class LotPacked:
    """The lot was put on a logistic unit, perhaps with others; each lot's history has the whole of it.

    Args:
        packing_id: of what was done, the same in every history.
        unit_id: SSCC, the canonical GS1 Digital Link.
    """

    lot_id: str
    packing_id: str
    unit_id: str
    contents: tuple[Packed, ...]
    packed_by: str
    occasion: Occasion
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotUnpacked:
    """The lot was taken off a logistic unit, perhaps with others; see `LotPacked`."""

    lot_id: str
    packing_id: str
    unit_id: str
    contents: tuple[Packed, ...]
    unpacked_by: str
    occasion: Occasion
    at: datetime


PhysicalEvent = (
    LotPacked | LotUnpacked | LotShipped | LotShipmentVoided | LotArrived | LotTransportUpdated | LotObserved
)
