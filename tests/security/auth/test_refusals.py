"""Every RPC of auth and users against callers who must not get through."""

import io
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chassis.testing import PostgresServer, logged
from greenledger.auth.v1 import auth_pb2 as auth
from greenledger.options.v1 import options_pb2
from greenledger.users.v1 import users_pb2 as users
from interceptors.client_errors import domain_error
from tests.integration.auth.process import ACCOUNTS, OPERATOR
from tests.integration.users.fleet import PASSWORD, Fleet, serving

ID = "0192e0a0-0000-7000-8000-000000000001"
SOMEBODY = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

METHODS = [
    method
    for descriptor in (auth.DESCRIPTOR, users.DESCRIPTOR)
    for service in descriptor.services_by_name.values()
    for method in service.methods
]
PROTECTED = [m for m in METHODS if not m.GetOptions().Extensions[options_pb2.policy].public]
PERMITTED = [m for m in METHODS if m.GetOptions().Extensions[options_pb2.policy].permission]

SOUND: dict[str, Message] = {
    "ChangePassword": auth.ChangePasswordRequest(current_password=PASSWORD, new_password="purple aubergines"),
    "GetAccess": auth.GetAccessRequest(user_id=SOMEBODY),
    "SetRoles": auth.SetRolesRequest(user_id=SOMEBODY, roles=["guest"]),
    "PrepareCredentials": auth.PrepareCredentialsRequest(
        email="e@example.org", password=PASSWORD, role="guest"
    ),
    "ActivateCredentials": auth.ActivateCredentialsRequest(request_id=ID, user_id=SOMEBODY, ticket="t"),
    "RevokeCredentials": auth.RevokeCredentialsRequest(request_id=ID, user_id=SOMEBODY),
    "GetUser": users.GetUserRequest(user_id=SOMEBODY),
    "UpdateUser": users.UpdateUserRequest(user=users.User(user_id=SOMEBODY, display_name="Eve")),
    "DeleteUser": users.DeleteUserRequest(user_id=SOMEBODY),
}


@pytest_asyncio.fixture
async def fleet(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with serving(postgres_server, tmp_path) as fleet:
        yield fleet


def request_of(method: Any) -> Message:
    """A request that would be answered."""
    return SOUND.get(method.name) or GetMessageClass(method.input_type)()


def stub_method(fleet: Fleet, method: Any) -> Any:
    stub = fleet.auth if method.containing_service.name == "AuthService" else fleet.users
    return getattr(stub, method.name)


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    sound = {
        "iss": "greenledger-auth",
        "aud": "greenledger",
        "sub": SOMEBODY,
        "kind": "user",
        "roles": ["operator"],
        "scope": "users.read users.write auth.roles.write",
        "iat": now,
        "exp": now + timedelta(minutes=5),
        "jti": "x",
    }
    return sound | changes


async def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    found = domain_error(error.value)
    reason = found.metadata.get("callee_reason") or found.reason
    return error.value.code().name, reason


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def known_key_id(fleet: Fleet) -> str:
    return (await fleet.auth.GetJwks(auth.GetJwksRequest())).keys[0].kid


async def forgeries(fleet: Fleet) -> dict[str, str]:
    """Tokens that nobody may be let in with."""
    kid = await known_key_id(fleet)
    pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    tokens = await fleet.token(OPERATOR["email"], OPERATOR["password"])
    head, body, signature = tokens[0][1].removeprefix("Bearer ").split(".")
    other_claims = jwt.encode(claims(), KEY, algorithm="RS256").split(".")[1]
    return {
        "alg none": jwt.encode(claims(), None, algorithm="none", headers={"kid": kid}),
        "symmetric": jwt.encode(claims(), b"x" * 32, algorithm="HS256", headers={"kid": kid}),
        "symmetric with the public key": jwt.encode(
            claims(), pem[27:-26], algorithm="HS256", headers={"kid": kid}
        ),
        "another key under a known id": jwt.encode(claims(), KEY, algorithm="RS256", headers={"kid": kid}),
        "unknown key id": jwt.encode(claims(), KEY, algorithm="RS256", headers={"kid": "unknown"}),
        "no key id": jwt.encode(claims(), KEY, algorithm="RS256"),
        "signature cut off": f"{head}.{body}.",
        "another token's claims": f"{head}.{other_claims}.{signature}",
        "no token at all": "nonsense",
    }


async def test_without_a_token_no_method_but_the_public_ones_answers(fleet: Fleet):
    assert len(PROTECTED) > 10
    for method in PROTECTED:
        answer = await refused(stub_method(fleet, method)(request_of(method)))
        assert answer == ("UNAUTHENTICATED", "TOKEN_MISSING"), method.name


async def test_forged_tokens_are_refused_by_every_protected_method(fleet: Fleet):
    for name, token in (await forgeries(fleet)).items():
        for method in PROTECTED:
            answer = await refused(stub_method(fleet, method)(request_of(method), metadata=bearer(token)))
            assert answer == ("UNAUTHENTICATED", "TOKEN_INVALID"), (name, method.name)


async def test_without_its_permission_a_method_is_refused(fleet: Fleet):
    await fleet.register(role="guest")
    metadata = await fleet.token()
    for method in PERMITTED:
        answer = await refused(stub_method(fleet, method)(request_of(method), metadata=metadata))
        assert answer == ("PERMISSION_DENIED", "PERMISSION_DENIED"), method.name


async def test_what_belongs_to_somebody_else_is_refused(fleet: Fleet):
    await fleet.register(role="venue")
    metadata = await fleet.token()
    for method in METHODS:
        if method.name in ("GetAccess", "GetUser", "UpdateUser", "DeleteUser"):
            answer = await refused(stub_method(fleet, method)(SOUND[method.name], metadata=metadata))
            assert answer == ("PERMISSION_DENIED", "NOT_OWNER"), method.name


async def test_a_service_token_is_no_user_and_has_no_more_than_its_scope(fleet: Fleet):
    issued = await fleet.auth.IssueServiceToken(
        auth.IssueServiceTokenRequest(account="orders", secret=ACCOUNTS["orders"])
    )
    metadata = bearer(issued.access_token)
    for_people = ("PERMISSION_DENIED", "PERSON_REQUIRED")
    assert await refused(fleet.users.GetMe(users.GetMeRequest(), metadata=metadata)) == for_people
    assert await refused(fleet.users.ListUsers(users.ListUsersRequest(), metadata=metadata)) == for_people
    change = fleet.auth.ChangePassword(SOUND["ChangePassword"], metadata=metadata)
    assert await refused(change) == for_people
    revoke = fleet.auth.RevokeCredentials(SOUND["RevokeCredentials"], metadata=metadata)
    assert await refused(revoke) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


MALFORMED: list[tuple[str, Message]] = [
    ("Login", auth.LoginRequest(email="not an address", password="x")),
    ("Login", auth.LoginRequest(email="ada@example.org")),
    ("Login", auth.LoginRequest(email="ada@example.org", password="x" * 257)),
    ("Login", auth.LoginRequest(email="a" * 250 + "@example.org", password="x")),
    ("RefreshToken", auth.RefreshTokenRequest()),
    ("RefreshToken", auth.RefreshTokenRequest(refresh_token="x" * 513)),
    ("Logout", auth.LogoutRequest()),
    ("IssueServiceToken", auth.IssueServiceTokenRequest(account="Nobody!", secret="x")),
    ("CreateUser", users.CreateUserRequest()),
    ("GetUser", users.GetUserRequest(user_id="me; DROP TABLE person")),
    ("UpdateUser", users.UpdateUserRequest()),
    ("UpdateUser", users.UpdateUserRequest(user=users.User(user_id="nobody"))),
    ("UpdateUser", users.UpdateUserRequest(user=users.User(user_id=ID, display_name="x" * 201))),
    ("DeleteUser", users.DeleteUserRequest(user_id=ID, etag="x" * 65)),
    ("ListUsers", users.ListUsersRequest(page_size=-1)),
    ("GetAccess", auth.GetAccessRequest(user_id="x")),
    ("SetRoles", auth.SetRolesRequest(user_id=ID)),
    ("SetRoles", auth.SetRolesRequest(user_id=ID, roles=["guest", "guest"])),
    ("ListRoles", auth.ListRolesRequest(page_size=-1)),
    ("ChangePassword", auth.ChangePasswordRequest(current_password="x", new_password="short")),
    ("ActivateCredentials", auth.ActivateCredentialsRequest(request_id="x", user_id=ID, ticket="t")),
    ("PrepareCredentials", auth.PrepareCredentialsRequest(email="x", password="y", role="guest")),
    ("RevokeCredentials", auth.RevokeCredentialsRequest(request_id=ID)),
]


async def test_malformed_requests_are_refused_with_the_field(fleet: Fleet):
    metadata = await fleet.token(OPERATOR["email"], OPERATOR["password"])
    by_name = {method.name: method for method in METHODS}
    for name, request in MALFORMED:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub_method(fleet, by_name[name])(request, metadata=metadata)
        found = domain_error(error.value)
        assert (error.value.code().name, found.reason) == ("INVALID_ARGUMENT", "VALIDATION_FAILED"), request
        assert found.violations, request


async def test_a_page_token_that_was_made_up_is_refused(fleet: Fleet):
    metadata = await fleet.token(OPERATOR["email"], OPERATOR["password"])
    for call in (
        fleet.users.ListUsers(users.ListUsersRequest(page_token="AAAA"), metadata=metadata),
        fleet.auth.ListRoles(auth.ListRolesRequest(page_token="AAAA"), metadata=metadata),
    ):
        assert await refused(call) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged("auth", "DEBUG") as written:
        yield written


async def test_no_secret_reaches_the_log(log: io.StringIO, fleet: Fleet):
    await fleet.register()
    tokens = await fleet.auth.Login(auth.LoginRequest(email="ada@example.org", password=PASSWORD))
    fresh = await fleet.auth.RefreshToken(auth.RefreshTokenRequest(refresh_token=tokens.refresh_token))
    await refused(fleet.auth.RefreshToken(auth.RefreshTokenRequest(refresh_token=tokens.refresh_token)))
    await refused(fleet.auth.Login(auth.LoginRequest(email="ada@example.org", password="wrong password")))
    await refused(fleet.register(email="bob@example.org", password="password123"))
    written = log.getvalue()
    assert "auth.refresh_reused" in written
    secrets = [
        PASSWORD, "wrong password", "password123", OPERATOR["password"], *ACCOUNTS.values(), "argon2",
        tokens.access_token, tokens.refresh_token, fresh.refresh_token, "ada@example.org",
    ]  # fmt: skip
    assert [secret for secret in secrets if secret in written] == []
