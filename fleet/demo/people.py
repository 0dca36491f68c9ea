"""The people of the demo: registered anew for every run, with a password nobody keeps."""

import secrets
from dataclasses import dataclass

from fleet.client import Credentials, RpcEdge, Session
from fleet.client.json_edge import JsonEdge
from fleet.demo.requests import as_json, new_request_id
from greenledger.users.v1 import users_pb2


@dataclass(frozen=True, slots=True)
class Person:
    """One who registered.

    Args:
        name: as shown.
        role: `guest`, `grower` or `venue`.
        user_id: from the registration.
        credentials: to log in.
    """

    name: str
    role: str
    user_id: str
    credentials: Credentials


def new_password() -> str:
    """A password of 144 random bits."""
    return secrets.token_urlsafe(24)


def registration(
    name: str, role: str, email: str, password: str, *, request_id: str = ""
) -> users_pb2.CreateUserRequest:
    """The request that registers a person."""
    return users_pb2.CreateUserRequest(
        request_id=request_id or new_request_id(),
        email=email,
        password=password,
        display_name=name,
        role=role,
        preferences=users_pb2.Preferences(order_updates=True, language="en"),
    )


async def register_by_json(edge: JsonEdge, name: str, role: str, email: str) -> Person:
    """Register over HTTP/JSON."""
    request = registration(name, role, email, new_password())
    user = await edge.post("/api/users", as_json(request))
    return Person(name, role, user["userId"], Credentials(email, request.password))


async def register_by_rpc(edge: RpcEdge, name: str, role: str, email: str) -> Person:
    """Register over gRPC."""
    request = registration(name, role, email, new_password())
    user = await edge.call(edge.users.CreateUser, request)
    return Person(name, role, user.user_id, Credentials(email, request.password))


async def log_in(edge: RpcEdge, person: Person) -> Session:
    """Log a person in."""
    return await Session.open(edge, person.credentials)
