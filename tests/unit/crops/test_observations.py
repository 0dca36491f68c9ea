"""Cooling and sensors: what a reading must say, and what is doubtful about it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.errors import InvalidArgument, PermissionDenied
from services.crops.domain.doubts import doubts
from services.crops.domain.epcis.findings import FindingCode
from services.crops.domain.lot import Lot, evolve
from services.crops.domain.observation import observe
from services.crops.domain.occasion import Occasion
from services.crops.domain.physical import LotObserved, Reading, SensorType
from tests.unit.crops.lots import BUYER, GROWER, NOW, STRANGER, lot
from tests.unit.crops.test_shipments import arrived, under_way

BEFORE = NOW - timedelta(hours=2)
HUMIDITY = SensorType.RELATIVE_HUMIDITY


def reading(**changes: Any) -> Reading:
    """3 °C at this moment unless told otherwise."""
    facts: dict[str, Any] = {"type": SensorType.TEMPERATURE, "unit": "CEL", "time": NOW, "value": Decimal(3)}
    return Reading(**{**facts, **changes})


def span(**changes: Any) -> Reading:
    facts: dict[str, Any] = {"time": None, "value": None, "start_time": BEFORE, "end_time": NOW}
    return reading(**{**facts, "min_value": Decimal(1), "max_value": Decimal(4), **changes})


def observed(*readings: Reading, state: Lot | None = None, **changes: Any) -> LotObserved:
    facts: dict[str, Any] = {"actor": GROWER, "cooling": False, "occasion": Occasion(NOW), "now": NOW}
    return observe(state or lot(), readings=readings, **{**facts, **changes})


def test_readings_are_kept_and_the_lot_stays_as_it_is() -> None:
    event = observed(reading(), span(mean_value=Decimal("2.5")), cooling=True)
    after = evolve(lot(), event)
    assert (after.version, after.quantity, after.state) == (2, lot().quantity, lot().state)
    assert doubts(lot(), event) == ()


def test_cooling_needs_no_reading_and_anything_else_does() -> None:
    assert observed(cooling=True).readings == ()
    with pytest.raises(InvalidArgument) as refused:
        observed()
    assert [each.field for each in refused.value.violations] == ["readings"]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (reading(unit="P1"), "unit_code"),
        (reading(unit="KGM"), "unit_code"),
        (reading(type=HUMIDITY, unit="CEL"), "unit_code"),
        (reading(value=None), "value"),
        (reading(time=None), "time"),
        (reading(min_value=Decimal(1)), "min_value"),
        (reading(start_time=BEFORE), "start_time"),
        (reading(value=Decimal("NaN")), "value"),
        (reading(value=Decimal("Infinity")), "value"),
        (reading(value=Decimal("1e12")), "value"),
        (reading(value=Decimal("0.0000001")), "value"),
        (span(end_time=None), "time"),
        (span(end_time=BEFORE - timedelta(seconds=1)), "end_time"),
        (span(min_value=None, max_value=None), "mean_value"),
        (span(value=Decimal(2)), "value"),
        (span(min_value=Decimal(5)), "max_value"),
        (span(mean_value=Decimal(5)), "max_value"),
        (span(mean_value=Decimal(0)), "mean_value"),
    ],
)
def test_a_reading_that_contradicts_itself_is_refused_by_its_field(bad: Reading, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        observed(reading(), bad)
    assert refused.value.reason == "SENSOR_READING_INVALID"
    assert f"readings[1].{field}" in [each.field for each in refused.value.violations]


@pytest.mark.parametrize("ahead", [reading(time=NOW + timedelta(hours=1)), span(end_time=NOW + timedelta(1))])
def test_a_reading_of_the_future_is_refused(ahead: Reading) -> None:
    with pytest.raises(InvalidArgument) as refused:
        observed(ahead)
    assert refused.value.reason == "TIMES_INVALID"


@pytest.mark.parametrize(
    "odd",
    [
        reading(value=Decimal(-300)),
        reading(unit="KEL", value=Decimal("-0.1")),
        reading(type=HUMIDITY, unit="P1", value=Decimal(101)),
        span(type=HUMIDITY, unit="P1", min_value=Decimal(-1)),
    ],
)
def test_a_reading_that_cannot_be_true_is_taken_and_flagged(odd: Reading) -> None:
    assert [each.code for each in doubts(lot(), observed(odd))] == [FindingCode.READING_IMPLAUSIBLE]


def test_custodian_and_owner_observe_and_nobody_else() -> None:
    state = evolve(under_way(), arrived(under_way()))
    assert {observed(reading(), state=state, actor=who).observed_by for who in (GROWER, BUYER)} == {
        GROWER,
        BUYER,
    }
    with pytest.raises(PermissionDenied):
        observed(reading(), state=state, actor=STRANGER)
