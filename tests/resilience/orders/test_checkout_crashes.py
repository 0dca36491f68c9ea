"""An engine that dies at any crash point of a checkout: its successor ends it, whole or not at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chassis import crashpoints
from chassis.context import RequestContext, use
from chassis.errors import DeadlineExceeded, DomainError, FailedPrecondition
from chassis.ids import SystemIds
from chassis.saga import ENGINE_CRASHPOINTS, crashpoints_of
from chassis.testing import PostgresServer, eventually
from services.orders.application.checkout_saga import CheckoutSteps
from tests.integration.orders.conftest import Orders, running

pytestmark = pytest.mark.slow

_NOBODY = [None] * 6
POINTS = crashpoints_of(CheckoutSteps(*_NOBODY).saga())  # type: ignore[arg-type]
UNDONE = {"recalled early": ("authorize", "reserve"), "voided by hand": ("capture", "authorize", "reserve")}


def cases() -> list[tuple[str, str]]:
    """(scenario, point): each scenario with the points that it passes."""
    found = [("success", point) for point in POINTS if forward(point)]
    late = ("consume", "refund", "finish")
    found += [("recalled late", p) for p in POINTS if any(f".{step}.action." in p for step in late)]
    for name, steps in UNDONE.items():
        undone = tuple(f".{step}.undo." for step in steps)
        found += [(name, point) for point in POINTS if ".fail." in point or any(u in point for u in undone)]
    return [*found, ("success", ENGINE_CRASHPOINTS[0]), ("queued", ENGINE_CRASHPOINTS[1])]


def forward(point: str) -> bool:
    return ".action." in point and ".fail." not in point


def arrange(orders: Orders, scenario: str) -> str:
    """Prepare the other services; gives the answer that the guest must get."""
    if scenario == "recalled early":
        orders.payments.faults.then["authorize"] = orders.inventory.recall
        return "LOT_RECALLED"
    if scenario == "recalled late":
        orders.payments.faults.then["capture"] = orders.inventory.recall
        return "LOT_RECALLED"
    if scenario == "voided by hand":

        def void() -> None:
            for charge in orders.payments.charges.values():
                charge.state = "VOIDED"

        orders.inventory.faults.then["hold"] = void
        # An attempt whose outcome nobody knows makes the capture one that needs its undo.
        orders.payments.faults.before["capture"] = [DeadlineExceeded("PROVIDER_TIMEOUT", "no answer")]
        return "CHECKOUT_FAILED"
    return "FULFILLED"


async def answer(orders: Orders, request_id: str) -> str:
    try:
        return (await orders.order(request_id=request_id)).state.value
    except FailedPrecondition as refusal:
        return refusal.reason


@pytest_asyncio.fixture
async def orders(postgres_server: PostgresServer) -> AsyncIterator[Orders]:
    async with postgres_server.connected("orders") as database:
        yield Orders(database)


def test_the_matrix_has_every_point_of_the_saga():
    assert {point for _, point in cases()} == {*POINTS, *ENGINE_CRASHPOINTS}


@pytest.mark.parametrize(("scenario", "point"), cases(), ids=lambda value: str(value).replace(" ", "-"))
async def test_after_a_crash_the_order_ends_and_money_and_goods_agree(orders: Orders, scenario, point):
    request_id, expected = SystemIds().uuid7(), arrange(orders, scenario)
    crashpoints.arm(f"{point}:throw")
    if scenario == "queued":  # nobody works yet: the order waits to be claimed
        await start_without_engine(orders, request_id)
    async with running(orders.engine):
        asked = asyncio.create_task(answer(orders, request_id))
        await eventually(lambda: not crashpoints.armed(), 20)
    asked.cancel()
    await asyncio.wait({asked})
    async with running(orders.new_engine()):
        assert await answer(orders, request_id) == expected
    await orders.ensure_consistent()
    assert (await orders.topics()).count("placed") == 1


async def start_without_engine(orders: Orders, request_id: str) -> None:
    with use(RequestContext(deadline=orders.clock.monotonic())), pytest.raises(DomainError):
        await orders.order(request_id=request_id)
