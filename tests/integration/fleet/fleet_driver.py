"""Runs one fleet with small services in a process of its own, as `greenledger up` does.

Arguments: state folder, edge port, names of the services (comma-separated), each of which calls the one
before it. ECHO_MODE reaches them. With `control` among them the last of the others has two processes and a
canary.
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from fleet.errors import FleetError
from fleet.progress import PlainProgress
from fleet.report import print_failure
from fleet.services import CONTROL, Canary, ServiceSpec, numbered
from fleet.settings import FleetSettings
from fleet.supervisor import Supervisor
from tests.integration.fleet.edge import render

CHOSEN = ("GREENLEDGER_MTLS", "GREENLEDGER_CERTIFICATE_LIFE_S")
ECHO = str(Path(__file__).with_name("echo_service.py"))


async def main() -> None:
    state_dir, edge_port, names = sys.argv[1:4]
    chosen = {name: text for name, text in os.environ.items() if name in CHOSEN}
    settings = FleetSettings.from_environment(chosen, state_dir=Path(state_dir), edge_port=int(edge_port))
    specs = []
    previous: tuple[str, ...] = ()
    *plain, last = [name for name in names.split(",") if name != CONTROL]
    for name in (*plain, last):
        specs.append(ServiceSpec(name, depends_on=previous, command=(sys.executable, ECHO), database=False))
        previous = (name,)
    if CONTROL in names:
        specs[-1] = replace(specs[-1], replicas=2, canary=Canary("v2", weight=10))
        control = ServiceSpec(CONTROL, command=(sys.executable, ECHO), database=False, replicas=2)
        specs.append(control)
    console = Console()
    supervisor = Supervisor(settings, PlainProgress(console), services=numbered(specs), render=render)
    try:
        await supervisor.run(on_serving=lambda record: print("all serving", flush=True))
    except FleetError as error:
        print_failure(console, error)
        sys.exit(1)


asyncio.run(main())
