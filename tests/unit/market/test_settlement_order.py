"""Settlements lock balances before what stands behind them, whichever way they go."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.clock import FixedClock
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Direction, StepContext
from services.market.application.pool_settle_saga import GoodsSteps, MoneySteps, deliveries_to_json, to_json
from services.market.domain.pool_settlement import Delivery, Kind, Settlement

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ID = "0f2b7c7a-64b8-4bd0-9d5e-1e0d2f5a6b31"
GOODS = {
    "deliveries": deliveries_to_json([Delivery(ID, ID, ID, 1_000_000)]),
    "refused": [[0, "LOT_RECALLED", "recalled"]],
    "commitment_id": ID,
    "product_code": "leek",
    "committed": ["1", "KGM"],
    "expires_at": (NOW + timedelta(days=3)).isoformat(),
}


class Books:
    """Ledger, vault and deposits; notes in which order they are changed."""

    def __init__(self) -> None:
        self.changed: list[str] = []

    async def balance(self, *_: object) -> int:
        return 0

    async def apply(self, *_: object) -> bool:
        self.changed.append("ledger")
        return True

    async def owner_of(self, *_: object) -> None:
        return None

    async def add(self, *_: object) -> None:
        self.changed.append("behind")

    async def put_back(self, *_: object) -> None:
        self.changed.append("behind")


@pytest.mark.parametrize("kind", list(Kind))
async def test_balances_are_locked_before_what_stands_behind_them(kind: Kind) -> None:
    books: Any = Books()
    steps: Any
    if kind in (Kind.GOODS_DEPOSIT, Kind.GOODS_WITHDRAWAL):
        steps = GoodsSteps(books, books, books, FixedClock(NOW))
        settlement = Settlement(ID, kind, ID, "leek", goods=Quantity.of(1, "KGM"))
    else:
        steps = MoneySteps(books, books, books)
        settlement = Settlement(ID, kind, ID, ID, money=Money(100, "EUR"))
    step = "credit" if kind in (Kind.GOODS_DEPOSIT, Kind.MONEY_DEPOSIT) else "give_back"
    data = {**GOODS, **to_json(settlement)}
    await getattr(steps, step)(StepContext(ID, step, Direction.ACTION, data, ID, ID, 1, NOW))
    assert books.changed == ["ledger", "behind"]
