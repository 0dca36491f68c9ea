"""What of a commitment may be delivered, and what a delivery makes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, PermissionDenied
from chassis.quantity import Quantity
from services.crops.domain.commitment import commit, release
from services.crops.domain.delivery import Delivery, deliver, refused
from services.crops.domain.events import LotHeld, LotHoldReleased, LotRecalled, Purpose, RecallClass
from services.crops.domain.lot import Commitment, Lot, evolve, replay
from tests.unit.crops.lots import BUYER, GROWER, MAKER, NOW, STRANGER, lot
from tests.unit.crops.test_shipments import under_way

WISH = Delivery("d", "c", Quantity.of("10", "KGM"), BUYER, "ROM-2026-001-a", MAKER)


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


def on_sale(amount: str = "30", purpose: Purpose = Purpose.LISTING, state: Lot | None = None) -> Lot:
    state = state or lot()
    wanted = Commitment(kg(amount), purpose, "", MAKER)
    event = commit(state, wanted, commitment_id="c", owner_id=GROWER, now=NOW)
    assert event is not None
    return evolve(state, event)


def delivered(state: Lot, wish: Delivery = WISH) -> tuple[Lot, Lot]:
    made = deliver(state, wish, new_lot_id=f"new-{wish.delivery_id}", now=NOW)
    assert made is not None
    own, others = made
    for event in own:
        state = evolve(state, event)
    other = replay(others)
    assert other is not None
    return state, other


def test_a_delivery_takes_from_the_lot_and_from_the_commitment_and_is_the_buyers() -> None:
    state, new = delivered(on_sale())
    assert (state.quantity, state.committed, state.uncommitted) == (kg("90"), kg("20"), kg("70"))
    assert (new.quantity, new.owner_id, new.custodian_id, new.version) == (kg("10"), BUYER, BUYER, 2)
    assert (new.grower_id, new.parent_lot_ids, new.lot_code) == (GROWER, (state.lot_id,), WISH.lot_code)
    assert state.owner_id == GROWER


def test_goods_that_someone_else_keeps_are_kept_for_the_new_owner() -> None:
    _, new = delivered(replace(on_sale(), custodian_id=STRANGER))
    assert (new.owner_id, new.custodian_id) == (BUYER, STRANGER)


def test_goods_that_are_away_stay_in_the_custody_of_whoever_sent_or_packed_them() -> None:
    away = on_sale()
    for state in (
        replace(away, shipment=under_way().shipment),
        replace(away, unit_id="https://id.gs1.org/00/106141412345678908"),
    ):
        _, new = delivered(state)
        assert (new.owner_id, new.custodian_id) == (BUYER, GROWER)


def test_the_same_delivery_is_made_once_and_another_under_its_id_is_refused() -> None:
    state, new = delivered(on_sale())
    assert deliver(state, WISH, new_lot_id="other", now=NOW) is None
    assert (
        deliver(state, replace(WISH, quantity=Quantity.of("10000", "GRM")), new_lot_id="x", now=NOW) is None
    )
    assert state.deliveries["d"].lot_id == new.lot_id
    for other in (replace(WISH, quantity=kg("11")), replace(WISH, new_owner_id=STRANGER)):
        with pytest.raises(AlreadyExists):
            deliver(state, other, new_lot_id="other", now=NOW)


def test_deliveries_take_all_that_was_committed_and_no_more() -> None:
    state, _ = delivered(on_sale(), replace(WISH, quantity=kg("29.999999")))
    with pytest.raises(DomainError) as refusal:
        deliver(state, replace(WISH, delivery_id="e", quantity=kg("0.000002")), new_lot_id="x", now=NOW)
    assert (refusal.value.reason, refusal.value.metadata["available"]) == ("QUANTITY_EXCEEDED", "0.000001")
    state, _ = delivered(state, replace(WISH, delivery_id="e", quantity=kg("0.000001")))
    assert state.committed.is_zero


def test_releasing_frees_what_was_not_delivered() -> None:
    state, _ = delivered(on_sale())
    event = release(state, commitment_id="c", actor=MAKER, now=NOW)
    assert event is not None
    assert event.quantity == kg("20")
    freed = evolve(state, event)
    assert freed.uncommitted == freed.quantity == kg("90")


def test_a_commitment_stands_as_it_was_made_after_a_delivery() -> None:
    state, _ = delivered(on_sale())
    again = Commitment(kg("30"), Purpose.LISTING, "", MAKER)
    assert commit(state, again, commitment_id="c", owner_id=GROWER, now=NOW) is None


def test_an_expired_lot_is_delivered_because_it_was_sold_before() -> None:
    state, _ = delivered(replace(on_sale(), expire_time=NOW - timedelta(days=1)))
    assert state.committed == kg("20")


def _recalled(state: Lot) -> Lot:
    return evolve(
        state,
        LotRecalled(
            lot_id=state.lot_id,
            root_lot_id=state.lot_id,
            reason="glass",
            recall_class=RecallClass.I,
            owner_id=GROWER,
            recall_id="r",
            lot_code=state.lot_code,
            grower_id=GROWER,
            at=NOW,
        ),
    )


def _held(state: Lot) -> Lot:
    return evolve(state, LotHeld(lot_id=state.lot_id, reason="r", held_by=GROWER, official=False, at=NOW))


def _released(state: Lot) -> Lot:
    event = release(state, commitment_id="c", actor=MAKER, now=NOW)
    assert event is not None
    return evolve(state, event)


@pytest.mark.parametrize(
    ("state", "wish", "reason"),
    [
        pytest.param(lot(), WISH, "COMMITMENT_NOT_FOUND", id="never committed"),
        pytest.param(on_sale(purpose=Purpose.RECEIPT), WISH, "COMMITMENT_NOT_FOUND", id="in stock"),
        pytest.param(_released(on_sale()), WISH, "COMMITMENT_RELEASED", id="released"),
        pytest.param(_released(lot()), WISH, "COMMITMENT_RELEASED", id="released before it came"),
        pytest.param(_recalled(on_sale()), WISH, "LOT_RECALLED", id="recalled"),
        pytest.param(_held(on_sale()), WISH, "LOT_HELD", id="held"),
        pytest.param(on_sale(), replace(WISH, quantity=kg("31")), "QUANTITY_EXCEEDED", id="too much"),
        pytest.param(on_sale(), replace(WISH, quantity=kg("0")), "QUANTITY_ZERO", id="nothing"),
        pytest.param(
            on_sale(), replace(WISH, quantity=Quantity.of("1", "LTR")), "UNIT_MISMATCH", id="a volume"
        ),
        pytest.param(on_sale(), replace(WISH, new_owner_id=GROWER), "TRANSFER_TO_SELF", id="to the owner"),
    ],
)
def test_what_cannot_be_delivered_is_refused(state: Lot, wish: Delivery, reason: str) -> None:
    with pytest.raises(DomainError) as refusal:
        deliver(state, wish, new_lot_id="x", now=NOW)
    assert refusal.value.reason == reason


def test_only_who_made_a_commitment_delivers_of_it_and_takes_it_back() -> None:
    state, _ = delivered(on_sale())
    for wish in (WISH, replace(WISH, delivery_id="e"), replace(WISH, delivery_id="e", quantity=kg("31"))):
        with pytest.raises(PermissionDenied) as refusal:
            deliver(state, replace(wish, made_by="inventory"), new_lot_id="x", now=NOW)
        assert refusal.value.reason == "COMMITMENT_OF_ANOTHER"
    with pytest.raises(PermissionDenied) as refusal:
        release(state, commitment_id="c", actor="inventory", now=NOW)
    assert refusal.value.reason == "COMMITMENT_OF_ANOTHER"


def test_a_refused_delivery_stays_refused_when_its_cause_is_gone() -> None:
    state = _held(on_sale())
    with pytest.raises(FailedPrecondition) as first:
        deliver(state, WISH, new_lot_id="x", now=NOW)
    tombstone = refused(state, WISH, first.value, now=NOW)
    assert tombstone is not None
    state = evolve(state, tombstone)
    free = evolve(state, LotHoldReleased(lot_id=state.lot_id, reason="r", at=NOW))
    with pytest.raises(FailedPrecondition) as second:
        deliver(free, WISH, new_lot_id="x", now=NOW)
    assert second.value.reason == "LOT_HELD"
    assert refused(free, WISH, second.value, now=NOW) is None
    delivered(free, replace(WISH, delivery_id="another"))
