"""Registration: whole or not at all."""

import asyncio
import re
import uuid
from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from chassis.saga import State as SagaState
from chassis.testing import eventually
from greenledger.users.v1.events_pb2 import UserRegistered
from services.users.application.housekeeping import KEPT, ForgetFailedRegistrations
from services.users.domain.user import State
from tests.integration.auth.process import events
from tests.integration.users.conftest import PASSWORD, Process, World, asked, person


def unavailable() -> Unavailable:
    return Unavailable("UNAVAILABLE", "auth does not answer")


async def test_a_registration_makes_a_profile_credentials_an_event_and_a_message(
    world: World, process: Process
):
    user = await world.register(process)
    assert user.state is State.ACTIVE
    assert world.credentials.emails == {"ada@example.org": user.user_id}
    assert list(world.messages.sent.values()) == [user.user_id]
    (event,) = await events(world.database)
    payload = UserRegistered()
    assert event.payload.Unpack(payload)
    assert (event.type, event.aggregate_id) == ("user.registered", user.user_id)
    assert (event.schema_version, payload.role) == (2, "guest")
    assert not re.search(rb"Ada|ada@", event.SerializeToString())


async def test_the_answer_does_not_wait_for_the_message(world: World, process: Process):
    world.messages.troubles = [unavailable()] * 3
    user = await process.register(asked(), PASSWORD)
    assert user.state is State.ACTIVE
    await world.ended(process, user.user_id)
    assert world.messages.calls == 4
    assert len(world.messages.sent) == 1


async def test_a_message_that_is_refused_does_not_undo_the_registration(world: World, process: Process):
    world.messages.troubles = [NotFound("TEMPLATE_UNKNOWN", "no such template")]
    user = await process.register(asked(), PASSWORD)
    assert (await world.ended(process, user.user_id)).state is SagaState.COMPLETED
    assert world.messages.calls == 1
    assert (await world.queries.get(user.user_id, person(user.user_id))).state is State.ACTIVE


async def test_the_same_request_again_gives_the_same_person(world: World, process: Process):
    request = asked()
    first = await process.register(request, PASSWORD)
    assert await process.register(request, PASSWORD) == first
    assert world.credentials.prepared == 1


async def test_the_same_request_many_times_at_once_makes_one_person(world: World, process: Process):
    request = asked()
    outcomes = await asyncio.gather(*(process.register(request, PASSWORD) for _ in range(8)))
    assert {user.user_id for user in outcomes} == {outcomes[0].user_id}
    await world.ended(process, outcomes[0].user_id)
    assert len(await events(world.database, "user.registered")) == 1
    assert len(world.messages.sent) == 1


@pytest.mark.parametrize(
    "change", [{"display_name": "Eve"}, {"role": "grower"}, {"email": "eve@example.org"}]
)
async def test_the_same_request_id_for_something_else_is_refused(world: World, process: Process, change):
    request = asked()
    await process.register(request, PASSWORD)
    with pytest.raises(AlreadyExists) as error:
        await process.register(asked(request_id=request.request_id, **change), PASSWORD)
    assert error.value.reason == "REQUEST_ID_REUSED"


async def test_a_weak_password_is_refused_before_anything_is_stored(world: World, process: Process):
    with pytest.raises(InvalidArgument) as error:
        await process.register(asked(), "password123")
    assert error.value.reason == "PASSWORD_WEAK"
    assert await world.database.fetchval("SELECT count(*) FROM person") == 0


async def test_an_address_that_is_registered_is_refused_whatever_its_case(world: World, process: Process):
    await process.register(asked(), PASSWORD)
    with pytest.raises(AlreadyExists) as error:
        await process.register(asked(email="ADA@Example.org"), PASSWORD)
    assert error.value.reason == "EMAIL_TAKEN"


async def test_of_many_who_want_one_address_at_once_one_is_registered(world: World, process: Process):
    outcomes = await asyncio.gather(
        *(process.register(asked(), PASSWORD) for _ in range(8)), return_exceptions=True
    )
    (user,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert all(o.reason == "EMAIL_TAKEN" for o in outcomes if isinstance(o, AlreadyExists))
    assert world.credentials.emails == {"ada@example.org": user.user_id}


async def test_when_auth_refuses_nothing_is_left_and_its_reason_is_told(world: World, process: Process):
    world.credentials.emails["ada@example.org"] = "somebody else"
    with pytest.raises(AlreadyExists) as error:
        await process.register(asked(), PASSWORD)
    assert error.value.reason == "EMAIL_TAKEN"
    (row,) = await world.database.fetch("SELECT * FROM person")
    assert (row["state"], row["email"], row["display_name"]) == ("FAILED", None, "")
    assert await events(world.database) == []


async def test_what_only_auth_can_explain_is_told_as_a_failed_registration(world: World, process: Process):
    world.credentials.troubles = [FailedPrecondition("TICKET_INVALID", "the ticket has expired")]
    with pytest.raises(Unavailable) as error:
        await process.register(asked(), PASSWORD)
    assert (error.value.reason, error.value.metadata) == ("REGISTRATION_FAILED", {"cause": "TICKET_INVALID"})


async def test_a_registration_that_failed_may_be_tried_again_with_the_same_request_id(
    world: World, process: Process
):
    request = asked()
    world.credentials.troubles = [FailedPrecondition("TICKET_INVALID", "the ticket has expired")]
    with pytest.raises(Unavailable):
        await process.register(request, PASSWORD)
    assert (await process.register(request, PASSWORD)).state is State.ACTIVE


async def test_a_lost_answer_of_auth_is_asked_for_again_with_the_same_key(world: World, process: Process):
    world.credentials.lost = 2
    user = await process.register(asked(), PASSWORD)
    assert user.state is State.ACTIVE
    assert len(world.credentials.activations) == 3
    assert len(set(world.credentials.activations)) == 1


async def test_when_auth_stays_silent_the_credentials_are_taken_back_and_the_address_is_free(
    world: World, process: Process
):
    world.credentials.lost = 5
    with pytest.raises(Unavailable) as error:
        await process.register(asked(), PASSWORD)
    assert error.value.reason == "REGISTRATION_FAILED"
    assert world.credentials.emails == {}
    assert (await process.register(asked(), PASSWORD)).state is State.ACTIVE


async def test_an_activation_that_arrives_after_its_compensation_gives_nobody_a_login(
    world: World, process: Process
):
    world.credentials.troubles = [unavailable()] * 5
    with pytest.raises(Unavailable):
        await process.register(asked(), PASSWORD)
    (user_id,) = world.credentials.revoked
    (ticket,) = world.credentials.tickets
    with pytest.raises(FailedPrecondition) as error:
        await world.credentials.activate("late", user_id, ticket)
    assert error.value.reason == "CREDENTIALS_REVOKED"


async def test_who_cannot_wait_is_told_that_it_is_under_way_and_it_goes_on(world: World):
    process, request = world.process(), asked()
    clock = SystemClock()
    with use(RequestContext(deadline=clock.monotonic() + 0.3)), pytest.raises(DeadlineExceeded) as error:
        await process.register(request, PASSWORD)
    assert error.value.reason == "REGISTRATION_PENDING"
    user_id = error.value.metadata["user_id"]
    running = await world.running()
    user = await running.register(request, PASSWORD)
    assert (user.user_id, user.state) == (user_id, State.ACTIVE)


async def test_a_person_whose_registration_is_under_way_can_neither_change_nor_leave(world: World):
    process, clock = world.process(), SystemClock()
    with use(RequestContext(deadline=clock.monotonic())), pytest.raises(DeadlineExceeded) as error:
        await process.register(asked(), PASSWORD)
    user_id = error.value.metadata["user_id"]
    with pytest.raises(FailedPrecondition) as refused:
        await world.delete(user_id, "", person(user_id))
    assert refused.value.reason == "REGISTRATION_PENDING"


@pytest.mark.parametrize("name", ["", "   ", "Ada\r\nBcc: eve@example.org", "\x00"])
async def test_a_name_that_cannot_be_one_is_refused(world: World, process: Process, name):
    with pytest.raises(InvalidArgument) as error:
        await process.register(asked(display_name=name), PASSWORD)
    assert error.value.violations[0].field == "display_name"
    assert world.credentials.prepared == 0


async def test_neither_the_password_nor_the_address_is_in_the_saga(world: World, process: Process):
    user = await world.register(process)
    rows = await world.database.fetch("SELECT s::text AS row FROM saga s")
    rows += await world.database.fetch("SELECT s::text AS row FROM saga_step s")
    everything = "\n".join(row["row"] for row in rows)
    assert user.user_id in everything
    assert "ada@example.org" not in everything
    assert PASSWORD not in everything
    persons = await world.database.fetch("SELECT p::text AS row FROM person p")
    assert PASSWORD not in persons[0]["row"]


async def test_who_leaves_before_the_welcome_is_not_written_to(world: World, process: Process):
    world.messages.troubles = [unavailable()] * 100
    user = await process.register(asked(), PASSWORD)
    await world.delete(user.user_id, "", person(user.user_id))
    world.messages.troubles.clear()
    await world.ended(process, user.user_id)
    assert world.messages.sent == {}


async def test_a_request_id_of_a_closed_account_is_spent(world: World, process: Process):
    request = asked()
    user = await process.register(request, PASSWORD)
    await world.delete(user.user_id, "", person(user.user_id))
    with pytest.raises(AlreadyExists) as error:
        await process.register(request, PASSWORD)
    assert error.value.reason == "REQUEST_ID_REUSED"
    world.credentials.emails.clear()
    assert (await process.register(asked(request_id=str(uuid.uuid4())), PASSWORD)).state is State.ACTIVE


async def test_a_registration_that_another_process_finishes_is_seen(world: World):
    waiting, working = world.process(), await world.running()
    outcome = asyncio.create_task(waiting.register(asked(), PASSWORD))
    user = await outcome
    assert user.state is State.ACTIVE
    await world.ended(working, user.user_id)
    await eventually(lambda: world.messages.sent)


async def test_a_registration_that_failed_is_forgotten_after_its_time_and_no_other(
    world: World, process: Process
):
    there = await world.register(process)
    failed = []
    for number in range(2):
        world.credentials.troubles = [FailedPrecondition("TICKET_INVALID", "it has expired")]
        with pytest.raises(Unavailable):
            await process.register(asked(email=f"p{number}@example.org"), PASSWORD)
    rows = await world.database.fetch("SELECT user_id FROM person WHERE state = 'FAILED' ORDER BY user_id")
    failed = [row["user_id"] for row in rows]
    assert len(failed) == 2
    age = "UPDATE person SET updated_at = updated_at - $1::interval WHERE user_id = $2"
    await world.database.execute(age, KEPT, failed[0])
    await world.database.execute(age, KEPT - timedelta(minutes=5), failed[1])
    await world.database.execute(age, 2 * KEPT, there.user_id)
    await ForgetFailedRegistrations(world.users, SystemClock())()
    left = await world.database.fetch("SELECT user_id FROM person")
    assert {str(row["user_id"]) for row in left} == {there.user_id, str(failed[1])}
