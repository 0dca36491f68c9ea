"""What a policy of the client chain knows: one outgoing call."""

import time
from typing import Protocol

import grpc

from chassis.telemetry.tracing import Span


class Outgoing:
    """One outgoing call before it is sent; policies change it in place.

    Args:
        path: `/package.Service/Method`.
        timeout_s: what the caller asked for, in seconds; None when nothing.
        metadata: headers, to append to.
        streams: whether messages stream, in either direction.
    """

    __slots__ = ("metadata", "path", "span", "started", "streams", "timeout_s", "token")

    def __init__(
        self,
        path: str,
        timeout_s: float | None,
        metadata: list[tuple[str, str | bytes]],
        streams: bool,
    ) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self.metadata = metadata
        self.streams = streams
        self.started = time.perf_counter()
        self.span: Span | None = None
        self.token = ""


class ClientPolicy(Protocol):
    """One link of the client chain."""

    async def before(self, outgoing: Outgoing) -> None:
        """Prepare or refuse the call. `after` of links that have prepared it is called in any case."""
        ...

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """The call has ended."""
        ...
