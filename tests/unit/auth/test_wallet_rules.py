"""Messages, nonces and signatures: the rules alone."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import DomainError, FailedPrecondition, InvalidArgument, Unauthenticated
from chassis.settings import SettingsError
from services.auth.adapters.settings import AuthSettings
from services.auth.domain.account import Account
from services.auth.domain.challenges import RANDOM_BYTES, Nonces, Purpose, Terms
from services.auth.domain.ethereum import ORDER, standard_signature, wallet_address
from services.auth.domain.instants import parse_instant, rendered
from services.auth.domain.siwe import LONGEST, SiweMessage, parse, render
from services.auth.domain.uris import is_domain, parse_uri
from services.auth.domain.wallets import WalletRules, require_other_means, statement

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ADDRESS = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
TERMS = Terms(Purpose.SIGN_IN, ADDRESS)
RULES = WalletRules(("https://market.example", "http://localhost:8080"), (1, 137))
MESSAGE = SiweMessage(
    domain="market.example",
    address=ADDRESS,
    statement=statement(TERMS),
    uri="https://market.example",
    chain_id=1,
    nonce="abcd1234",
    issued_at=rendered(NOW),
)


def refusal(message: SiweMessage, terms: Terms = TERMS) -> str:
    try:
        RULES.require_accepted(message, terms, NOW)
    except DomainError as error:
        return error.reason
    return ""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scheme": "https"},
        {"uri": "https://market.example/login?from=app#top"},
        {"domain": "localhost:8080", "uri": "http://localhost:8080/"},
        {"chain_id": 137},
        {"issued_at": "2026-01-01T12:00:59Z"},
        {"issued_at": "2026-01-01T13:30:00.5+01:30"},
        {"not_before": "2026-01-01T12:01:00Z"},
        {"expiration_time": "2026-01-01T12:00:01Z"},
    ],
)
def test_a_message_for_us_and_now_is_accepted(changes):
    assert refusal(replace(MESSAGE, **changes)) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"domain": "evil.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"domain": "evil.example", "uri": "https://evil.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"uri": "https://evil.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"uri": "https://market.example.evil.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"uri": "https://market.example@evil.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"domain": "user@market.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"domain": "market.example:443"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"scheme": "http"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"uri": "http://market.example"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"domain": "localhost:8080"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"uri": "did:key:xyz"}, "WALLET_ORIGIN_NOT_ALLOWED"),
        ({"chain_id": 5}, "WALLET_CHAIN_NOT_ALLOWED"),
        ({"statement": None}, "WALLET_STATEMENT_MISMATCH"),
        ({"statement": "Give everything away."}, "WALLET_STATEMENT_MISMATCH"),
        ({"expiration_time": rendered(NOW)}, "WALLET_MESSAGE_EXPIRED"),
        ({"issued_at": "2026-01-01T11:53:59Z"}, "WALLET_MESSAGE_EXPIRED"),
        ({"issued_at": "2026-01-01T12:01:01Z"}, "WALLET_MESSAGE_NOT_YET_VALID"),
        ({"not_before": "2026-01-01T12:01:01Z"}, "WALLET_MESSAGE_NOT_YET_VALID"),
    ],
)
def test_a_message_not_for_us_or_not_for_now_is_refused_for_that(changes, reason):
    assert refusal(replace(MESSAGE, **changes)) == reason


def test_what_is_signed_says_what_it_does():
    link = Terms(Purpose.LINK, ADDRESS, "0192e0a0-0000-7000-8000-000000000001")
    assert refusal(MESSAGE, link) == "WALLET_STATEMENT_MISMATCH"
    assert refusal(replace(MESSAGE, statement=statement(link))) == "WALLET_STATEMENT_MISMATCH"
    assert refusal(replace(MESSAGE, statement=statement(link)), link) == ""


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text + "\n",
        lambda text: text + " ",
        lambda text: text + "\nResources:\n",
        lambda text: text + "\nResources:\n- https://a.example\n",
        lambda text: text + "\nRequest ID: a b",
        lambda text: text + "\nRequest ID: %zz",
        lambda text: text + "\nExpiration Time: ",
        lambda text: text + "\nExpiration Time: 2026-01-01T12:00:00Z\nExpiration Time: 2026-01-01T12:00:00Z",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\n" + text,
        lambda text: " " + text,
        lambda text: text.replace("URI: ", "Uri: "),
        lambda text: text.replace("URI: ", "URI:"),
        lambda text: text.replace("URI: ", "URI:  "),
        lambda text: text.replace("Chain ID: 1", "Chain ID: \u0661"),
        lambda text: text.replace("Chain ID: 1", "Chain ID: -1"),
        lambda text: text.replace("Chain ID: 1", "Chain ID: " + "9" * 400),
        lambda text: text.replace("Version: 1", "Version: 1.0"),
        lambda text: text.replace("abcd1234", "abcd-1234"),
        lambda text: text.replace("abcd1234", "abcd123\u00e9"),
        lambda text: text.replace("Sign in", 'Sign "in"'),
        lambda text: text.replace("Sign in", "Sign\tin"),
        lambda text: text.replace("Sign in", "Sign \u202ein"),
        lambda text: text.replace(ADDRESS, ADDRESS[:-1]),
        lambda text: text.replace(ADDRESS, ADDRESS.lower()),
        lambda text: text.replace(ADDRESS, "0X" + ADDRESS[2:]),
        lambda text: text.replace(" wants you", "  wants you"),
        lambda text: text.replace(" wants you", " Wants you"),
        lambda text: text.replace("market.example wants", "://market.example wants"),
        lambda text: text.replace("market.example wants", "1a://market.example wants"),
        lambda text: text.replace("market.example wants", "https://market.example/path wants"),
        lambda text: text.replace("market.example wants", "https://https://market.example wants"),
        lambda text: text.replace("2026-01-01T12", "2026-02-30T12"),
        lambda text: text.replace("2026-01-01T12", "2026-01-01 12"),
        lambda text: text.replace("12:00:00Z", "12:00:00"),
        lambda text: text.replace("12:00:00Z", "12:00Z"),
        lambda text: "x" * (LONGEST + 1),
        lambda text: "",
    ],
)  # fmt: skip
def test_nothing_but_the_grammar_is_a_message(alter):
    text = render(MESSAGE)
    assert parse(text) == MESSAGE
    assert alter(text) != text
    with pytest.raises(InvalidArgument) as error:
        parse(alter(text))
    assert error.value.reason == "WALLET_MESSAGE_MALFORMED"


@pytest.mark.parametrize(
    "changes",
    [
        {"statement": None},
        {"statement": ""},
        {"resources": ()},
        {"resources": ("https://a.example/x?y#z", "ipfs://Qm", "urn:epc:id:sgtin:1")},
        {"request_id": ""},
        {"request_id": "a:b@c%20d"},
        {"scheme": "https", "domain": "[::1]:8080"},
        {"expiration_time": "2026-01-01t12:00:00.123456789z", "not_before": "2026-01-01T00:00:00-23:59"},
        {"chain_id": 0},
    ],
)
def test_every_optional_part_is_read_and_written_back(changes):
    message = replace(MESSAGE, **changes)
    assert parse(render(message)) == message


@settings(max_examples=200)
@given(st.text(max_size=40), st.integers(0, 400), st.integers(0, 5))
def test_whatever_is_put_into_a_message_is_read_back_or_refused(inserted, at, removed):
    text = render(replace(MESSAGE, resources=("https://a.example",), request_id="r"))
    altered = text[:at] + inserted + text[at + removed :]
    try:
        read = parse(altered)
    except InvalidArgument:
        return
    assert render(read) == re.sub("(Chain ID: )0+(?=[0-9])", r"\1", altered)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01T12:00:00Z", NOW),
        ("2026-01-01T12:00:00.0000009Z", NOW),
        ("2026-01-01T14:00:00+02:00", NOW),
        ("2026-01-01T06:15:00-05:45", NOW),
        ("2026-01-01T11:59:60Z", NOW),
        ("2026-01-01T24:00:00Z", None),
        ("2026-01-01T12:60:00Z", None),
        ("2026-01-01T12:00:61Z", None),
        ("2026-01-01T12:00:00+24:00", None),
        ("2026-01-01T12:00:00+02:60", None),
        ("2026-01-01T12:00:00.Z", None),
        ("2026-1-1T12:00:00Z", None),
        ("0000-01-01T12:00:00Z", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("\u0662026-01-01T12:00:00Z", None),
    ],
)
def test_a_time_is_read_by_rfc_3339(text, instant):
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("https://a.example", True),
        ("https://[::cafe]:1/x", True),
        ("https://[v1.x]", True),
        ("https://user:p@a.example/%20", True),
        ("mailto:a@b", True),
        ("file:///etc", True),
        ("a:", True),
        ("a:/b//c", True),
        ("//a.example", False),
        ("/a", False),
        ("https://a b", False),
        ("https://[::1", False),
        ("https://[fe80::1%eth0]", False),
        ("https://a@b@c", False),
        ("https://a:port", False),
        ("https://a/%2", False),
        ("https://a\n", False),
        ("https://\u00e9.example", False),
        ("https://a/#x#y", False),
        ("1a:b", False),
    ],
)
def test_a_uri_is_read_by_rfc_3986(text, sound):
    assert (parse_uri(text) is not None) == sound


@pytest.mark.parametrize("text", ["", ":80", "user@", "user@:80", "a/b", "a?b", "a#b", "[::1]x", "a b"])
def test_a_domain_names_a_host(text):
    assert not is_domain(text)


def test_a_nonce_is_known_for_its_own_terms_only():
    nonces, expires = Nonces(bytes(32)), NOW + 300 * SECOND
    link = Terms(Purpose.LINK, ADDRESS, "somebody")
    nonce = nonces.make(link, expires, bytes(RANDOM_BYTES))
    assert nonces.expiry(nonce, link) == expires
    for other in (
        Terms(Purpose.SIGN_IN, ADDRESS),
        Terms(Purpose.SIGN_IN, ADDRESS, "somebody"),
        replace(link, user_id="somebody else"),
        replace(link, address=wallet_address("0x" + "1" * 40)),
    ):
        assert nonces.expiry(nonce, other) is None
    assert Nonces(b"x" * 32).expiry(nonce, link) is None


def test_a_nonce_that_was_altered_or_made_up_is_not_known():
    nonces = Nonces(bytes(32))
    nonce = nonces.make(TERMS, NOW, b"\xab" * RANDOM_BYTES)
    for place in range(0, len(nonce)):
        other = "0" if nonce[place] != "0" else "1"
        assert nonces.expiry(nonce[:place] + other + nonce[place + 1 :], TERMS) is None
    for other in ("", "32891756", nonce + "00", nonce[:-2], nonce.upper(), f" {nonce}", "zz" * 32):
        assert nonces.expiry(other, TERMS) is None


SIGNATURE = (1).to_bytes(32) + (1).to_bytes(32)


@pytest.mark.parametrize(("given_v", "v"), [(0, 27), (1, 28), (27, 27), (28, 28)])
def test_a_recovery_byte_may_be_written_in_two_ways(given_v, v):
    assert standard_signature(SIGNATURE + bytes([given_v])) == SIGNATURE + bytes([v])


@pytest.mark.parametrize(
    ("signature", "fault"),
    [
        (b"", "bytes"),
        (SIGNATURE, "64 bytes"),
        (SIGNATURE + b"\x1b\x00", "66 bytes"),
        (SIGNATURE + b"\x02", "recovery byte"),
        (SIGNATURE + b"\x25", "recovery byte"),
        (bytes(32) + (1).to_bytes(32) + b"\x1b", "order"),
        ((1).to_bytes(32) + bytes(32) + b"\x1b", "order"),
        (ORDER.to_bytes(32) + (1).to_bytes(32) + b"\x1b", "order"),
        ((1).to_bytes(32) + (ORDER // 2 + 1).to_bytes(32) + b"\x1b", "malleable"),
        ((1).to_bytes(32) + (ORDER - 1).to_bytes(32) + b"\x1b", "malleable"),
    ],
)
def test_a_signature_in_any_other_form_is_refused(signature, fault):
    with pytest.raises(Unauthenticated, match=fault) as error:
        standard_signature(signature)
    assert error.value.reason == "WALLET_SIGNATURE_INVALID"


def test_an_address_may_come_without_checksum_but_not_with_a_wrong_one():
    assert wallet_address(ADDRESS.lower()) == wallet_address(ADDRESS) == ADDRESS
    for wrong in (ADDRESS.replace("C02", "c02"), ADDRESS[:-1], ADDRESS + "0", "", ADDRESS[2:]):
        with pytest.raises(InvalidArgument) as error:
            wallet_address(wrong)
        assert error.value.reason == "WALLET_ADDRESS_INVALID"


def test_the_last_means_of_signing_in_stays():
    without = Account("u", "ada@example.org", "", ("guest",))
    with pytest.raises(FailedPrecondition) as error:
        require_other_means(without, 0)
    assert error.value.reason == "LAST_SIGN_IN_MEANS"
    require_other_means(without, 1)
    require_other_means(replace(without, password_hash="$argon2id$"), 0)


def test_settings_of_wallets_come_from_the_environment_and_wrong_ones_are_named():
    given_settings = {
        "GREENLEDGER_WALLET_ORIGINS": "https://Market.example, http://localhost:8080",
        "GREENLEDGER_WALLET_CHAINS": "137,1",
        "GREENLEDGER_WALLET_CHALLENGE_S": "60",
    }
    rules = AuthSettings.from_environment(given_settings).wallet_rules
    assert (rules.origins, rules.chains) == (("https://market.example", "http://localhost:8080"), (137, 1))
    assert (rules.life, rules.skew) == (60 * SECOND, 60 * SECOND)
    for name, wrong in (
        ("WALLET_ORIGINS", "market.example"),
        ("WALLET_ORIGINS", "https://market.example/login"),
        ("WALLET_ORIGINS", "https://"),
        ("WALLET_CHAINS", "0"),
        ("WALLET_CHAINS", "main"),
    ):
        with pytest.raises(SettingsError, match=name):
            AuthSettings.from_environment({f"GREENLEDGER_{name}": wrong})
