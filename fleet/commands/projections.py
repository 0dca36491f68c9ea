"""`greenledger projections`: read models, how far they are, and building them anew."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.commands.common import StateDir
from fleet.commands.operate import (
    AsJson,
    NoWait,
    OnlyService,
    Service,
    Why,
    Yes,
    as_data,
    confirm,
    follow,
    group,
    of_each,
    operate,
    print_json,
    say,
    table,
    when,
)
from fleet.commands.remote import Email, PasswordFile

if TYPE_CHECKING:
    from fleet.operator import ServiceOperations
    from greenledger.operations.v1 import operations_pb2 as pb

Name = Annotated[str, typer.Argument(help="Name of the projection, see `list`.")]
Accept = Annotated[
    bool, typer.Option("--accept-difference", help="Swap also when the rows differ under the same logic.")
]

app = group("Read models: how far they are, and building them anew beside the live ones.")


@app.command("list")
def list_(
    service: OnlyService = None,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """List the projections of all services, and what is being built beside them."""

    async def work(operations: "ServiceOperations") -> "dict[str, list[pb.Projection]]":
        return await of_each(operations, service, lambda name: _projections(operations, name))

    found = operate(work, state_dir, email, password_file)
    if as_json:
        print_json({name: [as_data(entry) for entry in entries] for name, entries in found.items()})
        return
    _print((name, entry) for name, entries in found.items() for entry in entries)


@app.command("show")
def show(
    service: Service,
    projection: Name,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Compute checksums, which reads all rows.")
    ] = False,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show one projection; with checksums of its tables."""

    async def work(operations: "ServiceOperations") -> "pb.Projection":
        return await _projection(operations, service, projection, checksums=checksums)

    found = operate(work, state_dir, email, password_file)
    if as_json:
        print_json(as_data(found))
        return
    _print([(service, found)])
    for version in _versions(found):
        if version.last_error:
            say(f"Version {version.version} stands still: {version.last_error}")
        for entry in version.checksums:
            say(f"Version {version.version}: {entry.table} has {entry.rows} rows, checksum {entry.checksum}")


@app.command("rebuild")
def rebuild(
    service: Service,
    projection: Name,
    why: Why,
    swap_: Annotated[
        bool, typer.Option("--swap/--no-swap", help="Whether to put it in place once it has caught up.")
    ] = True,
    no_wait: NoWait = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Build a projection anew from the first event while the old tables serve, then swap.

    It is put in place only when its rows equal those that serve. It goes on when this command is
    interrupted; asked for again, the command looks on.
    """

    async def work(operations: "ServiceOperations") -> "pb.Projection":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        request = pb.RebuildProjectionRequest(projection=projection, why=why)
        begun = await operations.call(service, lambda stub: stub.RebuildProjection, request)
        if no_wait:
            return begun

        async def position() -> tuple[int, int, bool]:
            at = await _projection(operations, service, projection)
            gone = not at.HasField("building")
            return at.building.position, at.head_position, gone or at.building.lag == 0

        await follow(
            f"Building {projection}",
            position,
            f"The rebuild goes on; see `greenledger projections list`, end it with `greenledger projections "
            f"cancel {service} {projection}`.",
        )
        if not swap_:
            return await _projection(operations, service, projection)
        return await _swap(operations, service, projection, why, accept=False)

    found = operate(work, state_dir, email, password_file)
    if no_wait:
        say(f"{projection} is being built; see `greenledger projections list`.")
    elif swap_:
        say(f"{projection} was built anew; version {found.live.version} serves.")
    else:
        say(
            f"{projection} is built; put it in place with `greenledger projections swap {service} "
            f"{projection}`."
        )


@app.command("swap")
def swap(
    service: Service,
    projection: Name,
    why: Why,
    accept_difference: Accept = False,
    yes: Yes = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Put what was built in the place of the tables that serve, which are dropped."""

    async def work(operations: "ServiceOperations") -> "pb.Projection":
        if accept_difference:
            confirm(f"Drop the tables of {projection} that serve, even if their rows differ?", yes=yes)
        return await _swap(operations, service, projection, why, accept=accept_difference)

    found = operate(work, state_dir, email, password_file)
    say(f"Version {found.live.version} of {projection} serves.")


@app.command("cancel")
def cancel(
    service: Service,
    projection: Name,
    why: Why,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Drop what is being built; the tables that serve stay."""

    async def work(operations: "ServiceOperations") -> None:
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        request = pb.CancelProjectionRebuildRequest(projection=projection, why=why)
        await operations.call(service, lambda stub: stub.CancelProjectionRebuild, request)

    operate(work, state_dir, email, password_file)
    say(f"The rebuild of {projection} is cancelled.")


async def _swap(
    operations: "ServiceOperations", service: str, projection: str, why: str, *, accept: bool
) -> "pb.Projection":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    request = pb.SwapProjectionRequest(projection=projection, accept_difference=accept, why=why)
    return await operations.call(service, lambda stub: stub.SwapProjection, request)


async def _projection(
    operations: "ServiceOperations", service: str, projection: str, *, checksums: bool = False
) -> "pb.Projection":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    request = pb.GetProjectionRequest(projection=projection, checksums=checksums)
    return await operations.call(service, lambda stub: stub.GetProjection, request)


async def _projections(operations: "ServiceOperations", service: str) -> "list[pb.Projection]":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    request = pb.ListProjectionsRequest(page_size=1000)
    listed = await operations.call(service, lambda stub: stub.ListProjections, request)
    return list(listed.projections)


def _versions(entry: "pb.Projection") -> "list[pb.ProjectionVersion]":
    return [getattr(entry, name) for name in ("live", "building") if entry.HasField(name)]


def _print(entries: "Iterable[tuple[str, pb.Projection]]") -> None:
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    table(
        "Projections",
        ("service", "projection", "version", "state", "logic", "position", "behind", "last change", "error"),
        (
            (
                service,
                entry.projection,
                version.version,
                pb.ProjectionState.Name(version.state).removeprefix("PROJECTION_STATE_").lower(),
                version.logic_version,
                version.position,
                version.lag,
                when(version.update_time),
                version.last_error or "-",
            )
            for service, entry in entries
            for version in _versions(entry)
        ),
        "There is no projection.",
    )
