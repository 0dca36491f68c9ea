"""Users and auth in one process: two servers, real interceptors, tokens and databases."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from chassis.channels import Channels
from chassis.testing import PostgresServer
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from greenledger.users.v1 import users_pb2, users_pb2_grpc
from services.auth.adapters.settings import AuthSettings
from services.auth.wiring import wire as wire_auth
from services.users.wiring import wire as wire_users
from tests.integration.auth.process import Served, listen, served, write_secrets

PASSWORD = "green tomatoes 42"


class Mail(notifications_pb2_grpc.NotificationServiceServicer):
    """Notifications, as far as users needs them."""

    def __init__(self) -> None:
        self.sent: list[notifications_pb2.SendNotificationRequest] = []
        self.tokens: list[str] = []

    async def SendNotification(
        self, request: notifications_pb2.SendNotificationRequest, context: Any
    ) -> notifications_pb2.Notification:
        self.sent.append(request)
        self.tokens.append(dict(context.invocation_metadata())["authorization"])
        return notifications_pb2.Notification(user_id=request.user_id)


@dataclass
class Fleet:
    """Both services and their stubs."""

    auth: Any
    users: Any
    mail: Mail
    auth_served: Served

    async def register(self, **changes: Any) -> users_pb2.User:
        """As an app would."""
        facts = {
            "request_id": str(uuid.uuid4()),
            "email": "ada@example.org",
            "password": PASSWORD,
            "display_name": "Ada",
            "role": "grower",
        }
        return await self.users.CreateUser(users_pb2.CreateUserRequest(**(facts | changes)))

    async def token(self, email: str = "ada@example.org", password: str = PASSWORD) -> list[tuple[str, str]]:
        """Metadata of somebody who has logged in."""
        tokens = await self.auth.Login(auth_pb2.LoginRequest(email=email, password=password))
        return [("authorization", f"Bearer {tokens.access_token}")]


@asynccontextmanager
async def serving(
    postgres_server: PostgresServer, folder: Path, tls: Path | None = None
) -> AsyncIterator[Fleet]:
    """Both services on databases of their own, with their secrets in the folder.

    With `tls`, a folder of certificates, they and those who call them speak mutual TLS.
    """

    def certificate(member: str) -> Path | None:
        return tls / member if tls is not None else None

    secrets = write_secrets(folder)
    async with AsyncExitStack() as stack:
        databases = {
            name: await stack.enter_async_context(postgres_server.connected(name))
            for name in ("auth", "users")
        }
        mail, server = Mail(), grpc.aio.server()
        notifications_pb2_grpc.add_NotificationServiceServicer_to_server(mail, server)
        peers = {"notifications": f"127.0.0.1:{listen(server, certificate('notifications'))}"}
        await server.start()
        stack.push_async_callback(server.stop, 0)
        cheap = AuthSettings(argon2_memory_kib=8, argon2_time_cost=1)
        auth = await stack.enter_async_context(
            served(
                "auth",
                lambda runtime: wire_auth(runtime, cheap),
                databases["auth"],
                secrets,
                peers,
                certificate("auth"),
            )
        )
        peers["auth"] = auth.address
        users = await stack.enter_async_context(
            served("users", wire_users, databases["users"], secrets, peers, certificate("users"))
        )
        people = Channels({**peers, "users": users.address}, tls_dir=certificate("edge"))
        stack.push_async_callback(people.close)
        to_auth, to_users = people.get("auth"), people.get("users")
        yield Fleet(
            auth_pb2_grpc.AuthServiceStub(to_auth), users_pb2_grpc.UserServiceStub(to_users), mail, auth
        )
