"""Reading records, also broken ones, and completing envelopes."""

import asyncpg
import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from hypothesis import given
from hypothesis import strategies as st

from chassis.database import translate
from chassis.errors import Unavailable
from chassis.inbox.events import Record, Subscription, as_text, decode
from chassis.inbox.failures import Failure, classify, describe
from chassis.outbox.sender import with_key_sequence
from greenledger.events.v1.event_pb2 import Event


def record(value: bytes, **headers: str) -> Record:
    return Record("t", "k", value, [(name.replace("_", "-"), text) for name, text in headers.items()])


def envelope(**fields: object) -> Event:
    event = Event(event_id="e", producer="s", key_sequence=3, **fields)  # type: ignore[arg-type]
    event.payload.Pack(StringValue(value="hello"))
    return event


@given(st.integers(1, 2**63 - 1))
def test_a_key_sequence_appended_to_an_encoded_event_is_its_key_sequence(sequence: int) -> None:
    event = envelope(type="t")
    event.ClearField("key_sequence")
    read = Event.FromString(with_key_sequence(event.SerializeToString(), sequence))
    assert read.key_sequence == sequence
    assert read.payload == event.payload


def test_a_good_record_becomes_an_event_that_passes_its_correlation_on() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    delivery = decode(
        record(envelope(correlation_id="c", traceparent=trace).SerializeToString()), StringValue
    )
    assert delivery.event is not None
    assert delivery.event.payload.value == "hello"
    context = delivery.event.context()
    assert (context.correlation_id, context.causation_id, context.traceparent) == ("c", "e", trace)


def test_a_broken_envelope_keeps_its_place_by_the_headers() -> None:
    delivery = decode(record(b"\xff\xff", key_seq="7", event_id="e7", producer="s"), StringValue)
    assert delivery.event is None
    assert delivery.defect
    assert (delivery.sequence, delivery.event_id, delivery.key_id.source) == (7, "e7", "s")


def test_another_payload_than_expected_is_a_defect_that_names_both() -> None:
    delivery = decode(record(envelope().SerializeToString()), Int64Value)
    assert delivery.event is None
    assert "google.protobuf.StringValue" in delivery.defect
    assert "google.protobuf.Int64Value" in delivery.defect


@pytest.mark.parametrize("sequence", ["", "-3", "x", "²"])
def test_a_record_without_a_usable_sequence_is_foreign_to_every_key(sequence: str) -> None:
    delivery = decode(record(b"\xff", key_seq=sequence), StringValue)
    assert (delivery.sequence, delivery.event) == (0, None)


def test_a_subscription_without_a_handler_is_refused() -> None:
    with pytest.raises(ValueError, match="no handler"):
        Subscription("t", StringValue)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (translate(ConnectionRefusedError()), Failure.INFRASTRUCTURE),
        (asyncpg.CannotConnectNowError("starting"), Failure.INFRASTRUCTURE),
        (Unavailable("UNAVAILABLE", "a peer"), Failure.TRANSIENT),
        (TimeoutError(), Failure.TRANSIENT),
        (ConnectionRefusedError(), Failure.TRANSIENT),
        (ValueError("no"), Failure.PERMANENT),
    ],
)
def test_failures_are_told_apart(error: Exception, failure: Failure) -> None:
    assert classify(error) is failure


def test_a_key_keeps_its_place_though_the_database_cannot_hold_it_as_it_is() -> None:
    assert as_text(b"\0\0\0\5") == "\ufffd\ufffd\ufffd\5"


def test_what_an_operator_is_told_does_not_quote_the_row() -> None:
    error = asyncpg.UniqueViolationError("duplicate key value")
    error.detail = "Key (email)=(ann@example.org) already exists."
    assert "ann@example.org" not in describe(error)
    assert "\0" not in describe(ValueError("a\0b"))
