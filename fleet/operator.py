"""The operator of a fleet: whose credentials they are and how to log in."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from fleet.client import CallFailed, Credentials, RpcEdge, Session
from fleet.errors import FleetError
from fleet.membership import Peer
from fleet.secrets import OPERATOR_FILE, read_operator
from fleet.settings import LOOPBACK, FleetSettings
from fleet.state import require_running

if TYPE_CHECKING:
    from grpc.aio import UnaryUnaryMultiCallable

    from greenledger.operations.v1.operations_pb2_grpc import OperationsServiceStub

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
_CALL_S = 60.0  # a swap waits for readers of its tables, and checksums read all rows


def operator_of(settings: FleetSettings) -> Credentials:
    """The first operator of the fleet on this state folder.

    Raises:
        FleetError: the secrets file is missing or damaged.
    """
    return Credentials(*read_operator(settings.secrets_dir / OPERATOR_FILE))


def where_and_who(
    settings: FleetSettings, edge_url: str | None, email: str | None, password_file: Path | None
) -> tuple[str, Credentials]:
    """The edge to call and the operator to call it as.

    The local fleet's operator is never sent to another edge.

    Args:
        edge_url: of a remote fleet; default the fleet that runs on the state folder.
        email, password_file: another operator; both or neither, and both with `edge_url`.

    Raises:
        FleetError: the options do not fit together, or no fleet runs.
    """
    if (email is None) != (password_file is None) or (edge_url is not None and email is None):
        raise FleetError("Name the operator with both --email and --password-file; --edge-url needs them.")
    url = edge_url or f"http://{LOOPBACK}:{require_running(settings).edge_port}"
    if email is None or password_file is None:
        return url, operator_of(settings)
    try:
        return url, Credentials(email, password_file.read_text().strip())
    except OSError as error:
        raise FleetError(f"The password file {password_file} cannot be read: {error.strerror}.") from error


@contextlib.asynccontextmanager
async def as_operator(
    url: str, credentials: Credentials, peer: Peer | None = None
) -> AsyncIterator[tuple[RpcEdge, Session]]:
    """The edge with the operator logged in; a refusal inside becomes a sentence.

    Args:
        url: of the edge, or the address of a service.
        credentials: of the operator.
        peer: the service to expect at the address, by mutual TLS; default none.

    Raises:
        FleetError: the edge does not answer, or refuses a call.
    """
    async with RpcEdge(url, peer=peer) as edge:
        try:
            yield edge, await Session.open(edge, credentials)
        except CallFailed as error:
            raise FleetError(_sentence(url, credentials, error)) from error


class ServiceOperations:
    """OperationsService of each service of a fleet, called at the service's own port.

    Args:
        addresses: `host:port` by service name.
        session: of the operator.
        peer_of: whom to expect at a service, by mutual TLS; default nobody in particular, in plain text.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        session: Session,
        peer_of: Callable[[str], Peer | None] = lambda _: None,
    ) -> None:
        self._addresses = dict(addresses)
        self._peer_of = peer_of
        self._edges: dict[str, RpcEdge] = {}
        self._session = session

    @property
    def services(self) -> list[str]:
        """Names of those that run."""
        return list(self._addresses)

    async def call(
        self,
        service: str,
        method: "Callable[[OperationsServiceStub], UnaryUnaryMultiCallable[Q, R]]",
        request: Q,
    ) -> R:
        """One call, e.g. `call("orders", lambda stub: stub.GetOutbox, GetOutboxRequest())`.

        Raises:
            FleetError: no such service runs, it does not answer, or refuses the call.
        """
        edge = self._edge(service)
        try:
            return await edge.call(method(edge.operations), request, self._session)
        except CallFailed as error:
            if error.code == "UNAVAILABLE":
                raise FleetError(
                    f"{service} at {self._addresses[service]} does not answer ({error.message}): see "
                    "`greenledger status`."
                ) from error
            raise FleetError(f"{service}: {error.message} ({error.reason or error.code})") from error

    def _edge(self, service: str) -> RpcEdge:
        if service not in self._addresses:
            raise FleetError(f"No service {service!r} runs: choose from {', '.join(self._addresses)}.")
        if service not in self._edges:
            self._edges[service] = RpcEdge(
                self._addresses[service], timeout_s=_CALL_S, peer=self._peer_of(service)
            )
        return self._edges[service]

    async def close(self) -> None:
        """Let the connections go."""
        for edge in self._edges.values():
            await edge.channel.close()


@contextlib.asynccontextmanager
async def service_operations(
    settings: FleetSettings, email: str | None, password_file: Path | None
) -> AsyncIterator[ServiceOperations]:
    """The services of the running fleet for an operator.

    The login goes to the auth service itself, so that it works without the edge.

    Args:
        email, password_file: another operator than the fleet's first; both or neither.

    Raises:
        FleetError: no fleet runs, or nobody can log in to it.
    """
    record = require_running(settings)
    addresses = {name: entry.address for name, entry in record.services.items()}
    if "auth" not in addresses:
        raise FleetError(
            "The service auth does not run, so nobody can log in: start it with `greenledger up`."
        )
    _, who = where_and_who(settings, None, email, password_file)
    async with as_operator(addresses["auth"], who, record.peer("auth")) as (_, session):
        operations = ServiceOperations(addresses, session, record.peer)
        try:
            yield operations
        finally:
            await operations.close()


def _sentence(url: str, credentials: Credentials, error: CallFailed) -> str:
    if error.code == "UNAVAILABLE":
        return f"The edge at {url} does not answer ({error.message}): see `greenledger status`."
    if error.reason == "CREDENTIALS_INVALID":
        return f"The edge at {url} does not know {credentials.email} with this password."
    where = "".join(f" {field}: {what}" for field, what in error.violations.items() if what != error.message)
    return f"The edge at {url} refused the call: {error.code}, {error}.{where}"
