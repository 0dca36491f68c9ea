"""One supervised child process: own process group, own log file, dies with the supervisor."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CHILD_SCRIPT = Path(__file__).with_name("child.py")
LOG_ROTATE_BYTES = 20 * 1024 * 1024
ABORT_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class RunAs:
    """The system user a program runs as when the fleet itself runs as root.

    Args:
        reach: keep the right to pass through folders that are closed to that user.
    """

    user_id: int
    group_id: int
    reach: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one program.

    Args:
        argv: absolute path of the program and its arguments.
        environment: its whole environment; None inherits ours.
        log_path: file that takes its output, appended.
        stop_signal: what asks it to end in good order; default SIGTERM.
        abort_signal: what ends it at once; SIGKILL to its group follows when it does not; default SIGKILL.
        death_signal: what the kernel sends it when the supervisor dies (Linux); default SIGKILL.
        run_as: another system user; only root may set it.
    """

    argv: Sequence[str]
    log_path: Path
    environment: Mapping[str, str] | None = None
    directory: Path = field(default_factory=lambda: Path("/"))
    stop_signal: int = signal.SIGTERM
    abort_signal: int = signal.SIGKILL
    death_signal: int = signal.SIGKILL
    run_as: RunAs | None = None

    def guarded_argv(self, parent: int) -> list[str]:
        """The command line that first ties the program to its supervisor."""
        options = {
            "parent": parent,
            "signal": int(self.death_signal),
            "user": self.run_as.user_id if self.run_as else None,
            "group": self.run_as.group_id if self.run_as else None,
            "reach": bool(self.run_as and self.run_as.reach),
        }
        return [sys.executable, "-I", "-S", str(_CHILD_SCRIPT), json.dumps(options), *self.argv]


class Child:
    """A running program. Make one with `Child.start`, on the main thread.

    The main thread matters: the kernel ties the death signal to the thread that forked.
    """

    def __init__(self, launch: Launch, process: asyncio.subprocess.Process) -> None:
        self._launch = launch
        self._process = process
        self.started_at = time.time()

    @classmethod
    async def start(cls, launch: Launch) -> "Child":
        """Start the program; its output goes to its log file.

        Raises:
            OSError: the program cannot be executed.
        """
        _rotate(launch.log_path)
        descriptor = os.open(launch.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *launch.guarded_argv(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=dict(launch.environment) if launch.environment is not None else None,
                cwd=launch.directory,
                process_group=0,
            )
        finally:
            os.close(descriptor)
        return cls(launch, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._process.wait()

    async def stop(self, grace_s: float) -> bool:
        """Ask it to end, kill its whole process group after `grace_s` seconds.

        Returns:
            Whether it ended by itself in time.
        """
        if not self.running:
            return True
        self.signal(self._launch.stop_signal)
        try:
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
            return False
        return True

    async def kill(self) -> None:
        """End it at once with its whole process group, and wait for it."""
        if self.running and self._launch.abort_signal != signal.SIGKILL:
            self.signal(self._launch.abort_signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ABORT_GRACE_S):
                    await self._process.wait()
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the program itself, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def describe_exit(code: int) -> str:
    """Words for an exit code: `exit code 1`, `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def tail(path: Path, lines: int = 15) -> str:
    """Last lines of a log file; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 2048 * lines))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _rotate(path: Path) -> None:
    # One older file is kept; a development log needs no more.
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_ROTATE_BYTES:
            path.replace(path.with_suffix(".log.1"))
