"""Cooling, and what sensors measured of goods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final

from chassis.errors import InvalidArgument, PermissionDenied, Violation
from services.crops.domain.lot import Lot
from services.crops.domain.occasion import Occasion, checked, require_past
from services.crops.domain.physical import LotObserved, Reading, SensorType

UNITS: Final = {
    SensorType.TEMPERATURE: ("CEL", "FAH", "KEL"),
    SensorType.RELATIVE_HUMIDITY: ("P1",),
}
"""UN/ECE Recommendation 20 codes by what is measured."""
_ORDER: Final = ("min_value", "mean_value", "max_value")
# What partners' documents carry as numbers goes through arithmetic of 2^53 there, with room for six places.
_LIMIT: Final = Decimal(10) ** 9
_PLACES: Final = -6


@dataclass(frozen=True, slots=True)
class _Problem:
    field: str
    what: str


def observe(
    lot: Lot,
    *,
    actor: str,
    cooling: bool,
    readings: Sequence[Reading],
    occasion: Occasion,
    now: datetime,
) -> LotObserved:
    """Record that goods were cooled, or what was measured of them, in any state of the lot.

    Raises:
        PermissionDenied: NOT_CUSTODIAN, the caller neither has nor owns the lot.
        InvalidArgument: SENSOR_READING_INVALID with the fields; TIMES_INVALID and others as
            `occasion.checked`.
    """
    if actor not in (lot.custodian_id, lot.owner_id):
        raise PermissionDenied(
            "NOT_CUSTODIAN", f"Lot {lot.lot_id} is in someone else's custody.", resource=("lot", lot.lot_id)
        )
    problems = [
        Violation(f"readings[{index}].{each.field}", each.what)
        for index, reading in enumerate(readings)
        for each in _problems(reading)
    ]
    if not readings and not cooling:
        problems = [Violation("readings", "are needed unless goods were cooled")]
    if problems:
        raise InvalidArgument(
            "SENSOR_READING_INVALID", "A reading contradicts itself.", violations=problems[:20]
        )
    for index, reading in enumerate(readings):
        for name in ("time", "end_time"):
            if told := getattr(reading, name):
                require_past(told, f"readings[{index}].{name}", now)
    return LotObserved(
        lot_id=lot.lot_id,
        observed_by=actor,
        cooling=cooling,
        readings=tuple(readings),
        occasion=checked(occasion, now),
        at=now,
    )


def _problems(reading: Reading) -> Iterator[_Problem]:
    if reading.unit not in UNITS[reading.type]:
        yield _Problem("unit_code", f"is none of {', '.join(UNITS[reading.type])}")
    for name in ("value", *_ORDER):
        number = getattr(reading, name)
        if number is not None and not _in_bounds(number):
            yield _Problem(name, "is beyond 10^9 or has more than six decimal places")
            return
    yield from _moment(reading) if reading.time is not None else _span(reading)


def _in_bounds(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= _PLACES and abs(number) <= _LIMIT


def _moment(reading: Reading) -> Iterator[_Problem]:
    if reading.value is None:
        yield _Problem("value", "is what a moment has")
    for name in ("start_time", "end_time", *_ORDER):
        if getattr(reading, name) is not None:
            yield _Problem(name, "belongs to a span, not to a moment")


def _span(reading: Reading) -> Iterator[_Problem]:
    if reading.start_time is None or reading.end_time is None:
        yield _Problem("time", "is missing, or a span's start_time and end_time")
    elif reading.end_time < reading.start_time:
        yield _Problem("end_time", "is before start_time")
    if reading.value is not None:
        yield _Problem("value", "belongs to a moment, not to a span")
    told = [(name, number) for name in _ORDER if (number := getattr(reading, name)) is not None]
    if not told:
        yield _Problem("mean_value", "is missing, as are min_value and max_value")
    for (_, less), (name, more) in pairwise(told):
        if more < less:
            yield _Problem(name, "is below a smaller one")
