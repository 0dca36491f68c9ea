"""Rules of reservations."""

from datetime import UTC, datetime

import pytest

from chassis.errors import DomainError
from services.inventory.domain.reservation import Reservation, State
from services.inventory.domain.stock import Block

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def reservation(state: State) -> Reservation:
    return Reservation("o1", "v1", state, NOW)


def reason_of(call, *arguments: object, **named: object) -> str:
    with pytest.raises(DomainError) as caught:
        call(*arguments, **named)
    return caught.value.reason


@pytest.mark.parametrize("state", [State.HELD, State.CONFIRMED])
def test_an_open_reservation_may_be_confirmed_and_consumed(state):
    assert reservation(state).confirmed(block=None).state is State.CONFIRMED
    assert reservation(state).consumed(block=None).state is State.CONSUMED


@pytest.mark.parametrize("state", [State.HELD, State.CONFIRMED])
def test_a_recalled_lot_is_not_consumed(state):
    assert reason_of(reservation(state).consumed, block=Block.RECALL) == "LOT_QUARANTINED"


def test_a_held_lot_is_neither_confirmed_nor_consumed():
    for call in (reservation(State.HELD).confirmed, reservation(State.CONFIRMED).consumed):
        assert reason_of(call, block=Block.HOLD) == "LOT_HELD"


def test_a_recalled_lot_is_not_confirmed():
    assert reason_of(reservation(State.HELD).confirmed, block=Block.RECALL) == "LOT_QUARANTINED"


def test_what_is_consumed_stays_consumed_also_when_the_lot_is_recalled_later():
    consumed = reservation(State.CONSUMED)
    assert consumed.consumed(block=Block.RECALL) is consumed
    assert reason_of(consumed.released) == "RESERVATION_CONSUMED"


@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.RELEASED, "RESERVATION_RELEASED"), (State.EXPIRED, "RESERVATION_EXPIRED")],
)
def test_what_was_given_back_is_given_back_for_good(state, reason):
    gone = reservation(state)
    assert gone.released() is gone
    assert reason_of(gone.confirmed, block=None) == reason
    assert reason_of(gone.consumed, block=None) == reason
    assert reason_of(gone.ensure_not_given_back) == reason


@pytest.mark.parametrize(("expired", "state"), [(True, State.EXPIRED), (False, State.RELEASED)])
def test_an_open_reservation_is_released_or_runs_out(expired, state):
    assert reservation(State.HELD).released(expired=expired).state is state
