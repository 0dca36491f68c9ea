"""Which lots serve a withdrawal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.domain.pool_settlement import (
    MAX_DELIVERIES,
    MIN_DEPOSIT,
    MIN_LIFE,
    Delivery,
    Kind,
    Settlement,
    VaultLot,
    allocate,
    require_depositable,
)

LOT = VaultLot("d", "l", "c", "ann", "kale", "KGM", 10, datetime(2026, 6, 1, tzinfo=UTC))


def test_lots_are_taken_in_their_order_and_the_last_in_part() -> None:
    lots = [replace(LOT, deposit_id=name, remaining=left) for name, left in (("a", 5), ("b", 0), ("c", 9))]
    assert allocate(lots, 7) == [Delivery("a", "l", "c", 5), Delivery("c", "l", "c", 2)]


def test_what_lots_do_not_hold_is_refused() -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        allocate([LOT], 11)
    assert (refusal.value.reason, refusal.value.metadata) == ("GOODS_NOT_COVERED", {"missing_micro": "1"})


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(1, 200))
def test_what_is_wanted_is_taken_and_never_more_than_a_lot_holds(held: list[int], wanted: int) -> None:
    lots = [replace(LOT, deposit_id=str(number), remaining=left) for number, left in enumerate(held)]
    try:
        taken = allocate(lots, wanted)
    except FailedPrecondition:
        assert sum(held) < wanted
        return
    assert sum(each.amount for each in taken) == wanted
    assert all(0 < each.amount <= held[int(each.deposit_id)] for each in taken)


def test_a_withdrawal_out_of_too_many_lots_says_how_much_can_be_had_at_once() -> None:
    lots = [replace(LOT, deposit_id=str(number), remaining=2) for number in range(MAX_DELIVERIES + 1)]
    assert len(allocate(lots, 2 * MAX_DELIVERIES)) == MAX_DELIVERIES
    with pytest.raises(FailedPrecondition) as refusal:
        allocate(lots, 2 * MAX_DELIVERIES + 1)
    assert refusal.value.reason == "WITHDRAWAL_TOO_SCATTERED"
    assert refusal.value.metadata == {"at_once_micro": str(2 * MAX_DELIVERIES)}


def test_neither_dust_nor_what_soon_expires_is_deposited() -> None:
    soon = LOT.expires_at - MIN_LIFE
    require_depositable(MIN_DEPOSIT, LOT.expires_at, soon)
    with pytest.raises(FailedPrecondition) as refusal:
        require_depositable(MIN_DEPOSIT - 1, LOT.expires_at, soon)
    assert refusal.value.reason == "DEPOSIT_TOO_SMALL"
    with pytest.raises(FailedPrecondition) as late:
        require_depositable(MIN_DEPOSIT, LOT.expires_at, soon + timedelta(seconds=1))
    assert late.value.reason == "LOT_EXPIRES_SOON"


def test_there_must_be_something_to_settle() -> None:
    with pytest.raises(InvalidArgument) as goods:
        Settlement("s", Kind.GOODS_DEPOSIT, "ann", "lot", goods=Quantity.of(0, "KGM"))
    assert goods.value.reason == "QUANTITY_ZERO"
    with pytest.raises(InvalidArgument) as money:
        Settlement("s", Kind.MONEY_DEPOSIT, "ann", "", money=Money(0, "EUR"))
    assert money.value.reason == "AMOUNT_INVALID"
