"""A service's wiring on a test database behind a real gRPC server, without broker and without a process.

    async with serve("payments", wire, chain, dsn, signer) as payments:
        stub = PaymentServiceStub(payments.channel)
        await stub.GetPayment(request, metadata=payments.signer.user("ann"))

The chain comes from outside, because the chassis knows no interceptors: see `interceptors.testing`.
"""

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import grpc.aio
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.message import Message

from chassis.channels import SERVER_OPTIONS
from chassis.clock import Clock, SystemClock
from chassis.context import use
from chassis.database import Database
from chassis.idempotency import IdempotencyStore
from chassis.ids import SystemIds
from chassis.inbox import ReceivedEvent
from chassis.outbox import Outbox
from chassis.paging import PageTokens
from chassis.runtime import Chain, Runtime, Wire
from chassis.service import Background, Jwks, Service
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from greenledger.events.v1.event_pb2 import Event

Metadata = tuple[tuple[str, str], ...]
_KEY_ID = "test-key"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TokenSigner:
    """Signs tokens as `auth` does, with a key made for this process."""

    async def jwks(self) -> Jwks:
        """The public half."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_key().public_key()))
        return {"keys": [{**public, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}

    def user(self, subject: str, *permissions: str, roles: Iterable[str] = ()) -> Metadata:
        """Metadata of a call by a person."""
        return _bearer(self.token(subject, permissions, "user", roles))

    def service(self, name: str, *permissions: str) -> Metadata:
        """Metadata of a call by a service."""
        return _bearer(self.token(name, permissions, "service"))

    def token(
        self,
        subject: str,
        permissions: Iterable[str],
        kind: Literal["user", "service"],
        roles: Iterable[str] = (),
    ) -> str:
        """A token that is valid for ten minutes."""
        now = int(time.time())
        claims = {
            "iss": "greenledger-auth",
            "aud": "greenledger" if kind == "user" else "greenledger-services",
            "sub": subject,
            "kind": kind,
            "roles": list(roles),
            "scope": " ".join(permissions),
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, _key(), "RS256", headers={"kid": _KEY_ID})


@dataclass(frozen=True)
class ServiceUnderTest:
    """A running service and what is needed to call it and to look behind it."""

    runtime: Runtime
    service: Service
    signer: TokenSigner
    address: str
    channel: grpc.aio.Channel

    async def published(self, topic: str) -> list[Event]:
        """What went into the outbox under a topic, oldest first."""
        return await published(self.runtime.database, topic)

    async def deliver(self, topic: str, payload: Message, *, event_id: str = "") -> None:
        """Apply an event as the consumer would: handler and effects in one transaction."""
        event = received(topic, payload, event_id=event_id)
        for subscription in self.service.subscriptions:
            if subscription.topic == topic and subscription.handler is not None:
                async with self.runtime.database.transaction() as tx:
                    with use(event.context()):
                        await subscription.handler(event, tx)
                return
        raise LookupError(f"nobody handles {topic}")


@asynccontextmanager
async def serve(
    name: str,
    wire: Wire,
    chain: Chain,
    dsn: str,
    signer: TokenSigner,
    *,
    peers: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    loops: bool = True,
    **settings: Any,
) -> AsyncIterator[ServiceUnderTest]:
    """Wire the service and serve it on a free port until the body ends.

    Args:
        name: of the service.
        wire: its `wire`.
        chain: interceptors; `interceptors.testing.SignedChain(signer)`.
        dsn: of a database with its schema, as `PostgresServer.database` makes it.
        signer: whose tokens are accepted.
        peers: addresses of other services; default none.
        clock: default the system's.
        loops: whether its saga engine and background loops run; default True. Consumers never do.
        settings: further fields of `Settings`, e.g. `secrets_dir`, `smtp_url`.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given = {"secrets_dir": folder, "recovery_interval": timedelta(milliseconds=50), **settings}
        runtime = await _runtime(name, chain, dsn, peers or {}, clock or SystemClock(), given)
        stack.callback(runtime.database.terminate)
        stack.push_async_callback(runtime.channels.close)
        wired = wire(runtime)
        service = replace(wired, jwks=signer.jwks)
        if service.on_start is not None:
            await service.on_start()
        if loops:
            engines: list[Background] = [service.sagas] if service.sagas else []
            for background in [*engines, *service.projections, *service.background]:
                _run(stack, background)
        interceptors, _ = chain.server(runtime, service)
        server = grpc.aio.server(interceptors=list(interceptors), options=SERVER_OPTIONS)
        for entry in service.servicers:
            entry.add(entry.implementation, server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        stack.push_async_callback(server.stop, None)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield ServiceUnderTest(runtime, service, signer, address, channel)


async def published(database: Database, topic: str) -> list[Event]:
    """What went into a database's outbox under a topic, oldest first."""
    rows = await database.fetch("SELECT payload FROM outbox WHERE topic = $1 ORDER BY position", topic)
    return [Event.FromString(row["payload"]) for row in rows]


def received(topic: str, payload: Message, *, key: str = "key", event_id: str = "") -> ReceivedEvent[Any]:
    """An event as a handler sees it; a new event id unless one is given."""
    event_id, now = event_id or SystemIds().uuid7(), datetime.now(UTC)
    facts = {"actor": "", "correlation_id": event_id, "causation_id": "", "traceparent": ""}
    return ReceivedEvent(
        event_id=event_id,
        type=topic,
        schema_version=1,
        aggregate_type="thing",
        aggregate_id=key,
        key_sequence=1,
        occurred_time=now,
        recorded_time=now,
        producer="test",
        payload=payload,
        **facts,
    )


async def _runtime(
    name: str, chain: Chain, dsn: str, peers: Mapping[str, str], clock: Clock, given: Mapping[str, Any]
) -> Runtime:
    facts = {"kafka_bootstrap": "", "listen": "127.0.0.1:0", "environment": "test"}
    settings = Settings(service=name, database_url=dsn, peers=peers, **{**facts, **given})
    database, tracing, ids = await Database.connect(dsn), Tracing("test"), SystemIds()
    return Runtime(
        settings=settings,
        clock=clock,
        ids=ids,
        database=database,
        outbox=Outbox(name, ids, clock),
        channels=chain.channels(settings, tracing, clock, ids),
        page_tokens=PageTokens(b"only for tests, 16 bytes or more"),
        tracing=tracing,
        idempotency=IdempotencyStore(database, clock),
    )


def _run(stack: AsyncExitStack, background: Background) -> None:
    task = asyncio.create_task(background.run())

    async def end() -> None:
        await background.stop()
        await task

    stack.push_async_callback(end)


def _bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)
