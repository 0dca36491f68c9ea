"""Logistic units: who packs what, and what a lot on a unit is kept from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.crops.domain.events import OfferKind
from services.crops.domain.handover import offer
from services.crops.domain.hold import destroy
from services.crops.domain.lot import Lot, LotState, evolve
from services.crops.domain.occasion import Occasion
from services.crops.domain.physical import LotPacked
from services.crops.domain.shipment import receive, ship
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer, complete_transfer
from services.crops.domain.transform import Input, merge
from services.crops.domain.unit import MOST_LOTS, pack, unit_of, unpack
from tests.unit.crops.lots import BUYER, GROWER, NOW, STRANGER, lot
from tests.unit.crops.test_shipments import LATER, committed, held, offered, recalled, refusal, under_way

UNIT = "https://id.gs1.org/00/106141412345678908"


def packing(lots: Sequence[Lot], inside: Sequence[Lot] = (), **changes: Any) -> list[tuple[Lot, LotPacked]]:
    facts: dict[str, Any] = {
        "unit_id": UNIT,
        "packing_id": "p",
        "actor": GROWER,
        "occasion": Occasion(NOW),
        "now": NOW,
    }
    return pack(lots, inside, **{**facts, **changes})


def packed(state: Lot | None = None) -> Lot:
    [(before, event)] = packing([state or lot()])
    return evolve(before, event)


def taken_off(state: Lot, **changes: Any) -> Lot:
    facts: dict[str, Any] = {
        "unit_id": UNIT,
        "packing_id": "q",
        "actor": GROWER,
        "occasion": Occasion(NOW),
        "now": NOW,
    }
    [(before, event)] = unpack([state], **{**facts, **changes})
    return evolve(before, event)


@pytest.mark.parametrize("form", ["106141412345678908", "urn:epc:id:sscc:0614141.1234567890", UNIT])
def test_a_unit_has_one_name_however_it_is_told(form: str) -> None:
    assert unit_of(form) == UNIT


@pytest.mark.parametrize(
    "form",
    ["106141412345678907", "10614141234567890", "urn:epc:id:sgtin:0614141.112345.400", "pallet 7", "x" * 18],
)
def test_what_is_no_sscc_is_refused(form: str) -> None:
    with pytest.raises(DomainError) as refused:
        unit_of(form)
    assert refused.value.reason == "IDENTIFIER_INVALID"
    assert [each.field for each in refused.value.violations] == ["unit_id"]


def test_lots_are_on_a_unit_until_they_are_taken_off() -> None:
    others = [replace(lot(), lot_id=f"other-{number}") for number in range(2)]
    decided = packing([lot(), *others])
    assert {event.lot_id for _, event in decided} == {lot().lot_id, "other-0", "other-1"}
    assert len({event.contents for _, event in decided}) == 1
    state = packed()
    assert state.unit_id == UNIT
    assert taken_off(state).unit_id == ""


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (packed, "LOT_IN_UNIT"),
        (under_way, "LOT_IN_TRANSIT"),
        (lambda: held(lot()), "LOT_HELD"),
        (lambda: recalled(lot()), "LOT_RECALLED"),
        (lambda: offered(lot()), "OFFER_OPEN"),
        (lambda: committed(lot()), "QUANTITY_COMMITTED"),
        (
            lambda: lot(destroy(lot(), None, actor=GROWER, is_operator=False, reason="r", now=NOW)),
            "LOT_DESTROYED",
        ),
    ],
)
def test_what_is_not_packed(state: Any, reason: str) -> None:
    assert refusal(lambda: packing([state()])) == reason


def test_neither_lots_nor_units_of_others_are_packed() -> None:
    assert refusal(lambda: packing([lot()], actor=BUYER)) == "NOT_CUSTODIAN"
    foreign = replace(packed(), lot_id="foreign", custodian_id=BUYER)
    assert refusal(lambda: packing([lot()], [foreign])) == "NOT_CUSTODIAN"
    away = replace(packed(), lot_id="away", shipment=under_way().shipment)
    assert refusal(lambda: packing([lot()], [away])) == "LOT_IN_TRANSIT"
    assert refusal(lambda: packing([lot()], [packed()] * MOST_LOTS)) == "UNIT_FULL"


def test_a_lot_on_a_unit_is_neither_split_nor_made_into_something_nor_moved_alone() -> None:
    state = packed()
    part = Part("p", "P", Quantity.of("1", "KGM"))
    assert refusal(lambda: split(state, [part], actor=GROWER, now=NOW)) == "LOT_IN_UNIT"
    used: dict[str, Any] = {"transformation_id": "t", "lot_id": "m", "lot_code": "M"}
    assert refusal(lambda: merge([Input(state, None)], actor=GROWER, now=NOW, **used)) == "LOT_IN_UNIT"
    asked: dict[str, Any] = {
        "offer_id": "o",
        "actor": GROWER,
        "to_id": BUYER,
        "expire_time": LATER,
        "reference_document": "",
        "now": NOW,
    }
    assert refusal(lambda: offer(state, kind=OfferKind.BOTH, **asked)) == "LOT_IN_UNIT"
    sent: dict[str, Any] = {"shipment_id": "s", "actor": GROWER, "to_id": BUYER, "occasion": Occasion(NOW)}
    assert refusal(lambda: ship(state, now=NOW, **sent)) == "LOT_IN_UNIT"
    away = evolve(state, ship(state, now=NOW, unit_id=UNIT, **sent))
    got: dict[str, Any] = {"shipment_id": "s", "actor": BUYER, "quantity": None, "occasion": Occasion(NOW)}
    assert refusal(lambda: receive(away, now=NOW, **got)) == "LOT_IN_UNIT"
    there = evolve(away, receive(away, now=NOW, unit_id=UNIT, **got))
    assert (there.custodian_id, there.unit_id) == (BUYER, UNIT)


def test_a_lot_sold_on_a_unit_stays_on_it_in_the_custody_of_who_has_the_unit() -> None:
    state = packed()
    begun = begin_transfer(
        state, transfer_id="t", actor=GROWER, new_owner_id=BUYER, reference_document="", now=NOW
    )
    sold = evolve(state, begun)
    sold = evolve(sold, complete_transfer(sold, transfer_id="t", now=NOW))
    assert (sold.owner_id, sold.custodian_id, sold.unit_id) == (BUYER, GROWER, UNIT)


def test_what_is_recalled_on_a_unit_travels_on_and_can_be_taken_off() -> None:
    state = recalled(packed())
    sent = ship(
        state,
        shipment_id="s",
        actor=GROWER,
        to_id=BUYER,
        occasion=Occasion(NOW),
        now=NOW,
        unit_id=UNIT,
    )
    assert evolve(state, sent).shipment is not None
    assert taken_off(state).state is LotState.RECALLED


def test_only_who_has_it_takes_a_lot_off_and_not_under_way() -> None:
    assert refusal(lambda: taken_off(packed(), actor=STRANGER)) == "NOT_CUSTODIAN"
    assert refusal(lambda: taken_off(lot())) == "LOT_NOT_IN_UNIT"
    away = replace(packed(), shipment=under_way().shipment)
    assert refusal(lambda: taken_off(away)) == "LOT_IN_TRANSIT"
