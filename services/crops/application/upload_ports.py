"""What keeping a document in parts, until it has been captured, needs of the outside world."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chassis.context import RequestContext


@dataclass(frozen=True, slots=True)
class Claim:
    """A complete document that is ours to capture.

    Args:
        epoch: rises with every claim; who holds an older one has lost it.
        attempts: how often it was claimed since it last got on, this time included.
        correlation_id, traceparent: of the request that completed it.
    """

    job_id: str
    epoch: int
    attempts: int
    correlation_id: str
    traceparent: str | None


class Uploads(Protocol):
    """Documents in parts; every method joins the running transaction."""

    async def under_way(self, owner: str) -> int:
        """How many an owner has, who gets no further one until the transaction ends."""
        ...

    async def open(self, job_id: str, owner: str, now: datetime) -> None:
        """Keep a document that is yet to come."""
        ...

    async def add(self, job_id: str, index: int, chunk: bytes, now: datetime) -> bytes | None:
        """Keep a part and count it; what is there under its index already, which then stays."""
        ...

    async def missing(self, job_id: str, parts: int) -> Sequence[int]:
        """Some places of `[0, parts)` without a part."""
        ...

    async def complete(self, job_id: str, context: RequestContext, now: datetime) -> None:
        """Let it be claimed."""
        ...

    async def claim(self, now: datetime, until: datetime) -> Claim | None:
        """A complete document that nobody holds: of every owner's first the one that has waited longest."""
        ...

    async def hold(self, claim: Claim, until: datetime) -> bool:
        """Hold it longer, although it does not get on yet; false when somebody else has claimed it."""
        ...

    async def others_wait(self, claim: Claim, now: datetime) -> bool:
        """Whether there is another one to claim."""
        ...

    async def extend(self, claim: Claim, until: datetime) -> bool:
        """Hold it longer, since it gets on; false when somebody else has claimed it."""
        ...

    async def let_go(self, claim: Claim, now: datetime, *, behind_others: bool) -> None:
        """Let it be claimed at once, or when those that wait now have had their turn."""
        ...

    def chunks(self, job_id: str) -> AsyncIterator[bytes]:
        """Its bytes in order, a part at a time."""
        ...

    async def drop(self, job_id: str) -> None:
        """Forget its parts."""
        ...

    async def abandoned(self, before: datetime) -> Sequence[str]:
        """Jobs whose last part came before a time and that are not complete; nobody else may change them."""
        ...
