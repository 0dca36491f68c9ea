"""What is read is given back with its meaning."""

from decimal import Decimal

import pytest

from chassis.testing.published import needs_published
from services.crops.domain.epcis.event_hash import document_context, event_hash
from services.crops.domain.epcis.jsontext import dumps, loads
from services.crops.domain.epcis.model import Document, Event, ObjectEvent
from services.crops.domain.epcis.parse import parse, parse_text
from services.crops.domain.epcis.problems import NotEpcis
from services.crops.domain.epcis.render import render
from tests.unit.epcis import corpus


def hashes(value: Document | Event) -> list[str]:
    if isinstance(value, Document):
        return [event_hash(event, document_context(value)) for event in value.events]
    return [event_hash(value)]


@needs_published
@pytest.mark.parametrize("name", corpus.names())
def test_a_valid_document_comes_back_as_the_same_json_with_the_same_event_hashes(name: str) -> None:
    text = corpus.text(name)
    try:
        read = parse_text(text)
    except NotEpcis:
        assert name in REFUSED
        return
    written = dumps(render(read))
    assert loads(written) == loads(text)
    assert corpus.accepts(loads(written))
    again = parse_text(written)
    assert again == read
    assert hashes(again) == hashes(read)


REFUSED = frozenset(
    {
        # The official schema refuses them.
        "openepcis/Capture/Documents/AggregationEvent_with_persistentDisposition.json",
        "openepcis/Capture/Documents/TransactionEvent_with_userExtensions.json",
        "openepcis/Capture/Invalid/EPCISDocument_without_context.json",
        "openepcis/Capture/Invalid/ObjectEvent_with_invalid_action.json",
        "openepcis/Capture/Invalid/ObjectEvent_with_invalid_certificationInfo.json",
        "openepcis/Capture/Invalid/ObjectEvent_with_non_standard_bizStep.json",
        "openepcis/Capture/Invalid/ObjectEvent_with_non_standard_bizStep_in_second_event.json",
        "openepcis/Capture/Invalid/ObjectEvent_with_non_standard_disposition.json",
        "openepcis/Capture/Invalid/ObjectEvent_without_action_and_eventTime.json",
        "openepcis/Query/SensorData_with_combined_events.json",
        "openepcis/Query/TransactionEvent_with_userExtensions.json",
        # Invalid for its profile: the quantity is negative.
        "openepcis-profiles/FSMA-1-Harvesting-Invalid-Event.json",
    }
)


def test_numbers_keep_every_digit() -> None:
    text = '{"epcClass":"urn:x:y","quantity":0.10000000000000000000000001}'
    whole = dumps(corpus.event(quantityList=[0])).replace("[0]", f"[{text}]")
    event = parse_text(whole)
    assert isinstance(event, ObjectEvent)
    assert event.quantities is not None
    assert event.quantities[0].quantity == Decimal("0.10000000000000000000000001")
    assert text in dumps(render(event))


def test_unknown_extensions_come_back_verbatim_at_every_place_that_allows_them() -> None:
    extra = {"ex:a": [1, None, {"ex:b": True, "plain": 1.50}], "https://example.com/full": "x"}
    event = corpus.event(
        action="ADD",
        readPoint={"id": "urn:x:y", **extra, "plain": 1},
        bizLocation={"id": "urn:x:y", **extra},
        errorDeclaration={"declarationTime": "2026-05-01T10:00:00Z", **extra},
        sensorElementList=[
            {"sensorMetadata": extra, "sensorReport": [{"type": "Temperature", **extra}], **extra}
        ],
        ilmd=extra,
        **extra,
    )
    assert render(parse(event)) == event


def test_an_event_of_another_namespace_keeps_all_its_fields() -> None:
    event = corpus.event(type="ex:Audit", whatever=[1, 2], action=None, epcList=None)
    assert render(parse(event)) == event


def test_an_empty_list_and_an_absent_one_are_told_apart() -> None:
    assert render(parse(corpus.event(epcList=[])))["epcList"] == []
    sensing = corpus.event(
        epcList=None, readPoint={"id": "urn:x:y"}, sensorElementList=[{"sensorReport": [{"type": "Time"}]}]
    )
    assert "epcList" not in render(parse(sensing))


def test_a_single_certificate_means_the_same_alone_or_in_an_array() -> None:
    alone, listed = (parse(corpus.event(certificationInfo=v)) for v in ("urn:x:y", ["urn:x:y"]))
    assert alone == listed
    assert hashes(alone) == hashes(listed)
