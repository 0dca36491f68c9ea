"""Values that operators change: each has a version, and who gave it and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from chassis.errors import Aborted

T = TypeVar("T")


@dataclass(frozen=True)
class Versioned(Generic[T]):
    """A value and how it came.

    Args:
        value: None where the value is the one that control was started with.
        version: 1 for the first change, one more with each; 0 as long as it was never changed.
        updated_at, updated_by, why: of the change.
    """

    value: T | None = None
    version: int = 0
    updated_at: datetime | None = None
    updated_by: str = ""
    why: str = ""

    @property
    def etag(self) -> str:
        """What a caller sends back so that nobody else's change is lost (AIP-154)."""
        return str(self.version)

    def changed(self, value: T | None, etag: str, now: datetime, by: str, why: str) -> "Versioned[T]":
        """The next version.

        Args:
            etag: of the version that the caller has seen; empty for whichever there is.

        Raises:
            Aborted: ETAG_MISMATCH.
        """
        if etag and etag != self.etag:
            raise Aborted(
                "ETAG_MISMATCH",
                "it has changed since it was read; read it again",
                metadata={"etag": self.etag},
            )
        return Versioned(value, self.version + 1, now, by, why)
