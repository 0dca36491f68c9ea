"""Users and auth together, over gRPC: in plain text, and by mutual TLS as the contract lets them."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.testing import PostgresServer, eventually
from fleet.membership import members
from fleet.trust import Authority
from greenledger.auth.v1 import auth_pb2
from greenledger.users.v1 import users_pb2
from interceptors.client_errors import domain_error
from tests.integration.auth.process import OPERATOR
from tests.integration.users.fleet import Fleet, serving


@pytest_asyncio.fixture(params=["plain text", "mutual TLS"])
async def fleet(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[Fleet]:
    tls = tmp_path / "tls" if request.param == "mutual TLS" else None
    if tls is not None:
        Authority(tls).ensure(members(["auth", "users", "notifications"]))
    async with serving(postgres_server, tmp_path, tls) as fleet:
        yield fleet


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code(), domain_error(error.value).reason


async def test_who_registers_can_log_in_see_change_and_close_the_profile(fleet: Fleet):
    user = await fleet.register()
    assert user.state == users_pb2.USER_STATE_ACTIVE
    metadata = await fleet.token()
    me = await fleet.users.GetMe(users_pb2.GetMeRequest(), metadata=metadata)
    assert me == user
    me.display_name = "Ada L."
    changed = await fleet.users.UpdateUser(
        users_pb2.UpdateUserRequest(user=me, update_mask=FieldMask(paths=["display_name"])), metadata=metadata
    )
    assert (changed.display_name, changed.email) == ("Ada L.", "ada@example.org")
    assert changed.etag != me.etag
    access = await fleet.auth.GetAccess(auth_pb2.GetAccessRequest(user_id=user.user_id), metadata=metadata)
    assert list(access.roles) == ["grower"]
    await fleet.users.DeleteUser(users_pb2.DeleteUserRequest(user_id=user.user_id), metadata=metadata)
    left = await fleet.users.GetMe(users_pb2.GetMeRequest(), metadata=metadata)
    assert (left.state, left.email) == (users_pb2.USER_STATE_DELETED, "")


async def test_the_welcome_message_is_sent_with_the_token_of_the_service(fleet: Fleet):
    user = await fleet.register()
    await eventually(lambda: fleet.mail.sent)
    (message,) = fleet.mail.sent
    assert (message.user_id, message.template) == (user.user_id, "welcome")
    assert not re.search(rb"Ada|ada@", message.SerializeToString())
    assert fleet.mail.tokens[0].startswith("Bearer ey")


async def test_refusals_of_auth_reach_the_caller_with_kind_and_reason(fleet: Fleet):
    weak = refused(fleet.register(password="password123"))
    assert await weak == (grpc.StatusCode.INVALID_ARGUMENT, "PASSWORD_WEAK")
    await fleet.register()
    taken = refused(fleet.register())
    assert await taken == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")
    # The operator's address is known to auth alone.
    taken = refused(fleet.register(email=OPERATOR["email"].upper()))
    assert await taken == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


async def test_the_same_request_over_the_wire_makes_one_person(fleet: Fleet):
    request_id = str(uuid.uuid4())
    first = await fleet.register(request_id=request_id)
    assert await fleet.register(request_id=request_id.upper()) == first
    reused = refused(fleet.register(request_id=request_id, role="venue"))
    assert await reused == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_the_operator_lists_people_and_has_no_profile(fleet: Fleet):
    people = [(await fleet.register(email=f"p{n}@example.org")).user_id for n in range(3)]
    metadata = await fleet.token(OPERATOR["email"], OPERATOR["password"])
    request = users_pb2.ListUsersRequest(page_size=2, role="grower")
    page = await fleet.users.ListUsers(request, metadata=metadata)
    request.page_token = page.next_page_token
    rest = await fleet.users.ListUsers(request, metadata=metadata)
    assert [user.user_id for user in (*page.users, *rest.users)] == people[::-1]
    assert rest.next_page_token == ""
    request.role = "guest"
    other = refused(fleet.users.ListUsers(request, metadata=metadata))
    assert await other == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    nobody = refused(fleet.users.GetMe(users_pb2.GetMeRequest(), metadata=metadata))
    assert await nobody == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


@pytest.mark.parametrize(
    ("user", "paths"),
    [
        ({"email": "eve@example.org"}, ["email"]),
        ({"role": "venue"}, ["role"]),
        ({"state": users_pb2.USER_STATE_DELETED}, ["state"]),
        ({}, ["nonsense"]),
        ({}, ["preferences.nonsense"]),
        ({"email": "eve@example.org"}, []),
    ],
)
async def test_fields_that_cannot_change_are_refused_by_name(fleet: Fleet, user, paths):
    created = await fleet.register()
    request = users_pb2.UpdateUserRequest(
        user=users_pb2.User(user_id=created.user_id, **user), update_mask=FieldMask(paths=paths)
    )
    answer = refused(fleet.users.UpdateUser(request, metadata=await fleet.token()))
    assert await answer == (grpc.StatusCode.INVALID_ARGUMENT, "UPDATE_MASK_INVALID")


async def test_without_a_mask_the_fields_that_are_set_change(fleet: Fleet):
    user = await fleet.register()
    user.preferences.language = "fr"
    user.display_name = ""
    changed = await fleet.users.UpdateUser(
        users_pb2.UpdateUserRequest(user=user), metadata=await fleet.token()
    )
    assert (changed.preferences.language, changed.display_name) == ("fr", "Ada")


async def test_a_rotated_key_fails_no_call(fleet: Fleet):
    await fleet.register()
    before = await fleet.token()
    operator = await fleet.token(OPERATOR["email"], OPERATOR["password"])
    rotated = await fleet.auth.RotateSigningKey(auth_pb2.RotateSigningKeyRequest(), metadata=operator)
    assert rotated.kid
    after = await fleet.token()
    for metadata in (before, after):
        await fleet.users.GetMe(users_pb2.GetMeRequest(), metadata=metadata)
