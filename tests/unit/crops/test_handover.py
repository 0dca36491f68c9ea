"""Two-party handover: who may offer, accept, reject and withdraw, and what an open offer prevents."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.crops.domain.events import LotEvent, OfferKind, OfferOutcome, RecallClass
from services.crops.domain.handover import (
    accept_custody,
    accept_ownership,
    expire,
    offer,
    reject,
    withdraw,
)
from services.crops.domain.hold import destroy, hold
from services.crops.domain.lot import Lot, evolve, replay_from
from services.crops.domain.recall import recall
from services.crops.domain.split import Part, split
from services.crops.domain.transfer import begin_transfer, complete_transfer
from tests.unit.crops.lots import BUYER, GROWER, NOW, RECALL_ID, STRANGER, lot

UNTIL = NOW + timedelta(days=1)
PART = Part("p", "A", Quantity.of("1", "KGM"))


def offered(
    state: Lot,
    kind: OfferKind = OfferKind.BOTH,
    actor: str = GROWER,
    to_id: str = BUYER,
    until: timedelta = timedelta(days=1),
) -> Lot:
    made = offer(
        state,
        offer_id="o",
        kind=kind,
        actor=actor,
        to_id=to_id,
        expire_time=NOW + until,
        reference_document="BOL-7",
        now=NOW,
    )
    return evolve(state, made)


def owned(state: Lot, actor: str = BUYER) -> Lot:
    after = replay_from(state, accept_ownership(state, "o", transfer_id="t", actor=actor, now=NOW))
    return evolve(after, complete_transfer(after, transfer_id="t", now=NOW))


def kept(state: Lot, actor: str = BUYER) -> Lot:
    return replay_from(state, accept_custody(state, "o", actor=actor, now=NOW))


def test_a_part_is_where_the_goods_are_from_which_it_was_taken() -> None:
    away = kept(offered(lot(), OfferKind.CUSTODY))
    _, [minted] = split(away, [PART], actor=GROWER, now=NOW)
    part = evolve(None, minted)
    assert (part.owner_id, part.custodian_id) == (GROWER, BUYER)


def held(state: Lot) -> Lot:
    return evolve(state, hold(state, actor=GROWER, is_operator=False, reason="lab", now=NOW))


def recalled(state: Lot) -> Lot:
    [(_, event)] = recall(
        state,
        [],
        recall_id=RECALL_ID,
        actor=GROWER,
        is_operator=False,
        reason="r",
        recall_class=RecallClass.I,
        now=NOW,
    )
    return evolve(state, event)


@pytest.mark.parametrize(
    ("kind", "owner", "custodian"),
    [(OfferKind.OWNERSHIP, BUYER, GROWER), (OfferKind.BOTH, BUYER, BUYER)],
    ids=["ownership", "both"],
)
def test_ownership_goes_with_or_without_the_goods(kind: OfferKind, owner: str, custodian: str) -> None:
    after = owned(offered(lot(), kind))
    assert (after.owner_id, after.custodian_id, after.offer) == (owner, custodian, None)


def test_custody_goes_without_ownership_and_comes_back() -> None:
    away = kept(offered(lot(), OfferKind.CUSTODY))
    assert (away.owner_id, away.custodian_id) == (GROWER, BUYER)
    sold = owned(offered(away, OfferKind.OWNERSHIP, to_id=STRANGER), STRANGER)
    assert (sold.owner_id, sold.custodian_id) == (STRANGER, BUYER)


def test_custody_of_a_recalled_or_held_lot_is_handed_over_so_that_it_can_come_back() -> None:
    assert kept(offered(recalled(lot()), OfferKind.CUSTODY)).custodian_id == BUYER
    assert kept(offered(held(lot()), OfferKind.CUSTODY)).custodian_id == BUYER


def test_an_offer_ends_by_each_of_its_ends() -> None:
    state = offered(lot())
    ends: dict[OfferOutcome, LotEvent | None] = {
        OfferOutcome.REJECTED: reject(state, "o", actor=BUYER, now=NOW),
        OfferOutcome.WITHDRAWN: withdraw(state, "o", actor=GROWER, now=NOW),
        OfferOutcome.EXPIRED: expire(state, now=UNTIL),
    }
    for outcome, event in ends.items():
        assert event is not None
        after = evolve(state, event)
        assert (after.offer, after.offers["o"].outcome) == (None, outcome)
        split(after, [PART], actor=GROWER, now=NOW)
    assert expire(state, now=UNTIL - timedelta(seconds=1)) is None
    assert expire(lot(), now=UNTIL) is None


@pytest.mark.parametrize("end", [recalled, held])
def test_a_recall_or_a_hold_ends_an_offer(end: Callable[[Lot], Lot]) -> None:
    with pytest.raises(DomainError) as refused:
        owned(end(offered(lot())))
    assert refused.value.reason == "OFFER_ENDED"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (lambda: offered(lot(), OfferKind.OWNERSHIP, actor=STRANGER), "NOT_OWNER"),
        (lambda: offered(lot(), OfferKind.CUSTODY, actor=STRANGER), "NOT_CUSTODIAN"),
        (lambda: offered(kept(offered(lot(), OfferKind.CUSTODY)), OfferKind.BOTH), "NOT_CUSTODIAN"),
        (lambda: offered(lot(), to_id=GROWER), "TRANSFER_TO_SELF"),
        (lambda: offered(lot(), until=timedelta(0)), "TIMES_INVALID"),
        (lambda: offered(lot(), until=timedelta(days=91)), "TIMES_INVALID"),
        (lambda: offered(offered(lot())), "OFFER_OPEN"),
        (lambda: offered(recalled(lot())), "LOT_RECALLED"),
        (lambda: offered(held(lot()), OfferKind.OWNERSHIP), "LOT_HELD"),
        (lambda: owned(offered(lot()), STRANGER), "NOT_ADDRESSEE"),
        (lambda: owned(offered(lot()), GROWER), "NOT_ADDRESSEE"),
        (lambda: kept(offered(lot(), OfferKind.CUSTODY), STRANGER), "NOT_ADDRESSEE"),
        (lambda: reject(offered(lot()), "o", actor=GROWER, now=NOW), "NOT_ADDRESSEE"),
        (lambda: withdraw(offered(lot()), "o", actor=BUYER, now=NOW), "NOT_OFFERER"),
        (lambda: owned(lot()), "OFFER_NOT_FOUND"),
        (lambda: owned(owned(offered(lot()))), "OFFER_ENDED"),
        (lambda: accept_custody(offered(lot()), "o", actor=BUYER, now=UNTIL), "OFFER_EXPIRED"),
        (lambda: split(offered(lot()), [PART], actor=GROWER, now=NOW), "OFFER_OPEN"),
        (
            lambda: destroy(offered(lot()), None, actor=GROWER, is_operator=False, reason="r", now=NOW),
            "OFFER_OPEN",
        ),
        (
            lambda: begin_transfer(
                offered(lot()),
                transfer_id="t",
                actor=GROWER,
                new_owner_id=STRANGER,
                reference_document="",
                now=NOW,
            ),
            "OFFER_OPEN",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_not_be_is_refused(attempt: Callable[[], object], reason: str) -> None:
    with pytest.raises(DomainError) as refused:
        attempt()
    assert refused.value.reason == reason
