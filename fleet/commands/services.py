"""`greenledger services`: who is registered at control, and who of them can be called."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.commands.common import StateDir
from fleet.commands.operate import AsJson, as_data, console, print_json, say
from fleet.commands.remote import EdgeUrl, Email, PasswordFile, at_edge
from fleet.errors import FleetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleet.client import RpcEdge, Session
    from greenledger.control.v1 import control_pb2 as pb

_HEADINGS = ("service", "instance", "version", "health", "address", "lease", "registered", "says")
_AGAIN_AFTER_S = 1.0
_STYLES = {"passing": "green", "critical": "bold red", "draining": "yellow", "unknown": "yellow"}


def services(
    name: Annotated[str | None, typer.Argument(help="Only this service; default all.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with each change, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show the instances of all services: version, health, address, and how long their lease lasts.

    Calls go to those that pass. With --watch and --json each change is one line.
    """

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        if watch:
            await _watch(edge, session, name, as_json=as_json)
            return
        found = await _instances(edge, session, name or "")
        if name and not found:
            others = sorted({entry.service for entry in await _instances(edge, session, "")})
            raise FleetError(
                f"No instance of {name!r} is registered: there are {', '.join(others) or 'none'}."
            )
        if as_json:
            print_json([as_data(entry) for entry in found])
        elif found:
            console().print(_table(found))
        else:
            say("No instance is registered.")

    try:
        at_edge(ask, edge_url, email, password_file, state_dir)
    except KeyboardInterrupt:
        if not watch:
            raise


async def _instances(edge: "RpcEdge", session: "Session", service: str) -> "list[pb.Instance]":
    from greenledger.control.v1 import control_pb2 as pb  # noqa: PLC0415

    found: list[pb.Instance] = []
    request = pb.ListInstancesRequest(service=service, page_size=1000)
    while True:
        page = await edge.call(edge.registry.ListInstances, request, session)
        found.extend(page.instances)
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


async def _watch(edge: "RpcEdge", session: "Session", name: str | None, *, as_json: bool) -> None:
    from fleet.client import CallFailed  # noqa: PLC0415  (gRPC is slow to import)
    from greenledger.control.v1 import control_pb2 as pb  # noqa: PLC0415

    request = pb.WatchInstancesRequest(services=[name] if name else [])
    known: dict[str, pb.Instance] = {}
    shown = console()
    # Where nobody looks, a line for each change says more than a table that is painted over.
    lines = as_json or not shown.is_terminal
    with Live(console=shown, auto_refresh=False, screen=False) as live:
        heard = False
        while True:
            try:
                async for message in edge.watch(edge.registry.WatchInstances, request, session):
                    heard = True
                    if lines:
                        _line(message, known, as_json=as_json)
                    _apply(message, known)
                    if not lines:
                        live.update(_table(known.values()), refresh=True)
            except CallFailed as error:
                if not heard or error.code != "UNAVAILABLE":
                    raise
                # The replica behind the edge restarts; the next watch begins with all there are by then.
                await asyncio.sleep(_AGAIN_AFTER_S)


def _apply(message: "pb.WatchInstancesResponse", known: "dict[str, pb.Instance]") -> None:
    kind = message.WhichOneof("content")
    if kind == "snapshot":
        known.clear()
        known.update({entry.instance_id: entry for entry in message.snapshot.instances})
    elif kind == "changed":
        known[message.changed.instance_id] = message.changed
    elif kind == "removed":
        known.pop(message.removed, None)


def _line(message: "pb.WatchInstancesResponse", known: "dict[str, pb.Instance]", *, as_json: bool) -> None:
    kind = message.WhichOneof("content")
    if as_json:
        from google.protobuf.json_format import MessageToJson  # noqa: PLC0415

        print(MessageToJson(message, indent=None), flush=True)
    elif kind in ("snapshot", "changed"):
        entries = message.snapshot.instances if kind == "snapshot" else [message.changed]
        for entry in entries:
            print(" ".join(str(cell) for cell in _row(entry)), flush=True)
    elif kind == "removed":
        service = known[message.removed].service if message.removed in known else "-"
        print(f"{service} {message.removed} removed", flush=True)


def _table(instances: "Iterable[pb.Instance]") -> Table:
    shown = Table(title="Instances", title_justify="left")
    for heading in _HEADINGS:
        shown.add_column(heading, overflow="fold")
    for entry in sorted(instances, key=lambda entry: (entry.service, entry.version, entry.instance_id)):
        row = _row(entry)
        health = Text(row[3], style=_STYLES.get(row[3], ""))
        shown.add_row(*(Text(cell) for cell in row[:3]), health, *(Text(cell) for cell in row[4:]))
    return shown


def _row(entry: "pb.Instance") -> tuple[str, ...]:
    from greenledger.control.v1 import control_pb2 as pb  # noqa: PLC0415

    now = datetime.now(UTC)
    left = entry.lease_expire_time.ToDatetime(UTC) - now if entry.HasField("lease_expire_time") else None
    since = now - entry.register_time.ToDatetime(UTC) if entry.HasField("register_time") else None
    return (
        entry.service,
        entry.instance_id,
        entry.version,
        pb.InstanceHealth.Name(entry.health).removeprefix("INSTANCE_HEALTH_").lower(),
        f"{entry.address}:{entry.port}",
        f"{max(0.0, left.total_seconds()):.0f} s" if left else "-",
        f"{since.total_seconds():.0f} s ago" if since else "-",
        entry.health_detail or "-",
    )
