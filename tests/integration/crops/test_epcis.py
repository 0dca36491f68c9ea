"""Capture, query and findings of visibility events on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.context import Principal
from chassis.errors import AlreadyExists, InvalidArgument, NotFound
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.quantity import Quantity
from chassis.testing.published import needs_published
from greenledger.crops.v1 import events_pb2
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_query import IndexedVisibilityEvents
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.application.capture_document import CaptureDocument, ReadJobs, RecordDocument
from services.crops.application.capture_events import CaptureEvent, Recorder
from services.crops.application.epcis_ports import CapturedEvent, CaptureJob, FindingFilter, JobState
from services.crops.application.export_lot import ExportLot
from services.crops.application.read_epcis import ReadEpcis
from services.crops.domain.epcis.event_hash import event_hash
from services.crops.domain.epcis.findings import Severity
from services.crops.domain.epcis.identifiers import canonical
from services.crops.domain.epcis.jsontext import loads
from services.crops.domain.epcis.parse import parse_event
from services.crops.domain.events import RecallClass
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import BUYER, GROWER
from tests.unit.epcis import corpus

PARTNER = Principal("11111111-1111-4111-8111-111111111111", "user")
LOT = "urn:epc:class:lgtin:4012345.012345.998877"


class Epcis:
    """The use cases on a database."""

    def __init__(self, crops: Crops) -> None:
        database, clock = crops.database, SystemClock()
        self.crops = crops
        record = Recorder(
            database, StoredVisibilityEvents(database, crops.store, Outbox("crops")), clock, SystemIds()
        )
        jobs = StoredJobs(database)
        self.capture = CaptureEvent(record)
        self.capture_document = CaptureDocument(RecordDocument(database, record, jobs, clock), jobs, clock)
        self.jobs = ReadJobs(jobs)
        self.read = ReadEpcis(IndexedVisibilityEvents(database))
        self.export = ExportLot(StoredLotHistories(crops.store), clock)

    async def document(
        self, text: str | bytes, request_id: str | None = None, size: int = 1000
    ) -> CaptureJob:
        raw = text.encode() if isinstance(text, str) else text
        pieces = (raw[at : at + size] for at in range(0, len(raw), size))
        return await self.capture_document(PARTNER, request_id or str(uuid4()), _sent(pieces))

    async def all(self, **parameters: Any) -> list[CapturedEvent]:
        return list((await self.read.query(parameters, 0, 1000))[0])

    async def ids(self, **parameters: Any) -> list[str]:
        return [event.event_id for event in await self.all(**parameters)]


async def _sent(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture
async def epcis(idle_crops: Crops) -> Epcis:
    return Epcis(idle_crops)


def _event(number: int, **fields: Any) -> dict[str, Any]:
    return corpus.event(eventID=f"urn:uuid:00000000-0000-4000-8000-{number:012d}", **fields)


def _id(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


@needs_published
async def test_every_valid_official_document_comes_back_with_its_meaning(
    epcis: Epcis,
) -> None:
    captured = valid = 0
    for name in corpus.names():
        text = corpus.text(name)
        job = await epcis.document(text, size=65_536)
        errors = await epcis.jobs.errors(PARTNER, job.job_id, -1, 10)
        captured += job.captured
        reasons = [job.failure, *(each.message for each in errors)]
        # The schema lets negative quantities through.
        if not corpus.accepts(json.loads(text)) or any("is negative" in reason for reason in reasons):
            assert job.state is JobState.FAILED or job.refused, name
            assert any(reasons), name
            continue
        valid += 1
        assert job.state is JobState.SUCCEEDED, f"{name}: {job.failure}"
        assert all(each.reason == "EPCIS_EVENT_CONFLICT" for each in errors), f"{name}: {errors}"
    assert valid > 50
    events = await epcis.all()
    assert len(events) == captured > 60
    for event in events:
        assert corpus.accepts(json.loads(event.document)), event.document[:300]
        again = parse_event(loads(event.document), alone=True)
        assert event_hash(again, ignored=event.ignored) == event.event_hash


async def test_an_invalid_event_is_refused_with_the_reason_and_the_others_are_not(
    epcis: Epcis,
) -> None:
    bad = _event(2, action="EAT")
    job = await epcis.document(json.dumps(corpus.document(_event(1), bad, _event(3))))
    assert (job.state, job.captured, job.refused) == (JobState.SUCCEEDED, 2, 1)
    [error] = await epcis.jobs.errors(PARTNER, job.job_id, -1, 10)
    assert (error.index, error.reason) == (1, "EPCIS_INVALID")
    assert "/epcisBody/eventList/1/action" in error.message
    with pytest.raises(InvalidArgument, match="action"):
        await epcis.capture(PARTNER, json.dumps(bad))


async def test_a_broken_document_fails_its_job_and_keeps_what_came_before(epcis: Epcis) -> None:
    text = json.dumps(corpus.document(_event(1), _event(2)))
    job = await epcis.document(text[:-3])
    assert job.state is JobState.FAILED
    assert job.failure
    assert await epcis.ids() == [_id(1), _id(2)]


async def test_the_same_event_is_recorded_once_and_another_under_its_id_is_refused(epcis: Epcis) -> None:
    first = await epcis.capture(PARTNER, json.dumps(_event(1)))
    again = await epcis.capture(PARTNER, json.dumps(_event(1)))
    assert (again.duplicate, again.ledger_event_id) == (True, first.ledger_event_id)
    with pytest.raises(AlreadyExists) as caught:
        await epcis.capture(PARTNER, json.dumps(_event(1, bizStep="shipping")))
    assert caught.value.reason == "EPCIS_EVENT_CONFLICT"
    assert await epcis.ids() == [_id(1)]
    assert await epcis.crops.log.find(first.ledger_event_id) is not None, "it is in the tamper-evident log"


async def test_an_error_declaration_stands_beside_the_event_that_it_is_about(epcis: Epcis) -> None:
    declared = _event(1, errorDeclaration={"declarationTime": "2026-05-02T00:00:00Z"})
    job = await epcis.document(json.dumps(corpus.document(_event(1), declared, _event(1))))
    assert (job.captured, job.duplicates) == (2, 1)
    assert (await epcis.capture(PARTNER, json.dumps(declared))).duplicate
    assert "errorDeclaration" in (await epcis.read.get(_id(1), True)).document
    assert "errorDeclaration" not in (await epcis.read.get(_id(1), False)).document
    assert await epcis.ids(EXISTS_errorDeclaration=None) == [_id(1)]


async def test_a_captured_event_is_published_once_with_the_lots_of_ours_that_it_names(epcis: Epcis) -> None:
    lot = await epcis.crops.minted("OWN-1")
    own, strange = f"urn:uuid:{lot.lot_id.upper()}", f"urn:uuid:{uuid4()}"
    event = _event(1, epcList=[strange], quantityList=[_amount(1), _amount(2.5, own)], bizStep="shipping")
    for _ in range(2):
        await epcis.capture(PARTNER, json.dumps(event))
    [envelope] = await epcis.crops.published("crop.epcis-captured")
    told = events_pb2.EpcisEventCaptured()
    assert envelope.payload.Unpack(told)
    assert (envelope.aggregate_id, told.event_id) == (_id(1), _id(1))
    assert (told.type, told.action, told.biz_step) == ("ObjectEvent", "OBSERVE", "shipping")
    assert told.captured_by == f"user:{PARTNER.subject}"
    assert set(told.findings) == {"ORIGIN_UNKNOWN"}
    shown = {
        goods.epc: (goods.quantity.amount, goods.quantity.unit_code, goods.lot_id) for goods in told.goods
    }
    assert shown == {
        strange: ("", "", ""),
        canonical(LOT): ("1", "KGM", ""),
        own: ("2.5", "KGM", lot.lot_id),
    }
    assert (told.part, told.parts, told.declared_wrong) == (1, 1, False)


async def test_a_refused_event_and_one_that_is_there_are_not_published(epcis: Epcis) -> None:
    declared = _event(1, errorDeclaration={"declarationTime": "2026-05-02T00:00:00Z"})
    document = corpus.document(_event(1), _event(1), declared, _event(2, action="EAT"))
    await epcis.document(json.dumps(document))
    published = await epcis.crops.published("crop.epcis-captured")
    told = [events_pb2.EpcisEventCaptured.FromString(each.payload.value) for each in published]
    assert [(each.event_id, each.declared_wrong) for each in told] == [(_id(1), False), (_id(1), True)]


async def test_an_event_about_very_many_goods_is_published_in_parts_that_a_broker_takes(epcis: Epcis) -> None:
    inputs = [f"https://example.com/lot/in/{number}" for number in range(1_500)]
    outputs = [f"https://example.com/lot/out/{number}" for number in range(12_000)]
    event = {**_MIXING, "inputEPCList": inputs, "outputEPCList": outputs}
    outcome = await epcis.capture(PARTNER, json.dumps(event))
    published = await epcis.crops.published("crop.epcis-captured")
    told = [events_pb2.EpcisEventCaptured.FromString(each.payload.value) for each in published]
    assert [each.part for each in told] == list(range(1, len(told) + 1))
    assert {(each.parts, each.event_id, each.transformation_id) for each in told} == {
        (len(told), outcome.event_id, "https://example.com/mixing/1")
    }
    assert len(told) > 1
    assert [goods.epc for each in told for goods in each.outputs if not goods.HasField("quantity")] == outputs
    back = {**event, "eventID": _id(9), "inputEPCList": outputs[-1:], "outputEPCList": inputs[-1:]}
    again = await epcis.capture(PARTNER, json.dumps(back))
    assert "TRANSFORMATION_CYCLE" in [found.code.value for found in again.findings]
    assert await epcis.crops.database.fetchval("SELECT count(*) FROM epcis_made_of") < 15_000


async def test_a_shipment_is_published_with_its_sides_its_papers_and_what_was_measured(epcis: Epcis) -> None:
    party, paper = "urn:epc:id:pgln:4012345.00001", "https://example.com/bol/7"
    event = _event(
        1,
        bizStep="shipping",
        bizTransactionList=[{"type": "bol", "bizTransaction": paper}],
        destinationList=[{"type": "possessing_party", "destination": party}],
        sensorElementList=[
            {
                "sensorMetadata": {"time": "2026-05-01T08:00:00Z"},
                "sensorReport": [{"type": "Temperature", "value": 6.5, "uom": "CEL"}],
            }
        ],
    )
    await epcis.capture(PARTNER, json.dumps(event))
    [envelope] = await epcis.crops.published("crop.epcis-captured")
    told = events_pb2.EpcisEventCaptured.FromString(envelope.payload.value)
    assert [(side.type, side.id) for side in told.destinations] == [("possessing_party", canonical(party))]
    assert list(told.documents) == [canonical(paper)]
    [reading] = told.readings
    assert (reading.value, reading.unit_code, reading.time.ToJsonString()) == (
        "6.5",
        "CEL",
        "2026-05-01T08:00:00Z",
    )


async def test_very_many_readings_of_very_many_goods_are_published_in_parts_of_each_with_each(
    epcis: Epcis,
) -> None:
    goods = [f"https://example.com/lot/{number}" for number in range(14_000)]
    reports = [{"type": "Temperature", "value": number, "uom": "CEL"} for number in range(12_000)]
    event = _event(1, epcList=goods, sensorElementList=[{"sensorReport": reports}])
    await epcis.capture(PARTNER, json.dumps(event))
    published = await epcis.crops.published("crop.epcis-captured")
    assert all(each.ByteSize() < 1_000_000 for each in published)
    told = [events_pb2.EpcisEventCaptured.FromString(each.payload.value) for each in published]
    of_goods = {each.goods[0].epc for each in told}
    of_readings = {each.first_reading: len(each.readings) for each in told}
    assert len(of_goods) > 1
    assert len(of_readings) > 1
    assert len(told) == len(of_goods) * len(of_readings)
    assert sum(of_readings.values()) == len(reports)
    for each in told:
        assert each.readings[0].value == str(each.first_reading)


async def test_captures_of_one_document_at_the_same_time_record_each_event_once(epcis: Epcis) -> None:
    text = json.dumps(
        corpus.document(*(_event(number, epcList=None, quantityList=[_amount(1)]) for number in range(40)))
    )
    jobs = await asyncio.gather(*(epcis.document(text) for _ in range(4)))
    assert sum(job.captured for job in jobs) == 40
    assert sum(job.duplicates for job in jobs) == 120
    assert len(await epcis.ids()) == 40


async def test_a_request_id_names_its_document(epcis: Epcis) -> None:
    request_id = str(uuid4())
    text = json.dumps(corpus.document(_event(1)))
    job = await epcis.document(text, request_id)
    assert await epcis.document(text, request_id) == job
    with pytest.raises(AlreadyExists, match="another document"):
        await epcis.document(text + " ", request_id)
    with pytest.raises(NotFound):
        await epcis.jobs.get(user(BUYER), job.job_id)


async def test_a_long_document_is_taken_batch_by_batch(epcis: Epcis) -> None:
    events = 3_000

    async def pieces() -> AsyncIterator[bytes]:
        head, _, tail = json.dumps(corpus.document(_event(0))).partition(json.dumps(_bare(0)))
        yield head.encode()
        for number in range(events):
            yield (json.dumps(_bare(number)) + ("," if number < events - 1 else "")).encode()
        yield tail.encode()

    job = await epcis.capture_document(PARTNER, str(uuid4()), pieces())
    assert (job.captured, job.refused, job.failure) == (events, 0, "")
    positions, after = [], 0
    while page := (await epcis.read.query({}, after, 700))[0]:
        positions += [event.position for event in page]
        after = positions[-1]
    assert len(positions) == events
    assert positions == sorted(positions)


def _bare(number: int) -> dict[str, Any]:
    return {name: value for name, value in _event(number).items() if name != "@context"}


def _amount(quantity: float, lot: str = LOT) -> dict[str, Any]:
    return {"epcClass": lot, "quantity": quantity, "uom": "KGM"}


_SHIPPING = _event(
    1,
    epcList=["urn:epc:id:sgtin:4012345.011122.25"],
    quantityList=[_amount(1)],
    bizStep="shipping",
    disposition="in_transit",
    readPoint={"id": "urn:epc:id:sgln:4012345.00001.0"},
    bizLocation={"id": "https://id.gs1.org/414/4012345000023"},
    bizTransactionList=[{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000016:1"}],
    sourceList=[{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00001"}],
    destinationList=[{"type": "owning_party", "destination": "urn:epc:id:pgln:4012345.00002"}],
    persistentDisposition={"set": ["recalled"], "unset": ["damaged"]},
)
_MIXING: dict[str, Any] = {
    **_event(2, eventTime="2026-06-01T10:00:00Z", action=None, epcList=None),
    "type": "TransformationEvent",
    "inputQuantityList": [_amount(1)],
    "inputEPCList": ["urn:epc:id:sgtin:4012345.011122.26"],
    "outputQuantityList": [_amount(1, "urn:epc:class:lgtin:4012345.012345.out")],
    "outputEPCList": ["urn:epc:id:sgtin:4012345.011122.27"],
    "transformationID": "https://example.com/mixing/1",
}
_PACKING: dict[str, Any] = {
    **_event(3, action="ADD", epcList=None, eventTime="2026-07-01T10:00:00Z"),
    "type": "AggregationEvent",
    "parentID": "urn:epc:id:sscc:4012345.0000000333",
    "childEPCs": ["urn:epc:id:sgtin:4012345.011122.28"],
}
_FOUND: list[tuple[str, Any, set[int]]] = [
    ("eventType", ["ObjectEvent", "AggregationEvent"], {1, 3}),
    ("GE_eventTime", "2026-06-01T10:00:00Z", {2, 3}),
    ("LT_eventTime", "2026-06-01T10:00:00Z", {1}),
    ("GE_recordTime", "2020-01-01T00:00:00Z", {1, 2, 3}),
    ("LT_recordTime", "2020-01-01T00:00:00Z", set()),
    ("EQ_action", ["ADD"], {3}),
    ("EQ_bizStep", ["shipping", "receiving"], {1}),
    ("EQ_disposition", ["in_transit"], {1}),
    ("EQ_persistentDisposition_set", ["recalled"], {1}),
    ("EQ_persistentDisposition_unset", ["recalled"], set()),
    ("EQ_readPoint", ["https://id.gs1.org/414/4012345000016"], {1}),
    ("EQ_bizLocation", ["urn:epc:id:sgln:4012345.00002.0"], {1}),
    ("EQ_transformationID", ["https://example.com/mixing/1"], {2}),
    ("MATCH_epc", ["urn:epc:id:sgtin:4012345.011122.25"], {1}),
    ("MATCH_epc", ["urn:epc:id:sgtin:4012345.011122.26"], set()),
    ("MATCH_epc", ["urn:epc:id:sgtin:4012345.011122.28"], {3}),
    ("MATCH_parentID", ["urn:epc:id:sscc:4012345.0000000333"], {3}),
    ("MATCH_inputEPC", ["urn:epc:id:sgtin:4012345.011122.26"], {2}),
    ("MATCH_outputEPC", ["urn:epc:id:sgtin:4012345.011122.27"], {2}),
    ("MATCH_anyEPC", ["urn:epc:id:sgtin:4012345.011122.27", "urn:epc:id:sgtin:4012345.011122.28"], {2, 3}),
    ("MATCH_epcClass", [LOT], {1}),
    ("MATCH_inputEPCClass", [LOT], {2}),
    ("MATCH_outputEPCClass", [LOT], set()),
    ("MATCH_anyEPCClass", [LOT], {1, 2}),
    ("EQ_bizTransaction_po", ["urn:epcglobal:cbv:bt:4012345000016:1"], {1}),
    ("EQ_bizTransaction_inv", ["urn:epcglobal:cbv:bt:4012345000016:1"], set()),
    ("EQ_source_owning_party", ["urn:epc:id:pgln:4012345.00001"], {1}),
    ("EQ_destination_owning_party", ["urn:epc:id:pgln:4012345.00001"], set()),
    ("EQ_eventID", [_id(2)], {2}),
]


async def test_each_query_parameter_finds_what_it_names(epcis: Epcis) -> None:
    job = await epcis.document(json.dumps(corpus.document(_SHIPPING, _MIXING, _PACKING)))
    assert job.captured == 3, await epcis.jobs.errors(PARTNER, job.job_id, -1, 10)
    for name, value, expected in _FOUND:
        assert await epcis.ids(**{name: value}) == [_id(number) for number in sorted(expected)], name
    both = await epcis.ids(MATCH_anyEPCClass=[LOT], GE_eventTime="2026-06-01T10:00:00Z")
    assert both == [_id(2)], "every parameter must hold"


async def test_a_parameter_that_is_none_or_not_answered_is_refused_by_name(epcis: Epcis) -> None:
    with pytest.raises(InvalidArgument) as unknown:
        await epcis.all(EQ_colour=["red"])
    assert unknown.value.reason == "EPCIS_INVALID"
    with pytest.raises(InvalidArgument) as unsupported:
        await epcis.all(GE_percRank=5)
    assert unsupported.value.reason == "EPCIS_QUERY_UNSUPPORTED"
    assert unsupported.value.violations[0].field == "parameters.GE_percRank"


async def test_what_does_not_fit_is_recorded_as_findings_within_and_across_batches(epcis: Epcis) -> None:
    made = _event(1, action="ADD", epcList=None, quantityList=[_amount(10)], bizStep="commissioning")
    shipped = _event(2, epcList=None, quantityList=[_amount(11)], bizStep="shipping")
    job = await epcis.document(json.dumps(corpus.document(made, shipped)))
    assert job.findings == 1
    again = _event(3, epcList=None, quantityList=[_amount(4)], bizStep="shipping")
    outcome = await epcis.capture(PARTNER, json.dumps(again))
    assert [found.code.value for found in outcome.findings] == ["SHIPPED_TWICE"]
    for where, codes in (
        (FindingFilter(), ["QUANTITY_EXCEEDED", "SHIPPED_TWICE"]),
        (FindingFilter(code="SHIPPED_TWICE"), ["SHIPPED_TWICE"]),
        (FindingFilter(severity=Severity.ERROR), ["QUANTITY_EXCEEDED"]),
        (FindingFilter(event_id=_id(3)), ["SHIPPED_TWICE"]),
        (FindingFilter(subject=LOT), ["QUANTITY_EXCEEDED", "SHIPPED_TWICE"]),
        (FindingFilter(subject="urn:epc:class:lgtin:4012345.012345.none"), []),
    ):
        found = await epcis.read.findings(where, 0, 10)
        assert [each.finding.code.value for each in found] == codes, where


async def test_a_circle_of_transformations_over_two_captures_is_found(epcis: Epcis) -> None:
    other = "urn:epc:class:lgtin:4012345.012345.out"
    back = {**_MIXING, "eventID": _id(9), "inputEPCList": [], "outputEPCList": []}
    back |= {"inputQuantityList": [_amount(1, other)], "outputQuantityList": [_amount(1)]}
    await epcis.capture(PARTNER, json.dumps(_MIXING))
    outcome = await epcis.capture(PARTNER, json.dumps({k: v for k, v in back.items() if v != []}))
    assert "TRANSFORMATION_CYCLE" in [found.code.value for found in outcome.findings]


async def test_an_id_that_no_index_can_hold_is_captured_and_found(epcis: Epcis) -> None:
    lot = "https://example.com/lot/" + "x" * 5000
    event = corpus.event(eventID="https://example.com/" + "y" * 5000, epcList=[lot])
    outcome = await epcis.capture(PARTNER, json.dumps(event))
    assert await epcis.ids(MATCH_anyEPC=[lot]) == [outcome.event_id] == [event["eventID"]]


@needs_published
async def test_a_lots_history_is_a_document_that_the_official_schema_accepts(
    epcis: Epcis, crops: Crops
) -> None:
    lot = await crops.minted("EXP-1")
    _, [part] = await crops.split(user(GROWER), lot.lot_id, [("EXP-2", Quantity.of("1.5", "KGM"))])
    await crops.recall(user(GROWER), lot.lot_id, "a test", RecallClass.I)
    own = json.loads(await epcis.export(lot.lot_id))
    of_part = json.loads(await epcis.export(part.lot_id))
    for document in (own, of_part):
        assert corpus.accepts(document), list(corpus.schema().iter_errors(document))
    kinds = [(event["type"], event["bizStep"]) for event in own["epcisBody"]["eventList"]]
    assert kinds == [
        ("ObjectEvent", "commissioning"),
        ("TransformationEvent", "repackaging"),
        ("ObjectEvent", "holding"),
    ]
    assert of_part["epcisBody"]["eventList"][0] == own["epcisBody"]["eventList"][1], "one split, told once"
    job = await epcis.document(json.dumps(own))
    assert (job.captured, job.refused) == (3, 0), "what we write we read"
    with pytest.raises(NotFound):
        await epcis.export(str(uuid4()))
