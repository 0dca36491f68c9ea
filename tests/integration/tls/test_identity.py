"""Who may call what over which connection: certificates, callers of the contract, and whose token it is."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.health import SERVING, HealthServicer
from fleet.health import NotServing, check_serving
from fleet.membership import Peer
from fleet.trust import Authority
from tests.integration.interceptors.harness import Issuer, Server, serve
from tests.integration.tls.world import SERVED, Members, calling

NOW = int(time.time())
SCOPE = "auth.credentials.write control.instances.write crops.lots.read"


@pytest_asyncio.fixture
async def server(members: Members) -> AsyncIterator[Server]:
    """The service `orders`, which serves a method of every kind."""
    health = HealthServicer()
    health.set("", SERVING)
    add_health = (health_pb2_grpc.add_HealthServicer_to_server, health)
    async with serve(*SERVED, add_health, tls_dir=members["orders"]) as server:
        yield server


def service_token(server: Server, name: str, **claims: Any) -> Any:
    return server.authorized(aud="greenledger-services", kind="service", sub=name, scope=SCOPE, **claims)


def user_token(server: Server) -> Any:
    return server.authorized(scope=SCOPE)


async def test_without_tls_there_is_no_connection(server: Server) -> None:
    async with calling(server, "orders", None) as calls:
        assert await calls.public() == "UNAVAILABLE"


async def test_without_a_certificate_there_is_no_connection(server: Server, members: Members) -> None:
    authority = (members["users"] / "authority.pem").read_bytes()
    options = [("grpc.ssl_target_name_override", "orders")]
    credentials = grpc.ssl_channel_credentials(authority)
    async with grpc.aio.secure_channel(server.address, credentials, options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_makes_no_connection(
    server: Server, tmp_path: Path, members: Members
) -> None:
    Authority(tmp_path / "other").ensure({"users": ()})
    stranger = tmp_path / "other" / "users"
    (stranger / "authority.pem").unlink()
    (stranger / "authority.pem").write_bytes((members["users"] / "authority.pem").read_bytes())
    async with calling(server, "orders", stranger) as calls:
        assert await calls.public() == "UNAVAILABLE"


async def test_a_server_that_proves_another_name_is_not_talked_to(server: Server, members: Members) -> None:
    async with calling(server, "payments", members["users"]) as calls:
        assert await calls.public() == "UNAVAILABLE"


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://elsewhere/users",
        "https://greenledger/users",
        "spiffe://greenledger/users/2",
        "spiffe://greenledger/",
        "spiffe://greenledger",
    ],
)
async def test_a_certificate_that_names_no_member_is_refused_whatever_it_calls(
    server: Server, members: Members, uri: str
) -> None:
    async with calling(server, "orders", members.with_uri("users", uri)) as calls:
        assert await calls.public() == "NETWORK_IDENTITY_INVALID"
        assert await calls.between_services(service_token(server, "users")) == "NETWORK_IDENTITY_INVALID"


async def test_what_is_public_is_so_for_every_member(server: Server, members: Members) -> None:
    for name in ("users", "edge", "operator"):
        async with calling(server, "orders", members[name]) as calls:
            assert await calls.public() == "OK"


async def test_a_method_between_services_is_for_the_callers_that_the_contract_names(
    server: Server, members: Members
) -> None:
    found = {}
    for name in ("users", "crops", "market", "orders"):
        async with calling(server, "orders", members[name]) as calls:
            found[name] = await calls.between_services(service_token(server, name))
    refused = dict.fromkeys(("crops", "market", "orders"), "CALLER_NOT_PERMITTED")
    assert found == {"users": "OK", **refused}


async def test_nobody_reaches_a_method_between_services_through_the_edge(
    server: Server, members: Members
) -> None:
    for name in ("edge", "operator"):
        async with calling(server, "orders", members[name]) as calls:
            assert await calls.between_services(user_token(server)) == "CALLER_NOT_PERMITTED"


async def test_a_method_with_an_http_binding_is_for_people_and_for_the_services_that_it_names(
    server: Server, members: Members
) -> None:
    for name in ("edge", "operator"):
        async with calling(server, "orders", members[name]) as calls:
            assert await calls.for_both(user_token(server)) == "OK"
    async with calling(server, "orders", members["market"]) as calls:
        assert await calls.for_both(service_token(server, "market")) == "OK"
    async with calling(server, "orders", members["users"]) as calls:
        assert await calls.for_both(service_token(server, "users")) == "CALLER_NOT_PERMITTED"


async def test_who_may_not_call_is_told_so_before_a_token_is_looked_at(
    server: Server, members: Members
) -> None:
    async with calling(server, "orders", members["crops"]) as calls:
        assert await calls.between_services() == "CALLER_NOT_PERMITTED"
    assert server.issuer.fetches == 0


async def test_a_service_token_that_another_member_sends_is_refused(server: Server, members: Members) -> None:
    stolen = service_token(server, "users")
    async with calling(server, "orders", members["users"]) as calls:
        assert await calls.for_all(stolen) == "OK"
    for thief in ("crops", "edge", "operator"):
        async with calling(server, "orders", members[thief]) as calls:
            assert await calls.for_all(stolen) == "TOKEN_NOT_YOURS"


async def test_a_persons_token_is_refused_to_a_service(server: Server, members: Members) -> None:
    async with calling(server, "orders", members["edge"]) as calls:
        assert await calls.for_all(user_token(server)) == "OK"
    async with calling(server, "orders", members["users"]) as calls:
        assert await calls.for_all(user_token(server)) == "TOKEN_NOT_YOURS"


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(issuer: Issuer, claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none', 'kid': issuer.key_id})}.{encoded(claims)}."


def by_public_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    secret = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{encoded({'alg': 'HS256', 'kid': issuer.key_id})}.{encoded(claims)}"
    mac = base64.urlsafe_b64encode(hmac.new(secret, body.encode(), hashlib.sha256).digest())
    return f"{body}.{mac.rstrip(b'=').decode()}"


def by_another_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, Issuer().key, "RS256", headers={"kid": issuer.key_id})


def with_claims(**changes: Any) -> Callable[[Issuer, dict[str, Any]], str]:
    return lambda issuer, claims: jwt.encode(
        {**claims, **changes}, issuer.key, "RS256", headers={"kid": issuer.key_id}
    )


REFUSED: dict[str, tuple[Callable[[Issuer, dict[str, Any]], str] | None, str]] = {
    "none": (None, "TOKEN_MISSING"),
    "alg none": (unsigned, "TOKEN_INVALID"),
    "HS256 with the public key": (by_public_key, "TOKEN_INVALID"),
    "another key of the same id": (by_another_key, "TOKEN_INVALID"),
    "audience of people": (with_claims(aud="greenledger"), "TOKEN_INVALID"),
    "audience of others": (with_claims(aud="elsewhere"), "TOKEN_INVALID"),
    "expired": (with_claims(iat=NOW - 7200, exp=NOW - 3600), "TOKEN_EXPIRED"),
    "another service's": (with_claims(sub="market"), "TOKEN_NOT_YOURS"),
    "without the permission": (with_claims(scope="notifications.send"), "PERMISSION_DENIED"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_the_right_certificate_does_not_make_up_for_a_wrong_token(
    server: Server, members: Members, case: str
) -> None:
    make, expected = REFUSED[case]
    claims = server.issuer.claims(aud="greenledger-services", kind="service", sub="users", scope=SCOPE)
    metadata = (("authorization", f"Bearer {make(server.issuer, claims)}"),) if make else ()
    async with calling(server, "orders", members["users"]) as calls:
        assert await calls.between_services(metadata) == expected


async def test_health_is_told_to_every_member_and_to_nobody_else(server: Server, members: Members) -> None:
    await check_serving(server.address, peer=Peer("orders", members["operator"]))
    with pytest.raises((NotServing, grpc.RpcError)):
        await check_serving(server.address)
    with pytest.raises(grpc.RpcError):
        await check_serving(server.address, peer=Peer("payments", members["operator"]))
