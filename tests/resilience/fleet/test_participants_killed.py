"""SIGKILL of a participant in the middle of its part: the saga goes on with the one that is started again."""

import asyncio

import pytest

from chassis import crashpoints
from chassis.idempotency import IDEMPOTENCY_CRASHPOINTS
from chassis.testing import eventually
from fleet.client import CallFailed, Credentials
from fleet.testing.live import LiveFleet
from services.payments.application.authorize import AUTHORIZE_CRASHPOINTS
from services.payments.application.capture import CAPTURE_CRASHPOINTS
from services.payments.application.refund import REFUND_CRASHPOINTS
from services.payments.application.void import VOID_CRASHPOINTS
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import killed_by_its_crash_point, wait_for_its_death
from tests.resilience.fleet.market import DECLINED_CARD, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# What inventory does for one order, in this order: reserve, hold, consume.
INVENTORY = [f"{point}@{hit}" for point in IDEMPOTENCY_CRASHPOINTS for hit in (1, 2, 3)]
# A participant that is away for long is given up before the pivot, and never after it.
GIVEN_UP = {"FULFILLED", "CHECKOUT_FAILED"}


async def test_every_crash_point_of_payments_has_its_case() -> None:
    tried = {*AUTHORIZE_CRASHPOINTS, *CAPTURE_CRASHPOINTS, *VOID_CRASHPOINTS, *REFUND_CRASHPOINTS}
    assert tried == {point for point in crashpoints.declared() if point.startswith("payments.")}


@pytest.mark.parametrize("point", INVENTORY)
async def test_an_order_survives_a_killed_inventory(market: Market, live: LiveFleet, point: str) -> None:
    outcome = await _ordered_while_dying(market, "inventory", point)
    assert outcome in ({"FULFILLED"} if point.endswith("@3") else GIVEN_UP)


@pytest.mark.parametrize("point", [*AUTHORIZE_CRASHPOINTS, *CAPTURE_CRASHPOINTS])
async def test_an_order_survives_a_killed_payments(market: Market, live: LiveFleet, point: str) -> None:
    outcome = await _ordered_while_dying(market, "payments", point)
    assert outcome in ({"FULFILLED"} if point in CAPTURE_CRASHPOINTS else GIVEN_UP)


@pytest.mark.parametrize("point", [f"{point}@2" for point in IDEMPOTENCY_CRASHPOINTS])
async def test_a_declined_order_gives_its_stock_back_to_an_inventory_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    outcome = await _ordered_while_dying(market, "inventory", point, DECLINED_CARD)
    assert outcome == "PAYMENT_DECLINED"


@pytest.mark.parametrize("point", VOID_CRASHPOINTS)
async def test_an_authorization_is_let_go_by_a_payments_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    request_id = await steps.order_killed_at(market, "saga.checkout.authorize.action.after_record")
    await steps.release(live, await market.order_id(request_id))
    await live.restart("payments", point)
    await live.start_service("orders")
    await wait_for_its_death(live, "payments")
    await live.start_service("payments")
    assert await market.outcome(request_id) == "CHECKOUT_FAILED"
    await invariants.check(live)


@pytest.mark.parametrize("point", REFUND_CRASHPOINTS)
async def test_a_refund_is_made_once_by_a_payments_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    goods = await market.stocked(kilograms=5)
    at = "saga.checkout.capture.action.after_record"
    request_id = await steps.order_killed_at(market, at, goods.menu_item_id)
    await market.recall(goods.lot_id)
    await live.restart("payments", point)
    await live.start_service("orders")
    await wait_for_its_death(live, "payments")
    await live.start_service("payments")
    assert await market.outcome(request_id, goods.menu_item_id) == "LOT_RECALLED"
    await steps.refunded_once(live, await market.order_id(request_id))
    await invariants.check(live)


@pytest.mark.parametrize("service", ["auth", "notifications"])
@pytest.mark.parametrize("point", IDEMPOTENCY_CRASHPOINTS)
async def test_a_registration_survives_a_killed_participant(
    market: Market, live: LiveFleet, service: str, point: str
) -> None:
    request = market.registration()
    await live.restart(service, point)
    asking = market.patiently(lambda: steps.create_user(live, request))
    await killed_by_its_crash_point(live, service, asking, restart=True)
    await steps.registered(market, request)


@pytest.mark.parametrize("point", IDEMPOTENCY_CRASHPOINTS)
async def test_credentials_are_revoked_by_an_auth_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    request = market.registration()
    await live.restart("users", "saga.register_user.create_credentials.action.before")
    await killed_by_its_crash_point(live, "users", steps.create_user(live, request))
    await steps.revoke(live, await steps.user_id_of(live, request.email))
    await live.restart("auth", point)
    await live.start_service("users")
    await wait_for_its_death(live, "auth")
    await live.start_service("auth")
    await invariants.check(live)
    with pytest.raises(CallFailed, match="CREDENTIALS_INVALID"):
        await market.log_in(Credentials(request.email, request.password))
    await steps.registered(market, request)


@pytest.mark.parametrize("point", [f"{point}@{hit}" for point in IDEMPOTENCY_CRASHPOINTS for hit in (1, 2)])
async def test_a_transfer_is_told_once_to_each_by_notifications_that_die(
    market: Market, live: LiveFleet, point: str
) -> None:
    lot_id, request_id = await market.mint("carrot"), new_id()
    await live.restart("notifications", point)
    owner = market.owner.user_id
    # The caller has its answer before the two are told.
    await market.transfer(lot_id, owner, request_id)
    await wait_for_its_death(live, "notifications")
    await live.start_service("notifications")
    await steps.transferred(market, lot_id, request_id)


async def test_a_transfer_waits_for_a_users_service_that_is_away(market: Market, live: LiveFleet) -> None:
    lot_id, request_id, owner = await market.mint("carrot"), new_id(), market.owner.user_id
    await live.kill("users")
    calling = asyncio.ensure_future(market.transfer(lot_id, owner, request_id))
    begun = "SELECT count(*) FROM event WHERE stream_id = 'lot-' || $1 AND type = 'LotTransferBegun'"
    await eventually(lambda: live.fetchval("crops", begun, lot_id))
    await live.start_service("users")
    await asyncio.wait([calling])
    calling.exception()
    await steps.transferred(market, lot_id, request_id)


async def test_a_registration_without_auth_leaves_nothing_and_works_afterwards(
    market: Market, live: LiveFleet
) -> None:
    request = market.registration()
    await live.kill("auth")
    with pytest.raises(CallFailed, match="UNAVAILABLE"):
        await steps.create_user(live, request)
    assert await steps.user_id_of(live, request.email) is None
    await live.start_service("auth")
    await steps.registered(market, request)


async def test_everything_of_these_deaths_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _ordered_while_dying(market: Market, service: str, point: str, method: str = "pm_card") -> str:
    request_id = new_id()
    await market.live.restart(service, point)
    asking = market.order(request_id, method=method)
    await killed_by_its_crash_point(market.live, service, asking, restart=True)
    outcome = await market.outcome(request_id, method=method)
    await invariants.check(market.live)
    return outcome
