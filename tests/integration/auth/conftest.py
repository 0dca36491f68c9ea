"""Auth with a clock that stands still; its RPCs are called as the chain would call them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jwt
import pytest
import pytest_asyncio

from chassis.clock import FixedClock
from chassis.context import Principal, RequestContext, use
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.service import Service
from chassis.testing import PostgresServer
from greenledger.auth.v1 import auth_pb2 as pb
from interceptors.jwks import JwksSource
from interceptors.tokens import TokenVerifier
from services.auth.adapters.settings import AuthSettings
from services.auth.wiring import wire
from tests.integration.auth.process import runtime_of, write_secrets

CHEAP = AuthSettings(argon2_memory_kib=8, argon2_time_cost=1)
"""Hashes that cost next to nothing."""

PASSWORD = "green tomatoes 42"
CONTEXT = cast(Any, None)


@dataclass
class Auth:
    """The service and what a test needs at hand."""

    database: Database
    clock: FixedClock
    secrets: Path
    service: Service

    @property
    def rpc(self) -> Any:
        """The servicer."""
        return self.service.servicers[0].implementation

    def replica(self, settings: AuthSettings = CHEAP, secrets: Path | None = None) -> "Auth":
        """Another process on the same database."""
        folder = secrets or self.secrets
        runtime = runtime_of("auth", self.database, folder, clock=self.clock)
        return Auth(self.database, self.clock, folder, wire(runtime, settings))

    async def start(self) -> "Auth":
        """What a process does before it serves."""
        assert self.service.on_start is not None
        await self.service.on_start()
        return self

    async def housekeeping(self) -> None:
        """What the background loop does every minute."""
        await cast(Any, self.service.background[0])._work()

    async def person(self, email: str = "ada@example.org", role: str = "guest") -> str:
        """Somebody with credentials; the password is PASSWORD."""
        user_id = SystemIds().uuid7()
        ticket = await self.prepare(email, role)
        await self.rpc.ActivateCredentials(
            pb.ActivateCredentialsRequest(user_id=user_id, ticket=ticket), CONTEXT
        )
        return user_id

    async def prepare(self, email: str = "ada@example.org", role: str = "guest") -> str:
        """A ticket."""
        request = pb.PrepareCredentialsRequest(email=email, password=PASSWORD, role=role)
        return (await self.rpc.PrepareCredentials(request, CONTEXT)).ticket

    async def activate(self, user_id: str, ticket: str) -> pb.Access:
        """Bind a ticket."""
        request = pb.ActivateCredentialsRequest(user_id=user_id, ticket=ticket)
        return await self.rpc.ActivateCredentials(request, CONTEXT)

    async def login(self, email: str = "ada@example.org", password: str = PASSWORD) -> pb.TokenPair:
        """Log in."""
        return await self.rpc.Login(pb.LoginRequest(email=email, password=password), CONTEXT)

    async def refresh(self, token: str) -> pb.TokenPair:
        """Exchange a refresh token."""
        return await self.rpc.RefreshToken(pb.RefreshTokenRequest(refresh_token=token), CONTEXT)

    async def change_password(self, user_id: str, current: str, new: str, keep: str = "") -> None:
        """As the user."""
        request = pb.ChangePasswordRequest(current_password=current, new_password=new, refresh_token=keep)
        with use(RequestContext(principal=Principal(user_id, "user"))):
            await self.rpc.ChangePassword(request, CONTEXT)

    async def verify(self, token: str) -> Principal:
        """What another service makes of a token right now."""
        assert self.service.jwks is not None
        return await TokenVerifier(JwksSource(self.service.jwks, self.clock), self.clock).verify(token)

    async def key_ids(self) -> list[str]:
        """Published keys, newest first."""
        return [key.kid for key in (await self.rpc.GetJwks(pb.GetJwksRequest(), CONTEXT)).keys]


def key_id(token: str) -> str:
    """Which key signed a token."""
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return write_secrets(tmp_path)


@pytest_asyncio.fixture
async def auth(postgres_server: PostgresServer, secrets: Path) -> AsyncIterator[Auth]:
    clock = FixedClock()
    async with postgres_server.connected("auth") as database:
        service = wire(runtime_of("auth", database, secrets, clock=clock), CHEAP)
        yield await Auth(database, clock, secrets, service).start()
