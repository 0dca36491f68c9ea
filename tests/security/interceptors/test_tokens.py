"""Who is let in: every way in which a token can be wrong, and every method without a rule."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis import context
from chassis.health import HealthServicer
from greenledger.options.v1 import options_pb2
from interceptors.call import Method, declared_policy
from tests.integration.interceptors.harness import (
    OPERATIONS,
    Issuer,
    Operations,
    Server,
    reason,
    saga_request,
    serve,
)

NOW = int(time.time())
OTHER = Issuer()


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(issuer: Issuer, algorithm: str) -> str:
    header = {"alg": algorithm, "typ": "JWT", "kid": issuer.key_id}
    return f"{encoded(header)}.{encoded(issuer.claims())}."


def signed_with_the_public_key_as_secret(issuer: Issuer) -> str:
    secret = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{encoded({'alg': 'HS256', 'kid': issuer.key_id})}.{encoded(issuer.claims())}"
    mac = base64.urlsafe_b64encode(hmac.new(secret, body.encode(), hashlib.sha256).digest())
    return f"{body}.{mac.rstrip(b'=').decode()}"


def with_header(issuer: Issuer, **header: Any) -> str:
    return jwt.encode(issuer.claims(), issuer.key, "RS256", headers={"kid": issuer.key_id, **header})


def altered(issuer: Issuer) -> str:
    head, _, signature = issuer.token().split(".")
    return f"{head}.{encoded(issuer.claims(sub='somebody-else'))}.{signature}"


def other_algorithm(issuer: Issuer) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(issuer.claims(), key, "ES256", headers={"kid": issuer.key_id})


REFUSED: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "no token": (lambda i: "", "TOKEN_MISSING"),
    "no scheme": (lambda i: i.token(), "TOKEN_INVALID"),
    "basic": (lambda i: "Basic dXNlcjpwYXNz", "TOKEN_INVALID"),
    "empty bearer": (lambda i: "Bearer ", "TOKEN_INVALID"),
    "malformed": (lambda i: "Bearer not.a.token", "TOKEN_INVALID"),
    "not base64": (lambda i: "Bearer ~~~.~~~.~~~", "TOKEN_INVALID"),
    "huge": (lambda i: "Bearer " + "a" * 7000 + ".b.c", "TOKEN_INVALID"),
    "expired": (lambda i: f"Bearer {i.token(exp=NOW - 60, iat=NOW - 120)}", "TOKEN_EXPIRED"),
    "alg none": (lambda i: f"Bearer {unsigned(i, 'none')}", "TOKEN_INVALID"),
    "alg None": (lambda i: f"Bearer {unsigned(i, 'None')}", "TOKEN_INVALID"),
    "RS256 without a signature": (lambda i: f"Bearer {unsigned(i, 'RS256')}", "TOKEN_INVALID"),
    "HS256 by public key": (lambda i: f"Bearer {signed_with_the_public_key_as_secret(i)}", "TOKEN_INVALID"),
    "ES256": (lambda i: f"Bearer {other_algorithm(i)}", "TOKEN_INVALID"),
    "altered claims": (lambda i: f"Bearer {altered(i)}", "TOKEN_INVALID"),
    "another key of the same id": (lambda i: f"Bearer {OTHER.token()}", "TOKEN_INVALID"),
    "unknown kid": (lambda i: f"Bearer {with_header(i, kid='key-9')}", "TOKEN_INVALID"),
    "no kid": (lambda i: f"Bearer {jwt.encode(i.claims(), i.key, 'RS256')}", "TOKEN_INVALID"),
    "crit header": (lambda i: f"Bearer {with_header(i, crit=['exp'])}", "TOKEN_INVALID"),
    "wrong issuer": (lambda i: f"Bearer {i.token(iss='someone')}", "TOKEN_INVALID"),
    "wrong audience": (lambda i: f"Bearer {i.token(aud='other')}", "TOKEN_INVALID"),
    "user for services": (lambda i: f"Bearer {i.token(aud='greenledger-services')}", "TOKEN_INVALID"),
    "service for users": (lambda i: f"Bearer {i.token(kind='service')}", "TOKEN_INVALID"),
    "both audiences": (
        lambda i: f"Bearer {i.token(aud=['greenledger', 'greenledger-services'])}",
        "TOKEN_INVALID",
    ),
    "unknown kind": (lambda i: f"Bearer {i.token(kind='robot')}", "TOKEN_INVALID"),
    "no expiry": (lambda i: f"Bearer {i.token(exp=None)}", "TOKEN_INVALID"),
    "no audience": (lambda i: f"Bearer {i.token(aud=None)}", "TOKEN_INVALID"),
    "no subject": (lambda i: f"Bearer {i.token(sub=None)}", "TOKEN_INVALID"),
    "empty subject": (lambda i: f"Bearer {i.token(sub='')}", "TOKEN_INVALID"),
    "not yet valid": (lambda i: f"Bearer {i.token(nbf=NOW + 86_400)}", "TOKEN_INVALID"),
    "issued in the future": (lambda i: f"Bearer {i.token(iat=NOW + 86_400)}", "TOKEN_INVALID"),
    "expiry is text": (lambda i: f"Bearer {i.token(exp='9999999999')}", "TOKEN_INVALID"),
    "expiry is infinite": (lambda i: f"Bearer {i.token(exp=float('inf'))}", "TOKEN_INVALID"),
    "expiry is true": (lambda i: f"Bearer {i.token(exp=True)}", "TOKEN_INVALID"),
    "roles are text": (lambda i: f"Bearer {i.token(roles='admin')}", "TOKEN_INVALID"),
    "scope is a list": (lambda i: f"Bearer {i.token(scope=['operations.read'])}", "TOKEN_INVALID"),
}


async def refused(server: Server, authorization: str) -> grpc.aio.AioRpcError:
    metadata = (("authorization", authorization),) if authorization else ()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.operations.GetSaga(saga_request(), metadata=metadata)
    return caught.value


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_token_is_refused_before_the_handler_runs(case: str) -> None:
    make, expected = REFUSED[case]
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        error = await refused(server, make(server.issuer))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert reason(error) == expected
    assert operations.calls == 0


async def test_a_valid_token_of_either_kind_is_let_in_as_its_principal() -> None:
    operations, seen = Operations(), []

    async def behaviour(_request: Any, _context: Any) -> None:
        seen.append(context.current().principal)

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        await server.operations.GetSaga(saga_request(), metadata=server.authorized())
        service = server.authorized(aud="greenledger-services", kind="service", sub="orders")
        await server.operations.GetSaga(saga_request(), metadata=service)
    assert [(p.subject, p.kind) for p in seen] == [("user-1", "user"), ("orders", "service")]
    assert "operations.read" in seen[0].permissions
    assert seen[0].roles == {"operator"}


async def test_a_token_without_the_permission_is_denied_with_its_name() -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        metadata = server.authorized(scope="operations.reading xoperations.read")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.operations.GetSaga(saga_request(), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert reason(caught.value) == "PERMISSION_DENIED"
    assert operations.calls == 0


async def test_a_request_is_not_parsed_for_a_caller_who_is_refused() -> None:
    path = "/greenledger.operations.v1.OperationsService/GetSaga"
    async with serve((OPERATIONS, Operations())) as server:
        call = server.channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as anonymous:
            await call(b"\xff\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as known:
            await call(b"\xff\xff\xff", metadata=server.authorized())
    assert reason(anonymous.value) == "TOKEN_MISSING"
    assert reason(known.value) == "MALFORMED_REQUEST"


async def test_a_method_without_the_option_is_refused_to_everybody() -> None:
    async def reveal(_request: bytes, _context: Any) -> bytes:
        return b"secret"

    def add(_servicer: object, server: grpc.aio.Server) -> None:
        handlers = {"Reveal": grpc.unary_unary_rpc_method_handler(reveal)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("greenledger.hidden.v1.Hidden", handlers),)
        )

    async with serve((add, None)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.channel.unary_unary("/greenledger.hidden.v1.Hidden/Reveal")(
                b"", metadata=server.authorized()
            )
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("option", ["public: false", "authenticated: false", 'permission: ""', ""])
async def test_an_option_that_allows_nothing_is_refused(option: str) -> None:
    name = f"hidden{len(option)}"
    path = declare(name, option)
    policy = declared_policy(path)
    assert not Method(path, policy=policy).public

    async def reveal(_request: bytes, _context: Any) -> bytes:
        return b"secret"

    def add(_servicer: object, server: grpc.aio.Server) -> None:
        handlers = {"Reveal": grpc.unary_unary_rpc_method_handler(reveal)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"{name}.Hidden", handlers),))

    async with serve((add, None)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.channel.unary_unary(path)(b"", metadata=server.authorized())
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def declare(name: str, option: str) -> str:
    """Add a service with one method that carries the option to the descriptor pool."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=name, syntax="proto3")
    file.dependency.append("greenledger/options/v1/options.proto")
    file.message_type.add(name="Nothing")
    method = file.service.add(name="Hidden").method.add(
        name="Reveal", input_type=f".{name}.Nothing", output_type=f".{name}.Nothing"
    )
    method.options.Extensions[options_pb2.policy].CopyFrom(
        text_format.Parse(option, options_pb2.MethodPolicy())
    )
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return f"/{name}.Hidden/Reveal"


async def test_health_needs_no_token() -> None:
    async with serve((health_pb2_grpc.add_HealthServicer_to_server, HealthServicer())) as server:
        stub = health_pb2_grpc.HealthStub(server.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_without_keys_nobody_is_let_in_and_nobody_is_called_a_forger() -> None:
    class Down(Issuer):
        async def fetch(self) -> Any:
            raise ConnectionRefusedError("auth is away")

    issuer = Down()
    async with serve((OPERATIONS, Operations()), issuer=issuer) as server:
        error = await refused(server, f"Bearer {issuer.token()}")
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "auth is away" not in repr(error)
