"""`greenledger down`: drain and stop the fleet."""

import contextlib
import os
import signal
import time
from typing import Annotated

import typer
from rich.console import Console

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.errors import FleetError
from fleet.settings import FleetSettings
from fleet.state import read_record, running_supervisor


def down(
    state_dir: StateDir = None,
    timeout: Annotated[float, typer.Option(help="Longest wait for an orderly end, in seconds.")] = 45.0,
    kill: Annotated[bool, typer.Option("--kill", help="Do not drain, kill at once.")] = False,
) -> None:
    """Drain the running fleet, stop it and wait until it has ended. The data stays."""
    with failures_as_sentences():
        settings = settings_from(state_dir)
        supervisor = running_supervisor(settings)
        if supervisor is None:
            Console().print(f"No fleet runs on {settings.state_dir}.", soft_wrap=True, highlight=False)
            return
        began = time.monotonic()
        _ask(supervisor, twice=kill)
        _wait_until_gone(settings, supervisor, timeout)
        Console().print(f"Stopped after {time.monotonic() - began:.1f} s.", highlight=False)
        _say_who_was_killed(settings)


def _ask(supervisor: int, *, twice: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
        if twice:
            time.sleep(0.2)  # two pending signals of one number would be delivered as one
            os.kill(supervisor, signal.SIGTERM)


def _wait_until_gone(settings: FleetSettings, supervisor: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while running_supervisor(settings) == supervisor:
        if time.monotonic() > deadline:
            raise FleetError(
                f"The fleet (pid {supervisor}) has not ended after {timeout_s:.0f} s: wait, or use "
                "`greenledger down --kill`."
            )
        time.sleep(0.05)


def _say_who_was_killed(settings: FleetSettings) -> None:
    record = read_record(settings)
    for entry in record.components if record else []:
        if entry.detail.startswith("killed"):
            Console().print(f"{entry.name} did not end by itself and was {entry.detail}.", highlight=False)
