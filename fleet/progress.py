"""What the person at the terminal sees while the fleet starts and stops."""

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from fleet.state import ComponentRecord, FleetRecord

_STYLES = {
    "serving": "green",
    "failed": "bold red",
    "restarting": "yellow",
    "starting": "cyan",
    "stopping": "cyan",
    "waiting": "dim",
    "stopped": "dim",
}


class Progress(Protocol):
    """Shows a fleet's record as it changes."""

    def show(self, record: FleetRecord) -> None:
        """The record after a change."""

    def say(self, line: str) -> None:
        """One line that stays."""

    def settle(self) -> None:
        """The picture is final for now; lines follow below it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainProgress:
    """One line per change, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, str] = {}
        self._began = time.monotonic()

    def show(self, record: FleetRecord) -> None:
        for entry in record.components:
            if self._seen.get(entry.name, "waiting") != entry.state:
                self._seen[entry.name] = entry.state
                self.say(_line(entry))

    def say(self, line: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._began:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True
        )

    def settle(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LiveProgress:
    """A table that changes in place, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def show(self, record: FleetRecord) -> None:
        if self._live is None:
            if record.phase not in ("starting", "stopping"):
                return
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        self._live.update(_picture(record))

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def settle(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()


def progress_for(console: Console) -> Progress:
    """A table on a terminal, plain lines elsewhere."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _line(entry: ComponentRecord) -> str:
    took = f" after {entry.ready_after_s:.1f} s" if entry.state == "serving" and entry.ready_after_s else ""
    detail = f": {entry.detail}" if entry.detail else ""
    return f"{entry.name:<14} {entry.state}{took}{detail}"


def _picture(record: FleetRecord) -> Group:
    table = Table.grid(padding=(0, 2))
    for entry in record.components:
        took = f"{entry.ready_after_s:.1f} s" if entry.ready_after_s is not None else ""
        state = Text(entry.state, style=_STYLES.get(entry.state, ""))
        table.add_row(Text(entry.name), state, Text(took, style="dim"), Text(entry.detail, style="dim"))
    serving = sum(entry.state == "serving" for entry in record.components)
    return Group(Spinner("dots", f"{record.phase}: {serving} of {len(record.components)}"), table)
