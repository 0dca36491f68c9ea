"""Service tokens of the real auth service, over mutual TLS: renewed, and their key rotated under load."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from prometheus_client import CollectorRegistry

from chassis.channels import Channels
from chassis.clock import FixedClock, SystemClock
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.telemetry.tracing import Tracing
from chassis.testing import PostgresServer
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.control.v1 import control_pb2, control_pb2_grpc
from interceptors.chain import client_chain
from interceptors.deadline import Deadline
from interceptors.service_token import Token, TokenSource
from services.auth.adapters.settings import AuthSettings
from services.auth.wiring import wire
from tests.integration.auth.process import ACCOUNTS, OPERATOR, runtime_of, write_secrets
from tests.integration.interceptors.harness import Server, serve
from tests.integration.tls.test_rotation import under_load
from tests.integration.tls.world import Members, Registry, outcome

CHEAP = AuthSettings(argon2_memory_kib=8, argon2_time_cost=1)
LIFE = timedelta(hours=1)
STEP = timedelta(seconds=15)


@dataclass
class KeysOf:
    """The keys of an auth service, as another service fetches them."""

    channels: Channels
    fetches: int = 0

    async def fetch(self) -> Mapping[str, Any]:
        """What `JwksSource` calls."""
        self.fetches += 1
        stub = auth_pb2_grpc.AuthServiceStub(self.channels.get("auth"))
        return MessageToDict(await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=5))


class Tell(Registry):
    """Notes the key of each token with which it is called."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        header = dict(context.invocation_metadata())["authorization"]
        self.keys.append(jwt.get_unverified_header(header.partition(" ")[2])["kid"])
        return control_pb2.Registration()


@dataclass
class World:
    """Auth, and the service `orders` that `users` calls; the time of tokens is the test's."""

    members: Members
    clock: FixedClock
    auth: Server
    told: Tell = field(default_factory=Tell)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def channels(self, name: str, **arguments: Any) -> Channels:
        """Channels of a member, to auth and to whoever else is given."""
        peers = {"auth": self.auth.address, **arguments.pop("peers", {})}
        channels = Channels(peers, tls_dir=self.members[name], **arguments)
        self.stack.push_async_callback(channels.close)
        return channels

    async def orders(self) -> Server:
        """A service that takes its keys from auth."""
        keys: Any = KeysOf(self.channels("orders"))
        add = control_pb2_grpc.add_RegistryServiceServicer_to_server
        return await self.stack.enter_async_context(
            serve(
                (add, self.told),
                issuer=keys,
                clock=self.clock,
                deadline=Deadline(SystemClock()),
                tls_dir=self.members["orders"],
            )
        )

    def calling(self, callee: Server) -> Any:
        """A method of `orders`, called by `users` with the token of its account."""
        bare = self.channels("users")

        async def fetch() -> Token:
            request = auth_pb2.IssueServiceTokenRequest(account="users", secret=ACCOUNTS["users"])
            stub = auth_pb2_grpc.AuthServiceStub(bare.get("auth"))
            issued = await stub.IssueServiceToken(request, timeout=5)
            return Token(issued.access_token, issued.expire_time.ToDatetime(UTC))

        chain = client_chain(
            tracing=Tracing("test"),
            clock=SystemClock(),
            ids=SystemIds(),
            tokens=TokenSource(fetch, self.clock),
            registry=CollectorRegistry(),
        )
        channels = self.channels("users", interceptors=chain, peers={"orders": callee.address})
        method = control_pb2_grpc.RegistryServiceStub(channels.get("orders")).Heartbeat
        request = control_pb2.HeartbeatRequest(instance_id="users-1")

        async def call() -> str:
            return await outcome(method(request, timeout=10))

        return call

    async def rotate(self) -> str:
        """As the operator, through the edge."""
        stub = auth_pb2_grpc.AuthServiceStub(self.channels("edge").get("auth"))
        pair = await stub.Login(auth_pb2.LoginRequest(**OPERATOR), timeout=10)
        metadata = (("authorization", f"Bearer {pair.access_token}"),)
        key = await stub.RotateSigningKey(auth_pb2.RotateSigningKeyRequest(), metadata=metadata, timeout=10)
        return str(key.kid)

    async def published(self) -> list[str]:
        """Ids of the keys that verify now."""
        keys = await KeysOf(self.channels("orders")).fetch()
        return [key["kid"] for key in keys["keys"]]


@pytest_asyncio.fixture
async def auth_database(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    async with postgres_server.connected("auth") as database:
        yield database


@pytest_asyncio.fixture
async def world(auth_database: Database, members: Members, tmp_path: Path) -> AsyncIterator[World]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    clock = FixedClock()
    service = wire(runtime_of("auth", auth_database, write_secrets(secrets), clock=clock), CHEAP)
    assert service.on_start is not None
    await service.on_start()
    (entry,) = service.servicers

    class Own:
        fetch = staticmethod(service.jwks)

    issuer: Any = Own()
    async with serve(
        (entry.add, entry.implementation),
        issuer=issuer,
        clock=clock,
        deadline=Deadline(SystemClock()),
        tls_dir=members["auth"],
    ) as server:
        world = World(members, clock, server)
        async with world.stack:
            yield world


async def test_a_token_is_renewed_before_it_expires_and_verified_where_it_is_sent(world: World) -> None:
    call = world.calling(await world.orders())
    for _ in range(3 * LIFE // STEP):
        assert await call() == "OK"
        world.clock.advance(STEP)


async def test_the_signing_key_is_rotated_under_load_and_no_call_fails(world: World) -> None:
    call = world.calling(await world.orders())
    (old,) = await world.published()
    async with under_load(call) as load:
        new = await world.rotate()
        assert await world.published() == [new, old]
        for _ in range(2 * LIFE // STEP):
            world.clock.advance(STEP)
            before = len(load.outcomes)
            await load.beyond(before + 4)
        assert await world.published() == [new]
    assert load.failed == set()
    assert set(world.told.keys) == {old, new}
    assert (world.told.keys[0], world.told.keys[-1]) == (old, new)
