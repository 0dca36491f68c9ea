"""Declaring an event wrong: by whom, of what, and how the quantity follows."""

from functools import partial
from typing import Any

import pytest

from chassis.quantity import Quantity
from services.crops.domain.correction import correct
from services.crops.domain.events import (
    LotCorrected,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotRecalled,
    LotRecallReleased,
    RecallClass,
)
from services.crops.domain.harvest import mint
from services.crops.domain.hold import destroy
from services.crops.domain.lot import Lot, LotState, evolve
from services.crops.domain.observation import observe
from services.crops.domain.occasion import Occasion
from services.crops.domain.sale import sell
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, NOW, STRANGER, harvest, lot
from tests.unit.crops.test_shipments import (
    LATER,
    arrived,
    committed,
    held,
    offered,
    recalled,
    refusal,
    shipped,
    under_way,
)
from tests.unit.crops.test_units import packed

MINTED = mint(harvest(), lot_id=LOT_ID, grower_id=GROWER, now=NOW)
HISTORY = {"minted": MINTED, "second": MINTED, "third": MINTED}


def corrected(state: Lot, quantity: str | None = None, **changes: Any) -> LotCorrected:
    facts: dict[str, Any] = {
        "history": HISTORY,
        "event_id": "minted",
        "reason": "the scale was off",
        "corrective_event_ids": [],
        "quantity": Quantity.of(*quantity.split()) if quantity else None,
        "etag": str(state.version) if quantity else "",
        "actor": GROWER,
        "is_operator": False,
        "now": NOW,
    }
    return correct(state, **{**facts, **changes})


@pytest.mark.parametrize("state", [lot, under_way, packed, lambda: held(lot()), lambda: recalled(lot())])
@pytest.mark.parametrize(("quantity", "after"), [("90 KGM", "90"), ("110 KGM", "110"), ("95000 GRM", "95")])
def test_the_lot_holds_what_is_right_in_its_own_unit(state: Any, quantity: str, after: str) -> None:
    before = state()
    now = evolve(before, corrected(before, quantity))
    assert now.quantity == Quantity.of(after, "KGM")
    assert (now.state, now.shipment, now.unit_id) == (before.state, before.shipment, before.unit_id)
    assert now.corrected == ("minted",)


def test_a_declaration_without_quantity_changes_nothing_else() -> None:
    now = evolve(lot(), corrected(lot(), corrective_event_ids=["second", "third"]))
    assert now.quantity == lot().quantity
    assert corrected(lot(), corrective_event_ids=["second"]).corrective_event_ids == ("second",)


def test_a_lot_that_was_destroyed_by_mistake_is_there_again() -> None:
    gone = destroy(lot(), None, actor=GROWER, is_operator=False, reason="mould", now=NOW)
    again = evolve(lot(gone), corrected(lot(gone), "40 KGM", event_id="second"))
    assert (again.state, again.quantity.text) == (LotState.ACTIVE, "40")
    assert evolve(again, corrected(again, "0 KGM", event_id="third")).state is LotState.EMPTY


def test_what_was_not_sold_after_all_is_there_again() -> None:
    gone = sell(lot(), Quantity.of(100, "KGM"), actor=GROWER, reference_document="", now=NOW)
    again = evolve(lot(gone), corrected(lot(gone), "100 KGM", event_id="second"))
    assert (again.state, again.quantity.text) == (LotState.ACTIVE, "100")


@pytest.mark.parametrize(
    ("state", "quantity", "changes", "reason"),
    [
        (lot, None, {"actor": BUYER}, "NOT_OWNER"),
        (lot, None, {"actor": STRANGER}, "NOT_OWNER"),
        (lot, None, {"event_id": "of another lot"}, "LOT_EVENT_NOT_FOUND"),
        (lot, None, {"corrective_event_ids": ["of another lot"]}, "LOT_EVENT_NOT_FOUND"),
        (lot, None, {"corrective_event_ids": ["minted"]}, "LOT_EVENT_NOT_FOUND"),
        (lot, "3 LTR", {}, "UNIT_MISMATCH"),
        (lambda: committed(lot()), "90 KGM", {"etag": "1"}, "ETAG_MISMATCH"),
        (lot, "90 KGM", {"etag": ""}, "ETAG_MISMATCH"),
        (lot, None, {"etag": "7"}, "ETAG_MISMATCH"),
        (lambda: committed(lot()), "0.999999 KGM", {}, "QUANTITY_COMMITTED"),
        (lambda: offered(lot()), "90 KGM", {}, "OFFER_OPEN"),
        (lambda: lot(corrected(lot())), None, {}, "EVENT_CORRECTED"),
    ],
)
def test_what_is_refused(state: Any, quantity: str | None, changes: dict[str, Any], reason: str) -> None:
    assert refusal(lambda: corrected(state(), quantity, **changes)) == reason


def test_what_is_committed_is_the_least_that_it_holds_and_operators_may_say_so() -> None:
    event = corrected(committed(lot()), "1 KGM", actor=STRANGER, is_operator=True)
    after = evolve(committed(lot()), event)
    assert (after.quantity.text, after.uncommitted.is_zero) == ("1", True)


def test_a_declaration_alone_is_made_even_while_the_lot_is_offered() -> None:
    assert corrected(offered(lot())).quantity is None


RECALLED = LotRecalled(
    lot_id=LOT_ID,
    root_lot_id=LOT_ID,
    reason="r",
    recall_class=RecallClass.I,
    owner_id=GROWER,
    recall_id="r",
    lot_code="L",
    grower_id=GROWER,
    at=NOW,
)
ENDED = LotRecallReleased(lot_id=LOT_ID, root_lot_id=LOT_ID, reason="r", recall_id="r", at=NOW)
OFFICIAL = LotHeld(lot_id=LOT_ID, reason="r", held_by=STRANGER, official=True, at=NOW)
OWN_HOLD = LotHeld(lot_id=LOT_ID, reason="r", held_by=GROWER, official=False, at=NOW)
RELEASED = LotHoldReleased(lot_id=LOT_ID, reason="r", at=NOW)


def observed(actor: str) -> LotEvent:
    state = lot() if actor == GROWER else evolve(under_way(), arrived(under_way()))
    return observe(state, actor=actor, cooling=True, readings=[], occasion=Occasion(LATER), now=LATER)


def history(*events: LotEvent) -> dict[str, LotEvent]:
    """A history whose last event is `last`."""
    return {
        **{f"e{number}": event for number, event in enumerate((MINTED, *events[:-1]))},
        "last": events[-1],
    }


TOLD_BY_OTHERS = (
    (RECALLED,),
    (RECALLED, ENDED),
    (OFFICIAL,),
    (OWN_HOLD, RELEASED, OFFICIAL, RELEASED),
    (corrected(lot(), actor=STRANGER, is_operator=True),),
    (observed(BUYER),),
    (arrived(under_way()),),
)


@pytest.mark.parametrize("events", TOLD_BY_OTHERS)
def test_what_an_operator_decided_or_somebody_else_told_its_owner_cannot_take_back(events: Any) -> None:
    told = {"history": history(*events), "event_id": "last"}
    for quantity in (None, "90 KGM"):
        assert refusal(partial(corrected, lot(), quantity, **told)) == "NOT_TELLER"
    assert corrected(lot(), "90 KGM", actor=STRANGER, is_operator=True, **told).event_id == "last"


@pytest.mark.parametrize(
    "events",
    [(OWN_HOLD,), (OFFICIAL, RELEASED, OWN_HOLD, RELEASED), (observed(GROWER),), (shipped(lot()),)],
)
def test_its_owner_takes_back_all_else(events: Any) -> None:
    assert corrected(lot(), "90 KGM", history=history(*events), event_id="last").corrected_by == GROWER


@pytest.mark.parametrize("event", [observed(BUYER), arrived(under_way())])
def test_who_told_a_physical_fact_takes_it_back_but_says_nothing_of_the_quantity(event: LotEvent) -> None:
    told = {"history": history(event), "event_id": "last", "actor": BUYER}
    assert corrected(lot(), **told).corrected_by == BUYER
    assert refusal(lambda: corrected(lot(), "90 KGM", **told)) == "NOT_OWNER"
    assert refusal(lambda: corrected(lot(), **{**told, "actor": STRANGER})) == "NOT_OWNER"
