"""What crops says of temperatures, as readings."""

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

from chassis.inbox import ReceivedEvent
from chassis.protobuf import timestamp_from_proto
from greenledger.crops.v1 import crops_pb2
from greenledger.crops.v1 import events_pb2 as crops
from services.trace.domain.journal import Reading

# To degrees Celsius, by UN/ECE Recommendation 20 code: the factor, and what is taken off before.
_SCALES: Final = {
    "CEL": (Decimal(1), Decimal(0)),
    "FAH": (Decimal(5) / Decimal(9), Decimal(32)),
    "KEL": (Decimal(1), Decimal("273.15")),
}
_HOTTEST: Final = Decimal(100_000)


def readings(event: ReceivedEvent[crops.LotObserved]) -> Iterable[Reading]:
    """What crops itself was told of a lot."""
    return temperatures(event.payload.readings, event.payload.lot_id, event.event_id)


def temperatures(
    told: Iterable[crops_pb2.SensorReading], lot_id: str, event_id: str, first: int = 0
) -> Iterator[Reading]:
    """The temperatures; what is no number, has no time or an unknown unit says nothing here.

    Args:
        first: the number of the first of them.
    """
    for number, reading in enumerate(told, first):
        if reading.type != crops_pb2.SENSOR_TYPE_TEMPERATURE:
            continue
        span = reading.HasField("start_time") and reading.HasField("end_time")
        text = reading.max_value or reading.mean_value or reading.min_value if span else reading.value
        celsius = _celsius(text, reading.unit_code)
        if celsius is None or not (span or reading.HasField("time")):
            continue
        yield Reading(
            lot_id=lot_id,
            event_id=event_id,
            number=number,
            start=timestamp_from_proto(reading.start_time if span else reading.time),
            end=timestamp_from_proto(reading.end_time if span else reading.time),
            celsius=celsius,
            device_id=reading.device_id,
        )


def _celsius(text: str, unit: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if unit not in _SCALES or not value.is_finite() or abs(value) > _HOTTEST:
        return None
    factor, zero = _SCALES[unit]
    return ((value - zero) * factor).quantize(Decimal("0.000001"))
