"""Where the story is told: each step with its protocol, its time and what came of it."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.text import Text

Protocol = Literal["JSON", "gRPC", "both"]


@dataclass(slots=True)
class Step:
    """One step as it was played.

    Args:
        title: what is done.
        protocol: how the edge was called.
        took_s: seconds it took.
        notes: what came of it, one line each.
    """

    title: str
    protocol: Protocol
    took_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Say what came of it."""
        self.notes.append(line)


class Stage:
    """Shows the steps as they end and keeps them.

    Args:
        console: where the audience sits.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[Step] = []

    def act(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    @contextlib.contextmanager
    def step(self, title: str, protocol: Protocol) -> Iterator[Step]:
        """One step; shown when the block ends, in red when it fails."""
        step = Step(title, protocol)
        began = time.monotonic()
        try:
            yield step
        except BaseException:
            self._show(step, time.monotonic() - began, "red")
            raise
        self._show(step, time.monotonic() - began, "green")

    def _show(self, step: Step, took_s: float, style: str) -> None:
        step.took_s = took_s
        self.steps.append(step)
        line = Text()
        line.append(f"{took_s * 1000:7.0f} ms", style=style)
        line.append(f"  {step.protocol:<4}  ", style="dim")
        line.append(step.title)
        self.console.print(line, soft_wrap=True)
        for note in step.notes:
            self.console.print(Text(f"{'':18}{note}", style="dim"), soft_wrap=True)
