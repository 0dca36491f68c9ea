"""The operator of a fleet: whose credentials they are and how to log in."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fleet.client import CallFailed, Credentials, RpcEdge, Session
from fleet.errors import FleetError
from fleet.secrets import OPERATOR_FILE, read_operator
from fleet.settings import LOOPBACK, FleetSettings
from fleet.state import require_running


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
async def as_operator(url: str, credentials: Credentials) -> AsyncIterator[tuple[RpcEdge, Session]]:
    """The edge with the operator logged in; a refusal inside becomes a sentence.

    Raises:
        FleetError: the edge does not answer, or refuses a call.
    """
    async with RpcEdge(url) as edge:
        try:
            yield edge, await Session.open(edge, credentials)
        except CallFailed as error:
            raise FleetError(_sentence(url, credentials, error)) from error


def _sentence(url: str, credentials: Credentials, error: CallFailed) -> str:
    if error.code == "UNAVAILABLE":
        return f"The edge at {url} does not answer ({error.message}): see `greenledger status`."
    if error.reason == "CREDENTIALS_INVALID":
        return f"The edge at {url} does not know {credentials.email} with this password."
    return f"The edge at {url} refused the call: {error.code}, {error}."
