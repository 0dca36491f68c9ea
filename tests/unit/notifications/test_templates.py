"""Messages are rendered from their parameters, and no parameter can add a header."""

from email import message_from_bytes, policy
from string import Template as Text

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from services.notifications.adapters.smtp import compose
from services.notifications.application.ports import MailRefused
from services.notifications.domain.template import NAME, TEMPLATES, template

ANYTHING = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


def parameters_of(name: str, value: str = "x") -> dict[str, str]:
    chosen = TEMPLATES[name]
    fields = {field for text in (chosen.subject, chosen.text) for field in Text(text).get_identifiers()}
    return dict.fromkeys(fields - {NAME}, value)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_filled_in_whole(name):
    chosen, parameters = template(name), parameters_of(name, "VALUE")
    text = chosen.text_with(parameters, "VALUE")
    assert "$" not in chosen.subject_with(parameters) + text
    assert "VALUE" in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_missing_parameter_is_named_and_further_ones_are_left_out(name):
    assert template(name).needed(parameters_of(name) | {"further": "x"}) == parameters_of(name)
    for field in parameters_of(name):
        given_ = parameters_of(name)
        del given_[field]
        with pytest.raises(InvalidArgument) as caught:
            template(name).needed(given_)
        assert caught.value.reason == "PARAMETER_MISSING"
        assert caught.value.violations[0].field == f"parameters.{field}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_subject_names_nobody_because_the_log_keeps_it(name):
    assert set(Text(TEMPLATES[name].subject).get_identifiers()) <= {"lot_code", "order_id"}


def test_an_unknown_template_is_refused_and_the_known_ones_are_named():
    with pytest.raises(InvalidArgument, match="welcome") as caught:
        template("nope")
    assert caught.value.reason == "TEMPLATE_UNKNOWN"


def test_a_parameter_is_not_a_template():
    parameters = {"lot_code": "$to ${x}", "from": "$display_name", "to": "B"}
    assert template("lot-transferred").subject_with(parameters) == "Lot $to ${x} has a new owner"
    assert "From: $display_name\n" in template("lot-transferred").text_with(parameters, "Ann")
    assert template("welcome").text_with({}, "$x ${y}").startswith("Hello $x ${y},")


@given(ANYTHING)
def test_no_parameter_adds_a_header(value):
    evil = value + "\r\nBcc: everyone@example.org"
    parameters = {"lot_code": evil, "from": evil, "to": evil}
    chosen = template("lot-transferred")
    subject, text = chosen.subject_with(parameters), chosen.text_with(parameters, evil)
    wire = compose("id", "a@example.org", "b@example.org", subject, text).as_bytes()
    parsed = message_from_bytes(wire, policy=policy.default)
    headers = {name.lower() for name in parsed}
    assert headers <= {"from", "to", "subject", "message-id", "content-type", "mime-version"} | {
        "content-transfer-encoding"
    }


@pytest.mark.parametrize(
    "recipient",
    ["", "nobody", "a@x.org, b@y.org", "a,b@y.org", "a@x.org\r\nBcc: b@y.org", "a@x.org\n", "<a@x.org"],
)
def test_a_recipient_is_one_address_and_nothing_else(recipient):
    with pytest.raises(MailRefused):
        compose("id", "a@example.org", recipient, "Subject", "Text")
