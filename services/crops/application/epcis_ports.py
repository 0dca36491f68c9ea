"""What capturing and answering visibility events needs of the outside world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.crops.domain.epcis.facts import EventFacts
from services.crops.domain.epcis.findings import Finding, Severity
from services.crops.domain.epcis.knowledge import Knowledge
from services.crops.domain.epcis.query import Condition
from services.crops.domain.events import LotEvent

Identity = tuple[str, bool]
"""Event id, and whether it is the declaration that the event was an error: the two share their id."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that may be recorded.

    Args:
        facts: it in canonical terms.
        text: its JSON text, without the document's context.
        context: JSON text of the whole `@context` that holds for it.
        ignored: fields that do not count in its hash.
    """

    facts: EventFacts
    text: str
    context: str
    ignored: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        return self.facts.event_id, self.facts.declares_error


@dataclass(frozen=True, slots=True)
class Stored:
    """An event that is recorded already."""

    event_hash: str
    ledger_event_id: str


@dataclass(frozen=True, slots=True)
class Recording:
    """An event that is to be recorded, with what does not fit about it."""

    candidate: Candidate
    ledger_event_id: str
    findings: tuple[Finding, ...]


class VisibilityEvents(Protocol):
    """The captured events with their indexes; every method joins the running transaction."""

    async def guard(self, batch: Sequence[EventFacts]) -> None:
        """Let nobody else record anything about the same events and goods until the transaction ends."""
        ...

    async def present(self, identities: Sequence[Identity]) -> dict[Identity, Stored]:
        """Those that are recorded."""
        ...

    async def knowledge(self, batch: Sequence[EventFacts]) -> Knowledge:
        """What is known about everything that the events name."""
        ...

    async def save(
        self,
        recordings: Sequence[Recording],
        present: dict[Identity, Stored],
        knowledge: Knowledge,
        captured_by: str,
        now: datetime,
    ) -> None:
        """Record events, in their order, and what is known after them."""
        ...


@dataclass(frozen=True, slots=True)
class CapturedEvent:
    """A recorded event.

    Args:
        position: its place in the order of recording.
        document: JSON-LD text with its whole context.
        ignored: fields that do not count in its hash.
    """

    position: int
    event_id: str
    event_hash: str
    document: str
    record_time: datetime
    ledger_event_id: str
    captured_by: str
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedFinding:
    """A finding in the order of finding."""

    number: int
    finding: Finding
    record_time: datetime


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Each that is set must hold."""

    code: str = ""
    severity: Severity | None = None
    subject: str = ""
    event_id: str = ""


class VisibilityQueries(Protocol):
    """Answers from the indexes of captured events."""

    async def get(self, identity: Identity) -> CapturedEvent | None: ...

    async def query(
        self, conditions: Sequence[Condition], after: int, limit: int
    ) -> tuple[Sequence[CapturedEvent], bool]:
        """Events behind a position in order, and whether there are more; large events make a page shorter.

        Raises:
            InvalidArgument: EPCIS_QUERY_UNSUPPORTED.
        """
        ...

    async def findings(self, where: FindingFilter, after: int, limit: int) -> Sequence[RecordedFinding]: ...


class JobState(StrEnum):
    """How far a capture job is."""

    UPLOADING = "UPLOADING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class CaptureJob:
    """The capture of one document.

    Args:
        failure: what broke the document; "" when nothing did.
        digest: SHA-256 of the document, once it has been read, or was sent at once.
        events_read: how many events of it are done with, in its order.
        parts, size: how many parts of it were received, and their bytes.
    """

    job_id: str
    owner: str
    state: JobState
    create_time: datetime
    update_time: datetime
    captured: int = 0
    duplicates: int = 0
    refused: int = 0
    findings: int = 0
    failure: str = ""
    digest: bytes = b""
    events_read: int = 0
    parts: int = 0
    size: int = 0

    def counted(self, now: datetime, outcomes: Sequence["Outcome"], refused: int) -> "CaptureJob":
        """The job after another batch; `refused` were no events at all."""
        return replace(
            self,
            update_time=now,
            captured=self.captured + sum(not each.duplicate and each.error is None for each in outcomes),
            duplicates=self.duplicates + sum(each.duplicate for each in outcomes),
            refused=self.refused + refused + sum(each.error is not None for each in outcomes),
            findings=self.findings + sum(len(each.findings) for each in outcomes),
        )


@dataclass(frozen=True, slots=True)
class CaptureError:
    """An event of a document that was refused; `index` is its place, from 0."""

    index: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a candidate: recorded, a duplicate, or refused with `error`."""

    event_id: str
    event_hash: str
    ledger_event_id: str = ""
    duplicate: bool = False
    findings: tuple[Finding, ...] = ()
    error: CaptureError | None = None


class CaptureJobs(Protocol):
    """The jobs and their refused events."""

    async def open(self, job: CaptureJob) -> CaptureJob:
        """Begin a job, or find the one with its id."""
        ...

    async def get(self, job_id: str) -> CaptureJob | None: ...

    async def lock(self, job_id: str) -> CaptureJob | None:
        """As `get`; nobody else changes it until the transaction ends."""
        ...

    async def save(self, job: CaptureJob, errors: Sequence[CaptureError]) -> None:
        """Write how far it is, and add errors (one that is there already stays)."""
        ...

    async def errors(self, job_id: str, after: int, limit: int) -> Sequence[CaptureError]: ...

    async def forget(self, before: datetime, limit: int) -> int:
        """Delete some jobs that ended before a time, with their errors; how many."""
        ...


@dataclass(frozen=True, slots=True)
class LotFact:
    """An event of a lot as it was recorded."""

    event_id: str
    recorded_at: datetime
    event: LotEvent


class LotHistories(Protocol):
    """The recorded histories of GreenLedger's own lots."""

    async def history(self, lot_id: str) -> Sequence[LotFact]:
        """Oldest first; empty for an unknown lot."""
        ...
