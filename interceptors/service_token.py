"""The token with which a service calls its peers: refreshed ahead of expiry, one fetch at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.clock import Clock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A token and when it expires (aware UTC)."""

    value: str
    expires_at: datetime


class TokenSource:
    """Keeps a valid token at hand.

    Args:
        fetch: gets a new token; its errors reach callers only when no valid token is left.
        clock: tells the time.
        ahead: share of a token's life that is left when a new one is fetched in the background;
            default 0.2.
        least_interval: least time between two background fetches; default 5 s.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Token]],
        clock: Clock,
        *,
        ahead: float = 0.2,
        least_interval: timedelta = timedelta(seconds=5),
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ahead = ahead
        self._least_interval_s = least_interval.total_seconds()
        self._token: Token | None = None
        self._refresh_at: datetime | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[Token] | None = None

    async def get(self) -> str:
        """A valid token; waits for a fetch only when there is none."""
        token, now = self._token, self._clock.now()
        if token is None or now >= token.expires_at:
            return (await asyncio.shield(self._start())).value
        if self._refresh_at is not None and now >= self._refresh_at and self._rested():
            # Nobody waits for this one, so its failure is only logged.
            self._start().add_done_callback(_log_failure)
        return token.value

    def refused(self, value: str) -> None:
        """A peer refused this token as invalid (its key may be gone): fetch before the next call."""
        if self._token is not None and self._token.value == value and self._rested():
            self._token = None

    def _rested(self) -> bool:
        return self._tried_at is None or self._clock.monotonic() - self._tried_at >= self._least_interval_s

    # In an empty context: the fetch serves all, so the deadline of whoever began it must not end it.
    def _start(self) -> asyncio.Task[Token]:
        if self._fetching is None:
            self._tried_at = self._clock.monotonic()
            self._fetching = asyncio.create_task(self._fetch_once(), context=Context())
        return self._fetching

    async def _fetch_once(self) -> Token:
        try:
            token = await self._fetch()
            now = self._clock.now()
            self._token, self._refresh_at = token, token.expires_at - (token.expires_at - now) * self._ahead
            return token
        finally:
            self._fetching = None


def _log_failure(task: asyncio.Task[Token]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("no new service token; the old one is used while it is valid: %r", error)
