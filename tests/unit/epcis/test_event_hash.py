"""The CBV 2.0 event hash."""

from typing import Any

import pytest

from chassis.testing.published import needs_published
from services.crops.domain.epcis.event_hash import document_context, event_hash, ignored_fields, prehash
from services.crops.domain.epcis.model import Document, Event, QueryDocumentHead
from services.crops.domain.epcis.parse import parse, parse_text
from tests.unit.epcis import corpus

FOLDER = corpus.EPCIS / "event-hash" / "examples"
VECTORS = sorted(path.stem for path in FOLDER.glob("*.jsonld"))
XML_ONLY = {
    # There is no XML binding here; these vectors have no JSON input.
    "SensorDataExamples",
    "epcisDocWith2DifferentTransformationEvents",
    "epcisDocWithTransformationEventWithExtension",
    "epcisDocWithTransformationEventWithMultipleExtensions",
    "epcisXmlDocHavingEventWithIgnoreFields",
    "epcisXmlQueryDocHavingEventWithIgnoreFields",
}
NOT_THE_PREHASH_OF_THEIR_HASH = {
    # Their published pre-hash text does not have the published hash, so only the hash can decide.
    "epcisDocWithAllGS1Keys",
    "epcisDocWithCustomSchemaInContext",
    "epcisDocWithDefaultSchemaInContext",
}


def _read(stem: str) -> tuple[Document, frozenset[str]]:
    document = parse_text((FOLDER / f"{stem}.jsonld").read_text(encoding="utf-8"))
    assert isinstance(document, Document)
    head = document.head
    extensions = head.results_extensions if isinstance(head, QueryDocumentHead) else head.extensions
    return document, ignored_fields(extensions, document_context(document))


@needs_published
@pytest.mark.parametrize("stem", VECTORS)
def test_a_published_vector_has_its_hash(stem: str) -> None:
    document, ignored = _read(stem)
    wanted = (FOLDER / f"{stem}.hashes").read_text(encoding="utf-8").split()
    context = document_context(document)
    assert [event_hash(event, context, ignored) for event in document.events] == wanted


@needs_published
@pytest.mark.parametrize("stem", [s for s in VECTORS if s not in NOT_THE_PREHASH_OF_THEIR_HASH])
def test_a_published_vector_has_its_text_before_hashing(stem: str) -> None:
    published = FOLDER / f"{stem}.prehashes"
    if not published.exists():
        assert stem == "epcisDocHavingEventWithComment"
        return
    document, ignored = _read(stem)
    wanted = published.read_text(encoding="utf-8").split("\n")
    context = document_context(document)
    assert [prehash(event, context, ignored) for event in document.events] == [
        line for line in wanted if line
    ]


@needs_published
def test_the_vectors_left_out_are_those_without_json() -> None:
    assert {path.stem for path in FOLDER.glob("*.hashes")} - set(VECTORS) == XML_ONLY


def hashed(**fields: Any) -> str:
    event = parse(corpus.event(**fields))
    assert isinstance(event, Event)
    return event_hash(event)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"epcList": ["urn:epc:id:sscc:4012345.0000000333"]},
            {"epcList": ["https://me.example/00/040123450000003338?x=1"]},
        ),
        ({"bizStep": "shipping"}, {"bizStep": "cbv:BizStep-shipping"}),
        ({"eventTime": "2026-05-01T12:00:00.0004+02:00"}, {"eventTime": "2026-05-01T10:00:00Z"}),
        ({"epcList": ["urn:x:1", "urn:x:2"]}, {"epcList": ["urn:x:2", "urn:x:1"]}),
        (
            {"quantityList": [{"epcClass": "urn:x:1", "quantity": 1.50}]},
            {"quantityList": [{"quantity": 1.5, "epcClass": "urn:x:1"}]},
        ),
        ({"eventID": "urn:x:1", "recordTime": "2026-05-01T10:00:00Z"}, {}),
        ({"rdfs:comment": "words", "errorDeclaration": {"declarationTime": "2026-05-01T10:00:00Z"}}, {}),
        (
            {"ex:a": {"ex:b": 1, "ex:c": [2, 3]}},
            {"https://example.com/ns/a": None, "ex:a": {"ex:c": [3, 2], "ex:b": "1.0"}},
        ),
        (
            {"sourceList": [{"type": "location", "source": "urn:x:1"}]},
            {"sourceList": [{"source": "urn:x:1", "type": "cbv:SDT-location"}]},
        ),
    ],
    ids=[
        "identifier",
        "vocabulary",
        "time",
        "order",
        "number",
        "record",
        "comment and error",
        "extension",
        "party",
    ],
)
def test_two_descriptions_of_one_event_have_one_hash(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert hashed(**one) == hashed(**other)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "DELETE"},
        {"eventTime": "2026-05-01T10:00:00.001Z"},
        {"eventTimeZoneOffset": "+01:00"},
        {"bizStep": "shipping"},
        {"epcList": ["urn:x:1"]},
        {"readPoint": {"id": "urn:x:1"}},
        {"bizLocation": {"id": "urn:x:1"}},
        {"ex:a": "1"},
        {"ex:a": ""},
        {"persistentDisposition": {"set": ["recalled"]}},
        {"persistentDisposition": {"unset": ["recalled"]}},
        {"certificationInfo": "urn:x:1"},
        {
            "sensorElementList": [
                {"sensorReport": [{"type": "Temperature", "value": 3, "booleanValue": True}]}
            ]
        },
        {"bizTransactionList": [{"bizTransaction": "urn:x:1"}]},
        {"bizTransactionList": [{"type": "po", "bizTransaction": "urn:x:1"}]},
    ],
)
def test_another_event_has_another_hash(change: dict[str, Any]) -> None:
    assert hashed(**change) != hashed()


def test_times_are_rounded_half_up_to_milliseconds() -> None:
    event = parse(corpus.event(eventTime="2026-12-31T23:59:59.9995Z"))
    assert isinstance(event, Event)
    assert "eventTime=2027-01-01T00:00:00.000Z" in prehash(event)
