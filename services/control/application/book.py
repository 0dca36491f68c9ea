"""Changing a value that has versions: one way for policies, limits and settings."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.transactions import Transactions
from services.control.application.ports import History
from services.control.application.refresh import Refresh
from services.control.domain.versioned import Versioned

T = TypeVar("T")


class Book(Generic[T]):
    """Writes versions of values, and tells of each in the transaction that makes it.

    Args:
        transactions: of the database.
        history: of the kind of value.
        told: publishes the event of a change, by name.
        refresh: takes what is stored over into memory.
        clock: dates the versions.
    """

    def __init__(
        self,
        transactions: Transactions,
        history: History[T],
        told: Callable[[str, Versioned[T]], Awaitable[None]],
        refresh: Refresh,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._history = history
        self._told = told
        self._refresh = refresh
        self._clock = clock

    async def at(self, name: str, version: int) -> T | None:
        """The value of an earlier version; None for what it was in the beginning, as at version 0.

        Raises:
            NotFound: VERSION_NOT_FOUND.
            Unavailable: the database is away.
        """
        if not version:
            return None
        if (earlier := await self._history.at(name, version)) is None:
            raise NotFound(
                "VERSION_NOT_FOUND", "there is no such version", metadata={"version": str(version)}
            )
        return earlier.value

    async def change(
        self,
        name: str,
        decide: Callable[[Versioned[T]], T | None],
        *,
        etag: str = "",
        by: str,
        why: str,
    ) -> Versioned[T]:
        """Write the next version of a value.

        Args:
            name: whose.
            decide: gives the value, from the newest version there is; None for what it was in the beginning.
            etag: of the version that the caller has seen; empty for whichever there is.
            by: who changes it.
            why: in their words.

        Raises:
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
            Whatever `decide` raises; nothing is written then.
        """
        async with self._transactions.transaction():
            await self._history.lock()
            known = await self._history.of(name)
            # The etag comes first: who has not seen the newest version is told so, and nothing else.
            known.changed(None, etag, self._clock.now(), by, why)
            value = decide(known)
            fresh = known.changed(value, etag, self._clock.now(), by, why)
            await self._history.add(name, fresh)
            await self._told(name, fresh)
        await self._refresh.quietly()
        return fresh
