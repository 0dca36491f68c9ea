"""Profiles: who may see, change and close them."""

import re

import pytest

from chassis.context import Principal
from chassis.errors import Aborted, InvalidArgument, NotFound, PermissionDenied
from chassis.ids import SystemIds
from greenledger.users.v1.events_pb2 import UserDeleted, UserUpdated
from services.users.domain.user import Change, Preferences, State
from tests.integration.auth.process import events
from tests.integration.users.conftest import Process, World, person


async def test_a_profile_is_seen_by_its_owner_and_by_who_may_read_all(world: World, process: Process):
    user = await world.register(process)
    for actor in (
        person(user.user_id),
        person("auditor", "users.read"),
        Principal("notifications", "service", permissions=frozenset({"users.read"})),
    ):
        assert await world.queries.get(user.user_id, actor) == user
    assert await world.queries.me(person(user.user_id)) == user
    with pytest.raises(PermissionDenied) as error:
        await world.queries.get(user.user_id, person(SystemIds().uuid7()))
    assert error.value.reason == "NOT_OWNER"


async def test_who_has_no_profile_is_not_found(world: World):
    stranger = SystemIds().uuid7()
    for actor in (person(stranger), Principal("orders", "service")):
        with pytest.raises(NotFound) as error:
            await world.queries.me(actor)
        assert error.value.reason == "USER_NOT_FOUND"


async def test_a_change_is_stored_and_told_with_its_revision(world: World, process: Process):
    user = await world.register(process)
    change = Change(display_name="Ada L.", marketing_email=True)
    changed = await world.update(user.user_id, change, user.etag, person(user.user_id))
    assert await world.queries.me(person(user.user_id)) == changed
    assert changed.preferences == Preferences(True, True, "en")
    (event,) = await events(world.database, "user.updated")
    payload = UserUpdated()
    assert event.payload.Unpack(payload)
    assert (event.schema_version, payload.revision) == (2, changed.revision)
    assert not re.search(rb"Ada|ada@", event.SerializeToString())  # an id may well hold "ada"
    assert changed.revision == user.revision + 1


async def test_a_change_that_changes_nothing_is_not_told(world: World, process: Process):
    user = await world.register(process)
    same = await world.update(user.user_id, Change(display_name="Ada"), "", person(user.user_id))
    assert same.etag == user.etag
    assert await events(world.database, "user.updated") == []


async def test_a_change_of_another_version_is_refused(world: World, process: Process):
    user = await world.register(process)
    await world.update(user.user_id, Change(display_name="Ada L."), user.etag, person(user.user_id))
    with pytest.raises(Aborted) as error:
        await world.update(user.user_id, Change(language="de"), user.etag, person(user.user_id))
    assert error.value.reason == "ETAG_MISMATCH"
    with pytest.raises(Aborted):
        await world.delete(user.user_id, user.etag, person(user.user_id))


async def test_only_the_owner_and_operators_change_and_close(world: World, process: Process):
    user = await world.register(process)
    for actor in (person("x"), person("auditor", "users.read")):
        with pytest.raises(PermissionDenied) as error:
            await world.update(user.user_id, Change(language="de"), "", actor)
        assert error.value.reason == "NOT_OWNER"
        with pytest.raises(PermissionDenied):
            await world.delete(user.user_id, "", actor)
    operator = person("operator", "users.write")
    await world.update(user.user_id, Change(language="de"), "", operator)
    await world.delete(user.user_id, "", operator)


async def test_a_name_that_cannot_be_one_is_refused(world: World, process: Process):
    user = await world.register(process)
    with pytest.raises(InvalidArgument) as error:
        await world.update(user.user_id, Change(display_name="\n"), "", person(user.user_id))
    assert error.value.reason == "VALIDATION_FAILED"


async def test_a_closed_account_is_empty_and_told(world: World, process: Process):
    user = await world.register(process)
    await world.delete(user.user_id, user.etag, person(user.user_id))
    left = await world.queries.get(user.user_id, person("auditor", "users.read"))
    assert (left.state, left.email, left.display_name) == (State.DELETED, "", "")
    assert left.preferences == Preferences()
    (event,) = await events(world.database, "user.deleted")
    payload = UserDeleted()
    assert event.payload.Unpack(payload)
    assert (event.aggregate_id, payload.user_id) == (user.user_id, user.user_id)
    rows = await world.database.fetch("SELECT p::text AS row FROM person p")
    assert not re.search("Ada|ada@", rows[0]["row"])


async def test_a_closed_account_can_be_neither_changed_nor_closed_again(world: World, process: Process):
    user = await world.register(process)
    await world.delete(user.user_id, "", person(user.user_id))
    for work in (
        world.delete(user.user_id, "", person(user.user_id)),
        world.update(user.user_id, Change(language="de"), "", person(user.user_id)),
    ):
        with pytest.raises(NotFound) as error:
            await work
        assert error.value.reason == "USER_NOT_FOUND"
    assert len(await events(world.database, "user.deleted")) == 1


async def test_people_are_listed_newest_first_by_role_without_those_who_left(world: World, process: Process):
    people = [
        await world.register(process, email=f"p{n}@example.org", role=("guest", "grower")[n % 2])
        for n in range(5)
    ]
    await world.delete(people[4].user_id, "", person(people[4].user_id))
    newest_first = [user.user_id for user in reversed(people[:4])]
    everybody = await world.queries.page(None, None, 10)
    assert [user.user_id for user in everybody] == newest_first
    assert [user.role for user in await world.queries.page("grower", None, 10)] == ["grower"] * 2
    rest = await world.queries.page(None, newest_first[1], 10)
    assert [user.user_id for user in rest] == newest_first[2:]
