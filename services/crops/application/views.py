"""What queries answer with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from chassis.quantity import Quantity
from services.crops.domain.events import Origin
from services.crops.domain.lot import Lot, LotState, Offer, Shipment


@dataclass(frozen=True, slots=True, kw_only=True)
class LotView:
    """A lot for its readers; after a command made of the aggregate, else of the projection's row."""

    lot_id: str
    version: int
    lot_code: str
    product_code: str
    description: str
    variety: str
    quantity: Quantity
    committed: Quantity
    grower_id: str
    owner_id: str
    state: LotState
    origin: Origin
    harvest_time: datetime
    expire_time: datetime
    parent_lot_id: str | None
    parent_lot_ids: tuple[str, ...]
    transfer_count: int
    last_transfer_time: datetime | None
    recall_reason: str
    hold_reason: str
    custodian_id: str
    offer: Offer | None
    shipment: Shipment | None
    unit_id: str
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, lot: Lot) -> Self:
        """The view of an aggregate."""
        return cls(**{name: getattr(lot, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class LotEventView:
    """One line of a lot's history."""

    event_id: str
    version: int
    type: str
    recorded_time: datetime
    actor: str
    summary: str
    quantity: Quantity | None
    owner_id: str
    reference_document: str
    corrected_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipView:
    """One owner's time with a lot; `number` is the transfer that began it, 0 for the first owner."""

    number: int
    owner_id: str
    from_time: datetime
    until_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyView:
    """One custodian's time with a lot; `number` is the lot's version that began it."""

    number: int
    custodian_id: str
    from_time: datetime
    until_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LotFilter:
    """Which lots to list; each that is set must hold."""

    owner_id: str = ""
    grower_id: str = ""
    product_code: str = ""
    lot_code: str = ""
    state: LotState | None = None
    unit_id: str = ""
