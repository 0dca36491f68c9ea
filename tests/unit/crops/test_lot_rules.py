"""What may be done with a lot, by whom and from which state."""

from datetime import timedelta

import pytest

from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, InvalidArgument, PermissionDenied
from chassis.quantity import Quantity
from services.crops.domain.events import LotRecalled, LotTransferBegun, RecallClass
from services.crops.domain.harvest import mint
from services.crops.domain.lot import Lot, LotState, evolve, replay
from services.crops.domain.recall import recall
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer, cancel_transfer, complete_transfer
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, NOW, RECALL_ID, STRANGER, harvest, lot

TRANSFER = "44444444-4444-4444-8444-444444444444"


def begin(state: Lot, actor: str = GROWER, new_owner: str = BUYER) -> LotTransferBegun:
    return begin_transfer(
        state, transfer_id=TRANSFER, actor=actor, new_owner_id=new_owner, reference_document="BOL-7", now=NOW
    )


def recalled(state: Lot) -> Lot:
    [(_, event)] = recall(
        state,
        [],
        recall_id=RECALL_ID,
        actor=GROWER,
        is_operator=False,
        reason="E. coli",
        recall_class=RecallClass.I,
        now=NOW,
    )
    return evolve(state, event)


def emptied(state: Lot) -> Lot:
    event, _ = split(state, [Part("p", "ALL", state.quantity)], actor=GROWER, now=NOW)
    return evolve(state, event)


def test_a_minted_lot_belongs_to_its_grower_and_is_active() -> None:
    minted = lot()
    assert (minted.grower_id, minted.owner_id, minted.state) == (GROWER, GROWER, LotState.ACTIVE)
    assert (minted.version, minted.transfer_count, minted.last_transfer_time) == (1, 0, None)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"quantity": Quantity.of("0", "KGM")}, "QUANTITY_ZERO", "quantity.amount"),
        ({"harvest_time": NOW + timedelta(hours=1)}, "TIMES_INVALID", "harvest_time"),
        ({"expire_time": NOW - timedelta(days=1)}, "TIMES_INVALID", "expire_time"),
    ],
)
def test_an_impossible_harvest_is_refused_with_the_field(
    changes: dict[str, object], reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        mint(harvest(**changes), lot_id=LOT_ID, grower_id=GROWER, now=NOW)
    assert refused.value.reason == reason
    assert [violation.field for violation in refused.value.violations] == [field]


def test_a_growers_clock_may_run_a_little_ahead() -> None:
    ahead = harvest(harvest_time=NOW + timedelta(minutes=4))
    assert mint(ahead, lot_id=LOT_ID, grower_id=GROWER, now=NOW).harvest_time > NOW


def test_a_transfer_that_began_and_completed_changes_the_owner() -> None:
    pending = evolve(lot(), begin(lot()))
    event = complete_transfer(pending, transfer_id=TRANSFER, now=NOW)
    after = evolve(pending, event)
    assert (after.owner_id, after.transfer_count, after.last_transfer_time) == (BUYER, 1, NOW)
    assert after.pending is None
    assert (event.previous_owner_id, event.reference_document) == (GROWER, "BOL-7")


def test_a_cancelled_transfer_leaves_the_lot_as_it_was() -> None:
    pending = evolve(lot(), begin(lot()))
    event = cancel_transfer(pending, transfer_id=TRANSFER, now=NOW)
    assert event is not None
    after = evolve(pending, event)
    assert (after.owner_id, after.pending, after.transfer_count) == (GROWER, None, 0)
    assert begin(after).transfer_id == TRANSFER


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (recalled(lot()), "LOT_RECALLED"),
        (emptied(lot()), "LOT_EMPTY"),
        (evolve(lot(), begin(lot())), "TRANSFER_UNDER_WAY"),
    ],
)
def test_a_lot_that_is_spoken_for_can_be_neither_transferred_nor_split(state: Lot, reason: str) -> None:
    with pytest.raises(FailedPrecondition) as no_transfer:
        begin(state)
    with pytest.raises(FailedPrecondition) as no_split:
        split(state, [Part("p", "A", Quantity.of("1", "KGM"))], actor=GROWER, now=NOW)
    assert no_transfer.value.reason == no_split.value.reason == reason


def test_only_the_owner_transfers_and_splits() -> None:
    with pytest.raises(PermissionDenied) as no_transfer:
        begin(lot(), actor=STRANGER)
    with pytest.raises(PermissionDenied) as no_split:
        split(lot(), [Part("p", "A", Quantity.of("1", "KGM"))], actor=STRANGER, now=NOW)
    assert no_transfer.value.reason == no_split.value.reason == "NOT_OWNER"


def test_a_lot_is_not_transferred_to_its_owner() -> None:
    with pytest.raises(InvalidArgument) as refused:
        begin(lot(), new_owner=GROWER)
    assert refused.value.reason == "TRANSFER_TO_SELF"


def test_a_recall_ends_a_transfer_under_way() -> None:
    pending = evolve(lot(), begin(lot()))
    after = recalled(pending)
    assert (after.state, after.pending) == (LotState.RECALLED, None)
    with pytest.raises(FailedPrecondition) as refused:
        complete_transfer(after, transfer_id=TRANSFER, now=NOW)
    assert refused.value.reason == "LOT_RECALLED"
    assert cancel_transfer(after, transfer_id=TRANSFER, now=NOW) is None


def test_another_transfer_is_not_completed() -> None:
    pending = evolve(lot(), begin(lot()))
    with pytest.raises(FailedPrecondition) as refused:
        complete_transfer(pending, transfer_id="another", now=NOW)
    assert refused.value.reason == "TRANSFER_FAILED"


def test_parts_inherit_what_the_lot_is_and_what_is_not_taken_stays() -> None:
    parts = [Part("p1", "A", Quantity.of("30", "KGM")), Part("p2", "B", Quantity.of("20000", "GRM"))]
    event, minted = split(lot(), parts, actor=GROWER, now=NOW)
    assert evolve(lot(), event).quantity == Quantity.of("50", "KGM")
    assert [part.quantity for part in minted] == [Quantity.of("30", "KGM"), Quantity.of("20", "KGM")]
    first = evolve(None, minted[0])
    assert (first.parent_lot_id, first.product_code, first.grower_id) == (LOT_ID, "romaine-lettuce", GROWER)
    assert (first.harvest_time, first.origin) == (lot().harvest_time, lot().origin)


def test_a_lot_of_which_all_was_split_off_is_empty() -> None:
    after = emptied(lot())
    assert (after.state, after.quantity.is_zero) == (LotState.EMPTY, True)


@pytest.mark.parametrize(
    ("parts", "kind", "reason"),
    [
        ([Part("p", "A", Quantity.of("100.000001", "KGM"))], FailedPrecondition, "QUANTITY_EXCEEDED"),
        (
            [Part("p", "A", Quantity.of("60", "KGM")), Part("q", "B", Quantity.of("60", "KGM"))],
            FailedPrecondition,
            "QUANTITY_EXCEEDED",
        ),
        ([Part("p", "A", Quantity.of("0", "KGM"))], InvalidArgument, "QUANTITY_ZERO"),
        ([Part("p", "A", Quantity.of("0.0001", "GRM"))], InvalidArgument, "QUANTITY_ZERO"),
        ([Part("p", "A", Quantity.of("1", "LTR"))], InvalidArgument, "UNIT_MISMATCH"),
        (
            [Part("p", "A", Quantity.of("1", "KGM")), Part("q", "A", Quantity.of("1", "KGM"))],
            AlreadyExists,
            "LOT_CODE_TAKEN",
        ),
    ],
)
def test_a_split_that_does_not_add_up_is_refused(
    parts: list[Part], kind: type[DomainError], reason: str
) -> None:
    with pytest.raises(kind) as refused:
        split(lot(), parts, actor=GROWER, now=NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("actor", "operator"), [(GROWER, False), (BUYER, False), (STRANGER, True)])
def test_owner_grower_and_operator_recall_a_lot(actor: str, operator: bool) -> None:
    pending = evolve(lot(), begin(lot()))
    sold = evolve(pending, complete_transfer(pending, transfer_id=TRANSFER, now=NOW))
    [(_, event)] = recall(
        sold,
        [],
        recall_id=RECALL_ID,
        actor=actor,
        is_operator=operator,
        reason="glass",
        recall_class=RecallClass.II,
        now=NOW,
    )
    assert event.owner_id == BUYER


def test_a_stranger_recalls_nothing() -> None:
    with pytest.raises(PermissionDenied) as refused:
        recall(
            lot(),
            [],
            recall_id=RECALL_ID,
            actor=STRANGER,
            is_operator=False,
            reason="?",
            recall_class=RecallClass.I,
            now=NOW,
        )
    assert refused.value.reason == "NOT_OWNER"


def test_a_recall_reaches_descendants_once() -> None:
    event, minted = split(
        lot(),
        [Part("p1", "A", Quantity.of("1", "KGM")), Part("p2", "B", Quantity.of("1", "KGM"))],
        actor=GROWER,
        now=NOW,
    )
    root, first, second = evolve(lot(), event), evolve(None, minted[0]), recalled(evolve(None, minted[1]))
    reached = recall(
        root,
        [first, second],
        recall_id=RECALL_ID,
        actor=GROWER,
        is_operator=False,
        reason="E. coli",
        recall_class=RecallClass.I,
        now=NOW,
    )
    assert [(state.lot_id, fact.root_lot_id) for state, fact in reached] == [(LOT_ID, LOT_ID), ("p1", LOT_ID)]
    assert [(fact.recall_id, fact.lot_code, fact.grower_id) for _, fact in reached] == [
        (RECALL_ID, root.lot_code, GROWER),
        (RECALL_ID, "A", GROWER),
    ]


def test_a_recalled_lot_is_not_recalled_again() -> None:
    with pytest.raises(FailedPrecondition) as refused:
        recalled(recalled(lot()))
    assert refused.value.reason == "LOT_RECALLED"


def test_a_history_that_does_not_begin_with_minting_is_no_lots_history() -> None:
    event = LotRecalled(
        lot_id=LOT_ID,
        root_lot_id=LOT_ID,
        reason="",
        recall_class=RecallClass.I,
        owner_id="",
        recall_id=RECALL_ID,
        lot_code="",
        grower_id="",
        at=NOW,
    )
    with pytest.raises(ValueError, match="begins with LotRecalled"):
        replay([event])
    assert replay([]) is None
