"""What of a lot may be committed, and what a commitment keeps from happening."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chassis.errors import AlreadyExists, DomainError, FailedPrecondition
from chassis.quantity import Quantity
from services.crops.domain.commitment import commit, release
from services.crops.domain.events import LotQuantityCommitted, Purpose, RecallClass
from services.crops.domain.lot import Commitment, Lot, LotState, evolve
from services.crops.domain.recall import recall
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer
from tests.unit.crops.lots import BUYER, GROWER, MAKER, NOW, RECALL_ID, STRANGER, lot
from tests.unit.crops.test_shipments import under_way
from tests.unit.crops.test_units import packed

FIRST, SECOND = "55555555-5555-4555-8555-555555555551", "55555555-5555-4555-8555-555555555552"
VENUE = "66666666-6666-4666-8666-666666666666"


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


def decided(
    state: Lot,
    amount: Quantity,
    commitment_id: str = FIRST,
    owner: str = GROWER,
    venue: str = VENUE,
    maker: str = MAKER,
) -> LotQuantityCommitted | None:
    wanted = Commitment(amount, Purpose.RECEIPT, venue, maker)
    return commit(state, wanted, commitment_id=commitment_id, owner_id=owner, now=NOW)


def committed(state: Lot, amount: str, commitment_id: str = FIRST) -> Lot:
    event = decided(state, kg(amount), commitment_id)
    assert event is not None
    return evolve(state, event)


def released(state: Lot, commitment_id: str = FIRST) -> Lot:
    event = release(state, commitment_id=commitment_id, actor=MAKER, now=NOW)
    assert event is not None
    return evolve(state, event)


def recalled(state: Lot) -> Lot:
    [(_, event)] = recall(
        state,
        [],
        recall_id=RECALL_ID,
        actor=GROWER,
        is_operator=False,
        reason="glass",
        recall_class=RecallClass.I,
        now=NOW,
    )
    return evolve(state, event)


def pending(state: Lot) -> Lot:
    event = begin_transfer(
        state, transfer_id="t", actor=GROWER, new_owner_id=BUYER, reference_document="", now=NOW
    )
    return evolve(state, event)


def reason_of(refused: pytest.ExceptionInfo[DomainError]) -> str:
    return refused.value.reason


def test_a_commitment_is_kept_in_the_lots_unit_and_leaves_the_rest_free() -> None:
    event = decided(lot(), Quantity.of("30000", "GRM"))
    assert event is not None
    after = evolve(lot(), event)
    assert (event.quantity, after.quantity, after.committed) == (kg("30"), kg("100"), kg("30"))
    assert after.uncommitted == kg("70")


def test_commitments_add_up_to_the_lot_and_no_further() -> None:
    full = committed(committed(lot(), "99.999999"), "0.000001", SECOND)
    assert (full.committed, full.state) == (kg("100"), LotState.ACTIVE)
    with pytest.raises(FailedPrecondition) as refused:
        decided(full, kg("0.000001"), "another")
    assert (reason_of(refused), refused.value.metadata["available"]) == ("QUANTITY_EXCEEDED", "0")


@pytest.mark.parametrize(
    ("state", "amount", "owner", "reason"),
    [
        (lot(), kg("100.000001"), GROWER, "QUANTITY_EXCEEDED"),
        (lot(), kg("0"), GROWER, "QUANTITY_ZERO"),
        (lot(), Quantity.of("0.0004", "GRM"), GROWER, "QUANTITY_ZERO"),
        (lot(), Quantity.of("1", "LTR"), GROWER, "UNIT_MISMATCH"),
        (lot(), kg("1"), STRANGER, "NOT_OWNER"),
        (recalled(lot()), kg("1"), GROWER, "LOT_RECALLED"),
        (pending(lot()), kg("1"), GROWER, "TRANSFER_UNDER_WAY"),
        (replace(lot(), expire_time=NOW), kg("1"), GROWER, "LOT_EXPIRED"),
    ],
    ids=["too much", "nothing", "a crumb", "litres", "a stranger", "recalled", "in transfer", "expired"],
)
def test_what_cannot_be_committed_is_refused(state: Lot, amount: Quantity, owner: str, reason: str) -> None:
    with pytest.raises(DomainError) as refused:
        decided(state, amount, owner=owner)
    assert reason_of(refused) == reason


def test_a_repeated_commitment_is_the_same_one_whatever_has_become_of_the_lot() -> None:
    state = committed(lot(), "30")
    assert decided(state, kg("30")) is None
    assert decided(state, Quantity.of("30000", "GRM")) is None
    assert decided(replace(recalled(state), expire_time=NOW - timedelta(days=1)), kg("30")) is None


@pytest.mark.parametrize(
    "changes", [{"amount": kg("31")}, {"venue": BUYER}, {"owner": BUYER}, {"maker": "inventory"}]
)
def test_another_commitment_under_the_same_id_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(AlreadyExists) as refused:
        decided(committed(lot(), "30"), **{"amount": kg("30"), **changes})  # type: ignore[arg-type]
    assert reason_of(refused) == "REQUEST_ID_REUSED"


def test_what_is_released_is_free_again_and_stays_released() -> None:
    after = released(committed(lot(), "30"))
    assert (after.committed, after.uncommitted) == (kg("0"), kg("100"))
    assert release(after, commitment_id=FIRST, actor=MAKER, now=NOW) is None
    with pytest.raises(FailedPrecondition) as refused:
        decided(after, kg("30"))
    assert reason_of(refused) == "COMMITMENT_RELEASED"
    assert committed(after, "100", SECOND).uncommitted == kg("0")


def test_a_release_that_comes_first_refuses_its_commitment() -> None:
    event = release(lot(), commitment_id=FIRST, actor=MAKER, now=NOW)
    assert event is not None
    assert event.quantity.is_zero
    with pytest.raises(FailedPrecondition) as refused:
        decided(evolve(lot(), event), kg("30"))
    assert reason_of(refused) == "COMMITMENT_RELEASED"


def test_a_release_reaches_a_lot_in_any_state() -> None:
    assert released(recalled(committed(lot(), "30"))).committed.is_zero


def test_a_split_takes_from_what_is_free() -> None:
    state = committed(lot(), "30")
    with pytest.raises(FailedPrecondition) as refused:
        split(state, [Part("p", "A", kg("70.000001"))], actor=GROWER, now=NOW)
    assert (reason_of(refused), refused.value.metadata["available"]) == ("QUANTITY_EXCEEDED", "70")
    event, _ = split(state, [Part("p", "A", kg("70"))], actor=GROWER, now=NOW)
    rest = evolve(state, event)
    assert (rest.quantity, rest.committed, rest.state) == (kg("30"), kg("30"), LotState.ACTIVE)


def test_a_lot_of_which_something_is_committed_is_not_transferred_and_the_part_of_the_rest_is() -> None:
    state = committed(lot(), "30")
    with pytest.raises(FailedPrecondition) as refused:
        pending(state)
    assert (reason_of(refused), refused.value.metadata) == (
        "QUANTITY_COMMITTED",
        {"committed": "30", "available": "70", "unit": "KGM"},
    )
    _, [part] = split(state, [Part("p", "A", kg("70"))], actor=GROWER, now=NOW)
    assert pending(evolve(None, part)).pending is not None
    assert pending(released(state)).pending is not None


def test_a_recall_reaches_a_lot_whose_goods_are_committed() -> None:
    after = recalled(committed(lot(), "100"))
    assert (after.state, after.committed) == (LotState.RECALLED, kg("100"))


@pytest.mark.parametrize(("away", "reason"), [(under_way, "LOT_IN_TRANSIT"), (packed, "LOT_IN_UNIT")])
def test_goods_that_cannot_be_got_at_are_received_but_not_put_up_for_sale(
    away: Callable[[], Lot], reason: str
) -> None:
    for purpose in (Purpose.LISTING, Purpose.POOL):
        with pytest.raises(FailedPrecondition) as refused:
            commit(
                away(), Commitment(kg("1"), purpose, "", MAKER), commitment_id=FIRST, owner_id=GROWER, now=NOW
            )
        assert refused.value.reason == reason
    assert decided(away(), kg("1")) is not None
