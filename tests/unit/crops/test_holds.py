"""Holding, destroying, ending recalls: who may, from which state."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.crops.domain.commitment import commit
from services.crops.domain.events import Purpose, RecallClass
from services.crops.domain.hold import destroy, hold, release_hold, release_recall
from services.crops.domain.lot import Commitment, Lot, LotState, evolve
from services.crops.domain.recall import recall
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer, complete_transfer
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, MAKER, NOW, STRANGER, lot


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


def held(state: Lot, actor: str = GROWER, operator: bool = False) -> Lot:
    return evolve(state, hold(state, actor=actor, is_operator=operator, reason="lab", now=NOW))


def released(state: Lot, actor: str = GROWER, operator: bool = False) -> Lot:
    return evolve(state, release_hold(state, actor=actor, is_operator=operator, reason="clean", now=NOW))


def destroyed(state: Lot, amount: str | None = None, actor: str = GROWER) -> Lot:
    quantity = kg(amount) if amount else None
    return evolve(state, destroy(state, quantity, actor=actor, is_operator=False, reason="spoilt", now=NOW))


def committed(state: Lot, amount: str) -> Lot:
    wanted = Commitment(kg(amount), Purpose.RECEIPT, "venue", MAKER)
    event = commit(state, wanted, commitment_id="c", owner_id=GROWER, now=NOW)
    assert event is not None
    return evolve(state, event)


def begun(state: Lot) -> Lot:
    return evolve(
        state,
        begin_transfer(
            state, transfer_id="t", actor=GROWER, new_owner_id=BUYER, reference_document="", now=NOW
        ),
    )


def recalled(root: Lot, *descendants: Lot) -> list[Lot]:
    facts = recall(
        root,
        descendants,
        recall_id=f"recall of {root.lot_id}",
        actor=GROWER,
        is_operator=True,
        reason="r",
        recall_class=RecallClass.I,
        now=NOW,
    )
    after = {each.lot_id: evolve(each, fact) for each, fact in facts}
    return [after.get(each.lot_id, each) for each in (root, *descendants)]


def freed(root: Lot, descendants: list[Lot], *outside: Lot) -> set[str]:
    known = {each.lot_id: each for each in outside}
    return {each.lot_id for each, _ in release_recall(root, descendants, known, reason="r", now=NOW)}


def child(lot_id: str, *parents: Lot) -> Lot:
    return replace(lot(), lot_id=lot_id, parent_lot_ids=tuple(each.lot_id for each in parents))


def test_a_held_lot_is_free_again_when_the_hold_is_released() -> None:
    state = held(lot())
    assert (state.state, state.hold_reason) == (LotState.HELD, "lab")
    assert (released(state).state, released(state).hold_reason) == (LotState.ACTIVE, "")


@pytest.mark.parametrize(
    "use",
    [
        begun,
        lambda state: committed(state, "1"),
        lambda s: split(s, [Part("p", "A", kg("1"))], actor=GROWER, now=NOW),
    ],
    ids=["transfer", "commit", "split"],
)
def test_a_held_lot_is_not_used(use: Callable[[Lot], object]) -> None:
    with pytest.raises(DomainError) as refused:
        use(held(lot()))
    assert refused.value.reason == "LOT_HELD"


def test_a_hold_ends_a_transfer_under_way() -> None:
    state = held(begun(lot()))
    assert state.pending is None
    with pytest.raises(DomainError) as refused:
        complete_transfer(state, transfer_id="t", now=NOW)
    assert refused.value.reason == "LOT_HELD"


def test_a_recall_wins_over_a_hold_which_stands_when_the_recall_has_ended() -> None:
    [state] = recalled(held(lot()))
    assert state.state is LotState.RECALLED
    [(_, event)] = release_recall(state, [], {}, reason="clean", now=NOW)
    after = evolve(state, event)
    assert (after.state, after.recall_reason) == (LotState.HELD, "")


def test_goods_are_destroyed_in_part_or_all_also_of_held_and_recalled_lots() -> None:
    assert destroyed(held(lot()), "40").quantity == kg("60")
    gone = destroyed(destroyed(lot(), "40"))
    assert (gone.quantity, gone.state) == (kg("0"), LotState.DESTROYED)
    assert destroyed(recalled(lot())[0]).state is LotState.RECALLED


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (lambda: held(lot(), STRANGER), "NOT_OWNER"),
        (lambda: held(held(lot())), "LOT_HELD"),
        (lambda: held(recalled(lot())[0]), "LOT_RECALLED"),
        (lambda: held(destroyed(lot())), "LOT_DESTROYED"),
        (lambda: released(lot()), "LOT_NOT_HELD"),
        (lambda: released(held(lot()), STRANGER), "NOT_OWNER"),
        (lambda: released(held(lot(), STRANGER, operator=True)), "HOLD_OFFICIAL"),
        (lambda: destroyed(lot(), "1", STRANGER), "NOT_OWNER"),
        (lambda: destroyed(lot(), "100.000001"), "QUANTITY_EXCEEDED"),
        (lambda: destroyed(committed(lot(), "30"), "71"), "QUANTITY_EXCEEDED"),
        (lambda: destroyed(committed(lot(), "100")), "QUANTITY_ZERO"),
        (lambda: destroyed(destroyed(lot())), "LOT_DESTROYED"),
        (lambda: destroyed(begun(lot()), "1"), "TRANSFER_UNDER_WAY"),
        (lambda: freed(lot(), []), "LOT_NOT_RECALLED"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_not_be_is_refused(attempt: Callable[[], object], reason: str) -> None:
    with pytest.raises(DomainError) as refused:
        attempt()
    assert refused.value.reason == reason


def test_an_operator_releases_what_an_operator_holds() -> None:
    state = held(lot(), STRANGER, operator=True)
    assert released(state, STRANGER, operator=True).state is LotState.ACTIVE


def test_the_end_of_a_recall_frees_what_it_reached_but_not_what_was_recalled_on_its_own() -> None:
    root = lot()
    own, other = child("own", root), child("other", root)
    own, below = recalled(own, child("below", own))
    root, own, below, other = recalled(root, own, below, other)
    assert freed(root, [own, other, below]) == {LOT_ID, "other"}


def test_what_came_of_two_recalled_lots_stays_recalled_until_both_have_ended() -> None:
    first, second = lot(), replace(lot(), lot_id="second")
    mix = child("mix", first, second)
    first, mix = recalled(first, mix)
    [second, mix] = recalled(second, mix)
    assert freed(first, [mix], second) == {LOT_ID}
    [(_, event)] = release_recall(first, [], {}, reason="r", now=NOW)
    ended = release_recall(second, [mix], {LOT_ID: evolve(first, event)}, reason="r", now=NOW)
    # Each by the recall that held it, which is how others know of it.
    assert {lot.lot_id: fact.recall_id for lot, fact in ended} == {
        "second": "recall of second",
        "mix": f"recall of {LOT_ID}",
    }
    with pytest.raises(DomainError) as refused:
        freed(mix, [], first, second)
    assert refused.value.reason == "ANCESTOR_RECALLED"
