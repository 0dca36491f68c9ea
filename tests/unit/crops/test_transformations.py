"""Merging and transforming: who may, what is refused, and that what goes in comes out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.crops.domain.events import Origin, RecallClass, Step
from services.crops.domain.lot import Lot, LotState, evolve
from services.crops.domain.recall import recall
from services.crops.domain.transfer import begin_transfer
from services.crops.domain.transform import Input, Output, Transformation, merge, transform
from tests.unit.crops.lots import BUYER, GROWER, NOW, RECALL_ID, STRANGER, lot

OTHER_ID = "00000000-0000-7000-8000-000000000002"
LATER = NOW + timedelta(days=30)


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


def other(**changes: object) -> Lot:
    return replace(lot(), lot_id=OTHER_ID, **changes)  # type: ignore[arg-type]


def output(amount: Quantity, code: str = "S", **changes: object) -> Output:
    return replace(Output(f"out-{code}", code, "soup", "", "", amount, LATER), **changes)  # type: ignore[arg-type]


def cooked(
    inputs: list[Input], outputs: list[Output], loss: Quantity | None = None, actor: str = GROWER
) -> Transformation:
    return transform(inputs, outputs, transformation_id="t", step=Step.COOK, loss=loss, actor=actor, now=NOW)


def merged(*inputs: Input, actor: str = GROWER) -> Transformation:
    return merge(inputs, transformation_id="t", lot_id="m", lot_code="M", actor=actor, now=NOW)


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


def test_a_merge_holds_exactly_what_went_in_and_expires_with_the_first() -> None:
    soon = NOW + timedelta(days=1)
    done = merged(Input(lot(), kg("40")), Input(other(expire_time=soon), Quantity.of("500", "GRM")))
    [made] = done.made
    assert (made.quantity, made.expire_time, made.product_code) == (kg("40.5"), soon, "romaine-lettuce")
    assert (made.parent_lot_id, made.parent_lot_ids) == (None, (lot().lot_id, OTHER_ID))
    left = [evolve(before, fact).quantity for before, fact in zip((lot(), other()), done.used, strict=True)]
    assert left == [kg("60"), kg("99.5")]


def test_all_that_is_free_is_used_unless_told_otherwise_and_the_lot_is_then_empty() -> None:
    done = merged(Input(lot(), None), Input(other(), None))
    assert done.made[0].quantity == kg("200")
    assert evolve(lot(), done.used[0]).state is LotState.EMPTY


def test_goods_of_several_growers_are_the_mergers_and_say_only_what_they_share() -> None:
    theirs = other(grower_id=STRANGER, origin=Origin(farm_name="Hill", city="Salinas", country_code="US"))
    [made] = merged(Input(lot(), None), Input(theirs, None)).made
    assert (made.grower_id, made.owner_id) == (GROWER, GROWER)
    assert made.origin == Origin(farm_name="several farms", city="Salinas", country_code="US")


def test_a_merge_that_its_unit_cannot_tell_exactly_is_refused() -> None:
    pounds = other(quantity=Quantity.of("0.5", "LBR"))
    with pytest.raises(DomainError) as refused:
        merged(Input(lot(), None), Input(pounds, Quantity.of("0.000001", "LBR")))
    assert refused.value.reason == "QUANTITY_INVALID"


def test_a_transformation_accounts_for_all_that_it_used() -> None:
    done = cooked([Input(lot(), kg("10"))], [output(Quantity.of("9000", "GRM"))], loss=kg("1"))
    [used], [made] = done.used, done.made
    assert (used.own.quantity, used.own.remaining, made.quantity) == (
        kg("10"),
        kg("90"),
        Quantity.of(9000, "GRM"),
    )
    assert (made.product_code, made.transformation_id, made.expire_time) == ("soup", "t", LATER)


def test_what_measures_something_else_is_kept_as_declared() -> None:
    done = cooked([Input(lot(), kg("10"))], [output(Quantity.of("40", "H87"))])
    assert done.made[0].quantity == Quantity.of("40", "H87")


@pytest.mark.parametrize(
    ("inputs", "outputs", "loss", "actor", "reason"),
    [
        ([Input(lot(), kg("1"))], [output(kg("1.000001"))], None, GROWER, "QUANTITY_NOT_CONSERVED"),
        ([Input(lot(), kg("1"))], [output(kg("0.9"))], None, GROWER, "QUANTITY_NOT_CONSERVED"),
        ([Input(lot(), kg("1"))], [output(kg("1"))], kg("0.1"), GROWER, "QUANTITY_NOT_CONSERVED"),
        ([Input(lot(), kg("100.000001"))], [output(kg("1"))], None, GROWER, "QUANTITY_EXCEEDED"),
        ([Input(lot(), kg("0"))], [output(kg("1"))], None, GROWER, "QUANTITY_ZERO"),
        ([Input(lot(), kg("1"))], [output(kg("0"))], kg("1"), GROWER, "QUANTITY_ZERO"),
        ([Input(lot(), Quantity.of(1, "LTR"))], [output(kg("1"))], None, GROWER, "UNIT_MISMATCH"),
        ([Input(lot(), kg("1")), Input(lot(), kg("1"))], [output(kg("2"))], None, GROWER, "INPUT_REPEATED"),
        ([Input(lot(), kg("1"))], [output(kg("1"), expire_time=NOW)], None, GROWER, "TIMES_INVALID"),
        ([Input(lot(), kg("2"))], [output(kg("1")), output(kg("1"))], None, GROWER, "LOT_CODE_TAKEN"),
        ([Input(lot(), kg("1"))], [output(kg("1"))], None, STRANGER, "NOT_OWNER"),
        ([Input(lot(), kg("1")), Input(other(owner_id=BUYER), None)], [], None, GROWER, "NOT_OWNER"),
        ([Input(recalled(lot()), kg("1"))], [output(kg("1"))], None, GROWER, "LOT_RECALLED"),
        ([Input(pending(lot()), kg("1"))], [output(kg("1"))], None, GROWER, "TRANSFER_UNDER_WAY"),
        ([Input(other(expire_time=NOW), kg("1"))], [output(kg("1"))], None, GROWER, "LOT_EXPIRED"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_what_cannot_be_made_is_refused(
    inputs: list[Input], outputs: list[Output], loss: Quantity | None, actor: str, reason: str
) -> None:
    with pytest.raises(DomainError) as refused:
        cooked(inputs, outputs, loss, actor)
    assert refused.value.reason == reason


def test_lots_of_two_products_are_not_merged() -> None:
    with pytest.raises(DomainError) as refused:
        merged(Input(lot(), None), Input(other(product_code="kale"), None))
    assert refused.value.reason == "PRODUCTS_DIFFER"


def test_what_was_made_of_goods_in_one_hand_is_in_that_hand_else_with_who_made_it() -> None:
    away = {"custodian_id": STRANGER}
    together = merged(Input(replace(lot(), **away), None), Input(other(**away), None))  # type: ignore[arg-type]
    assert [each.custodian_id for each in together.made] == [STRANGER]
    apart = merged(Input(lot(), None), Input(other(**away), None))
    assert [each.custodian_id for each in apart.made] == [GROWER]
