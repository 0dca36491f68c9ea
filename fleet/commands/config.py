"""`greenledger config`: settings of services that may change while they run."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.commands.common import StateDir
from fleet.commands.operate import AsJson, OnlyService, Why, as_data, group, print_json, say, table, when
from fleet.commands.remote import EdgeUrl, Email, PasswordFile, at_edge

if TYPE_CHECKING:
    from fleet.client import RpcEdge, Session
    from greenledger.control.v1 import config_pb2 as pb

Name = Annotated[str, typer.Argument(help="Such as log.level, or orders~log.level for one service.")]

app = group("Settings that may change while services run; they hear of a change within a second.")


@app.command("list")
def list_(
    service: OnlyService = None,
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """List the entries there are, with their values and defaults."""

    async def ask(edge: "RpcEdge", session: "Session") -> "list[pb.ConfigEntry]":
        from greenledger.control.v1 import config_pb2 as pb  # noqa: PLC0415

        found: list[pb.ConfigEntry] = []
        request = pb.ListConfigRequest(service=service or "", page_size=1000)
        while True:
            page = await edge.call(edge.config.ListConfig, request, session)
            found.extend(page.entries)
            request.page_token = page.next_page_token
            if not request.page_token:
                return found

    found = at_edge(ask, edge_url, email, password_file, state_dir)
    if as_json:
        print_json([as_data(entry) for entry in found])
        return
    table(
        "Settings",
        ("name", "value", "default", "kind", "version", "what"),
        (
            (
                entry.name,
                entry.value,
                entry.default_value,
                _kind(entry),
                entry.version or "-",
                entry.description,
            )
            for entry in found
        ),
        "There are no entries.",
    )


@app.command("get")
def get(
    name: Name,
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Print the value of an entry."""

    async def ask(edge: "RpcEdge", session: "Session") -> "pb.ConfigEntry":
        from greenledger.control.v1 import config_pb2 as pb  # noqa: PLC0415

        return await edge.call(edge.config.GetConfig, pb.GetConfigRequest(name=name), session)

    found = at_edge(ask, edge_url, email, password_file, state_dir)
    if as_json:
        print_json(as_data(found))
    else:
        print(found.value)


@app.command("set")
def set_(
    name: Name,
    value: Annotated[str, typer.Argument(help="Its new value, e.g. DEBUG or 250ms.")],
    why: Why,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Give an entry another value, unless somebody else does at the same moment."""

    async def ask(edge: "RpcEdge", session: "Session") -> "tuple[pb.ConfigEntry, pb.ConfigEntry]":
        from greenledger.control.v1 import config_pb2 as pb  # noqa: PLC0415

        before = await edge.call(edge.config.GetConfig, pb.GetConfigRequest(name=name), session)
        request = pb.SetConfigRequest(name=name, value=value, etag=before.etag, why=why)
        return before, await edge.call(edge.config.SetConfig, request, session)

    _say_change(*at_edge(ask, edge_url, email, password_file, state_dir))


@app.command("history")
def history(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 20,
    as_json: AsJson = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show what an entry was, who changed it and why; latest first."""

    async def ask(edge: "RpcEdge", session: "Session") -> "list[pb.ConfigEntry]":
        from greenledger.control.v1 import config_pb2 as pb  # noqa: PLC0415

        request = pb.ListConfigVersionsRequest(name=name, page_size=limit)
        return list((await edge.call(edge.config.ListConfigVersions, request, session)).versions)

    found = at_edge(ask, edge_url, email, password_file, state_dir)
    if as_json:
        print_json([as_data(entry) for entry in found])
        return
    table(
        f"Values of {name}",
        ("version", "time", "who", "value", "why"),
        (
            (entry.version, when(entry.update_time), entry.updated_by or "-", entry.value, entry.why or "-")
            for entry in found
        ),
        f"{name} has had its default only.",
    )


@app.command("rollback")
def rollback(
    name: Name,
    version: Annotated[int, typer.Argument(min=0, help="The version to go back to; 0 is the default.")],
    why: Why,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Make the value of an earlier version the newest."""

    async def ask(edge: "RpcEdge", session: "Session") -> "tuple[pb.ConfigEntry, pb.ConfigEntry]":
        from greenledger.control.v1 import config_pb2 as pb  # noqa: PLC0415

        before = await edge.call(edge.config.GetConfig, pb.GetConfigRequest(name=name), session)
        request = pb.RollbackConfigRequest(name=name, version=version, etag=before.etag, why=why)
        return before, await edge.call(edge.config.RollbackConfig, request, session)

    _say_change(*at_edge(ask, edge_url, email, password_file, state_dir))


def _say_change(before: "pb.ConfigEntry", after: "pb.ConfigEntry") -> None:
    say(f"{after.name}: {before.value} -> {after.value} (version {after.version}).")


def _kind(entry: "pb.ConfigEntry") -> str:
    from greenledger.control.v1 import config_pb2 as pb  # noqa: PLC0415

    return pb.ConfigKind.Name(entry.kind).removeprefix("CONFIG_KIND_").lower()
