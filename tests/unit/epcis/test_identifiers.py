"""Identifiers in every form have one canonical form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from chassis.testing.published import needs_published, published
from services.crops.domain.epcis.epc_urn import SCHEMES
from services.crops.domain.epcis.gs1_keys import Flaw, check_digit, has_check_digit
from services.crops.domain.epcis.identifiers import Level, canonical, read, recognise
from services.crops.domain.epcis.uri import is_uri

VECTORS = published("gs1-identifiers") / "epc_uri_to_digital_link.json"


def vectors() -> list[tuple[str, str | None]]:
    if not VECTORS.is_file():
        return []
    return [(v["input"], v["canonical"]) for v in json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]]


@needs_published
@pytest.mark.parametrize(("text", "wanted"), vectors())
def test_a_published_vector_has_its_canonical_form(text: str, wanted: str | None) -> None:
    found = recognise(text)
    assert (found.canonical if found.elements else None) == wanted
    if wanted is None:
        with pytest.raises(InvalidArgument):
            read(text)
    else:
        assert read(text).original == text
        assert canonical(wanted) == wanted


@needs_published
@pytest.mark.parametrize("text", [text for text, wanted in vectors() if wanted and text.startswith("urn:")])
def test_a_urn_comes_back_from_its_canonical_link_when_the_prefix_length_is_known(text: str) -> None:
    found = read(text)
    assert found.urn() == text
    assert read(found.canonical).urn(found.prefix_length) == text


@pytest.mark.parametrize(
    ("text", "scheme", "level", "wanted"),
    [
        ("urn:epc:idpat:sgtin:4012345.012345.*", "gtin", Level.CLASS, "/01/04012345123456"),
        (
            "https://shop.example/a/b/01/4012345123456/10/A%2FB?17=261231#x",
            "lgtin",
            Level.CLASS,
            "/01/04012345123456/10/A%2FB",
        ),
        (
            "https://shop.example/gtin/4012345123456/lot/L1/ser/S1",
            "sgtin",
            Level.INSTANCE,
            "/01/04012345123456/21/S1",
        ),
        ("https://shop.example/8003/04012345666663", "grai", Level.CLASS, "/8003/04012345666663"),
        ("urn:epc:id:pgln:4012345.00000", "pgln", Level.PARTY, "/417/4012345000009"),
    ],
    ids=[
        "GTIN pattern",
        "lot with path, query and fragment",
        "serial is finer than lot",
        "asset type",
        "party",
    ],
)
def test_an_identifier_says_what_it_names(text: str, scheme: str, level: Level, wanted: str) -> None:
    found = read(text)
    assert (found.scheme, found.level, found.canonical) == (scheme, level, f"https://id.gs1.org{wanted}")


def test_a_lot_tells_its_product_and_its_code() -> None:
    lot = read("urn:epc:class:lgtin:4012345.012345.A%2F7")
    assert (lot.gtin, lot.lot, lot.class_canonical) == (
        "04012345123456",
        "A/7",
        canonical("urn:epc:idpat:sgtin:4012345.012345.*"),
    )
    assert lot.link("https://example.com/") == "https://example.com/01/04012345123456/10/A%2F7"


@pytest.mark.parametrize(
    ("text", "flaw", "why"),
    [
        ("https://id.gs1.org/01/04012345123457", Flaw.CHECK_DIGIT, "check digit"),
        ("https://id.gs1.org/01/97803", Flaw.MALFORMED, "8, 12, 13 or 14"),
        ("https://id.gs1.org/01/0401234512345X", Flaw.MALFORMED, "8, 12, 13 or 14"),
        ("https://id.gs1.org/01/04012345123456/10/123456789012345678901", Flaw.MALFORMED, "1 to 20"),
        ("https://id.gs1.org/01/04012345123456/10/%E9", Flaw.MALFORMED, "ASCII"),
        ("https://id.gs1.org/8003/14012345666663", Flaw.MALFORMED, "begins with 0"),
        ("urn:epc:id:sgtin:40123.01111111.9", Flaw.MALFORMED, "company prefix"),
        ("urn:epc:id:sgtin:4012345.01111.9", Flaw.MALFORMED, "not 6 digits"),
        ("urn:epc:id:sgtin:4012345.011111", Flaw.MALFORMED, "3 components"),
        ("urn:epc:id:sgtin:4012345.011111.a/b", Flaw.MALFORMED, "does not allow"),
        ("urn:epc:id:sgtin:4012345.011111.%41%7F", Flaw.MALFORMED, "1 to 20"),
        ("urn:epc:id:lgtin:4012345.011111.9", Flaw.MALFORMED, "no form"),
    ],
)
def test_a_bad_identifier_is_kept_and_flagged_in_events_and_refused_in_commands(
    text: str, flaw: Flaw, why: str
) -> None:
    found = recognise(text)
    assert found.flaw is flaw
    assert why in found.explanation
    assert found.original == text
    with pytest.raises(InvalidArgument) as refusal:
        read(text)
    assert refusal.value.reason == "IDENTIFIER_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        "http://transaction.acme.example/po/12345678",
        "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
        "ni:///sha-256;ab?ver=CBV2.0",
        "urn:epcglobal:cbv:bt:0614141073467:1152",
        "https://example.com/00/test",
        "http://id.gs1.org/99/9780345418913",
        "https://id.gs1.org/01/9780345418913/99/x",
        "urn:epc:idpat:sgtin:4012345.*.*",
        "urn:epc:id:gid:1.2.3",
    ],
)
def test_a_uri_that_is_no_gs1_key_is_an_identifier_as_it_is(text: str) -> None:
    found = recognise(text)
    assert (found.canonical, found.flaw, found.level) == (text, None, Level.OTHER)


LOT = st.text("!\"%&'()*+,-./0123456789:;<=>?ABCXYZ_abcxyz", min_size=1, max_size=20)


@given(prefix=st.text("0123456789", min_size=6, max_size=12), data=st.data())
def test_every_form_of_a_lot_has_one_canonical_form(prefix: str, data: st.DataObject) -> None:
    item = data.draw(st.text("0123456789", min_size=13 - len(prefix), max_size=13 - len(prefix)))
    lot = data.draw(LOT)
    digits = item[0] + prefix + item[1:]
    gtin = digits + check_digit(digits)
    encoded = "".join(f"%{ord(c):02x}" for c in lot)
    link = read(f"https://Shop.Example/x/01/{gtin}/10/{encoded}?a=b")
    urn = link.urn(len(prefix))
    assert read(urn).canonical == link.canonical
    assert link.lot == lot
    assert is_uri(urn)
    assert is_uri(link.canonical)


@given(
    digits=st.text("0123456789", min_size=7, max_size=17), place=st.integers(0, 16), shift=st.integers(1, 9)
)
def test_a_check_digit_finds_every_single_wrong_digit(digits: str, place: int, shift: int) -> None:
    place %= len(digits)
    wrong = digits[:place] + str((int(digits[place]) + shift) % 10) + digits[place + 1 :]
    assert has_check_digit(digits + check_digit(digits))
    assert not has_check_digit(wrong + check_digit(digits))


URN_LIKE = st.from_regex(r"urn:epc:(id|class|idpat):[a-z]{3,5}:[0-9.*%A-F]{0,30}", fullmatch=True)
LINK_LIKE = st.from_regex(r"https?://[a-z.]{1,9}(/[0-9a-z%]{1,15}){0,6}", fullmatch=True)


@given(text=st.one_of(st.text(max_size=60), URN_LIKE, LINK_LIKE))
def test_recognising_never_fails_and_is_stable(text: str) -> None:
    found = recognise(text)
    assert recognise(found.canonical).canonical == found.canonical


def test_every_scheme_is_covered_by_the_round_trip_of_the_vectors() -> None:
    covered = {text.split(":")[3] for text, _ in vectors() if text.startswith("urn:")}
    assert not vectors() or set(SCHEMES) - covered <= {"sgcn"}
    coupon = read("urn:epc:id:sgcn:4012345.99999.44")
    assert coupon.urn() == "urn:epc:id:sgcn:4012345.99999.44"
