"""Prepared, activated and revoked credentials; roles."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chassis.context import Principal, RequestContext, use
from chassis.errors import (
    AlreadyExists,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from chassis.ids import SystemIds
from chassis.inbox import ReceivedEvent
from greenledger.auth.v1 import auth_pb2 as pb
from greenledger.auth.v1.events_pb2 import RolesAssigned
from greenledger.users.v1.events_pb2 import UserDeleted
from tests.integration.auth.conftest import CONTEXT, PASSWORD, Auth
from tests.integration.auth.process import events


def user_id() -> str:
    return SystemIds().uuid7()


async def revoke(auth: Auth, user: str) -> None:
    await auth.rpc.RevokeCredentials(pb.RevokeCredentialsRequest(user_id=user), CONTEXT)


async def reason_of(work: Any, kind: type[DomainError]) -> str:
    with pytest.raises(kind) as error:
        await work
    return error.value.reason


async def test_activation_gives_the_role_and_tells_others(auth: Auth):
    user = user_id()
    access = await auth.activate(user, await auth.prepare(role="venue"))
    assert (access.user_id, list(access.roles)) == (user, ["venue"])
    event = (await events(auth.database, "auth.roles-assigned"))[-1]
    payload = RolesAssigned()
    assert event.payload.Unpack(payload)
    assert (event.aggregate_id, payload.user_id, list(payload.roles)) == (user, user, ["venue"])


async def test_the_same_ticket_again_gives_the_same_user_the_same(auth: Auth):
    user, ticket = user_id(), await auth.prepare()
    first = await auth.activate(user, ticket)
    assert await auth.activate(user, ticket) == first
    told = [e for e in await events(auth.database, "auth.roles-assigned") if e.aggregate_id == user]
    assert len(told) == 1


async def test_the_same_activation_at_once_is_one(auth: Auth):
    user, ticket = user_id(), await auth.prepare()
    outcomes = await asyncio.gather(*(auth.activate(user, ticket) for _ in range(5)))
    assert all(outcome.user_id == user for outcome in outcomes)


async def test_a_ticket_binds_one_user_only(auth: Auth):
    ticket = await auth.prepare()
    await auth.activate(user_id(), ticket)
    assert await reason_of(auth.activate(user_id(), ticket), FailedPrecondition) == "TICKET_INVALID"


async def test_a_user_with_credentials_gets_no_others(auth: Auth):
    user = await auth.person()
    other = await auth.prepare("other@example.org")
    assert await reason_of(auth.activate(user, other), FailedPrecondition) == "TICKET_INVALID"


async def test_a_ticket_expires_and_is_purged(auth: Auth):
    ticket = await auth.prepare()
    auth.clock.advance(timedelta(minutes=15))
    assert await reason_of(auth.activate(user_id(), ticket), FailedPrecondition) == "TICKET_INVALID"
    await auth.housekeeping()
    assert await auth.database.fetchval("SELECT count(*) FROM prepared_credentials") == 0


async def test_an_address_belongs_to_one_person_whatever_its_case(auth: Auth):
    early, late = await auth.prepare("ada@example.org"), await auth.prepare("Ada@Example.org")
    await auth.activate(user_id(), early)
    assert await reason_of(auth.activate(user_id(), late), AlreadyExists) == "EMAIL_TAKEN"
    assert await reason_of(auth.prepare("ADA@example.org"), AlreadyExists) == "EMAIL_TAKEN"


async def test_of_many_who_want_one_address_at_once_one_gets_it(auth: Auth):
    tickets = [await auth.prepare() for _ in range(8)]
    outcomes = await asyncio.gather(
        *(auth.activate(user_id(), ticket) for ticket in tickets), return_exceptions=True
    )
    assert sum(isinstance(outcome, pb.Access) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 7


@pytest.mark.parametrize(
    ("password", "email"),
    [
        ("password123", "ada@example.org"),
        ("qwertyuiop", "ada@example.org"),
        ("abababababab", "ada@example.org"),
        ("my-lovelace-1815", "lovelace@example.org"),
    ],
)
async def test_a_password_that_is_easily_guessed_is_refused(auth: Auth, password, email):
    request = pb.PrepareCredentialsRequest(email=email, password=password, role="guest")
    assert await reason_of(auth.rpc.PrepareCredentials(request, CONTEXT), InvalidArgument) == "PASSWORD_WEAK"
    assert await auth.database.fetchval("SELECT count(*) FROM prepared_credentials") == 0


@pytest.mark.parametrize("role", ["operator", "auditor"])
async def test_nobody_registers_as_more_than_a_self_service_role(auth: Auth, role):
    assert await reason_of(auth.prepare(role=role), FailedPrecondition) == "ROLE_NOT_SELF_SERVICE"


async def test_an_unknown_role_is_refused(auth: Auth):
    assert await reason_of(auth.prepare(role="king"), InvalidArgument) == "ROLE_UNKNOWN"


async def test_revocation_ends_logins_and_frees_the_address(auth: Auth):
    user = await auth.person()
    tokens = await auth.login()
    await revoke(auth, user)
    assert await reason_of(auth.refresh(tokens.refresh_token), Unauthenticated) == "REFRESH_TOKEN_INVALID"
    assert await reason_of(auth.login(), Unauthenticated) == "CREDENTIALS_INVALID"
    await auth.person()
    await auth.login()


async def test_an_activation_after_the_revocation_is_refused(auth: Auth):
    user, ticket = user_id(), await auth.prepare()
    await revoke(auth, user)
    await revoke(auth, user)
    assert await reason_of(auth.activate(user, ticket), FailedPrecondition) == "CREDENTIALS_REVOKED"
    assert await reason_of(auth.login(), Unauthenticated) == "CREDENTIALS_INVALID"


async def test_activation_and_revocation_at_once_leave_nobody_with_credentials(auth: Auth):
    for n in range(10):
        user, ticket = user_id(), await auth.prepare(f"p{n}@example.org")
        await asyncio.gather(auth.activate(user, ticket), revoke(auth, user), return_exceptions=True)
        assert await reason_of(auth.login(f"p{n}@example.org"), Unauthenticated) == "CREDENTIALS_INVALID"


async def test_a_login_beside_a_revocation_leaves_no_live_login(auth: Auth):
    for n in range(10):
        user = await auth.person(f"p{n}@example.org")
        await asyncio.gather(auth.login(f"p{n}@example.org"), revoke(auth, user), return_exceptions=True)
        alive = "SELECT count(*) FROM login WHERE user_id = $1 AND revoked_at IS NULL"
        assert await auth.database.fetchval(alive, user) == 0


async def test_a_closed_account_loses_its_credentials(auth: Auth):
    user = await auth.person()
    (subscription,) = auth.service.subscriptions
    assert (subscription.topic, subscription.payload_type) == ("user.deleted", UserDeleted)
    event = ReceivedEvent(
        "id", "user.deleted", 1, "user", user, 1, auth.clock.now(), auth.clock.now(), "", "", "", "", "users",
        UserDeleted(user_id=user),
    )  # fmt: skip
    assert subscription.handler is not None
    async with auth.database.transaction() as tx:
        await subscription.handler(event, tx)
    assert await reason_of(auth.login(), Unauthenticated) == "CREDENTIALS_INVALID"


async def test_roles_are_replaced_and_told_once(auth: Auth):
    user = await auth.person()
    for _ in range(2):
        request = pb.SetRolesRequest(user_id=user, roles=["venue", "auditor"])
        access = await auth.rpc.SetRoles(request, CONTEXT)
        assert list(access.roles) == ["auditor", "venue"]
        assert "trace.read" in access.permissions
    told = [e for e in await events(auth.database, "auth.roles-assigned") if e.aggregate_id == user]
    assert len(told) == 2  # guest at the activation, then this


async def test_roles_that_do_not_exist_and_people_who_do_not_are_refused(auth: Auth):
    user = await auth.person()
    unknown = auth.rpc.SetRoles(pb.SetRolesRequest(user_id=user, roles=["king"]), CONTEXT)
    assert await reason_of(unknown, InvalidArgument) == "ROLE_UNKNOWN"
    nobody = auth.rpc.SetRoles(pb.SetRolesRequest(user_id=user_id(), roles=["guest"]), CONTEXT)
    assert await reason_of(nobody, NotFound) == "USER_UNKNOWN"


async def test_access_is_shown_to_oneself_and_to_who_may_read_it(auth: Auth):
    user = await auth.person()
    request = pb.GetAccessRequest(user_id=user.upper())
    with use(RequestContext(principal=Principal(user, "user"))):
        assert list((await auth.rpc.GetAccess(request, CONTEXT)).roles) == ["guest"]
    with use(RequestContext(principal=Principal("x", "user", permissions=frozenset({"auth.access.read"})))):
        assert (await auth.rpc.GetAccess(request, CONTEXT)).user_id == user
    with use(RequestContext(principal=Principal(user_id(), "user"))):
        assert await reason_of(auth.rpc.GetAccess(request, CONTEXT), PermissionDenied) == "NOT_OWNER"


async def test_roles_are_listed_by_page(auth: Auth):
    names, token = [], ""
    while True:
        page = await auth.rpc.ListRoles(pb.ListRolesRequest(page_size=2, page_token=token), CONTEXT)
        names += [role.name for role in page.roles]
        token = page.next_page_token
        if not token:
            break
    assert names == ["auditor", "grower", "guest", "operator", "venue"]


async def test_no_event_carries_a_secret(auth: Auth):
    await auth.person()
    tokens = await auth.login()
    await auth.refresh(tokens.refresh_token)
    with pytest.raises(Unauthenticated):
        await auth.refresh(tokens.refresh_token)
    published = [event.SerializeToString() for event in await events(auth.database)]
    assert len(published) >= 3
    for secret in (PASSWORD, tokens.refresh_token, tokens.access_token, "argon2"):
        assert not any(secret.encode() in event for event in published)
