"""A service inside the test: real database, wiring, interceptors and gRPC; no broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict
from prometheus_client import CollectorRegistry

from chassis.channels import Channels
from chassis.clock import Clock, SystemClock
from chassis.database import Database
from chassis.idempotency import IdempotencyStore
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.paging import PageTokens
from chassis.runtime import Runtime
from chassis.service import Jwks, Service
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from chassis.tls import server_credentials
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.events.v1.event_pb2 import Event
from interceptors.chain import client_chain, server_chain
from interceptors.jwks import JwksSource
from interceptors.service_token import Token, TokenSource
from interceptors.tokens import TokenVerifier

ACCOUNTS = {"users": "users-secret", "orders": "orders-secret", "payments": "payments-secret"}
OPERATOR = {"email": "operator@greenledger.local", "password": "correct horse battery"}


def write_secrets(folder: Path) -> Path:
    """The files that a fleet puts there."""
    (folder / "service-accounts.json").write_text(json.dumps(ACCOUNTS))
    (folder / "operator.json").write_text(json.dumps(OPERATOR))
    return folder


def runtime_of(
    name: str,
    database: Database,
    secrets_dir: Path,
    *,
    clock: Clock | None = None,
    channels: Channels | None = None,
) -> Runtime:
    """What the process of a service gives its wiring."""
    clock, ids = clock or SystemClock(), SystemIds()
    settings = Settings(name, database.dsn, "", "", secrets_dir)
    return Runtime(
        settings=settings,
        clock=clock,
        ids=ids,
        database=database,
        outbox=Outbox(name, ids, clock),
        channels=channels or Channels({}),
        page_tokens=PageTokens(b"0123456789abcdef"),
        tracing=Tracing.to_endpoint(name, ""),
        idempotency=IdempotencyStore(database, clock),
    )


async def events(database: Database, topic: str = "") -> list[Event]:
    """What the service has published, oldest first."""
    rows = await database.fetch("SELECT payload FROM outbox ORDER BY position")
    found = [Event.FromString(row["payload"]) for row in rows]
    return [event for event in found if topic in ("", event.type)]


@dataclass
class Served:
    """A service that answers."""

    service: Service
    runtime: Runtime
    address: str


@asynccontextmanager
async def served(
    name: str,
    wire: Callable[[Runtime], Service],
    database: Database,
    secrets_dir: Path,
    peers: Mapping[str, str],
    tls_dir: Path | None = None,
) -> AsyncIterator[Served]:
    """Serve with the chain of a real process, by mutual TLS with a `tls_dir`; the saga engine runs too."""
    clock, ids, tracing = SystemClock(), SystemIds(), Tracing.to_endpoint(name, "")
    async with AsyncExitStack() as stack:
        bare = Channels(peers, tls_dir=tls_dir)
        stack.push_async_callback(bare.close)
        channels = Channels(peers, _outgoing(name, bare, tracing, clock), tls_dir=tls_dir)
        stack.push_async_callback(channels.close)
        runtime = runtime_of(name, database, secrets_dir, clock=clock, channels=channels)
        service = wire(runtime)
        if service.on_start is not None:
            await service.on_start()
        chain = server_chain(
            verifier=TokenVerifier(JwksSource(service.jwks or _keys_of(bare), clock), clock),
            tracing=tracing,
            clock=clock,
            ids=ids,
            idempotency=runtime.idempotency,
            mutual_tls=tls_dir is not None,
            registry=CollectorRegistry(),
        )
        server = grpc.aio.server(interceptors=[chain])
        for entry in service.servicers:
            entry.add(entry.implementation, server)
        port = listen(server, tls_dir)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        if service.sagas is not None:
            task = asyncio.create_task(service.sagas.run())
            stack.push_async_callback(asyncio.gather, task)
            stack.push_async_callback(service.sagas.stop)
        yield Served(service, runtime, f"127.0.0.1:{port}")


def listen(server: grpc.aio.Server, tls_dir: Path | None) -> int:
    """Let it listen on a free port, by mutual TLS with a `tls_dir`."""
    if tls_dir is None:
        return server.add_insecure_port("127.0.0.1:0")
    return server.add_secure_port("127.0.0.1:0", server_credentials(tls_dir))


def _outgoing(
    name: str, bare: Channels, tracing: Tracing, clock: Clock
) -> Sequence[grpc.aio.ClientInterceptor]:
    async def fetch() -> Token:
        request = auth_pb2.IssueServiceTokenRequest(account=name, secret=ACCOUNTS[name])
        issued = await auth_pb2_grpc.AuthServiceStub(bare.get("auth")).IssueServiceToken(request)
        return Token(issued.access_token, issued.expire_time.ToDatetime(UTC))

    return client_chain(
        tracing=tracing,
        clock=clock,
        ids=SystemIds(),
        tokens=TokenSource(fetch, clock),
        registry=CollectorRegistry(),
    )


def _keys_of(bare: Channels) -> Any:
    async def fetch() -> Jwks:
        answer = await auth_pb2_grpc.AuthServiceStub(bare.get("auth")).GetJwks(auth_pb2.GetJwksRequest())
        return MessageToDict(answer)

    return fetch
