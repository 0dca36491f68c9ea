"""How far a large run has come, kept in the state folder so that it can go on after an interruption."""

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from fleet.demo.large.plan import Names, Plan
from fleet.settings import FleetSettings

# The services keep a stored answer for 24 h; after that the same request would be a new one.
RESUMABLE_FOR_S = 20 * 3600.0
_EVERY_S = 1.0


@dataclass(slots=True)
class Checkpoint:
    """One run.

    Args:
        tag, key: see `Names`.
        lots, orders: the plan it was started with.
        began_at: seconds since the epoch; harvests count back from it.
        done: by kind of unit, how many of the first units have ended.
    """

    tag: str
    key: str
    lots: int
    orders: int
    began_at: float
    done: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        return Names(self.tag, self.key)

    @property
    def started(self) -> bool:
        """Whether it goes on with an earlier run."""
        return bool(self.done)


class CheckpointFile:
    """`<state>/run/demo-large.json`, readable by its owner only: the passwords derive from its key."""

    def __init__(self, settings: FleetSettings) -> None:
        self._path = settings.run_dir / "demo-large.json"
        self._saved_at = 0.0

    def open(self, plan: Plan, *, fresh: bool) -> Checkpoint:
        """The run to go on with, or a new one.

        Args:
            plan: a run of another size is not gone on with.
            fresh: begin anew whatever there is.
        """
        found = None if fresh else self._read()
        if found is not None and (found.lots, found.orders) == (plan.lots, plan.orders):
            return found
        checkpoint = Checkpoint(
            secrets.token_hex(4), secrets.token_hex(32), plan.lots, plan.orders, time.time()
        )
        self.save(checkpoint)
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it in one step."""
        draft = self._path.with_suffix(".json.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(checkpoint), file)
        draft.replace(self._path)
        self._saved_at = time.monotonic()

    def keeper(self, checkpoint: Checkpoint, kind: str) -> Callable[[int], None]:
        """Notes how many of the first units of a kind have ended, on disk at most once a second."""

        def note(done: int) -> None:
            checkpoint.done[kind] = done
            if time.monotonic() - self._saved_at > _EVERY_S:
                self.save(checkpoint)

        return note

    def remove(self) -> None:
        """The run has ended."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> Checkpoint | None:
        try:
            found = Checkpoint(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if time.time() - found.began_at < RESUMABLE_FOR_S else None
