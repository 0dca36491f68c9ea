"""The aggregated discovery service, on a listener of its own: its clients cannot bring our tokens."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import grpc
import structlog

from chassis.service import Servicer
from chassis.wakeup import Wakeup
from services.control.adapters.xds import metrics, stubs
from services.control.adapters.xds.snapshots import Renderer, Snapshots
from services.control.adapters.xds.streams import ENVOY, GRPC, NACK, Stream, TooManyNames
from services.control.application.ports import COLD, Views

_log = structlog.get_logger(__name__)

MOST_STREAMS = 5_000
"""Streams at a time; further ones are refused."""

_MOST_REQUESTS_WAITING = 32
_LONGEST_ERROR = 500
# A file of routes may appear or change without a new view.
_LOOK_AGAIN_S = 1.0
_HELD_S = 0.5
# A stream that has said nothing for so long since it began is ended: it takes up one of MOST_STREAMS.
_FIRST_REQUEST_S = 10.0
# A wake-up ends it; the time only bounds what a lost one would cost.
_SILENCE_S = 60.0
_GRACE_S = 0.5
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    # A client that is gone without a word is noticed within 30 s.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Envoy asks every 5 s whether we are there; asked too often, gRPC ends the connection (5 min by default).
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.max_receive_message_length", 1024 * 1024),
]
_Context = grpc.aio.ServicerContext[Any, Any]


class XdsServer:
    """Tells Envoy and gRPC clients what the view says, and each change of it; a background of the process.

    Args:
        listen: host:port; port 0 picks a free one, which `address` then has.
        views: the newest view.
        renderers: one for each kind of client.
        credentials: of the listener; default none, for loopback and networks that are trusted.
        servicers: others on the same listener, such as the shared rate limit; default none.
    """

    def __init__(
        self,
        listen: str,
        views: Views,
        renderers: Sequence[Renderer],
        *,
        credentials: grpc.ServerCredentials | None = None,
        servicers: Sequence[Servicer] = (),
    ) -> None:
        self.address = listen
        self.started = asyncio.Event()
        self._views = views
        self._snapshots = Snapshots(renderers)
        self._credentials = credentials
        self._servicers = servicers
        self._streams: set[Wakeup] = set()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> None:
        """Serve until `stop` was called.

        Raises:
            RuntimeError: the address cannot be bound.
        """
        self._ended.clear()
        server = grpc.aio.server(options=_OPTIONS)
        try:
            stubs.add_AggregatedDiscoveryServiceServicer_to_server(_Discovery(self), server)
            for servicer in self._servicers:
                servicer.add(servicer.implementation, server)
            port = (
                server.add_secure_port(self.address, self._credentials)
                if self._credentials
                else server.add_insecure_port(self.address)
            )
            self.address = f"{self.address.rpartition(':')[0]}:{port}"
            await server.start()
            self.started.set()
            await self._follow()
        finally:
            await server.stop(_GRACE_S)
            self._ended.set()

    async def stop(self) -> None:
        """Ask `run` to end; returns when it has. Streams are ended first: their clients go elsewhere."""
        self._stopping.set()
        self._wake()
        await self._ended.wait()

    async def _follow(self) -> None:
        """Render each view, and say so to every stream; those that come meanwhile are one."""
        while not self._stopping.is_set():
            view = self._views.current()
            if view.revision > COLD and self._snapshots.update(view):
                self._wake()
            newer = asyncio.ensure_future(self._views.wait_newer(view.revision))
            stopping = asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait(
                    (newer, stopping), timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                if newer.done():
                    newer.result()  # a view that fails ends the process, rather than this loop's sleep
            finally:
                newer.cancel()
                stopping.cancel()

    def _wake(self) -> None:
        for stream in self._streams:
            stream.notify()

    async def serve(self, requests: AsyncIterator[Any], context: _Context) -> None:
        """One stream, from its first request to its end."""
        if len(self._streams) >= MOST_STREAMS:
            metrics.REFUSED_STREAMS.inc()
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams; try another replica")
        wakeup = Wakeup()
        inbox = _Inbox(requests, wakeup)
        self._streams.add(wakeup)
        try:
            await self._exchange(inbox, wakeup, context)
        except TooManyNames:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many resource names")
        finally:
            self._streams.discard(wakeup)
            inbox.close()

    async def _exchange(self, inbox: "_Inbox", wakeup: Wakeup, context: _Context) -> None:
        try:
            async with asyncio.timeout(_FIRST_REQUEST_S):
                first = await inbox.first()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the first request did not come in time")
        if first is None:
            return
        stream = Stream(kind_of(first.node))
        client = first.node.id
        _log.info("xds.stream-opened", kind=stream.kind, client=client, cluster=first.node.cluster)
        with metrics.STREAMS.labels(stream.kind).track_inprogress():
            _take(stream, first, client)
            while not self._stopping.is_set():
                for request in inbox.waiting():
                    _take(stream, request, client)
                if inbox.ended:
                    return
                if (snapshot := self._snapshots.of(stream.kind)) is not None:
                    for response in stream.due(snapshot, time.monotonic(), complete=self._snapshots.complete):
                        metrics.PUSHES.labels(stream.kind, _short(response.type_url)).inc()
                        await context.write(response)
                await wakeup.wait(_HELD_S if stream.holding else _SILENCE_S)


class _Discovery:
    """The contract's methods."""

    def __init__(self, server: XdsServer) -> None:
        self._server = server

    async def StreamAggregatedResources(self, requests: AsyncIterator[Any], context: _Context) -> None:
        """State of the world."""
        await self._server.serve(requests, context)

    async def DeltaAggregatedResources(self, requests: AsyncIterator[Any], context: _Context) -> None:
        """Not served: gRPC clients know the state of the world only, and one protocol is enough."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "use StreamAggregatedResources")


def kind_of(node: Any) -> str:
    """The kind of client that a node is."""
    return ENVOY if node.user_agent_name == "envoy" else GRPC


class _Inbox:
    """Requests that came and were not looked at yet; they are read no faster than they are taken."""

    def __init__(self, requests: AsyncIterator[Any], wakeup: Wakeup) -> None:
        self._requests = requests
        self._wakeup = wakeup
        self._queue: asyncio.Queue[Any] = asyncio.Queue(_MOST_REQUESTS_WAITING)
        self._reader = asyncio.create_task(self._read())
        self._reader.add_done_callback(self._over)

    @property
    def ended(self) -> bool:
        """Whether nothing waits and nothing will come."""
        return self._reader.done() and self._queue.empty()

    async def first(self) -> Any:
        """The first request; None when the stream ended without one."""
        while not self._queue.qsize() and not self.ended:
            await self._wakeup.wait(_SILENCE_S)
        return None if self._queue.empty() else self._queue.get_nowait()

    def waiting(self) -> Iterator[Any]:
        """Take what has come."""
        while not self._queue.empty():
            yield self._queue.get_nowait()

    def close(self) -> None:
        """Read no more."""
        self._reader.cancel()

    def _over(self, reader: "asyncio.Task[None]") -> None:
        error = None if reader.cancelled() else reader.exception()
        if error is not None and not isinstance(error, grpc.aio.AbortError):
            _log.warning("xds.stream-broken", error=repr(error))
        self._wakeup.notify()

    async def _read(self) -> None:
        async for request in self._requests:
            await self._queue.put(request)
            self._wakeup.notify()


def _take(stream: Stream, request: Any, client: str) -> None:
    outcome = stream.receive(request)
    if outcome is None:
        return
    kind = _short(request.type_url)
    metrics.ANSWERS.labels(stream.kind, kind, outcome).inc()
    if outcome == NACK:
        message = request.error_detail.message[:_LONGEST_ERROR]
        _log.error("xds.refused", kind=stream.kind, client=client, type=kind, error=message)


def _short(type_url: str) -> str:
    return type_url.rpartition(".")[2]
