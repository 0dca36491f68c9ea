"""A caller's request that is a saga: found again under its request_id, tried anew after a refusal."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, Self, TypeVar

from chassis.errors import AlreadyExists, DomainError, Unavailable
from chassis.saga.instance import Instance, State


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request came to nothing; what it did is undone.

    Args:
        reason: stable code, the participant's own where there is one.
        message: one sentence that a client may see.
        metadata: string facts; default none.
    """

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, instance: Instance) -> Self | None:
        """That of a saga which was turned back; None of any other."""
        failure = instance.failure
        if instance.state is not State.COMPENSATED or failure is None:
            return None
        return cls(failure.reason, failure.message, dict(failure.metadata))

    def error(
        self,
        kinds: Mapping[str, type[DomainError]],
        failed: str,
        message: str,
        resource: tuple[str, str] | None = None,
    ) -> DomainError:
        """What the caller is told.

        Args:
            kinds: kinds of error by those reasons that callers of the method know.
            failed, message: reason and text for any other: a participant did not answer, so that the same
                may be asked again.
            resource: type and id of what a known reason is about; default none.
        """
        if (kind := kinds.get(self.reason)) is not None:
            return kind(self.reason, self.message, metadata=self.metadata, resource=resource)
        return Unavailable(failed, message, metadata={"cause": self.reason}, retry_after=timedelta(seconds=1))


class Progress(Protocol):
    """Where a request stands."""

    @property
    def refusal(self) -> Refusal | None:
        """Why it came to nothing, None unless it did."""
        ...


_P = TypeVar("_P", bound=Progress)


async def newest_attempt(
    most: int,
    saga_id_of: Callable[[int], str],
    start: Callable[[str], Awaitable[_P]],
    same: Callable[[_P], bool],
    reused: str,
) -> tuple[str, _P]:
    """Find the attempt of a request that was not refused, or begin another one.

    Args:
        most: attempts that one request_id may have; the refusal of the last one stands.
        saga_id_of: number of the attempt, from 1, to the id of its saga.
        start: finds the saga of that id, or starts it.
        same: whether what it was started with is what is asked for now.
        reused: message when it is not.

    Returns:
        The saga's id, and where it stands.

    Raises:
        AlreadyExists: REQUEST_ID_REUSED.
        DomainError: what `start` raises.
    """
    for number in range(1, most + 1):
        saga_id = saga_id_of(number)
        progress = await start(saga_id)
        if not same(progress):
            raise AlreadyExists("REQUEST_ID_REUSED", reused)
        if progress.refusal is None:
            break
    return saga_id, progress
