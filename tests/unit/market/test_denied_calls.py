"""A call that is not permitted is asked again: an earlier attempt of it may have taken effect."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.clock import FixedClock
from chassis.errors import FailedPrecondition, PermissionDenied, Unavailable
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Direction, StepContext
from services.market.application.launch_saga import LaunchSteps
from services.market.application.launch_saga import to_json as launch_to_json
from services.market.application.pool_settle_saga import GoodsSteps, MoneySteps, deliveries_to_json, to_json
from services.market.domain.launch import Harvest, Launch
from services.market.domain.pool_settlement import Delivery, Kind, Settlement

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ID = "0f2b7c7a-64b8-4bd0-9d5e-1e0d2f5a6b31"
UNUSED: Any = None


class Denying:
    """Crops and payments that answer every call with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def deliver(self, *_: object) -> str:
        raise self._error

    async def refund(self, *_: object) -> None:
        raise self._error

    async def destroy(self, *_: object) -> None:
        raise self._error


def context(step: str, data: dict[str, Any], direction: Direction = Direction.ACTION) -> StepContext:
    return StepContext(ID, step, direction, data, ID, ID, 2, NOW + timedelta(seconds=5))


WITHDRAWAL = context(
    "deliver",
    {
        **to_json(Settlement(ID, Kind.GOODS_WITHDRAWAL, ID, "leek", goods=Quantity.of(1, "KGM"))),
        "deliveries": deliveries_to_json([Delivery(ID, ID, ID, 1_000_000)]),
    },
)
REFUND = context("refund", to_json(Settlement(ID, Kind.MONEY_WITHDRAWAL, ID, ID, money=Money(100, "EUR"))))
HARVEST = Harvest(
    lot_code="L-1",
    product_code="leek",
    description="",
    variety="",
    quantity=Quantity.of(10, "KGM"),
    farm_name="Farm",
    country_code="US",
    harvest_time=NOW,
    expire_time=NOW + timedelta(days=3),
)
LAUNCH = Launch(ID, HARVEST, Quantity.of(1, "KGM"), Money(100, "EUR"), 30, "", "")
UNDONE = context("mint", {**launch_to_json(LAUNCH), "lot_id": ID}, Direction.UNDO)
DENIED = PermissionDenied("PERMISSION_DENIED", "not now")


def launch_steps(error: Exception) -> LaunchSteps:
    lots: Any = Denying(error)
    return LaunchSteps(lots, UNUSED, UNUSED, UNUSED, UNUSED, UNUSED, FixedClock(NOW))


async def test_a_delivery_that_is_not_permitted_is_asked_again() -> None:
    crops: Any = Denying(DENIED)
    with pytest.raises(Unavailable):
        await GoodsSteps(UNUSED, UNUSED, crops, UNUSED).deliver(WITHDRAWAL)


async def test_a_delivery_that_is_refused_is_final() -> None:
    crops: Any = Denying(FailedPrecondition("LOT_RECALLED", "recalled"))
    made = await GoodsSteps(UNUSED, UNUSED, crops, UNUSED).deliver(WITHDRAWAL)
    assert made == {"delivered": [], "refused": [[0, "LOT_RECALLED", "recalled"]]}


async def test_a_refund_that_is_not_permitted_is_asked_again() -> None:
    payments: Any = Denying(DENIED)
    with pytest.raises(Unavailable):
        await MoneySteps(UNUSED, UNUSED, payments).refund(REFUND)


async def test_a_lot_that_may_not_be_destroyed_now_is_not_taken_for_destroyed() -> None:
    with pytest.raises(Unavailable):
        await launch_steps(DENIED).destroy(UNDONE)


@pytest.mark.parametrize(
    "gone", [FailedPrecondition("LOT_DESTROYED", "gone"), PermissionDenied("NOT_OWNER", "handed over")]
)
async def test_what_its_owner_did_with_the_lot_meanwhile_stands(gone: Exception) -> None:
    await launch_steps(gone).destroy(UNDONE)
