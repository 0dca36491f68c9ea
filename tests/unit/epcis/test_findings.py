"""Implausible data is flagged, plausible data is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.testing.published import needs_published
from services.crops.domain.epcis.facts import EventFacts, Role, facts
from services.crops.domain.epcis.findings import FindingCode, OpenShipment, Severity, findings, overdue
from services.crops.domain.epcis.knowledge import Knowledge
from services.crops.domain.epcis.model import Event
from services.crops.domain.epcis.parse import parse
from services.crops.domain.epcis.problems import NotEpcis
from services.crops.domain.epcis.reading import EventReader, read_events
from tests.unit.epcis import corpus

LOT_A = "urn:epc:class:lgtin:4012345.012345.A"
LOT_B = "urn:epc:class:lgtin:4012345.012345.B"
LOT_C = "urn:epc:class:lgtin:4012345.012345.C"
CASE = "urn:epc:id:sgtin:4012345.012345.1"
PALLET = "urn:epc:id:sscc:4012345.0000000333"
PALLET_2 = "urn:epc:id:sscc:4012345.0000000444"
NOW = datetime(2026, 5, 2, tzinfo=UTC)


def stated(**fields: Any) -> EventFacts:
    event = parse(corpus.event(**fields))
    assert isinstance(event, Event)
    return facts(event)


def amount(lot: str, quantity: float, uom: str | None = "KGM") -> dict[str, Any]:
    return {"epcClass": lot, "quantity": quantity} | ({"uom": uom} if uom else {})


def at(hour: int) -> str:
    return f"2026-05-01T{hour:02d}:00:00Z"


def harvest(lot: str = LOT_A, quantity: float = 10, hour: int = 8, uom: str | None = "KGM") -> dict[str, Any]:
    listed = [amount(lot, quantity, uom)]
    return {
        "action": "ADD",
        "epcList": None,
        "quantityList": listed,
        "eventTime": at(hour),
        "bizStep": "commissioning",
    }


def moved(step: str, quantity: float = 10, hour: int = 9, lot: str = LOT_A, **more: Any) -> dict[str, Any]:
    return {
        "epcList": None,
        "quantityList": [amount(lot, quantity)],
        "bizStep": step,
        "eventTime": at(hour),
        **more,
    }


def cooked(inputs: list[Any], outputs: list[Any], hour: int = 10) -> dict[str, Any]:
    return {
        "type": "TransformationEvent",
        "action": None,
        "epcList": None,
        "inputQuantityList": inputs,
        "outputQuantityList": outputs,
        "eventTime": at(hour),
    }


def packed(parent: str, child: str, action: str = "ADD", hour: int = 9) -> dict[str, Any]:
    return {
        "type": "AggregationEvent",
        "action": action,
        "epcList": None,
        "parentID": parent,
        "childEPCs": [child],
        "eventTime": at(hour),
    }


def bill(*parties: str) -> dict[str, Any]:
    return {
        "bizTransactionList": [{"type": "bol", "bizTransaction": "urn:x:bill"}],
        "sourceList": [{"type": "possessing_party", "source": party} for party in parties[:1]],
        "destinationList": [{"type": "possessing_party", "destination": party} for party in parties[1:]],
    }


def codes(*history: dict[str, Any], now: datetime = NOW) -> set[FindingCode]:
    """What is found about the last event of a history."""
    knowledge = Knowledge()
    for fields in history[:-1]:
        earlier = stated(**fields)
        knowledge.learn(earlier, knowledge.about(earlier))
    last = stated(**history[-1])
    return {finding.code for finding in findings(last, knowledge.about(last), now)}


F = FindingCode
PLAUSIBLE = {
    "harvest": [harvest()],
    "harvest then ship all": [harvest(), moved("shipping")],
    "ship in another unit": [harvest(), moved("shipping") | {"quantityList": [amount(LOT_A, 10_000, "GRM")]}],
    "ship, receive, ship on": [
        harvest(),
        moved("shipping"),
        moved("receiving", hour=10),
        moved("shipping", hour=11),
    ],
    "shipment voided and repeated": [
        harvest(),
        moved("shipping"),
        moved("void_shipping", hour=10),
        moved("shipping", hour=11),
    ],
    "cook": [harvest(), cooked([amount(LOT_A, 4)], [amount(LOT_B, 3)])],
    "repack pallet": [
        harvest(CASE, 1),
        packed(PALLET, CASE),
        packed(PALLET, CASE, "DELETE", 10),
        packed(PALLET_2, CASE, hour=11),
    ],
    "same pallet again": [packed(PALLET, CASE), packed(PALLET, CASE, hour=10)],
    "bill of two": [
        harvest(),
        moved("shipping", **bill("urn:x:1", "urn:x:2")),
        moved("receiving", hour=10, **bill("urn:x:1", "urn:x:2")),
    ],
    "declared an error": [moved("shipping", hour=9, errorDeclaration={"declarationTime": at(10)})],
    "a clock slightly ahead": [harvest(hour=8)],
}
IMPLAUSIBLE = {
    "ships more than there is": ([harvest(), moved("shipping", 10.5)], F.QUANTITY_EXCEEDED),
    "cooks more than is left": (
        [
            harvest(),
            cooked([amount(LOT_A, 6)], [amount(LOT_B, 6)]),
            cooked([amount(LOT_A, 6)], [amount(LOT_C, 6)], 11),
        ],
        F.QUANTITY_EXCEEDED,
    ),
    "uses one lot twice in one event": (
        [harvest(), cooked([amount(LOT_A, 6), amount(LOT_A, 6)], [amount(LOT_B, 1)])],
        F.QUANTITY_EXCEEDED,
    ),
    "sells more than was received": (
        [moved("receiving"), moved("retail_selling", 11, 10, action="DELETE")],
        F.QUANTITY_EXCEEDED,
    ),
    "litres of what was weighed": (
        [harvest(), moved("shipping") | {"quantityList": [amount(LOT_A, 1, "LTR")]}],
        F.UNIT_MISMATCH,
    ),
    "pieces of what was weighed": (
        [harvest(), moved("shipping") | {"quantityList": [amount(LOT_A, 1, None)]}],
        F.UNIT_MISMATCH,
    ),
    "a unit nobody knows": ([harvest(uom="ZZZ")], F.UNIT_UNKNOWN),
    "shipped before the harvest": ([harvest(hour=8), moved("shipping", hour=7)], F.USED_BEFORE_EXISTENCE),
    "shipped after its end": (
        [
            harvest(CASE, 1),
            {"epcList": [CASE], "action": "DELETE", "eventTime": at(9)},
            {"epcList": [CASE], "eventTime": at(10)},
        ],
        F.USED_AFTER_END,
    ),
    "from nowhere": ([moved("shipping")], F.ORIGIN_UNKNOWN),
    "a bill of three": (
        [
            harvest(),
            moved("shipping", **bill("urn:x:1", "urn:x:2")),
            moved("receiving", hour=10, **bill("urn:x:1", "urn:x:3")),
        ],
        F.BILL_OF_LADING_SHARED,
    ),
    "a wrong check digit": (
        [{"epcList": ["https://id.gs1.org/01/04012345123457/21/1"]}],
        F.CHECK_DIGIT_WRONG,
    ),
    "a malformed GTIN": ([{"epcList": ["https://id.gs1.org/01/40123/21/1"]}], F.IDENTIFIER_MALFORMED),
    "a malformed place": (
        [harvest() | {"readPoint": {"id": "urn:epc:id:sgln:40.1.0"}}],
        F.IDENTIFIER_MALFORMED,
    ),
    "on two pallets": ([packed(PALLET, CASE), packed(PALLET_2, CASE, hour=10)], F.TWO_PARENTS),
    "made of itself": ([harvest(), cooked([amount(LOT_A, 1)], [amount(LOT_A, 1)])], F.TRANSFORMATION_CYCLE),
    "made of what is made of it": (
        [
            harvest(),
            cooked([amount(LOT_A, 1)], [amount(LOT_B, 1)]),
            cooked([amount(LOT_B, 1)], [amount(LOT_C, 1)], 11),
            cooked([amount(LOT_C, 1)], [amount(LOT_A, 1)], 12),
        ],
        F.TRANSFORMATION_CYCLE,
    ),
    "a late event that closes a cycle": (
        [
            cooked([amount(LOT_B, 1)], [amount(LOT_C, 1)], 11),
            cooked([amount(LOT_A, 1)], [amount(LOT_B, 1)], 10),
            cooked([amount(LOT_C, 1)], [amount(LOT_A, 1)], 12),
        ],
        F.TRANSFORMATION_CYCLE,
    ),
    "shipped twice": ([harvest(), moved("shipping"), moved("shipping", hour=10)], F.SHIPPED_TWICE),
    "received and never shipped": ([harvest(), moved("receiving")], F.RECEIVED_UNSHIPPED),
}


@pytest.mark.parametrize("name", PLAUSIBLE)
def test_plausible_history_has_no_finding(name: str) -> None:
    assert codes(*PLAUSIBLE[name]) <= {F.ORIGIN_UNKNOWN if name == "same pallet again" else None}


@pytest.mark.parametrize("name", IMPLAUSIBLE)
def test_implausible_history_is_flagged(name: str) -> None:
    history, code = IMPLAUSIBLE[name]
    assert code in codes(*history)


def test_an_event_later_than_its_recording_is_flagged_beyond_the_tolerance_of_clocks() -> None:
    recorded = datetime(2026, 5, 1, 7, 56, tzinfo=UTC)
    assert F.EVENT_IN_FUTURE not in codes(harvest(hour=8), now=recorded)
    assert F.EVENT_IN_FUTURE in codes(harvest(hour=8), now=recorded - timedelta(minutes=2))


def test_a_finding_names_the_event_the_subject_and_the_reason() -> None:
    knowledge, made = Knowledge(), stated(**harvest())
    knowledge.learn(made, knowledge.about(made))
    event = stated(eventID="urn:x:e", **moved("shipping", 11))
    (finding,) = findings(event, knowledge.about(event), NOW)
    assert (finding.event_id, finding.severity) == ("urn:x:e", Severity.ERROR)
    assert finding.subject == "https://id.gs1.org/01/04012345123456/10/A"
    assert finding.explanation == "11 KGM leaves where 10 KGM is there"


def test_a_shipment_that_nobody_receives_is_overdue_after_the_time_it_may_take() -> None:
    shipments = [OpenShipment("urn:x:1", "urn:x:lot", NOW - timedelta(hours=hours)) for hours in (1, 49)]
    (finding,) = overdue(shipments, NOW, timedelta(hours=48))
    assert (finding.code, finding.event_id) == (F.SHIPMENT_OVERDUE, "urn:x:1")


def test_facts_are_in_canonical_terms_whatever_the_form() -> None:
    urn = stated(
        epcList=[CASE], bizStep="cbv:BizStep-shipping", readPoint={"id": "urn:epc:id:sgln:4012345.00011.0"}
    )
    link = stated(
        epcList=["https://me.example/01/4012345123456/21/1"],
        bizStep="shipping",
        readPoint={"id": "https://id.gs1.org/414/4012345000115"},
    )
    assert urn == link
    assert urn.event_id == urn.event_hash
    assert urn.biz_step == "shipping"
    assert [(good.role, good.instance) for good in urn.goods] == [(Role.SUBJECT, True)]


@needs_published
@pytest.mark.parametrize("name", corpus.names())
def test_every_official_event_can_be_stated_and_judged(name: str) -> None:
    reader = EventReader()
    try:
        results = list(read_events([corpus.text(name).encode()], reader))
    except NotEpcis:
        return
    knowledge = Knowledge()
    for result in results:
        if result.event is not None:
            event = facts(result.event, reader.context, reader.ignored)
            before = knowledge.about(event)
            findings(event, before, NOW)
            knowledge.learn(event, before)
