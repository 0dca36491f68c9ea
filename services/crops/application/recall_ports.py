"""What recalling needs of the outside world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from chassis.saga import Refusal
from services.crops.domain.events import RecallClass


@dataclass(frozen=True, slots=True)
class Recall:
    """What the recall saga is started with.

    Args:
        is_operator: what the caller was when asking first; no part of what is asked for.
    """

    lot_id: str
    actor: str
    reason: str
    recall_class: RecallClass
    is_operator: bool = field(compare=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recalled.

    Args:
        version: of the lot itself after it.
        lot_ids: the lot and all that came of it, its own first.
        held_by: which lots each recall holds, by recall: this one, and others that had come before.
    """

    version: int
    lot_ids: tuple[str, ...]
    held_by: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class RecallProgress:
    """Where a recall stands: refused, or its stock blocked, or neither yet."""

    recall: Recall
    recorded: Recorded | None = None
    blocked: bool = False
    refusal: Refusal | None = None


class Recalls(Protocol):
    """Runs the recall saga."""

    async def start(self, recall_id: str, recall: Recall) -> RecallProgress:
        """Start a recall, or find the one with that id; compare `recall` to see which."""
        ...

    async def outcome(self, recall_id: str, within: timedelta) -> RecallProgress:
        """Wait until it is refused or its stock blocked; neither is set when that takes longer."""
        ...


class Quarantine(Protocol):
    """The inventory service."""

    async def block(self, request_id: str, recall_id: str, lot_ids: Sequence[str], reason: str) -> None:
        """Block the stock of at most `PAGE` lots for a recall, however often it is asked to.

        Raises:
            Unavailable, DeadlineExceeded: it does not answer.
        """
        ...


PAGE = 500
"""Lots of one call, by inventory's contract."""
