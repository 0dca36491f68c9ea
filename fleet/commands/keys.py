"""`greenledger keys`: the keys that sign tokens, and the authority that signs certificates."""

import base64
import json
import time
from typing import TYPE_CHECKING

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.commands.operate import AsJson, NoWait, Yes, confirm, group, print_json, say, table, when
from fleet.commands.remote import EdgeUrl, Email, PasswordFile, at_edge
from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.client import RpcEdge, Session
    from fleet.trust import Authority
    from greenledger.auth.v1 import auth_pb2 as pb

app = group("The keys that sign tokens, and the authority that signs the certificates of mutual TLS.")
_PATIENCE_S = 60.0
_LOOK_S = 0.2


@app.command("list")
def list_(
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """List the keys that verify tokens, and say which of them signs new ones."""

    async def ask(edge: "RpcEdge", session: "Session") -> "tuple[pb.Jwks, str]":
        from greenledger.auth.v1 import auth_pb2 as pb  # noqa: PLC0415

        keys = await edge.call(edge.auth.GetJwks, pb.GetJwksRequest(), session)
        return keys, _key_of(await session.bearer())

    keys, signing = at_edge(ask, edge_url, email, password_file, state_dir)
    rows = [{"kid": key.kid, "alg": key.alg, "signs": key.kid == signing} for key in keys.keys]
    if as_json:
        print_json(rows)
        return
    table(
        "Keys",
        ("key", "algorithm", "use"),
        ((row["kid"], row["alg"], "signs and verifies" if row["signs"] else "verifies") for row in rows),
        "There are no keys.",
    )


@app.command("rotate")
def rotate(
    yes: Yes = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Let a new key sign tokens from now on; the old ones verify until their last token has expired."""
    confirm("Let a new key sign tokens from now on?", yes=yes)

    async def ask(edge: "RpcEdge", session: "Session") -> "pb.SigningKey":
        from greenledger.auth.v1 import auth_pb2 as pb  # noqa: PLC0415

        return await edge.call(edge.auth.RotateSigningKey, pb.RotateSigningKeyRequest(), session)

    made = at_edge(ask, edge_url, email, password_file, state_dir)
    say(f"{made.kid} signs tokens since {when(made.create_time)}.")


@app.command("rotate-authority")
def rotate_authority(yes: Yes = False, no_wait: NoWait = False, state_dir: StateDir = None) -> None:
    """Replace the authority of mutual TLS, and all certificates with it; no call fails for that."""
    confirm("Replace the authority that signs the certificates of the fleet?", yes=yes)
    from fleet.state import read_record, running_supervisor  # noqa: PLC0415  (`--help` must not wait for these)
    from fleet.trust import Authority  # noqa: PLC0415

    settings = settings_from(state_dir)
    authority = Authority(settings.tls_root)
    with failures_as_sentences():
        runs = running_supervisor(settings) is not None
        record = read_record(settings)
        if runs and record is not None and not record.operator_tls_dir:
            raise FleetError(
                "The fleet runs without mutual TLS, so that nobody would complete the change: start it with "
                "GREENLEDGER_MTLS=on."
            )
        authority.rotate()
        if not runs:
            say("A new authority is announced; the fleet goes over to it when it runs with mutual TLS.")
            return
        if not no_wait:
            _wait_until_settled(authority)
            say("The new authority has signed for everybody, and the old one is believed no more.")


def _wait_until_settled(authority: "Authority") -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not authority.state().settled:
        if time.monotonic() > deadline:
            raise FleetError(
                f"The change has not ended within {_PATIENCE_S:.0f} s: see `greenledger status`."
            )
        time.sleep(_LOOK_S)


def _key_of(token: str) -> str:
    """The key that signed a token, as its header names it."""
    header = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])
