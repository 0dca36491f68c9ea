"""Runs one fleet with small services in a process of its own, as `greenledger up` does.

Arguments: state folder, edge port, names of the services (comma-separated). ECHO_MODE reaches them.
"""

import asyncio
import sys
from pathlib import Path

from rich.console import Console

from fleet.errors import FleetError
from fleet.progress import PlainProgress
from fleet.report import print_failure
from fleet.services import ServiceSpec, numbered
from fleet.settings import FleetSettings
from fleet.supervisor import Supervisor
from tests.integration.fleet.edge import render

ECHO = str(Path(__file__).with_name("echo_service.py"))


async def main() -> None:
    state_dir, edge_port, names = sys.argv[1:4]
    settings = FleetSettings(state_dir=Path(state_dir), edge_port=int(edge_port))
    specs = []
    previous: tuple[str, ...] = ()
    for name in names.split(","):
        specs.append(ServiceSpec(name, depends_on=previous, command=(sys.executable, ECHO), database=False))
        previous = (name,)
    console = Console()
    supervisor = Supervisor(settings, PlainProgress(console), services=numbered(specs), render=render)
    try:
        await supervisor.run(on_serving=lambda record: print("all serving", flush=True))
    except FleetError as error:
        print_failure(console, error)
        sys.exit(1)


asyncio.run(main())
