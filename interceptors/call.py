"""What a policy of the server chain knows: the method, the call under way and what comes next."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc
from google.api import annotations_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from chassis.context import Principal
from greenledger.options.v1 import options_pb2

INFRASTRUCTURE = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)
"""Services without options of ours that everyone may call, also while the process is overloaded."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Method:
    """Facts of a method that never change; policies look at them once, not per call.

    Args:
        path: as on the wire, `/package.Service/Method`.
        kind: unary, server_stream, client_stream or bidi_stream.
        policy: the contract's option; None when the method has none.
        known: False for the one stand-in of all methods that are not served.
        parse: bytes -> request message; default keeps the bytes.
    """

    path: str
    kind: str = "unary"
    policy: options_pb2.MethodPolicy | None = None
    known: bool = True
    parse: Callable[[bytes], Any] | None = None
    request_type: type[Message] | None = None

    @property
    def service(self) -> str:
        """Full name of the gRPC service."""
        return self.path[1:].rpartition("/")[0]

    @property
    def name(self) -> str:
        """The method's own name."""
        return self.path.rpartition("/")[2]

    @property
    def streams_requests(self) -> bool:
        """Whether the handler gets an iterator."""
        return self.kind in ("client_stream", "bidi_stream")

    @property
    def streams_responses(self) -> bool:
        """Whether the handler writes messages."""
        return self.kind in ("server_stream", "bidi_stream")

    @property
    def infrastructure(self) -> bool:
        """Whether it is health or reflection."""
        return self.service in INFRASTRUCTURE

    @property
    def public(self) -> bool:
        """Whether nobody needs a token for it."""
        if self.infrastructure or not self.known:
            return True
        return self.policy is not None and self.policy.WhichOneof("access") == "public" and self.policy.public

    @property
    def for_persons(self) -> bool:
        """Whether people may call it, which is what an HTTP binding says."""
        descriptor = method_descriptor(self.path)
        return descriptor is not None and bool(descriptor.GetOptions().HasExtension(annotations_pb2.http))


class Call:
    """One call on its way through the chain; policies fill in what they find out."""

    __slots__ = (
        "caller",
        "code",
        "correlation_id",
        "deadline",
        "ending",
        "error",
        "grpc",
        "metadata",
        "method",
        "principal",
        "reason",
        "request_id",
        "sampled",
        "started",
        "traceparent",
        "writing",
    )

    def __init__(self, method: Method, context: Context, metadata: Mapping[str, str | bytes]) -> None:
        self.method = method
        self.grpc = context
        self.started = time.perf_counter()
        self.metadata = metadata
        self.request_id = ""
        self.correlation_id = ""
        self.traceparent = ""
        self.sampled = False
        self.deadline: float | None = None
        self.caller = ""  # network identity; empty without mutual TLS
        self.principal: Principal | None = None
        self.code = grpc.StatusCode.OK
        self.reason = ""
        self.error: BaseException | None = None
        self.writing = False
        self.ending = False

    def header(self, name: str) -> str:
        """Text of a request header (lower case name), empty when it is absent or binary."""
        value = self.metadata.get(name)
        return value if isinstance(value, str) else ""

    async def write(self, message: Any) -> None:
        """Send one message of a response stream; all writes pass here, so that `end` is safe.

        Raises:
            CancelledError: the stream was asked to end meanwhile.
        """
        self.writing = True
        try:
            await self.grpc.write(message)
        finally:
            self.writing = False
        if self.ending:
            raise asyncio.CancelledError

    def end(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task that serves this call, but never inside a write of its stream.

        grpc.aio notes that headers are sent only after the write has returned: when the first one is
        cancelled, the final status would send them again, fail, and leave the client waiting for ever.
        """
        self.ending = True
        if not self.writing:
            task.cancel()


Proceed: TypeAlias = Callable[[Any, Call], Awaitable[Any]]
"""What comes next: takes the request and the call, gives the response (None for a stream)."""


class ServerPolicy(Protocol):
    """One link of the server chain."""

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Wrap what comes next for one method; asked once per method, so decide here what can be decided.

        Return `proceed` itself when there is nothing to do for the method.
        """
        ...


def method_descriptor(path: str) -> MethodDescriptor | None:
    """The descriptor of a method by its path; None when its contract is not loaded."""
    service, _, name = path[1:].rpartition("/")
    try:
        return descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
    except KeyError:
        return None


def declared_policy(path: str) -> options_pb2.MethodPolicy | None:
    """The contract's policy option of a method; None when there is no option."""
    descriptor = method_descriptor(path)
    if descriptor is None or not descriptor.GetOptions().HasExtension(options_pb2.policy):
        return None
    return descriptor.GetOptions().Extensions[options_pb2.policy]
