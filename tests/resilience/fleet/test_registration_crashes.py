"""SIGKILL of users at every crash point of the registration saga: registered whole, or not at all."""

from typing import Any

import pytest

from chassis.saga import ENGINE_CRASHPOINTS
from fleet.testing.live import LiveFleet
from services.users.application.register import REGISTER_CRASHPOINTS
from services.users.application.registration_saga import RegistrationSteps
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import (
    keep_dying,
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import Market

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
POINTS = points_by_step(RegistrationSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY, _NOBODY).saga())
STARTED, CLAIMED = ENGINE_CRASHPOINTS
_BACK = {("create_credentials", "undo"), ("fail", "action")}
TURNING_BACK = [point for point, step in POINTS.items() if step in _BACK]
ON_THE_WAY = [*REGISTER_CRASHPOINTS, STARTED, *(point for point in POINTS if point not in TURNING_BACK)]


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_registration_survives_a_killed_orchestrator(
    market: Market, live: LiveFleet, point: str
) -> None:
    request = market.registration()
    await live.restart("users", point)
    await killed_by_its_crash_point(live, "users", steps.create_user(live, request))
    await live.start_service("users")
    await steps.registered(market, request)


@pytest.mark.parametrize("point", TURNING_BACK)
async def test_a_registration_that_turns_back_frees_the_address_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    request = market.registration()
    await live.restart("users", "saga.register_user.create_credentials.action.before")
    await killed_by_its_crash_point(live, "users", steps.create_user(live, request))
    user_id = await steps.user_id_of(live, request.email)
    await steps.revoke(live, user_id)
    await live.start_service("users", point)
    await wait_for_its_death(live, "users")
    await live.start_service("users")
    await invariants.check(live)
    assert await live.fetchval("users", "SELECT state FROM person WHERE user_id = $1", user_id) == "FAILED"
    await steps.registered(market, request)


async def test_a_registration_survives_an_orchestrator_killed_as_it_claims_it(
    market: Market, live: LiveFleet
) -> None:
    request = market.registration()
    await live.restart("users", STARTED)
    await killed_by_its_crash_point(live, "users", steps.create_user(live, request))
    await live.start_service("users", CLAIMED)
    await wait_for_its_death(live, "users")
    await live.start_service("users")
    await steps.registered(market, request)


async def test_a_registration_whose_orchestrator_always_dies_at_one_step_is_given_up_and_undone(
    market: Market, live: LiveFleet
) -> None:
    request, point = market.registration(), "saga.register_user.create_credentials.action.after_effect"
    await live.restart("users", point)
    await killed_by_its_crash_point(live, "users", steps.create_user(live, request))
    user_id = await steps.user_id_of(live, request.email)
    await keep_dying(live, "users", point, times=4)
    account = "SELECT state FROM account WHERE user_id = $1"
    assert await live.fetchval("auth", account, user_id) == "ACTIVE"
    await live.start_service("users")
    await invariants.check(live)
    assert await live.fetchval("auth", account, user_id) == "REVOKED"
    await steps.registered(market, request)


async def test_every_person_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)
