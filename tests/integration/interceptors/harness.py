"""Real grpc.aio servers with the whole chain, and tokens that they accept."""

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client import CollectorRegistry

from chassis.channels import Channels
from chassis.clock import Clock, SystemClock
from chassis.idempotency import IdempotencyStore
from chassis.ids import SystemIds
from chassis.telemetry.tracing import Tracing
from chassis.tls import server_credentials
from greenledger.catalog.v1 import catalog_pb2_grpc
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.admission import Admission
from interceptors.chain import ServerChain, client_chain, server_chain
from interceptors.deadline import Deadline
from interceptors.jwks import JwksSource
from interceptors.limit import PrincipalLimit
from interceptors.service_token import TokenSource
from interceptors.status import details_of
from interceptors.tokens import TokenVerifier

EVERYTHING = "operations.read operations.write catalog.venues.write"


class Issuer:
    """Signs tokens as `auth` does, with a key made for the test."""

    def __init__(self, key_id: str = "key-1") -> None:
        self.key_id = key_id
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.fetches = 0

    @property
    def key_set(self) -> dict[str, Any]:
        """The public half as a JWK set."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}

    async def fetch(self) -> Mapping[str, Any]:
        """What `JwksSource` calls."""
        self.fetches += 1
        return self.key_set

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a user who may do everything; None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": "greenledger-auth",
            "aud": "greenledger",
            "sub": "user-1",
            "kind": "user",
            "roles": ["operator"],
            "scope": EVERYTHING,
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, **changes: Any) -> str:
        """A signed token with these claims changed."""
        return jwt.encode(self.claims(**changes), self.key, "RS256", headers={"kid": self.key_id})


class Operations(operations_pb2_grpc.OperationsServiceServicer):
    """Calls `behaviour` for GetSaga; set it per test."""

    def __init__(self) -> None:
        self.behaviour: Any = None
        self.calls = 0

    async def GetSaga(self, request: Any, context: Any) -> Any:
        """Whatever the test wants."""
        self.calls += 1
        if self.behaviour is not None:
            answer = await self.behaviour(request, context)
            if answer is not None:
                return answer
        return operations_pb2.SagaInstance(saga_id=request.saga_id)

    async def RetrySaga(self, request: Any, context: Any) -> Any:
        """Answers."""
        self.calls += 1
        return operations_pb2.SagaInstance(saga_id=request.saga_id)


@dataclass
class Server:
    """A running server and what is needed to call it."""

    address: str
    issuer: Issuer
    chain: ServerChain
    admission: Admission
    registry: CollectorRegistry
    channel: grpc.aio.Channel
    grpc_server: grpc.aio.Server

    @property
    def operations(self) -> Any:
        """Stub."""
        return operations_pb2_grpc.OperationsServiceStub(self.channel)

    @property
    def orders(self) -> Any:
        """Stub."""
        return orders_pb2_grpc.OrderServiceStub(self.channel)

    @property
    def catalog(self) -> Any:
        """Stub."""
        return catalog_pb2_grpc.CatalogServiceStub(self.channel)

    def authorized(self, **claims: Any) -> tuple[tuple[str, str], ...]:
        """Metadata with a valid token."""
        return (("authorization", f"Bearer {self.issuer.token(**claims)}"),)


@asynccontextmanager
async def serve(
    *adders: tuple[Any, Any],
    issuer: Issuer | None = None,
    clock: Clock | None = None,
    idempotency: IdempotencyStore | None = None,
    admission: Admission | None = None,
    deadline: Deadline | None = None,
    limit: PrincipalLimit | None = None,
    tracing: Tracing | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    tls_dir: Path | None = None,
    options: Sequence[tuple[str, int]] = (),
) -> AsyncIterator[Server]:
    """A server with the chain; adders are (add_..._to_server, servicer).

    With a `tls_dir` it speaks mutual TLS; its `channel` shows the server's own certificate then.
    """
    clock, issuer = clock or SystemClock(), issuer or Issuer()
    admission, registry = admission or Admission(), CollectorRegistry()
    chain = server_chain(
        verifier=TokenVerifier(JwksSource(issuer.fetch, clock), clock),
        tracing=tracing or Tracing("test"),
        clock=clock,
        ids=SystemIds(),
        idempotency=idempotency,
        admission=admission,
        deadline=deadline,
        limit=limit,
        mutual_tls=tls_dir is not None,
        registry=registry,
    )
    server = grpc.aio.server(interceptors=[*interceptors, chain], options=options)
    for add, servicer in adders:
        add(servicer, server)
    if tls_dir is None:
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        channel = grpc.aio.insecure_channel(address)
    else:
        address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', server_credentials(tls_dir))}"
        channel = Channels({tls_dir.name: address}, tls_dir=tls_dir).get(tls_dir.name)
    await server.start()
    try:
        yield Server(address, issuer, chain, admission, registry, channel, server)
    finally:
        await channel.close()
        # A call is counted and logged after its caller has the answer: let them come to their end.
        await server.stop(0.5)


def outgoing(address: str, *, tokens: TokenSource | None = None, **arguments: Any) -> grpc.aio.Channel:
    """A channel with the client chain."""
    chain = client_chain(
        tracing=arguments.pop("tracing", None) or Tracing("test"),
        clock=SystemClock(),
        ids=SystemIds(),
        tokens=tokens,
        registry=CollectorRegistry(),
        **arguments,
    )
    return grpc.aio.insecure_channel(address, interceptors=chain)


def reason(error: grpc.aio.AioRpcError) -> str:
    """ErrorInfo.reason of a failed call."""
    info: Any = details_of(error.trailing_metadata()).get("ErrorInfo")
    return "" if info is None else str(info.reason)


def saga_request() -> operations_pb2.GetSagaRequest:
    """A valid request."""
    return operations_pb2.GetSagaRequest(saga_id=str(uuid.uuid4()))


def watch_request() -> orders_pb2.WatchOrderRequest:
    """A valid request."""
    return orders_pb2.WatchOrderRequest(order_id=str(uuid.uuid4()))


OPERATIONS = operations_pb2_grpc.add_OperationsServiceServicer_to_server
ORDERS = orders_pb2_grpc.add_OrderServiceServicer_to_server
CATALOG = catalog_pb2_grpc.add_CatalogServiceServicer_to_server
