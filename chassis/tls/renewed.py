"""A channel by static address whose certificate is renewed while it is open."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import structlog

from chassis.tls.files import Stamp, TlsError, stamp

_log = structlog.get_logger(__name__)
_LOOK_S = 1.0
_LAST_CALLS_S = 60.0  # a call may have got its channel, and wait for its token still
_LAST_STREAMS_S = (
    30 * 86_400.0
)  # cancelled by their channel, streams would end as if their owner had wished it


class RenewedChannel(grpc.aio.Channel):
    """Looks at the folder again when called, at most once a second, and connects anew after a change.

    gRPC gives a channel its certificate when it is made, and takes no other later. Calls under way stay on
    the connection that they began on.

    Args:
        tls_dir: folder whose change makes the difference.
        connect: makes a channel with the credentials of now.
    """

    def __init__(self, tls_dir: Path, connect: Callable[[], grpc.aio.Channel]) -> None:
        self._tls_dir = tls_dir
        self._connect = connect
        self._stamp: Stamp = stamp(tls_dir)
        self._channel = connect()
        self._look_at = time.monotonic() + _LOOK_S
        self._former: dict[grpc.aio.Channel, asyncio.Task[None]] = {}

    def current(self) -> grpc.aio.Channel:
        """The channel for a call that begins now."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._renew()
        return self._channel

    def _renew(self) -> None:
        try:
            found = stamp(self._tls_dir)
            if found == self._stamp:
                return
            former, self._channel = self._channel, self._connect()
        except TlsError as error:
            _log.warning("tls.not_renewed", error=str(error))
            return
        self._stamp = found
        self._former[former] = asyncio.ensure_future(self._retire(former))

    async def _retire(self, former: grpc.aio.Channel) -> None:
        await asyncio.sleep(_LAST_CALLS_S)
        await former.close(_LAST_STREAMS_S)
        del self._former[former]

    async def __aenter__(self) -> "RenewedChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close it, and what is left of its former connections."""
        former, self._former = self._former, {}
        for task in former.values():
            task.cancel()
        await asyncio.gather(*former.values(), return_exceptions=True)
        for channel in (*former, self._channel):
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """State of the channel in use."""
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Of the channel in use."""
        await self.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Return when it is connected."""
        await self.current().channel_ready()

    def unary_unary(self, *args: Any, **options: Any) -> Any:
        """A callable for unary calls."""
        return _Renewed(self, "unary_unary", args, options)

    def unary_stream(self, *args: Any, **options: Any) -> Any:
        """A callable for calls with a response stream."""
        return _Renewed(self, "unary_stream", args, options)

    def stream_unary(self, *args: Any, **options: Any) -> Any:
        """A callable for calls with a request stream."""
        return _Renewed(self, "stream_unary", args, options)

    def stream_stream(self, *args: Any, **options: Any) -> Any:
        """A callable for calls with both."""
        return _Renewed(self, "stream_stream", args, options)


class _Renewed:
    """A stub's method, made once per channel that is used."""

    def __init__(
        self, channel: RenewedChannel, kind: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        self._renewed = channel
        self._kind, self._args, self._options = kind, args, options
        self._of: grpc.aio.Channel | None = None
        self._callable: Any = None

    def __call__(self, *args: Any, **options: Any) -> Any:
        channel = self._renewed.current()
        if channel is not self._of:
            self._of, self._callable = channel, getattr(channel, self._kind)(*self._args, **self._options)
        return self._callable(*args, **options)
