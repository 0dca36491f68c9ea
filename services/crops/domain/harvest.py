"""Minting: the only way, besides a split, in which a lot and its code come to be."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.errors import InvalidArgument, Violation
from chassis.quantity import Quantity
from services.crops.domain.events import LotMinted, Origin

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a grower's clock may run ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """What a grower says about a harvest.

    Args:
        lot_code: traceability lot code, an opaque text (21 CFR 1.1320).
        product_code: slug of what it is.
        harvest_utc_offset: local offset where it was harvested, e.g. "-07:00"; empty when not said.
    """

    lot_code: str
    product_code: str
    description: str
    variety: str
    quantity: Quantity
    origin: Origin
    harvest_time: datetime
    harvest_utc_offset: str
    expire_time: datetime


def mint(harvest: Harvest, *, lot_id: str, grower_id: str, now: datetime) -> LotMinted:
    """Record a harvest as a new lot that its grower owns.

    Raises:
        InvalidArgument: QUANTITY_ZERO; TIMES_INVALID when it was harvested in the future or would
            expire before it was harvested.
    """
    if harvest.quantity.is_zero:
        raise InvalidArgument(
            "QUANTITY_ZERO",
            "A lot must hold something.",
            violations=[Violation("quantity.amount", "must be above zero")],
        )
    if harvest.harvest_time > now + CLOCK_TOLERANCE:
        raise _times_invalid("harvest_time", "lies in the future")
    if harvest.expire_time <= harvest.harvest_time:
        raise _times_invalid("expire_time", "must be after harvest_time")
    return LotMinted(
        lot_id=lot_id,
        lot_code=harvest.lot_code,
        product_code=harvest.product_code,
        description=harvest.description,
        variety=harvest.variety,
        quantity=harvest.quantity,
        grower_id=grower_id,
        owner_id=grower_id,
        custodian_id=grower_id,
        origin=harvest.origin,
        harvest_time=harvest.harvest_time,
        harvest_utc_offset=harvest.harvest_utc_offset,
        expire_time=harvest.expire_time,
        parent_lot_id=None,
        at=now,
    )


def _times_invalid(field: str, what: str) -> InvalidArgument:
    return InvalidArgument("TIMES_INVALID", f"{field} {what}.", violations=[Violation(field, what)])
