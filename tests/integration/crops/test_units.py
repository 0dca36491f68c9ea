"""Logistic units and corrections with a real database: races, read models, publications, exports."""

import asyncio
from typing import Any

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from greenledger.common.v1.quantity_pb2 import Quantity as Amount
from greenledger.crops.v1 import crops_pb2 as pb
from greenledger.crops.v1 import events_pb2
from services.crops.application.views import LotFilter, LotView
from services.crops.domain.lot import LotState
from tests.integration.crops.conftest import OPERATOR, Crops, user
from tests.integration.crops.test_physical import NO_CONTEXT, TABLES, asked, by, exported, findings, now
from tests.integration.crops.test_servicers import command_servicer
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, STRANGER

UNIT = "https://id.gs1.org/00/106141412345678908"
SSCC = "urn:epc:id:sscc:0614141.1234567890"


async def several(crops: Crops, count: int) -> list[LotView]:
    return [await crops.minted(f"L-{number}") for number in range(count)]


async def reason_of(call: Any) -> str:
    with pytest.raises(DomainError) as refused:
        await call
    return refused.value.reason


async def test_a_unit_travels_with_all_that_is_on_it(crops: Crops) -> None:
    commands, lots = command_servicer(crops), await several(crops, 3)
    ids = [lot.lot_id for lot in lots]
    with by(GROWER):
        request = pb.PackUnitRequest(**asked(unit_id=SSCC, lot_ids=ids))
        packed = await commands.PackUnit(request, NO_CONTEXT)
        assert (packed.unit_id, [lot.unit_id for lot in packed.lots]) == (UNIT, [UNIT] * 3)
        sent = await commands.ShipUnit(pb.ShipUnitRequest(**asked(unit_id=UNIT, to_id=BUYER)), NO_CONTEXT)
        assert {lot.shipment.shipment_id for lot in sent.lots} == {sent.shipment_id}
        moved = pb.RecordTransportRequest(
            **asked(lot_id=ids[1], shipment_id=sent.shipment_id), stage=pb.TRANSPORT_STAGE_ARRIVING
        )
        await commands.RecordTransport(moved, NO_CONTEXT)
    stages = [(await crops.lots.load(each)).shipment.stage for each in ids]  # type: ignore[union-attr]
    assert {stage.value for stage in stages if stage} == {"ARRIVING"}
    with by(BUYER):
        got = pb.ReceiveUnitRequest(**asked(unit_id=SSCC, shipment_id=sent.shipment_id))
        got.counts.add(lot_id=ids[2]).quantity.CopyFrom(Amount(amount="99", unit_code="KGM"))
        there = await commands.ReceiveUnit(got, NO_CONTEXT)
        assert {(lot.custodian_id, lot.HasField("shipment")) for lot in there.lots} == {(BUYER, False)}
        taken = pb.UnpackUnitRequest(**asked(unit_id=SSCC))
        assert len((await commands.UnpackUnit(taken, NO_CONTEXT)).lots) == 3
    steps = [event.get("bizStep") for event in await exported(crops, ids[0])]
    assert steps == ["commissioning", "packing", "shipping", "arriving", "receiving", "unpacking"]
    [told] = await crops.published("crop.unit-packed")
    payload = events_pb2.UnitPacked()
    assert told.payload.Unpack(payload)
    assert (payload.unit_id, list(payload.lot_ids)) == (UNIT, ids)
    assert len(await crops.published("crop.unit-unpacked")) == 1
    assert [code for each in ids for code, _ in await findings(crops, each)] == ["QUANTITY_DIFFERS"]
    assert await crops.dump("unit_lot") == []


async def test_a_lot_goes_on_one_unit_only_however_many_ask_at_once(crops: Crops) -> None:
    [lot] = await several(crops, 1)
    units = [f"urn:epc:id:sscc:0614141.{number:010d}" for number in range(4)]
    outcomes = await asyncio.gather(
        *(crops.physical.pack(user(GROWER), unit, [lot.lot_id], now()) for unit in units),
        return_exceptions=True,
    )
    refused = [each.reason for each in outcomes if isinstance(each, DomainError)]
    assert refused == ["LOT_IN_UNIT"] * 3
    assert len(await crops.dump("unit_lot")) == 1


async def test_a_unit_that_is_packed_while_it_is_sent_is_sent_whole(crops: Crops) -> None:
    first, second = await several(crops, 2)
    await crops.physical.pack(user(GROWER), UNIT, [first.lot_id], now())
    outcomes = await asyncio.gather(
        crops.physical.ship_unit(user(GROWER), UNIT, BUYER, now()),
        crops.physical.pack(user(GROWER), UNIT, [second.lot_id], now()),
        return_exceptions=True,
    )
    refused = [each.reason for each in outcomes if isinstance(each, DomainError)]
    assert refused in ([], ["LOT_IN_TRANSIT"])
    inside = [await crops.lots.load(row["lot_id"]) for row in await crops.dump("unit_lot")]
    assert len(inside) == 2 - len(refused)
    assert all(each.shipment is not None for each in inside)


async def test_voiding_the_shipment_of_one_lot_voids_that_of_its_unit(crops: Crops) -> None:
    lots = await several(crops, 2)
    await crops.physical.pack(user(GROWER), UNIT, [lot.lot_id for lot in lots], now())
    sent = await crops.physical.ship_unit(user(GROWER), UNIT, BUYER, now())
    assert sent[0].shipment is not None
    shipment_id = sent[0].shipment.shipment_id
    assert await reason_of(crops.physical.receive(user(BUYER), lots[0].lot_id, shipment_id, None, now())) == (
        "LOT_IN_UNIT"
    )
    after = await crops.physical.void(user(GROWER), lots[1].lot_id, shipment_id, "no truck", now())
    assert (after.lot_id, after.shipment) == (lots[1].lot_id, None)
    assert (await crops.lots.load(lots[0].lot_id)).shipment is None
    got = crops.physical.receive_unit
    assert await reason_of(got(user(BUYER), UNIT, shipment_id, {}, now())) == "SHIPMENT_NOT_UNDER_WAY"
    counted = {LOT_ID: Quantity.of("1", "KGM")}
    assert await reason_of(got(user(BUYER), UNIT, shipment_id, counted, now())) == "LOT_NOT_IN_UNIT"


async def test_an_empty_unit_is_neither_sent_nor_unpacked(crops: Crops) -> None:
    assert await reason_of(crops.physical.ship_unit(user(GROWER), UNIT, BUYER, now())) == "UNIT_EMPTY"
    assert await reason_of(crops.physical.unpack(user(GROWER), UNIT, [], now())) == "UNIT_EMPTY"


async def test_what_is_on_a_unit_is_listed_by_any_form_of_its_name(crops: Crops) -> None:
    first, second, _ = await several(crops, 3)
    _, packed = await crops.physical.pack(user(GROWER), UNIT, [second.lot_id, first.lot_id], now())
    assert [lot.lot_id for lot in packed] == [second.lot_id, first.lot_id]
    assert list(await crops.read.page(LotFilter(unit_id=UNIT), None, 10)) == packed[::-1]


async def test_a_wrong_event_stays_with_a_mark_and_the_lot_holds_what_is_right(crops: Crops) -> None:
    commands, [lot] = command_servicer(crops), await several(crops, 1)
    [minted] = await crops.read.events(lot.lot_id, 0, 10)
    with by(GROWER):
        request = pb.CorrectLotEventRequest(
            **asked(lot_id=lot.lot_id, event_id=minted.event_id, reason="the scale was off", etag="1")
        )
        request.quantity.amount, request.quantity.unit_code = "92.5", "KGM"
        after = await commands.CorrectLotEvent(request, NO_CONTEXT)
    assert after.quantity.amount == "92.5"
    assert (await crops.read.get(lot.lot_id)).quantity == Quantity.of("92.5", "KGM")
    first, second = await crops.read.events(lot.lot_id, 0, 10)
    assert (first.event_id, first.corrected_by, first.quantity) == (
        minted.event_id,
        second.event_id,
        minted.quantity,
    )
    wrong, declared = await exported(crops, lot.lot_id)
    assert (wrong["eventID"], "errorDeclaration" in wrong) == (declared["eventID"], False)
    assert declared["errorDeclaration"]["greenledger:reason"] == "the scale was off"
    [told] = await crops.published("crop.corrected")
    payload = events_pb2.LotCorrected()
    assert told.payload.Unpack(payload)
    assert (payload.event_id, payload.quantity.amount) == (minted.event_id, "92.5")


async def test_a_correction_of_a_correction_is_marked_also_by_a_rebuilt_projection(crops: Crops) -> None:
    [lot] = await several(crops, 1)
    [minted] = await crops.read.events(lot.lot_id, 0, 10)
    fix = crops.physical.correct
    await fix(user(GROWER), lot.lot_id, minted.event_id, "typo", [], Quantity.of("9", "KGM"), "1")
    _, second = await crops.read.events(lot.lot_id, 0, 10)
    again = (lot.lot_id, second.event_id, "typo", [], Quantity.of("90", "KGM"), "2")
    assert await reason_of(fix(user(GROWER), *again)) == "NOT_TELLER"
    await fix(OPERATOR, *again)
    assert await reason_of(fix(OPERATOR, lot.lot_id, second.event_id, "again", [], None)) == (
        "EVENT_CORRECTED"
    )
    assert await reason_of(fix(user(STRANGER), lot.lot_id, minted.event_id, "r", [], None)) == "NOT_OWNER"
    marks = [line.corrected_by for line in await crops.read.events(lot.lot_id, 0, 10)]
    assert [bool(mark) for mark in marks] == [True, True, False]
    await crops.read.page(LotFilter(), None, 10)
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live


async def test_a_lot_destroyed_by_mistake_is_there_again_for_commands_and_readers(crops: Crops) -> None:
    [lot] = await several(crops, 1)
    await crops.destroy(user(GROWER), lot.lot_id, None, "mould")
    _, wrong = await crops.read.events(lot.lot_id, 0, 10)
    after = await crops.physical.correct(
        user(GROWER), lot.lot_id, wrong.event_id, "it was another crate", [], lot.quantity, "2"
    )
    assert (after.state, after.quantity) == (LotState.ACTIVE, lot.quantity)
    assert await crops.read.get(lot.lot_id) == after == await crops.read.at_version(lot.lot_id, 3)


async def test_events_of_another_lot_are_not_corrected_here(crops: Crops) -> None:
    lot, other = await several(crops, 2)
    [foreign] = await crops.read.events(other.lot_id, 0, 10)
    attempt = crops.physical.correct(user(GROWER), lot.lot_id, foreign.event_id, "r", [], None)
    assert await reason_of(attempt) == "LOT_EVENT_NOT_FOUND"


async def test_a_count_of_an_older_version_makes_no_goods(crops: Crops) -> None:
    for number, lot in enumerate(await several(crops, 4)):
        [minted] = await crops.read.events(lot.lot_id, 0, 10)
        counted = (user(GROWER), lot.lot_id, minted.event_id, "scale", [], Quantity.of("95", "KGM"), "1")
        sold = crops.split(user(GROWER), lot.lot_id, [(f"SOLD-{number}", Quantity.of(30, "KGM"))])
        if number == 0:
            await sold
        else:
            await asyncio.gather(crops.physical.correct(*counted), sold, return_exceptions=True)
        again = await reason_of(crops.physical.correct(*counted))
        types = [line.type for line in await crops.read.events(lot.lot_id, 1, 10)]
        corrected, split = types.count("LotCorrected"), types.count("LotSplit")
        assert again == ("EVENT_CORRECTED" if corrected else "ETAG_MISMATCH")
        assert (await crops.lots.load(lot.lot_id)).quantity.amount == 100 - 5 * corrected - 30 * split
