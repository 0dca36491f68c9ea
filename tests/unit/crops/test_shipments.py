"""Sending, voiding, receiving: who may, from which state, and what is doubtful."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.crops.domain.commitment import commit
from services.crops.domain.doubts import doubts
from services.crops.domain.epcis.findings import FindingCode
from services.crops.domain.events import LotEvent, OfferKind, Purpose, RecallClass
from services.crops.domain.handover import offer
from services.crops.domain.hold import destroy, hold
from services.crops.domain.lot import Commitment, Lot, LotState, evolve
from services.crops.domain.occasion import Document, DocumentType, Occasion
from services.crops.domain.physical import LotArrived, LotShipped, TransportStage
from services.crops.domain.recall import recall
from services.crops.domain.shipment import receive, record_transport, ship, void_shipment
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer, complete_transfer
from services.crops.domain.transform import Input, merge
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, MAKER, NOW, STRANGER, lot

LATER = NOW + timedelta(hours=1)
SHIPMENT = "00000000-0000-7000-8000-0000000000aa"


def shipped(state: Lot, **changes: Any) -> LotShipped:
    facts: dict[str, Any] = {
        "shipment_id": SHIPMENT,
        "actor": GROWER,
        "to_id": BUYER,
        "occasion": Occasion(NOW),
        "now": NOW,
    }
    return ship(state, **{**facts, **changes})


def arrived(state: Lot, **changes: Any) -> LotArrived:
    facts: dict[str, Any] = {
        "shipment_id": SHIPMENT,
        "actor": BUYER,
        "quantity": None,
        "occasion": Occasion(LATER),
        "now": LATER,
    }
    return receive(state, **{**facts, **changes})


def under_way() -> Lot:
    return lot(shipped(lot()))


def held(state: Lot) -> Lot:
    return evolve(state, hold(state, actor=GROWER, is_operator=False, reason="lab", now=NOW))


def recalled(state: Lot) -> Lot:
    [(_, fact)] = recall(
        state,
        [],
        recall_id="r",
        actor=GROWER,
        is_operator=False,
        reason="r",
        recall_class=RecallClass.I,
        now=NOW,
    )
    return evolve(state, fact)


def committed(state: Lot) -> Lot:
    wanted = Commitment(Quantity.of("1", "KGM"), Purpose.RECEIPT, "venue", MAKER)
    made = commit(state, wanted, commitment_id="c", owner_id=GROWER, now=NOW)
    assert made is not None
    return evolve(state, made)


def offered(state: Lot) -> Lot:
    made = offer(
        state,
        offer_id="o",
        kind=OfferKind.OWNERSHIP,
        actor=GROWER,
        to_id=STRANGER,
        expire_time=LATER,
        reference_document="",
        now=NOW,
    )
    return evolve(state, made)


def refusal(attempt: Any) -> str:
    with pytest.raises(DomainError) as refused:
        attempt()
    return refused.value.reason


def test_goods_under_way_stay_in_the_senders_custody_until_they_arrive() -> None:
    state = under_way()
    assert state.shipment is not None
    assert (state.custodian_id, state.shipment.to_id, state.shipment.quantity) == (
        GROWER,
        BUYER,
        state.quantity,
    )
    after = evolve(state, arrived(state))
    assert (after.custodian_id, after.owner_id, after.shipment) == (BUYER, GROWER, None)
    assert after.state is LotState.ACTIVE


def test_a_voided_shipment_leaves_the_lot_where_it_was() -> None:
    state = under_way()
    event = void_shipment(
        state, shipment_id=SHIPMENT, actor=GROWER, reason="no truck", occasion=Occasion(NOW), now=NOW
    )
    after = evolve(state, event)
    assert (after.custodian_id, after.shipment) == (GROWER, None)
    assert shipped(after).shipment_id == SHIPMENT


@pytest.mark.parametrize("state", [held, recalled, lambda state: held(committed(state))])
def test_held_and_recalled_lots_are_sent_back_and_received(state: Any) -> None:
    before = state(lot())
    after = evolve(before, shipped(before))
    assert evolve(after, arrived(after)).custodian_id == BUYER


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        (lot, {"actor": BUYER}, "NOT_CUSTODIAN"),
        (under_way, {}, "LOT_IN_TRANSIT"),
        (lambda: offered(lot()), {}, "OFFER_OPEN"),
        (lambda: committed(lot()), {}, "QUANTITY_COMMITTED"),
        (lot, {"occasion": Occasion(LATER)}, "TIMES_INVALID"),
        (lot, {"occasion": Occasion(NOW, "+14:30")}, "TIMES_INVALID"),
        (lot, {"occasion": Occasion(NOW, read_point="0614141000006")}, "IDENTIFIER_INVALID"),
        (
            lot,
            {"occasion": Occasion(NOW, biz_location="urn:epc:id:sscc:0614141.1234567890")},
            "IDENTIFIER_INVALID",
        ),
        (lot, {"occasion": Occasion(NOW, biz_location="our dock")}, "IDENTIFIER_INVALID"),
    ],
)
def test_what_may_not_be_sent(state: Any, changes: dict[str, Any], reason: str) -> None:
    assert refusal(lambda: shipped(state(), **changes)) == reason


def test_of_nothing_nothing_is_sent() -> None:
    gone = destroy(lot(), None, actor=GROWER, is_operator=False, reason="mould", now=NOW)
    assert refusal(lambda: shipped(lot(gone))) == "LOT_DESTROYED"


def test_places_are_kept_in_one_form_however_they_were_told() -> None:
    forms = ("0614141000005", "urn:epc:id:sgln:0614141.00000.0", "https://id.gs1.org/414/0614141000005")
    places = {shipped(lot(), occasion=Occasion(NOW, read_point=form)).occasion.read_point for form in forms}
    assert places == {forms[-1]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"actor": STRANGER}, "NOT_ADDRESSEE"),
        ({"actor": GROWER}, "NOT_ADDRESSEE"),
        ({"shipment_id": LOT_ID}, "SHIPMENT_NOT_UNDER_WAY"),
        ({"shipment_id": ""}, "NOT_OWNER"),
        ({"shipment_id": "", "actor": GROWER}, "LOT_IN_TRANSIT"),
    ],
)
def test_a_forged_receipt_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert refusal(lambda: arrived(under_way(), **changes)) == reason


def test_only_the_sender_voids_and_only_once() -> None:
    facts: dict[str, Any] = {
        "shipment_id": SHIPMENT,
        "reason": "r",
        "occasion": Occasion(NOW),
        "now": NOW,
    }
    state = under_way()
    assert refusal(lambda: void_shipment(state, actor=BUYER, **facts)) == "NOT_CUSTODIAN"
    after = evolve(state, void_shipment(state, actor=GROWER, **facts))
    assert refusal(lambda: void_shipment(after, actor=GROWER, **facts)) == "SHIPMENT_NOT_UNDER_WAY"
    assert refusal(lambda: arrived(after)) == "SHIPMENT_NOT_UNDER_WAY"


def test_goods_under_way_are_neither_split_nor_made_into_something_nor_offered() -> None:
    state = under_way()
    parts = [Part("p", "P", Quantity.of("1", "KGM"))]
    assert refusal(lambda: split(state, parts, actor=GROWER, now=NOW)) == "LOT_IN_TRANSIT"
    used: dict[str, Any] = {"transformation_id": "t", "lot_id": "m", "lot_code": "M"}
    assert refusal(lambda: merge([Input(state, None)], actor=GROWER, now=NOW, **used)) == "LOT_IN_TRANSIT"
    asked: dict[str, Any] = {"to_id": BUYER, "expire_time": LATER, "reference_document": "", "now": NOW}
    for kind, expected in ((OfferKind.CUSTODY, "LOT_IN_TRANSIT"), (OfferKind.BOTH, "LOT_IN_TRANSIT")):
        attempt = lambda kind=kind: offer(state, offer_id="o", kind=kind, actor=GROWER, **asked)  # noqa: E731
        assert refusal(attempt) == expected


def test_goods_sold_under_way_still_arrive_where_they_were_sent() -> None:
    state = under_way()
    begun = begin_transfer(
        state, transfer_id="t", actor=GROWER, new_owner_id=STRANGER, reference_document="", now=NOW
    )
    sold = evolve(evolve(state, begun), complete_transfer(evolve(state, begun), transfer_id="t", now=NOW))
    assert (sold.owner_id, sold.custodian_id) == (STRANGER, GROWER)
    assert evolve(sold, arrived(sold)).custodian_id == BUYER


def test_the_owner_takes_back_goods_that_nobody_announced() -> None:
    state = under_way()
    away = evolve(state, arrived(state))
    back = arrived(away, shipment_id="", actor=GROWER)
    assert evolve(away, back).custodian_id == GROWER
    assert [each.code for each in doubts(away, back)] == [FindingCode.RECEIVED_UNSHIPPED]


def test_either_party_says_where_goods_under_way_are() -> None:
    state = under_way()
    facts: dict[str, Any] = {"shipment_id": SHIPMENT, "occasion": Occasion(NOW), "now": NOW}
    for actor, stage in ((GROWER, TransportStage.LOADING), (BUYER, TransportStage.UNLOADING)):
        state = evolve(state, record_transport(state, actor=actor, stage=stage, **facts))
        assert state.shipment is not None
        assert state.shipment.stage is stage
    stranger: dict[str, Any] = {"actor": STRANGER, "stage": TransportStage.ARRIVING, **facts}
    assert refusal(lambda: record_transport(state, **stranger)) == "NOT_CUSTODIAN"


@pytest.mark.parametrize(
    ("counted", "code"),
    [
        ("98 KGM", FindingCode.QUANTITY_DIFFERS),
        ("120 KGM", FindingCode.QUANTITY_DIFFERS),
        ("0 KGM", FindingCode.QUANTITY_DIFFERS),
        ("40 H87", FindingCode.UNIT_MISMATCH),
        ("100000 GRM", None),
        ("100 KGM", None),
    ],
)
def test_what_was_counted_otherwise_is_taken_and_flagged(counted: str, code: FindingCode | None) -> None:
    state = under_way()
    event = arrived(state, quantity=Quantity.of(*counted.split()))
    assert [each.code for each in doubts(state, event)] == ([code] if code else [])
    assert evolve(state, event).quantity == state.quantity


def codes(state: Lot, event: LotEvent) -> list[FindingCode]:
    return [each.code for each in doubts(state, event)]


def test_times_that_cannot_be_are_flagged() -> None:
    early = Occasion(NOW - timedelta(days=30))
    assert codes(lot(), shipped(lot(), occasion=early)) == [FindingCode.USED_BEFORE_EXISTENCE]
    state = under_way()
    before = Occasion(NOW - timedelta(hours=1))
    assert codes(state, arrived(state, occasion=before)) == [FindingCode.MOVED_BEFORE_SHIPPED]


def test_papers_are_kept_as_they_were_given() -> None:
    papers = (Document(DocumentType.BOL, " BOL/7 "), Document(DocumentType.PO, "88"))
    assert shipped(lot(), occasion=Occasion(NOW, documents=papers)).occasion.documents == papers
