"""Splitting: parts become lots of their own, and not a gram appears or vanishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, Violation
from chassis.quantity import Quantity
from services.crops.domain.events import LotMinted, LotSplit, SplitPart
from services.crops.domain.lot import Lot
from services.crops.domain.transfer import require_at_hand, require_owner, require_tradable


@dataclass(frozen=True, slots=True)
class Part:
    """What the owner wants split off: a new lot id, its code and how much."""

    lot_id: str
    lot_code: str
    quantity: Quantity


def split(lot: Lot, parts: Sequence[Part], *, actor: str, now: datetime) -> tuple[LotSplit, list[LotMinted]]:
    """Take parts out of a lot.

    Parts are recorded in the lot's own unit: subtracting converted amounts is exact there, whereas a
    part kept in another unit could differ from what was taken by the rounding. What is committed stays:
    parts are taken from the rest only.

    Returns:
        The lot's event, and the minting of each part: same grower, owner, origin and times.

    Raises:
        PermissionDenied: NOT_OWNER.
        FailedPrecondition: LOT_RECALLED, LOT_EMPTY, TRANSFER_UNDER_WAY, QUANTITY_EXCEEDED or as
            `require_at_hand`.
        InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN, UNIT_MISMATCH or QUANTITY_INVALID.
        AlreadyExists: LOT_CODE_TAKEN when two parts have one code.
    """
    require_owner(lot, actor)
    require_tradable(lot)
    require_at_hand(lot)
    _require_different_codes(parts)
    free = lot.uncommitted
    taken: list[SplitPart] = []
    for index, part in enumerate(parts):
        quantity = part.quantity.to(lot.quantity.unit)
        if quantity.is_zero:
            violation = Violation(f"parts[{index}].quantity", f"is nothing, in {quantity.unit}")
            raise InvalidArgument("QUANTITY_ZERO", "A part must hold something.", violations=[violation])
        if not quantity <= free:
            raise FailedPrecondition(
                "QUANTITY_EXCEEDED",
                f"The parts are more than is free of the lot, {lot.uncommitted}.",
                metadata={"part": str(index), "available": free.text, "unit": free.unit},
                resource=("lot", lot.lot_id),
            )
        free = free - quantity
        taken.append(SplitPart(part.lot_id, part.lot_code, quantity))
    event = LotSplit(lot_id=lot.lot_id, parts=tuple(taken), remaining=free + lot.committed, at=now)
    return event, [minted_part(lot, part, now) for part in taken]


def _require_different_codes(parts: Sequence[Part]) -> None:
    seen: set[str] = set()
    for index, part in enumerate(parts):
        if part.lot_code in seen:
            raise AlreadyExists(
                "LOT_CODE_TAKEN",
                f"Two parts have the code {part.lot_code!r}.",
                metadata={"lot_code": part.lot_code},
                violations=[Violation(f"parts[{index}].lot_code", "is that of another part")],
            )
        seen.add(part.lot_code)


def minted_part(parent: Lot, part: SplitPart, now: datetime) -> LotMinted:
    """A part as a lot of the same owner."""
    return LotMinted(
        lot_id=part.lot_id,
        lot_code=part.lot_code,
        product_code=parent.product_code,
        description=parent.description,
        variety=parent.variety,
        quantity=part.quantity,
        grower_id=parent.grower_id,
        owner_id=parent.owner_id,
        custodian_id=parent.custodian_id,
        origin=parent.origin,
        harvest_time=parent.harvest_time,
        harvest_utc_offset=parent.harvest_utc_offset,
        expire_time=parent.expire_time,
        parent_lot_id=parent.lot_id,
        parent_lot_ids=(parent.lot_id,),
        at=now,
    )
