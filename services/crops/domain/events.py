"""What can happen to a lot. Each fact carries when it happened; the store adds when it was recorded."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chassis.quantity import Quantity
from services.crops.domain.physical import PhysicalEvent


class RecallClass(StrEnum):
    """How dangerous the goods are (21 CFR 7.3(m))."""

    I = "I"  # noqa: E741 - the regulation's own numerals
    II = "II"
    III = "III"


class Purpose(StrEnum):
    """What a committed quantity is for: RECEIPT is taking goods into a venue's stock (21 CFR 1.1345), the
    others are for sale."""

    RECEIPT = "RECEIPT"
    LISTING = "LISTING"
    POOL = "POOL"


class Step(StrEnum):
    """What was done to lots so that others came of them (21 CFR 1.1330, 1.1350)."""

    MERGE = "MERGE"
    INITIAL_PACK = "INITIAL_PACK"
    PROCESS = "PROCESS"
    COOK = "COOK"


class OfferKind(StrEnum):
    """What is offered: to own the goods, to have them, or both."""

    OWNERSHIP = "OWNERSHIP"
    CUSTODY = "CUSTODY"
    BOTH = "BOTH"


class OfferOutcome(StrEnum):
    """How an offer ended."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a lot was grown (key data elements of 21 CFR 1.1325); texts may be empty but the farm's name."""

    farm_name: str
    field: str = ""
    city: str = ""
    region: str = ""
    country_code: str = ""
    gln: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotMinted:
    """A lot came to be: harvested, split off `parent_lot_id`, or made by a transformation.

    Args:
        parent_lot_ids: every lot that it came from; `parent_lot_id` is set for a split only.
        transformation_id: of what it was made by; None for a harvest or a split.
        custodian_id: who has the goods.
    """

    lot_id: str
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
    at: datetime
    custodian_id: str
    parent_lot_ids: tuple[str, ...] = ()
    transformation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransferBegun:
    """The owner decided to hand the lot over; until that ends nothing else may be done with it.

    Args:
        custody: whether the goods go along, where the owner has them.
    """

    lot_id: str
    transfer_id: str
    new_owner_id: str
    reference_document: str
    custody: bool = True
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransferred:
    """The lot has a new owner, and `custodian_id` has the goods; `transfer_number` counts from 1."""

    lot_id: str
    transfer_id: str
    previous_owner_id: str
    new_owner_id: str
    reference_document: str
    transfer_number: int
    custodian_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransferCancelled:
    """A transfer that had begun came to nothing."""

    lot_id: str
    transfer_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SplitPart:
    """A new lot that a split made."""

    lot_id: str
    lot_code: str
    quantity: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSplit:
    """Parts were taken out; `remaining` is what the lot still holds."""

    lot_id: str
    parts: tuple[SplitPart, ...]
    remaining: Quantity
    at: datetime


@dataclass(frozen=True, slots=True)
class TransformInput:
    """What a transformation took of a lot, in the lot's unit, and what it left."""

    lot_id: str
    quantity: Quantity
    remaining: Quantity


@dataclass(frozen=True, slots=True)
class TransformOutput:
    """A lot that a transformation made."""

    lot_id: str
    lot_code: str
    product_code: str
    quantity: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransformed:
    """Lots were made of this one and perhaps others; every input's history holds the whole of it."""

    lot_id: str
    transformation_id: str
    step: Step
    owner_id: str
    inputs: tuple[TransformInput, ...]
    outputs: tuple[TransformOutput, ...]
    loss: Quantity | None
    at: datetime

    @property
    def own(self) -> TransformInput:
        """What was taken of this lot."""
        return next(each for each in self.inputs if each.lot_id == self.lot_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LotQuantityCommitted:
    """A quantity, in the lot's unit, was set aside for what is made of it elsewhere; `venue_id` is that of a
    receipt, else empty; `made_by` is the subject that committed it."""

    lot_id: str
    commitment_id: str
    quantity: Quantity
    purpose: Purpose
    venue_id: str
    made_by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotQuantityDelivered:
    """A part of a commitment became a lot of someone else's; the split that follows takes it out of this
    lot."""

    lot_id: str
    commitment_id: str
    delivery_id: str
    delivered_lot_id: str
    new_owner_id: str
    quantity: Quantity
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotDeliveryRefused:
    """A delivery was refused, for good: an attempt of it that arrives late is refused too."""

    lot_id: str
    delivery_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotQuantityReleased:
    """What was left of a commitment was taken back; nothing when that came before the commitment itself."""

    lot_id: str
    commitment_id: str
    quantity: Quantity
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRecalled:
    """The lot must not be used, because `root_lot_id`, itself or a lot that it came from, was recalled.

    Args:
        recall_id: names the recall, the same for all lots that it reached.
    """

    lot_id: str
    root_lot_id: str
    reason: str
    recall_class: RecallClass
    owner_id: str
    recall_id: str
    lot_code: str
    grower_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotHeld:
    """The lot is held back; an `official` hold is an operator's, and only operators release it."""

    lot_id: str
    reason: str
    held_by: str
    official: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotHoldReleased:
    """The lot is no longer held back."""

    lot_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotDestroyed:
    """Goods are gone for good; `remaining` is what the lot still holds."""

    lot_id: str
    quantity: Quantity
    remaining: Quantity
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSold:
    """Goods were sold at retail, to somebody who is not known here; `remaining` is what the lot holds."""

    lot_id: str
    quantity: Quantity
    remaining: Quantity
    sold_by: str
    reference_document: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """How much was taken out of a commitment."""

    commitment_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class LotServed:
    """Goods that a venue had in stock were served to a guest.

    Args:
        serving_id: of order and lot, and the id of the recorded event.
        quantity: as the venue's stock says.
        taken: what it took out of commitments; less than `quantity` where they did not have so much.
        remaining: what the lot still holds.
        served_at: when the goods left the stock.
    """

    lot_id: str
    serving_id: str
    venue_id: str
    quantity: Quantity
    taken: tuple[Taken, ...]
    remaining: Quantity
    served_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRecallReleased:
    """The lot may be used again, because the recall of `root_lot_id` was ended.

    Args:
        recall_id: the recall that held this lot; where several met it is not that of `root_lot_id`.
    """

    lot_id: str
    root_lot_id: str
    reason: str
    recall_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotOffered:
    """The lot was offered; until that ends nothing else is done with it."""

    lot_id: str
    offer_id: str
    kind: OfferKind
    offered_by: str
    to_id: str
    expire_time: datetime
    reference_document: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotOfferEnded:
    """An offer is no longer open."""

    lot_id: str
    offer_id: str
    outcome: OfferOutcome
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotCustodyChanged:
    """Someone else has the goods; whose they are did not change."""

    lot_id: str
    previous_custodian_id: str
    custodian_id: str
    reference_document: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotCorrected:
    """An earlier event of the lot is declared wrong; nothing is deleted.

    Args:
        event_id: of the event that was wrong.
        corrective_event_ids: of events that say what was right.
        quantity: what the lot holds by it, in its unit; None when that did not change.
    """

    lot_id: str
    event_id: str
    reason: str
    corrective_event_ids: tuple[str, ...]
    quantity: Quantity | None
    corrected_by: str
    at: datetime


LotEvent = (
    LotMinted
    | LotTransferBegun
    | LotTransferred
    | LotTransferCancelled
    | LotSplit
    | LotTransformed
    | LotQuantityCommitted
    | LotQuantityDelivered
    | LotDeliveryRefused
    | LotQuantityReleased
    | LotRecalled
    | LotRecallReleased
    | LotHeld
    | LotHoldReleased
    | LotDestroyed
    | LotSold
    | LotServed
    | LotOffered
    | LotOfferEnded
    | LotCustodyChanged
    | LotCorrected
    | PhysicalEvent
)
