"""`greenledger demo`: the whole story, through the public edge."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from fleet.commands.common import EdgePort, StateDir, failures_as_sentences, settings_from
from fleet.commands.down import down
from fleet.commands.up import start_detached, wait_until_serving
from fleet.settings import LOOPBACK, FleetSettings
from fleet.state import read_record, require_running, running_supervisor


class Size(StrEnum):
    """How much is played."""

    SMALL = "small"
    LARGE = "large"


def demo(
    size: Annotated[
        Size, typer.Option("--size", help="small: the story; large: 100,000 lots and 50,000 orders.")
    ] = Size.SMALL,
    edge_port: EdgePort = None,
    state_dir: StateDir = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the fleet afterwards if this command started it.")
    ] = False,
    lots: Annotated[int, typer.Option("--lots", min=1, help="Lots of the large size.")] = 100_000,
    orders: Annotated[int, typer.Option("--orders", min=0, help="Orders of the large size.")] = 50_000,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=500, help="Calls at once in the large size.")
    ] = 32,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with a large run that was interrupted.")
    ] = False,
) -> None:
    """Play the story from harvest to recall against the running fleet; starts one if none runs.

    Everything goes through the public edge, over HTTP/JSON and over gRPC.
    """
    console = Console()
    with failures_as_sentences():
        settings = settings_from(state_dir, edge_port)
        started = _ensure_running(console, settings)
        edge_url = _edge_url(settings)
        try:
            if size is Size.LARGE:
                _play_large(console, settings, edge_url, lots, orders, in_flight, fresh=fresh)
            else:
                _play_small(console, settings, edge_url)
        finally:
            if started and stop:
                down(state_dir=settings.state_dir)
        if not (started and stop):
            console.print(
                f"\nThe fleet runs on: {edge_url}/docs to try it, `greenledger status`, and to stop it "
                f"{_stop_hint(settings)}.",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )


def _ensure_running(console: Console, settings: FleetSettings) -> bool:
    """Have a fleet that serves; whether one had to be started."""
    supervisor = running_supervisor(settings)
    if supervisor is not None:
        record = read_record(settings)
        if record is None or record.supervisor_pid != supervisor or record.phase == "starting":
            wait_until_serving(
                settings, supervisor, lambda: running_supervisor(settings) == supervisor, console
            )
        return False
    console.print(f"No fleet runs on {settings.state_dir}; starting one.", highlight=False, soft_wrap=True)
    start_detached(settings, [], edge=True)
    return True


def _edge_url(settings: FleetSettings) -> str:
    # The fleet may have been started with another port than this command was told of.
    return f"http://{LOOPBACK}:{require_running(settings).edge_port}"


def _play_small(console: Console, settings: FleetSettings, edge_url: str) -> None:
    from fleet.demo.stage import Stage  # noqa: PLC0415
    from fleet.demo.story import play  # noqa: PLC0415  (stubs and HTTP client; `--help` must not wait)
    from fleet.operator import operator_of  # noqa: PLC0415
    from fleet.trace_view import print_scope  # noqa: PLC0415

    stage = Stage(console)
    world = asyncio.run(play(stage, edge_url, operator_of(settings)))
    console.print()
    assert world.scope is not None
    print_scope(console, world.scope)
    slowest = max(stage.steps, key=lambda step: step.took_s)
    total_s = sum(step.took_s for step in stage.steps)
    console.print(
        f"{len(stage.steps)} steps in {total_s:.1f} s; the slowest took {slowest.took_s:.1f} s: "
        f"{slowest.title}.",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _play_large(
    console: Console,
    settings: FleetSettings,
    edge_url: str,
    lots: int,
    orders: int,
    in_flight: int,
    *,
    fresh: bool,
) -> None:
    from fleet.demo.large import Plan, run_large  # noqa: PLC0415
    from fleet.operator import operator_of  # noqa: PLC0415

    plan = Plan(lots=lots, orders=orders, in_flight=in_flight)
    asyncio.run(run_large(console, settings, edge_url, operator_of(settings), plan, fresh=fresh))


def _stop_hint(settings: FleetSettings) -> str:
    default = settings_from(None)
    where = "" if default.state_dir == settings.state_dir else f" --state-dir {settings.state_dir}"
    return f"`greenledger down{where}`"
