"""What other commands know of a running fleet: `<state>/run/fleet.json` and the lock beside it."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fleet.errors import FleetError
from fleet.membership import Peer
from fleet.settings import FleetSettings


@dataclass(frozen=True, slots=True)
class ComponentRecord:
    """One part of the fleet as last seen by the supervisor.

    Args:
        name: unique in the fleet.
        kind: `server`, `service` or `edge`.
        state: a `RunState` value.
        address: `host:port`.
        service: of which service it is a process; empty for servers and the edge.
        pid: process; None when it is external or not running.
        process_started_at: start of that process in seconds since the epoch, tells a reused pid apart.
        ready_after_s: seconds from launch to the first good answer.
        restarts: how often it was started again.
        detail: why it is not serving.
        external: whether somebody else runs it.
    """

    name: str
    kind: str
    state: str
    address: str
    service: str = ""
    pid: int | None = None
    process_started_at: float | None = None
    ready_after_s: float | None = None
    restarts: int = 0
    detail: str = ""
    external: bool = False

    def process(self) -> psutil.Process | None:
        """The process itself, if it still runs and the pid was not given to another."""
        if self.pid is None or self.process_started_at is None:
            return None
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.process_started_at) < 2.0:
                return process
        return None


@dataclass(frozen=True, slots=True)
class FleetRecord:
    """The whole fleet; holds no secret.

    Args:
        supervisor_pid: process that holds the lock.
        phase: `starting`, `serving`, `stopping`, `stopped` or `failed`.
        edge_port: port of the edge.
        started_at: seconds since the epoch.
        serving_after_s: seconds from start to everything SERVING.
        message: the sentence of a failure.
        log_tail: lines that explain it.
        notices: lines for the person at the terminal, oldest first.
        operator_tls_dir: folder of the operator's certificate where services speak mutual TLS, else empty.
    """

    supervisor_pid: int
    phase: str
    edge_port: int
    started_at: float
    serving_after_s: float | None = None
    message: str = ""
    log_tail: str = ""
    components: list[ComponentRecord] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    operator_tls_dir: str = ""

    def peer(self, component: str) -> Peer | None:
        """The service that a component is an instance of, as the operator reaches it; None for plain text."""
        # `orders-2` is another instance of `orders`; no service has a dash in its name.
        service = component.partition("-")[0]
        return Peer(service, Path(self.operator_tls_dir)) if self.operator_tls_dir else None

    @property
    def services(self) -> dict[str, ComponentRecord]:
        """One process of each service to ask: the first, or another where the first does not serve."""
        found: dict[str, ComponentRecord] = {}
        for entry in self.components:
            if entry.kind == "service":
                known = found.setdefault(entry.service, entry)
                if known.state != "serving" and entry.state == "serving":
                    found[entry.service] = entry
        return found


def record_path(settings: FleetSettings) -> Path:
    """Where the record of this state folder's fleet is."""
    return settings.run_dir / "fleet.json"


def write_record(settings: FleetSettings, record: FleetRecord) -> None:
    """Replace the record in one step, so that a reader never sees half of it."""
    path = record_path(settings)
    draft = path.with_suffix(".json.new")
    draft.write_text(json.dumps(asdict(record), indent=2))
    draft.replace(path)


def read_record(settings: FleetSettings) -> FleetRecord | None:
    """The last record written; None when there is none or it cannot be understood."""
    try:
        content: dict[str, Any] = json.loads(record_path(settings).read_text())
        components = [ComponentRecord(**entry) for entry in content.pop("components")]
        return FleetRecord(components=components, **content)
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextlib.contextmanager
def exclusive(settings: FleetSettings) -> Iterator[None]:
    """Own the state folder until the block ends or this process dies.

    Raises:
        FleetError: another fleet owns it.
    """
    with _lock_path(settings).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError(_already_running(settings)) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running_supervisor(settings: FleetSettings) -> int | None:
    """Pid of the process that owns the state folder; None when no fleet runs on it."""
    try:
        with _lock_path(settings).open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except (OSError, ValueError):
        return None
    return None


def require_running(settings: FleetSettings) -> FleetRecord:
    """The record of the fleet that runs on this state folder.

    Raises:
        FleetError: none runs.
    """
    record = read_record(settings)
    if running_supervisor(settings) is None or record is None:
        raise FleetError(
            f"No fleet runs on {settings.state_dir}: start one with `greenledger up`, or name another folder "
            "with --state-dir (or GREENLEDGER_STATE_DIR)."
        )
    return record


def end_leftovers(settings: FleetSettings, *, patience_s: float = 10.0) -> list[str]:
    """End the processes of a supervisor that was killed; call it only while owning the state folder.

    On Linux they end by themselves (PostgreSQL needs a moment); elsewhere they must be told.

    Returns:
        Names of those that had to be killed.
    """
    record = read_record(settings)
    left = (
        {entry.name: process for entry in record.components if (process := entry.process())} if record else {}
    )
    for process in left.values():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(list(left.values()), timeout=patience_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=2)
    return [name for name, process in left.items() if process in alive]


def process_start(pid: int) -> float | None:
    """When a process started, in seconds since the epoch."""
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return None


def _already_running(settings: FleetSettings) -> str:
    # The owner may be so young that it has not written its pid or its record yet.
    deadline = time.monotonic() + 0.5
    while (pid := running_supervisor(settings)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    record = read_record(settings)
    edge = f", edge http://127.0.0.1:{record.edge_port}" if record and record.supervisor_pid == pid else ""
    return (
        f"A fleet already runs on {settings.state_dir} (pid {pid or 'unknown'}{edge}): stop it with "
        "`greenledger down`, or give this one its own --state-dir and --edge-port."
    )


def _lock_path(settings: FleetSettings) -> Path:
    return settings.run_dir / "fleet.lock"
