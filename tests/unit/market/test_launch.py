"""What a launch puts into its pool, and what it refuses before anything is minted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.errors import DomainError
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.application.launch_saga import from_json, to_json
from services.market.domain.launch import Harvest, Launch
from services.market.domain.pool import State

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


HARVEST = Harvest("L-1", "kale", "", "", kg("100"), "Farm", "US", NOW, NOW + timedelta(days=2))
LAUNCH = Launch("ann", HARVEST, kg("40"), Money(8_000, "EUR"), 30, "New", "Come.")


def test_the_pool_has_what_is_put_in_and_is_not_open() -> None:
    empty, funded, part = LAUNCH.pool("p", NOW)
    assert (empty.goods, empty.money, empty.shares, empty.state) == (0, 0, 0, State.LAUNCHING)
    assert (funded.goods, funded.money, funded.shares) == (40_000_000, 8_000, 565_685)
    assert (part.goods, part.money, part.shares) == (40_000_000, 8_000, 564_685)
    assert funded.state is State.LAUNCHING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"goods": kg("100.000001")}, "QUANTITY_EXCEEDED"),
        ({"goods": kg("0")}, "AMOUNT_INVALID"),
        ({"goods": Quantity.of("40", "LBR")}, "UNIT_MISMATCH"),
        ({"money": Money(0, "EUR")}, "AMOUNT_INVALID"),
        ({"goods": kg("0.001"), "money": Money(1000, "EUR")}, "LIQUIDITY_TOO_SMALL"),
        ({"fee_bps": 1001}, "FEE_INVALID"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_fund_a_pool_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(DomainError) as refusal:
        replace(LAUNCH, **changes).pool("p", NOW)
    assert refusal.value.reason == reason


def test_it_survives_as_json() -> None:
    assert from_json({**to_json(LAUNCH), "lot_id": "more"}) == LAUNCH
