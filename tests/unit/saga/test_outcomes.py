"""How errors of a step are sorted, and what can be stored."""

import json
from datetime import timedelta

import pytest

from chassis import errors
from chassis.context import Principal, RequestContext
from chassis.saga import StepRejected
from chassis.saga.encoding import encode_object, load_context, save_context
from chassis.saga.outcomes import REFUSALS, Faulted, Refused, encode_reply, outcome_of


@pytest.mark.parametrize("kind", errors.KINDS)
def test_every_kind_of_error_is_either_a_refusal_or_worth_another_attempt(kind):
    outcome = outcome_of(kind("REASON", "said so", metadata={"a": "b"}), "reserve")
    assert isinstance(outcome, Refused) == (kind in REFUSALS)
    assert (outcome.reason, outcome.message, outcome.metadata) == ("REASON", "said so", {"a": "b"})


def test_a_rejection_is_a_refusal_with_the_participants_words():
    outcome = outcome_of(StepRejected("OUT_OF_STOCK", "3 left", {"left": "3"}), "reserve")
    assert outcome == Refused("OUT_OF_STOCK", "3 left", {"left": "3"})


def test_an_unknown_error_tells_its_text_to_operators_and_not_to_clients():
    outcome = outcome_of(ValueError("password is hunter2"), "reserve")
    assert isinstance(outcome, Faulted)
    assert outcome.reason == "STEP_FAILED"
    assert "hunter2" in outcome.detail
    assert "hunter2" not in outcome.message


def test_a_timeout_has_its_own_reason_and_a_wish_to_wait_is_kept():
    assert outcome_of(TimeoutError(), "reserve").reason == "STEP_TIMED_OUT"
    busy = errors.ResourceExhausted("BUSY", "later", retry_after=timedelta(seconds=9))
    assert outcome_of(busy, "reserve").retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    "value", [{"a": float("nan")}, {"a": "x\0y"}, {"a": ["\ud800"]}, {"a": float("inf")}]
)
def test_what_jsonb_cannot_hold_is_refused_as_a_value(value):
    with pytest.raises(ValueError, match=r"."):
        encode_object(value)


@pytest.mark.parametrize("value", [["a"], "a", 1, {"a": object()}, {"a": {1, 2}}])
def test_what_is_no_json_object_is_refused_as_a_type(value):
    with pytest.raises(TypeError):
        encode_reply(value)


def test_text_that_only_looks_like_an_escaped_nul_is_kept():
    value = {"pattern": "\\u0000", "path": "C:\\\\u0000"}
    assert json.loads(encode_object(value)) == value


def test_errors_lose_characters_that_cannot_be_stored():
    outcome = outcome_of(errors.NotFound("GONE", "no\0 \ud800", metadata={"k\0": "\0v"}), "reserve")
    assert outcome.message == "no ?"
    assert outcome.metadata == {"k": "v"}


@pytest.mark.parametrize(
    "principal",
    [None, Principal("u1", "user", frozenset({"guest", "farmer"}), frozenset({"orders.place"}))],
)
def test_the_context_of_the_start_comes_back_caused_by_the_saga_and_without_its_deadline(principal):
    started = RequestContext("r", "c", "x", principal, "00-1-2-01", 12.5)
    restored = load_context(json.loads(json.dumps(save_context(started))), "saga-1")
    assert restored == RequestContext("r", "c", "saga-1", principal, "00-1-2-01", None)


def test_the_version_that_a_request_was_for_is_kept_and_older_sagas_have_none():
    started = RequestContext("r", routing=(("x-version", "v2"), ("x-user-role", "grower")))
    saved = json.loads(json.dumps(save_context(started)))
    assert load_context(saved, "saga-1").routing == started.routing
    del saved["routing"]
    assert load_context(saved, "saga-1").routing == ()


def test_work_without_a_correlation_is_correlated_by_the_saga():
    assert load_context(save_context(RequestContext()), "saga-1").correlation_id == "saga-1"
