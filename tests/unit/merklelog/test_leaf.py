"""The canonical bytes of events."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.eventstore import RecordedEvent
from chassis.merklelog.leaf import CanonicalFormError, canonical_json, event_leaf, parse_leaf
from tests.unit.merklelog.events import recorded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_the_form_is_written_down_and_stays():
    assert event_leaf(recorded(1)) == (
        b'{"data":{"lot_code":"ROM-1","quantity":{"amount":"12.5","unit":"KGM"}},'
        b'"event_id":"00000000-0000-7000-8000-000000000001","format":"greenledger-leaf-v1",'
        b'"meta":{"actor":"user:ada"},"position":2,"recorded_at":"2026-03-01T12:00:01.000000Z",'
        b'"schema_version":1,"stream_id":"lot-1","type":"LotMinted","version":1}'
    )


def test_names_are_ordered_by_their_utf_16_units():
    # The example of RFC 8785, 3.2.3.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = list(json.loads(canonical_json(dict.fromkeys(names, 0))))
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_text_is_escaped_as_the_rfc_says():
    # The string of RFC 8785, 3.2.2, with its slash and without its float.
    text = '\u20ac$\u000f\u000aA\'B"\\\\"/\b\t\f\r\x7f'
    written = '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\\b\\t\\f\\r\x7f"'
    assert canonical_json(text) == written.encode()


@settings(max_examples=200)
@given(JSON)
def test_canonical_json_reads_as_what_was_written_and_is_its_own_canonical_form(value: Any):
    written = canonical_json(value)
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        Decimal(1),
        b"x",
        "\ud800",
        {1: 2},
        {"\udfff": 1},
        {"a": [{"b": 0.5}]},
    ],
    ids=str,
)
def test_what_programs_may_write_differently_has_no_canonical_form(value: Any):
    with pytest.raises(CanonicalFormError):
        canonical_json(value)


def test_the_refusal_names_the_field():
    with pytest.raises(CanonicalFormError, match=r"\$\.data\.readings\[1\]\.celsius is a float"):
        event_leaf(recorded(data={"readings": [{"celsius": "4.0"}, {"celsius": 4.5}]}))


def test_a_time_has_one_form_whatever_its_zone():
    there = recorded(recorded_at=datetime(2026, 3, 1, 4, tzinfo=timezone(timedelta(hours=-8))))
    assert event_leaf(there) == event_leaf(recorded(recorded_at=datetime(2026, 3, 1, 12, tzinfo=UTC)))


OTHER: dict[str, Any] = {
    "position": 99,
    "stream_id": "lot-2",
    "version": 2,
    "type": "LotSplit",
    "schema_version": 2,
    "data": {},
    "meta": {"actor": "user:eve"},
    "event_id": "00000000-0000-7000-8000-00000000000f",
    "recorded_at": datetime(2026, 3, 1, 12, 0, 1, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("name", [field.name for field in fields(RecordedEvent)])
def test_every_stored_field_is_bound(name: str):
    assert event_leaf(replace(recorded(1), **{name: OTHER[name]})) != event_leaf(recorded(1))


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        event_leaf(recorded()).replace(b":1,", b": 1,", 1),
        event_leaf(recorded()).replace(b"{", b'{"data":{},', 1),
        event_leaf(recorded()).replace(b"leaf-v1", b"leaf-v2"),
        b"[" * 100_000,
    ],
    ids=range(8),
)
def test_bytes_that_could_be_read_in_two_ways_are_no_leaf(leaf: bytes):
    with pytest.raises(CanonicalFormError):
        parse_leaf(leaf)
