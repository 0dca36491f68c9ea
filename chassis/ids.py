"""Identifiers as a dependency."""

from typing import Protocol

import uuid_utils


class IdSource(Protocol):
    """Where identifiers come from."""

    def uuid7(self) -> str:
        """A new time-ordered UUIDv7 as 36 characters of text (RFC 9562)."""
        ...


class SystemIds:
    """Random UUIDv7s that ascend within the process."""

    def uuid7(self) -> str:
        return str(uuid_utils.uuid7())


class SequentialIds:
    """Predictable UUIDv7-shaped ids for tests: ...0001, ...0002.

    Args:
        first: number of the first id; default 1.
    """

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def uuid7(self) -> str:
        number, self._next = self._next, self._next + 1
        return f"00000000-0000-7000-8000-{number:012x}"
