"""Selling at retail: who may, from which state, and what is left."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chassis.quantity import Quantity
from services.crops.domain.events import LotSold
from services.crops.domain.lot import Lot, LotState, evolve
from services.crops.domain.sale import sell
from services.crops.domain.transfer import begin_transfer
from tests.unit.crops.lots import BUYER, GROWER, NOW, STRANGER, lot
from tests.unit.crops.test_shipments import committed, held, offered, recalled, refusal, under_way
from tests.unit.crops.test_units import packed


def sold(state: Lot, quantity: str = "1 KGM", actor: str = GROWER, now: Any = NOW) -> LotSold:
    return sell(state, Quantity.of(*quantity.split()), actor=actor, reference_document="till", now=now)


def begun(state: Lot) -> Lot:
    facts = {"transfer_id": "t", "actor": GROWER, "new_owner_id": BUYER, "reference_document": ""}
    return evolve(state, begin_transfer(state, **facts, now=NOW))


def test_goods_are_sold_in_any_unit_until_the_lot_is_empty() -> None:
    state = evolve(lot(), sold(lot(), "40000 GRM"))
    assert (state.quantity.text, state.quantity.unit, state.state) == ("60", "KGM", LotState.ACTIVE)
    state = evolve(state, sold(state, "60 KGM"))
    assert (state.quantity.is_zero, state.state) == (True, LotState.EMPTY)


def test_what_is_committed_stays() -> None:
    state = committed(lot())
    after = evolve(state, sold(state, "99 KGM"))
    assert (after.quantity.text, after.committed.text) == ("1", "1")
    assert refusal(lambda: sold(after, "0.000001 KGM")) == "QUANTITY_EXCEEDED"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (lambda: sold(lot(), actor=STRANGER), "NOT_OWNER"),
        (lambda: sold(replace(lot(), custodian_id=BUYER)), "NOT_CUSTODIAN"),
        (lambda: sold(recalled(lot())), "LOT_RECALLED"),
        (lambda: sold(held(lot())), "LOT_HELD"),
        (lambda: sold(lot(), now=NOW + timedelta(days=14)), "LOT_EXPIRED"),
        (lambda: sold(under_way()), "LOT_IN_TRANSIT"),
        (lambda: sold(packed()), "LOT_IN_UNIT"),
        (lambda: sold(begun(lot())), "TRANSFER_UNDER_WAY"),
        (lambda: sold(offered(lot())), "OFFER_OPEN"),
        (lambda: sold(lot(), "0 KGM"), "QUANTITY_ZERO"),
        (lambda: sold(lot(), "0.0001 GRM"), "QUANTITY_ZERO"),
        (lambda: sold(lot(), "100.000001 KGM"), "QUANTITY_EXCEEDED"),
        (lambda: sold(committed(lot()), "100 KGM"), "QUANTITY_EXCEEDED"),
        (lambda: sold(lot(), "3 LTR"), "UNIT_MISMATCH"),
        (lambda: sold(lot(sold(lot(), "100 KGM"))), "LOT_EMPTY"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_sold(attempt: Any, reason: str) -> None:
    assert refusal(attempt) == reason
