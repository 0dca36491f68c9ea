"""The runners of one fleet, and the record that other commands read of them."""

import time
from collections.abc import Sequence

from chassis.members import OPERATOR
from fleet.component import Component, Runner
from fleet.errors import FleetError
from fleet.progress import Progress
from fleet.settings import FleetSettings
from fleet.state import ComponentRecord, FleetRecord, process_start, write_record

NOTICES_KEPT = 50


class Roster:
    """Keeps `fleet.json` and the terminal in step with what the runners do.

    Args:
        settings: the fleet's settings.
        progress: where the person looks.
        supervisor_pid: this process.
    """

    def __init__(self, settings: FleetSettings, progress: Progress, supervisor_pid: int) -> None:
        self._settings = settings
        self._progress = progress
        self._pid = supervisor_pid
        self._runners: list[Runner] = []
        self._notices: list[str] = []
        self._process_starts: dict[int, float | None] = {}
        self._started_at = time.time()
        self._began = time.monotonic()
        self._serving_after_s: float | None = None
        self._failure: FleetError | None = None
        self.phase = "starting"

    def add(self, components: Sequence[Component]) -> list[Runner]:
        """Make a runner for each component."""
        runners = [Runner(entry, on_change=lambda _: self.publish(), say=self.say) for entry in components]
        self._runners.extend(runners)
        return runners

    def runners(self, kind: str) -> list[Runner]:
        """Those of one kind, in the order they were added."""
        return [runner for runner in self._runners if runner.component.kind == kind]

    @property
    def all(self) -> list[Runner]:
        return list(self._runners)

    def say(self, line: str) -> None:
        """A line for the person, kept in the record as well."""
        self._notices = [*self._notices, line][-NOTICES_KEPT:]
        self._progress.say(line)
        self.publish()

    def enter(self, phase: str) -> None:
        """Begin another phase of the fleet's life."""
        self.phase = phase
        if phase == "serving":
            self._serving_after_s = time.monotonic() - self._began
        self.publish()

    def fail(self, error: FleetError) -> None:
        """Note why the fleet did not come up."""
        self._failure = error

    def record(self) -> FleetRecord:
        """The fleet as it is now."""
        return FleetRecord(
            supervisor_pid=self._pid,
            phase=self.phase,
            edge_port=self._settings.edge_port,
            started_at=self._started_at,
            serving_after_s=self._serving_after_s,
            message=self._failure.sentence if self._failure else "",
            log_tail=self._failure.log_tail if self._failure else "",
            components=[self._describe(runner) for runner in self._runners],
            notices=self._notices,
            operator_tls_dir=str(self._settings.tls_dir(OPERATOR) or ""),
        )

    def publish(self) -> None:
        """Write the record and show it."""
        record = self.record()
        write_record(self._settings, record)
        self._progress.show(record)

    def _describe(self, runner: Runner) -> ComponentRecord:
        child = runner.child if runner.child and runner.child.running else None
        if child and child.pid not in self._process_starts:
            self._process_starts[child.pid] = process_start(child.pid)
        return ComponentRecord(
            name=runner.name,
            kind=runner.component.kind,
            state=runner.state.value,
            address=runner.component.address,
            service=runner.component.service,
            pid=child.pid if child else None,
            process_started_at=self._process_starts.get(child.pid) if child else None,
            ready_after_s=runner.ready_after_s,
            restarts=runner.restarts,
            detail=runner.detail,
            external=not runner.component.ports,
        )
