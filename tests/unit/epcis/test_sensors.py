"""Temperatures and humidities in visibility events."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from services.crops.domain.epcis.facts import facts
from services.crops.domain.epcis.jsontext import loads
from services.crops.domain.epcis.parse import parse_event
from services.crops.domain.physical import Reading, SensorType
from tests.unit.epcis import corpus

TIME = "2026-05-01T08:00:00Z"
LATER = "2026-05-01T09:00:00Z"
AT, UNTIL = datetime(2026, 5, 1, 8, tzinfo=UTC), datetime(2026, 5, 1, 9, tzinfo=UTC)


def read(report: dict[str, Any], **metadata: str) -> list[Reading]:
    element = {"sensorReport": [report], **({"sensorMetadata": metadata} if metadata else {})}
    event = parse_event(loads(json.dumps(corpus.event(sensorElementList=[element]))), alone=True)
    return list(facts(event).readings)


def temperature(**said: Any) -> dict[str, Any]:
    return {"type": "Temperature", "uom": "CEL", **said}


def test_a_reading_at_a_moment_has_the_time_of_its_report_else_of_its_element_else_of_the_event() -> None:
    [reading] = read(temperature(value=4.5, deviceID="https://example.com/probe/1"), time=TIME)
    assert (reading.type, reading.unit, reading.time) == (SensorType.TEMPERATURE, "CEL", AT)
    assert (reading.value, reading.device_id, reading.alarm) == (
        Decimal("4.5"),
        "https://example.com/probe/1",
        False,
    )
    [own] = read(temperature(value=4, time=LATER), time=TIME)
    assert own.time == UNTIL
    [event] = read(temperature(value=4))
    assert event.time == datetime.fromisoformat(corpus.event()["eventTime"])


def test_a_span_has_what_is_known_of_it() -> None:
    [reading] = read(temperature(minValue=1, maxValue=9.1234567), startTime=TIME, endTime=LATER)
    assert (reading.start_time, reading.end_time, reading.min_value, reading.max_value) == (
        AT,
        UNTIL,
        1,
        Decimal("9.123457"),
    )
    [mean] = read(temperature(value=3, exception="ALARM_CONDITION"), startTime=TIME, endTime=LATER)
    assert (mean.value, mean.mean_value, mean.alarm) == (None, 3, True)
    [moment] = read(temperature(maxValue=8), time=TIME)
    assert (moment.start_time, moment.end_time, moment.max_value) == (AT, AT, 8)
    assert read(temperature(value=8), startTime=LATER, endTime=TIME) == []


def test_what_has_no_number_or_unit_or_measures_something_else_says_nothing() -> None:
    assert read(temperature(stringValue="warm")) == []
    assert read({"type": "Temperature", "value": 8}) == []
    assert read(temperature(value=10**11)) == []
    assert read({"type": "Mass", "uom": "KGM", "value": 8}) == []
    [damp] = read({"type": "gs1:RelativeHumidity", "uom": "P1", "value": 90})
    assert damp.type is SensorType.RELATIVE_HUMIDITY
