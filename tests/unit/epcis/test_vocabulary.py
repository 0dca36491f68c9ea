"""Terms, prefixes and times."""

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.testing.published import needs_published
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.context import NO_CONTEXT
from services.crops.domain.epcis.times import Timestamp, parse_time
from services.crops.domain.epcis.uri import is_uri
from tests.unit.epcis import corpus

OFFICIAL = {
    "bizStep": v.BIZ_STEP,
    "disposition": v.DISPOSITION,
    "bizTransaction-type": v.BIZ_TRANSACTION_TYPE,
    "source-dest-type": v.SOURCE_DEST_TYPE,
    "error-reason": v.ERROR_REASON,
    "component": v.COMPONENT,
    "sensor-alert-type": v.SENSOR_ALERT,
    "measurement-type": v.MEASUREMENT_TYPE,
}


@needs_published
@pytest.mark.parametrize("name", OFFICIAL)
def test_a_vocabulary_has_exactly_the_official_terms(name: str) -> None:
    path = corpus.EPCIS / "gs1/json-schema/schemas" / f"{name}-JSON-Schema.json"
    (definition,) = json.loads(path.read_text(encoding="utf-8"))["definitions"].values()
    terms = next(choice["enum"] for choice in definition["anyOf"] if "enum" in choice)
    assert OFFICIAL[name].terms == set(terms)


@pytest.mark.parametrize(
    "form",
    [
        "shipping",
        "cbv:BizStep-shipping",
        "https://ref.gs1.org/cbv/BizStep-shipping",
        "urn:epcglobal:cbv:bizstep:shipping",
    ],
)
def test_every_form_of_a_standard_term_is_one_term(form: str) -> None:
    assert v.BIZ_STEP.short(form) == "shipping"
    assert v.BIZ_STEP.uri(form) == "https://ref.gs1.org/cbv/BizStep-shipping"


def test_a_private_term_is_its_full_uri() -> None:
    context = NO_CONTEXT.and_of({"ex": "https://example.com/"})
    assert v.BIZ_STEP.short("ex:cooling", context) == "https://example.com/cooling"


def test_prefixes_come_from_strings_objects_and_lists_and_cannot_redefine_the_standard_ones() -> None:
    context = NO_CONTEXT.and_of(
        [corpus.CONTEXT, {"a": "https://a.example/", "cbv": "https://evil.example/"}, {"b": {"@id": "a:b#"}}]
    )
    assert context.expand("b:c") == "https://a.example/b#c"
    assert context.expand("cbv:x") == "https://ref.gs1.org/cbv/x"
    assert context.expand("https://a:b") == "https://a:b"
    assert context.and_of(corpus.CONTEXT) is context


def test_prefixes_that_refer_to_each_other_end() -> None:
    context = NO_CONTEXT.and_of({"a": "b:x", "b": "a:y"})
    assert isinstance(context.expand("a:z"), str)


@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("2023-01-18T11:04:03.1415Z", "2023-01-18T11:04:03.142Z"),
        ("2023-01-18T11:04:03.1414999Z", "2023-01-18T11:04:03.141Z"),
        ("2023-01-18T00:04:03+14:00", "2023-01-17T10:04:03.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_hashed_in_utc_with_milliseconds(text: str, rounded: str) -> None:
    time = parse_time(text)
    assert time is not None
    assert time.rounded == rounded


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_that_was_written_is_read(instant: datetime) -> None:
    try:
        written = Timestamp.of(instant)
    except OverflowError:
        return
    read = parse_time(written.text)
    assert read is not None
    assert abs(read.instant - instant) < timedelta(milliseconds=1)


def test_a_year_outside_utc_is_no_time() -> None:
    assert parse_time("0001-01-01T00:00:00+01:00") is None


@needs_published
@given(st.text("a1é:/?#[]@!$&'()*+,;=%2F. \\\"<>^`{|}-_~\t", max_size=25))
def test_a_uri_is_what_the_reference_validator_says(text: str) -> None:
    validate = pytest.importorskip("rfc3986_validator").validate_rfc3986
    assert is_uri(text) == bool(validate(text))
