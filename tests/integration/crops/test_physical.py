"""What physically happens to goods, with a real database: shown, told, flagged, exported, read as it was."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.errors import DomainError
from chassis.protobuf import timestamp_to_proto
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2 as pb
from greenledger.crops.v1 import events_pb2
from services.crops.adapters.epcis_query import IndexedVisibilityEvents
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.application.epcis_ports import FindingFilter
from services.crops.application.export_lot import ExportLot
from services.crops.application.views import LotFilter
from services.crops.domain.occasion import Document, DocumentType, Occasion
from services.crops.domain.telling import urn
from tests.integration.crops.conftest import Crops, user
from tests.integration.crops.test_servicers import command_servicer
from tests.unit.crops.lots import BUYER, GROWER, STRANGER
from tests.unit.epcis import corpus

NO_CONTEXT: Any = None
UNIT = "https://id.gs1.org/00/106141412345678908"
TABLES = ("lot_view", "lot_ownership", "lot_history")


def now() -> Occasion:
    return Occasion(SystemClock().now())


def by(subject: str) -> Any:
    return use(RequestContext(principal=user(subject)))


def asked(**fields: Any) -> dict[str, Any]:
    return {"request_id": str(uuid4()), **fields}


async def exported(crops: Crops, lot_id: str) -> list[dict[str, Any]]:
    """The events of the lot's document, which the official schema accepts."""
    text = await ExportLot(StoredLotHistories(crops.store), SystemClock())(lot_id)
    document = json.loads(text)
    assert corpus.accepts(document)
    events: list[dict[str, Any]] = document["epcisBody"]["eventList"]
    return events


async def findings(crops: Crops, lot_id: str) -> list[tuple[str, str]]:
    where = FindingFilter(subject=urn(lot_id))
    found = await IndexedVisibilityEvents(crops.database).findings(where, 0, 10)
    return [(each.finding.code.value, each.finding.event_id) for each in found]


async def test_a_lot_travels_over_the_api_and_is_shown_told_and_exported(crops: Crops) -> None:
    commands, lot = command_servicer(crops), await crops.minted()
    papers = [pb.BusinessDocument(type=pb.DOCUMENT_TYPE_BOL, document_id="BOL-7")]
    departed = SystemClock().now() - timedelta(hours=3)
    with by(GROWER):
        occasion = pb.Occasion(
            event_time=timestamp_to_proto(departed),
            utc_offset="-07:00",
            read_point="0614141000005",
            documents=papers,
        )
        request = pb.ShipLotRequest(**asked(lot_id=lot.lot_id, to_id=BUYER, occasion=occasion))
        shipped = await commands.ShipLot(request, NO_CONTEXT)
        shipment = shipped.shipment
        assert (shipment.to_id, shipment.quantity.amount, shipped.custodian_id) == (BUYER, "100", GROWER)
        moved = await commands.RecordTransport(
            pb.RecordTransportRequest(
                **asked(
                    lot_id=lot.lot_id, shipment_id=shipment.shipment_id, stage=pb.TRANSPORT_STAGE_DEPARTING
                )
            ),
            NO_CONTEXT,
        )
        assert moved.shipment.stage == pb.TRANSPORT_STAGE_DEPARTING
        reading = pb.SensorReading(
            type=pb.SENSOR_TYPE_TEMPERATURE,
            unit_code="CEL",
            start_time=timestamp_to_proto(departed),
            end_time=timestamp_to_proto(departed + timedelta(hours=1)),
            max_value="7.50",
            alarm=True,
        )
        await commands.ObserveLot(
            pb.ObserveLotRequest(**asked(lot_id=lot.lot_id, readings=[reading])), NO_CONTEXT
        )
    assert (await crops.read.get(lot.lot_id)).shipment == (await crops.lots.load(lot.lot_id)).shipment
    with by(BUYER):
        received = await commands.ReceiveLot(
            pb.ReceiveLotRequest(
                **asked(
                    lot_id=lot.lot_id,
                    shipment_id=shipment.shipment_id,
                    quantity=Quantity(amount="97", unit_code="KGM"),
                )
            ),
            NO_CONTEXT,
        )
    assert (received.custodian_id, received.owner_id, received.HasField("shipment")) == (BUYER, GROWER, False)
    assert received.quantity.amount == "100"
    steps = [event.get("bizStep") for event in await exported(crops, lot.lot_id)]
    assert steps == ["commissioning", "shipping", "departing", "sensor_reporting", "receiving"]
    history = await crops.read.events(lot.lot_id, 0, 10)
    assert [line.reference_document for line in history][1] == "BOL-7"
    assert await findings(crops, lot.lot_id) == [("QUANTITY_DIFFERS", urn(history[-1].event_id))]


async def test_what_happened_is_told_to_other_services_as_it_was_said(crops: Crops) -> None:
    lot = await crops.minted()
    shipped = await crops.physical.ship(user(GROWER), lot.lot_id, BUYER, now())
    assert shipped.shipment is not None
    await crops.physical.void(user(GROWER), lot.lot_id, shipped.shipment.shipment_id, "no truck", now())
    [told] = await crops.published("crop.shipped")
    payload = events_pb2.LotShipped()
    assert told.payload.Unpack(payload)
    assert (payload.lot_id, payload.from_id, payload.to_id) == (lot.lot_id, GROWER, BUYER)
    assert payload.occasion.utc_offset == "+00:00"
    assert len(await crops.published("crop.shipment-voided")) == 1
    assert (await crops.read.get(lot.lot_id)).shipment is None


async def test_of_a_void_and_a_receipt_at_once_one_counts(crops: Crops) -> None:
    lot = await crops.minted()
    shipped = await crops.physical.ship(user(GROWER), lot.lot_id, BUYER, now())
    assert shipped.shipment is not None
    shipment_id = shipped.shipment.shipment_id
    outcomes = await asyncio.gather(
        crops.physical.void(user(GROWER), lot.lot_id, shipment_id, "no truck", now()),
        crops.physical.receive(user(BUYER), lot.lot_id, shipment_id, None, now()),
        return_exceptions=True,
    )
    refused = [each for each in outcomes if isinstance(each, DomainError)]
    assert [each.reason for each in refused] == ["SHIPMENT_NOT_UNDER_WAY"]
    topics = ("crop.shipment-voided", "crop.arrived")
    assert sorted([len(await crops.published(topic)) for topic in topics]) == [0, 1]


async def test_a_bill_of_lading_that_three_firms_use_is_flagged_at_the_third(crops: Crops) -> None:
    bill = Document(DocumentType.BOL, "BOL 7")
    for to_id, code in ((BUYER, "A"), (BUYER, "B"), (STRANGER, "C")):
        lot = await crops.minted(code)
        occasion = replace(now(), documents=(bill, Document(DocumentType.PO, "88")))
        shipped = await crops.physical.ship(user(GROWER), lot.lot_id, to_id, occasion)
    [_, second] = await crops.read.events(shipped.lot_id, 0, 10)
    found = await IndexedVisibilityEvents(crops.database).findings(FindingFilter(), 0, 10)
    assert [(each.finding.code.value, each.finding.event_id) for each in found] == [
        ("BILL_OF_LADING_SHARED", urn(second.event_id))
    ]
    assert found[0].finding.subject.endswith("/bol/BOL%207")


async def test_sending_a_unit_notes_its_bills_once_and_each_lot_on_it_is_flagged(crops: Crops) -> None:
    shared, own = Document(DocumentType.BOL, "BOL 7"), Document(DocumentType.BOL, "BOL 8")
    lots = [await crops.minted(code) for code in "ABC"]
    on_unit = [lot.lot_id for lot in lots[:2]]
    await crops.physical.ship(user(GROWER), lots[2].lot_id, STRANGER, replace(now(), documents=(shared,)))
    await crops.physical.pack(user(GROWER), UNIT, on_unit, now())
    await crops.physical.ship_unit(user(GROWER), UNIT, BUYER, replace(now(), documents=(shared, own)))
    found = await IndexedVisibilityEvents(crops.database).findings(FindingFilter(), 0, 10)
    newest = [(await crops.read.events(lot_id, 2, 10))[-1] for lot_id in on_unit]
    assert sorted((each.finding.event_id, each.finding.subject[-7:]) for each in found) == sorted(
        (urn(each.event_id), "BOL%207") for each in newest
    )
    uses = {(row["bill"][-7:], row["party"]) for row in await crops.dump("epcis_bill")}
    firms = {("BOL%207", urn(firm)) for firm in (GROWER, BUYER, STRANGER)}
    assert uses == firms | {("BOL%208", urn(firm)) for firm in (GROWER, BUYER)}


async def test_a_forged_receipt_changes_nothing(crops: Crops) -> None:
    lot = await crops.minted()
    shipped = await crops.physical.ship(user(GROWER), lot.lot_id, BUYER, now())
    assert shipped.shipment is not None
    with pytest.raises(DomainError) as refused:
        await crops.physical.receive(user(STRANGER), lot.lot_id, shipped.shipment.shipment_id, None, now())
    assert refused.value.reason == "NOT_ADDRESSEE"
    assert await crops.read.get(lot.lot_id) == shipped


async def test_a_lot_that_travelled_is_read_as_it_was_and_rebuilt_the_same(crops: Crops) -> None:
    lot = await crops.minted()
    shipped = await crops.physical.ship(user(GROWER), lot.lot_id, BUYER, now())
    assert shipped.shipment is not None
    await crops.physical.receive(user(BUYER), lot.lot_id, shipped.shipment.shipment_id, None, now())
    assert await crops.read.at_version(lot.lot_id, 2) == shipped
    assert await crops.read.at_version(lot.lot_id, 3) == await crops.read.get(lot.lot_id)
    await crops.read.page(LotFilter(), None, 10)
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live
