"""The process dies at each crash point of the registration: afterwards somebody is registered, or nobody."""

import asyncio

import pytest

from chassis import crashpoints
from chassis.errors import FailedPrecondition
from chassis.saga import ENGINE_CRASHPOINTS, crashpoints_of
from chassis.saga import State as SagaState
from chassis.testing import eventually
from services.users.application.registration_saga import RegistrationSteps
from tests.integration.auth.process import events
from tests.integration.users.conftest import PASSWORD, World, asked

_SAGA = RegistrationSteps(*[None] * 5).saga()  # type: ignore[arg-type]
_POINTS = [*ENGINE_CRASHPOINTS, *crashpoints_of(_SAGA)]
FORWARD = [point for point in _POINTS if ".undo." not in point and ".fail." not in point]
BACKWARD = [point for point in _POINTS if ".undo." in point or ".fail." in point]


async def crash_at(world: World, point: str) -> str:
    """Register in a process that dies at the point; the id of who was to be registered."""
    if point == "saga.engine.claimed":
        # Only what no running engine has started has to be claimed.
        request = asyncio.create_task(world.process().register(asked(), PASSWORD))
        user_id = await registered_as(world)
        crashpoints.arm(f"{point}:throw")
        process = await world.running()
    else:
        process = await world.running()
        crashpoints.arm(f"{point}:throw")
        request = asyncio.create_task(process.register(asked(), PASSWORD))
        user_id = await registered_as(world)
    await eventually(lambda: point not in crashpoints._armed)
    process.crash()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    return user_id


async def registered_as(world: World) -> str:
    """The id that the registration has given, once it is committed."""
    found = await eventually(lambda: world.database.fetchval("SELECT user_id::text FROM person"))
    return str(found)


@pytest.mark.parametrize("point", FORWARD)
async def test_a_registration_is_completed_by_the_next_process(world: World, point: str):
    user_id = await crash_at(world, point)
    process = await world.running()
    assert (await world.ended(process, user_id)).state is SagaState.COMPLETED
    assert world.credentials.emails == {"ada@example.org": user_id}
    assert await world.database.fetchval("SELECT state FROM person") == "ACTIVE"
    assert len(await events(world.database, "user.registered")) == 1
    assert list(world.messages.sent.values()) == [user_id]


@pytest.mark.parametrize("point", BACKWARD)
async def test_a_registration_that_turns_back_leaves_nobody(world: World, point: str):
    # The first attempt takes effect unseen, the second is refused: the undo has something to take back.
    world.credentials.lost = 1
    refuse = FailedPrecondition("TICKET_INVALID", "the ticket has expired")
    activate = world.credentials.activate

    async def second_refused(key: str, user_id: str, ticket: str) -> None:
        if world.credentials.activations:
            raise refuse
        await activate(key, user_id, ticket)

    world.credentials.activate = second_refused  # type: ignore[method-assign]
    user_id = await crash_at(world, point)
    process = await world.running()
    assert (await world.ended(process, user_id)).state is SagaState.COMPENSATED
    assert world.credentials.emails == {}
    assert await world.database.fetchval("SELECT state FROM person") == "FAILED"
    assert await events(world.database) == []
    assert world.messages.calls == 0


def test_every_crash_point_is_tried() -> None:
    assert len(FORWARD) == len(ENGINE_CRASHPOINTS) + 3 * len(_SAGA.steps)
    assert len(BACKWARD) == 3 * 2  # the one undo, and what ends a failed registration
