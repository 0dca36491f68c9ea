"""What sensors measured of the goods of an event, as far as it says how warm or how damp they were."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from services.crops.domain.epcis import model as m
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.context import Context
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.physical import Reading, SensorType

_MEASURED: Final = {
    "Temperature": SensorType.TEMPERATURE,
    "RelativeHumidity": SensorType.RELATIVE_HUMIDITY,
}
_STEP: Final = Decimal("0.000001")
_LARGEST: Final = Decimal(10**10)


def readings(event: m.BusinessEvent, context: Context) -> Iterator[Reading]:
    """The temperatures and humidities; what has no number or no unit says nothing here.

    The time of a report goes before that of its element, and without either it is the event's.
    Source: EPCIS 2.0 section 7.3.7.
    """
    for element in event.sensor_elements or ():
        shared = element.sensor_metadata or m.SensorMetadata()
        for report in element.sensor_reports:
            kind = _MEASURED.get(v.MEASUREMENT_TYPE.short(report.type, context))
            found = (
                _reading(kind, report, shared, event.event_time) if kind and _is_code(report.uom) else None
            )
            if found is not None:
                yield found


def _reading(
    kind: SensorType, report: m.SensorReport, shared: m.SensorMetadata, event_time: Timestamp
) -> Reading | None:
    said = Reading(
        type=kind,
        unit=report.uom or "",
        value=_number(report.value),
        min_value=_number(report.min_value),
        max_value=_number(report.max_value),
        mean_value=_number(report.mean_value),
        device_id=report.device_id or shared.device_id or "",
        alarm=(report.exception or "").endswith("ALARM_CONDITION"),
    )
    if said.value is said.min_value is said.max_value is said.mean_value is None:
        return None
    moment = (report.time or shared.time or event_time).instant
    if report.time is None and shared.start_time is not None and shared.end_time is not None:
        start, end = shared.start_time.instant, shared.end_time.instant
    elif said.value is not None:
        return replace(said, time=moment)
    else:
        start = end = moment
    # The only number of a span is told as its mean.
    mean = said.value if said.mean_value is None else said.mean_value
    return None if end < start else replace(said, start_time=start, end_time=end, mean_value=mean, value=None)


def _is_code(uom: str | None) -> bool:
    return uom is not None and 1 <= len(uom) <= 3


def _number(told: Decimal | None) -> Decimal | None:
    """As readings have numbers; None for one that is none, or larger than those."""
    if told is None or not told.is_finite() or abs(told) >= _LARGEST:
        return None
    return told.quantize(_STEP).normalize() + 0
