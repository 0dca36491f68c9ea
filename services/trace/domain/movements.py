"""What happened to lots on their way: custody, shipments, logistic units, holds, destruction, sales,
corrections."""

from dataclasses import dataclass
from datetime import datetime

from chassis.quantity import Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyChanged:
    """Someone else has the goods of a lot."""

    lot_id: str
    custodian_id: str
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotShipped:
    """Goods left towards someone.

    Args:
        unit_id: SSCC of the logistic unit that it travels in; empty when in none.
    """

    lot_id: str
    shipment_id: str
    from_id: str
    to_id: str
    quantity: Quantity | None
    unit_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentVoided:
    """A shipment did not take place after all."""

    lot_id: str
    shipment_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotArrived:
    """Goods are in the receiver's custody.

    Args:
        shipment_id: empty when nobody had announced them.
    """

    lot_id: str
    shipment_id: str
    receiver_id: str
    quantity: Quantity | None
    at: datetime
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitChanged:
    """Lots were put on a logistic unit, or taken off it; they follow it in between.

    Args:
        reported_by: the partner who says so; empty when crops does. Of a lot of ours it counts only of those
            who have it or had it.
    """

    unit_id: str
    lot_ids: tuple[str, ...]
    packed: bool
    at: datetime
    recorded: datetime
    reported_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChanged:
    """A lot is held back, or is so no longer."""

    lot_id: str
    held: bool
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRecallReleased:
    """Recalls of a lot were ended.

    Args:
        recall_ids: every name that the recall may be known by here.
    """

    lot_id: str
    recall_ids: tuple[str, ...]
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotDestroyed:
    """Goods of a lot are gone for good; so is the lot when nothing remains."""

    lot_id: str
    remaining: Quantity
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSold:
    """Goods of a lot were sold at retail, or served."""

    lot_id: str
    remaining: Quantity
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotCorrected:
    """An event of a lot was wrong; `quantity` is what it holds by the correction, None when that stays."""

    lot_id: str
    quantity: Quantity | None
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsTransformed:
    """A partner made goods of others, or told a part of it.

    Args:
        transformation_id: joins the parts of one transformation; the event's id when there is but one part.
        inputs, outputs: lots of ours by their ids, other goods by their canonical URIs.
    """

    transformation_id: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    at: datetime


Movement = (
    GoodsTransformed
    | CustodyChanged
    | LotShipped
    | ShipmentVoided
    | LotArrived
    | UnitChanged
    | HoldChanged
    | LotRecallReleased
    | LotDestroyed
    | LotSold
    | LotCorrected
)
