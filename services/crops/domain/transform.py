"""Making lots of lots: merging, packing, processing, cooking. What goes in comes out, or is stated as lost.

The outputs are new lots with new ids, so no lot can become its own ancestor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, Violation
from chassis.quantity import Quantity
from services.crops.domain.commitment import require_fresh
from services.crops.domain.events import (
    LotMinted,
    LotTransformed,
    Origin,
    Step,
    TransformInput,
    TransformOutput,
)
from services.crops.domain.lot import Lot
from services.crops.domain.transfer import require_at_hand, require_owner, require_tradable

SEVERAL_FARMS = "several farms"


@dataclass(frozen=True, slots=True)
class Input:
    """How much of a lot is used; all that is not committed when the quantity is None."""

    lot: Lot
    quantity: Quantity | None


@dataclass(frozen=True, slots=True)
class Output:
    """A lot to be made."""

    lot_id: str
    lot_code: str
    product_code: str
    description: str
    variety: str
    quantity: Quantity
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Transformation:
    """What was decided: a fact for every input's history, and the minting of every output."""

    used: list[LotTransformed]
    made: list[LotMinted]


def merge(
    inputs: Sequence[Input],
    *,
    transformation_id: str,
    lot_id: str,
    lot_code: str,
    actor: str,
    now: datetime,
) -> Transformation:
    """Put lots of one product together as a new lot, exactly as much as they hold; it expires with the first.

    It is kept in the first input's unit.

    Raises:
        InvalidArgument: PRODUCTS_DIFFER; INPUT_REPEATED; QUANTITY_ZERO; UNIT_MISMATCH; QUANTITY_INVALID
            when the sum cannot be told in that unit exactly.
        PermissionDenied, FailedPrecondition: as `transform`.
    """
    first = inputs[0].lot
    for index, each in enumerate(inputs):
        if each.lot.product_code != first.product_code:
            raise InvalidArgument(
                "PRODUCTS_DIFFER",
                "Only lots of one product are merged; make another product by a transformation.",
                violations=[Violation(f"inputs[{index}].lot_id", f"is a lot of {each.lot.product_code}")],
            )
    taken = _take(inputs, actor, now)
    _require_comparable(first.quantity.unit, taken)
    total = Quantity.exactly(sum((each.quantity.exact for each in taken), Fraction(0)), first.quantity.unit)
    output = Output(
        lot_id=lot_id,
        lot_code=lot_code,
        product_code=first.product_code,
        description=first.description,
        variety=_common([each.lot.variety for each in inputs]),
        quantity=total,
        expire_time=min(each.lot.expire_time for each in inputs),
    )
    return _decided(inputs, taken, [output], Step.MERGE, None, transformation_id, actor, now)


def transform(
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    *,
    transformation_id: str,
    step: Step,
    loss: Quantity | None,
    actor: str,
    now: datetime,
) -> Transformation:
    """Make new lots, be it of other products or in other units.

    Where all quantities measure the same, inputs are outputs and loss exactly. Otherwise they are kept as
    they were declared, since a mass does not say how many pieces it makes.

    Raises:
        PermissionDenied: NOT_OWNER of every input.
        FailedPrecondition: LOT_RECALLED, LOT_EMPTY, LOT_EXPIRED, TRANSFER_UNDER_WAY, QUANTITY_EXCEEDED or
            as `require_at_hand`.
        InvalidArgument: INPUT_REPEATED, QUANTITY_ZERO, QUANTITY_NOT_CONSERVED, TIMES_INVALID, UNIT_UNKNOWN,
            UNIT_MISMATCH or QUANTITY_INVALID.
        AlreadyExists: LOT_CODE_TAKEN when two outputs have one code.
    """
    taken = _take(inputs, actor, now)
    _check_outputs(outputs, now)
    _require_conserved(taken, outputs, loss)
    return _decided(inputs, taken, outputs, step, loss, transformation_id, actor, now)


def _take(inputs: Sequence[Input], actor: str, now: datetime) -> list[TransformInput]:
    seen: set[str] = set()
    taken = []
    for index, each in enumerate(inputs):
        lot = each.lot
        if lot.lot_id in seen:
            raise InvalidArgument(
                "INPUT_REPEATED",
                f"Lot {lot.lot_id} is named twice.",
                violations=[Violation(f"inputs[{index}].lot_id", "is that of another input")],
            )
        seen.add(lot.lot_id)
        require_owner(lot, actor)
        require_tradable(lot)
        require_at_hand(lot)
        require_fresh(lot, now)
        taken.append(_taken(lot, each.quantity, index))
    return taken


def _taken(lot: Lot, wanted: Quantity | None, index: int) -> TransformInput:
    free = lot.uncommitted
    # In the lot's own unit, where subtracting is exact.
    quantity = free if wanted is None else wanted.to(lot.quantity.unit)
    if quantity.is_zero:
        violation = Violation(f"inputs[{index}].quantity", f"is nothing, in {quantity.unit}")
        raise InvalidArgument("QUANTITY_ZERO", "Something must be used of each lot.", violations=[violation])
    if not quantity <= free:
        raise FailedPrecondition(
            "QUANTITY_EXCEEDED",
            f"More is used than is free of the lot, {free}.",
            metadata={"input": str(index), "available": free.text, "unit": free.unit},
            resource=("lot", lot.lot_id),
        )
    return TransformInput(lot.lot_id, quantity, lot.quantity - quantity)


def _check_outputs(outputs: Sequence[Output], now: datetime) -> None:
    codes: set[str] = set()
    for index, each in enumerate(outputs):
        where = f"outputs[{index}]"
        if each.lot_code in codes:
            raise AlreadyExists(
                "LOT_CODE_TAKEN",
                f"Two outputs have the code {each.lot_code!r}.",
                metadata={"lot_code": each.lot_code},
                violations=[Violation(f"{where}.lot_code", "is that of another output")],
            )
        codes.add(each.lot_code)
        if each.quantity.is_zero:
            violation = Violation(f"{where}.quantity", "is nothing")
            raise InvalidArgument("QUANTITY_ZERO", "A lot must hold something.", violations=[violation])
        if each.expire_time <= now:
            violation = Violation(f"{where}.expire_time", "has passed")
            raise InvalidArgument("TIMES_INVALID", "A lot is made before it expires.", violations=[violation])


def _require_conserved(
    taken: Sequence[TransformInput], outputs: Sequence[Output], loss: Quantity | None
) -> None:
    unit = taken[0].quantity.unit
    stated = [*(each.quantity for each in outputs), *([loss] if loss else [])]
    if not all(each.comparable(unit) for each in [*(used.quantity for used in taken), *stated]):
        return
    used_up = sum((each.quantity.exact for each in taken), Fraction(0))
    accounted = sum((each.exact for each in stated), Fraction(0))
    if used_up != accounted:
        raise InvalidArgument(
            "QUANTITY_NOT_CONSERVED",
            "What goes in, as each lot's own unit has it, must be what comes out and the stated loss.",
            metadata={"inputs": _text(used_up), "outputs_and_loss": _text(accounted)},
            violations=[Violation("outputs", "and the loss are not as much as the inputs")],
        )


def _text(base: Fraction) -> str:
    return format((Decimal(base.numerator) / Decimal(base.denominator)).normalize(), "f")


def _require_comparable(unit: str, taken: Sequence[TransformInput]) -> None:
    for index, each in enumerate(taken):
        if not each.quantity.comparable(unit):
            raise InvalidArgument(
                "UNIT_MISMATCH",
                f"{each.quantity.unit} and {unit} do not measure the same.",
                metadata={"from": each.quantity.unit, "to": unit},
                violations=[Violation(f"inputs[{index}].quantity", "measures something else")],
            )


def _decided(
    inputs: Sequence[Input],
    taken: Sequence[TransformInput],
    outputs: Sequence[Output],
    step: Step,
    loss: Quantity | None,
    transformation_id: str,
    actor: str,
    now: datetime,
) -> Transformation:
    lots = [each.lot for each in inputs]
    results = tuple(
        TransformOutput(each.lot_id, each.lot_code, each.product_code, each.quantity) for each in outputs
    )
    used = [
        LotTransformed(
            lot_id=each.lot_id,
            transformation_id=transformation_id,
            step=step,
            owner_id=actor,
            inputs=tuple(taken),
            outputs=results,
            loss=loss,
            at=now,
        )
        for each in taken
    ]
    return Transformation(used, [_made(each, lots, transformation_id, actor, now) for each in outputs])


def _made(
    output: Output, lots: Sequence[Lot], transformation_id: str, actor: str, now: datetime
) -> LotMinted:
    earliest = min(lots, key=lambda lot: lot.harvest_time)
    return LotMinted(
        lot_id=output.lot_id,
        lot_code=output.lot_code,
        product_code=output.product_code,
        description=output.description,
        variety=output.variety,
        quantity=output.quantity,
        # Of goods from several growers the one answers for them who put them together.
        grower_id=_common([lot.grower_id for lot in lots]) or actor,
        owner_id=actor,
        # Of goods that were with several the one has the new lot who put them together.
        custodian_id=_common([lot.custodian_id for lot in lots]) or actor,
        origin=_origin([lot.origin for lot in lots]),
        harvest_time=earliest.harvest_time,
        harvest_utc_offset=earliest.harvest_utc_offset,
        expire_time=output.expire_time,
        parent_lot_id=None,
        parent_lot_ids=tuple(lot.lot_id for lot in lots),
        transformation_id=transformation_id,
        at=now,
    )


def _origin(origins: Sequence[Origin]) -> Origin:
    shared = {
        name: _common([getattr(each, name) for each in origins]) for name in Origin.__dataclass_fields__
    }
    return Origin(**{**shared, "farm_name": shared["farm_name"] or SEVERAL_FARMS})


def _common(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""
