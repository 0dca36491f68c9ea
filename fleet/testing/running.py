"""One fleet in processes of its own, started as `greenledger up` does and stopped at the end."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleet.client import Credentials
from fleet.operator import operator_of
from fleet.process import tail
from fleet.services import SERVICES
from fleet.settings import LOOPBACK, FleetSettings, process_environment
from fleet.state import ComponentRecord, FleetRecord, read_record, require_running
from fleet.testing.ports import free_edge_port

START_LIMIT_S = 120.0
STOP_LIMIT_S = 45.0


# One process of each service, and as many calls as a test likes.
ONE_OF_EACH = {
    "GREENLEDGER_REPLICAS": "1",
    "GREENLEDGER_ANONYMOUS_LIMIT": "0",
    "GREENLEDGER_AUTHENTICATED_LIMIT": "0",
}


class RunningFleet:
    """What a test may know of a fleet and do with it.

    Args:
        settings: ports and folders.
        environment: variables that its processes see besides our own, over ONE_OF_EACH; an empty value takes
            one of those back.
    """

    def __init__(self, settings: FleetSettings, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self._environment = {**ONE_OF_EACH, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def edge_url(self) -> str:
        return self.settings.edge_url

    @property
    def operator(self) -> Credentials:
        """The first operator."""
        return operator_of(self.settings)

    @property
    def record(self) -> FleetRecord:
        """What the supervisor says of it."""
        return require_running(self.settings)

    def address(self, service: str) -> str:
        """`host:port` of the gRPC port of a service's first process."""
        index = next(spec.index for spec in SERVICES if spec.name == service)
        return f"{LOOPBACK}:{self.settings.service_port(index)}"

    def component(self, name: str) -> ComponentRecord:
        """One part of it."""
        return next(entry for entry in self.record.components if entry.name == name)

    def log(self, name: str) -> str:
        """Everything that a part has written."""
        return self.settings.log_path(name).read_text(errors="replace")

    def start(self) -> None:
        """Start it and return when every part answers.

        Raises:
            AssertionError: it did not come up.
        """
        self.settings.make_folders()
        argv = [sys.executable, "-m", "fleet.cli", "up", "--state-dir", str(self.settings.state_dir)]
        log_path = self.settings.log_path("supervisor")
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, "--edge-port", str(self.settings.edge_port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.settings.project_root,
                env={**process_environment(self.settings), **self._environment},
            )
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            record = read_record(self.settings)
            mine = record is not None and record.supervisor_pid == self._process.pid
            if mine and record is not None and record.phase == "serving":
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the fleet did not come up:\n{tail(log_path, 40)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Drain it and wait until it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running_fleet(environment: Mapping[str, str] | None = None) -> Iterator[RunningFleet]:
    """A fleet with ports and a state folder of its own, gone when the block ends.

    Args:
        environment: variables that its processes see besides our own, e.g. GREENLEDGER_LOG_LEVEL, as for
            RunningFleet. `{"GREENLEDGER_REPLICAS": ""}` gives replicas and a canary, as `make run` does.
    """
    # Not under pytest's own folder, which is closed to the user that PostgreSQL runs as for root.
    folder = Path(tempfile.mkdtemp(prefix="greenledger-test-"))
    folder.chmod(0o755)
    variables = {**os.environ, **ONE_OF_EACH, **(environment or {})}
    settings = FleetSettings.from_environment(
        variables,
        edge_port=free_edge_port(replicas=variables["GREENLEDGER_REPLICAS"] != "1"),
        state_dir=folder / "state",
    )
    fleet = RunningFleet(settings, environment)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
        shutil.rmtree(folder, ignore_errors=True)
