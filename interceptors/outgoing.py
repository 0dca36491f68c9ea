"""What a policy of the client chain knows: one outgoing call, and what its contract says of the method."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from chassis.resilience import Callee
from chassis.telemetry.tracing import Span
from interceptors.call import Method, declared_policy, method_descriptor
from interceptors.retry import repeatable


@dataclass(frozen=True, slots=True)
class Target:
    """Facts of a called method that never change.

    Args:
        path: `/package.Service/Method`.
        callee: name of the service that has it, which is that of its package.
        public: whether it needs no token.
        repeatable: whether a second attempt does no harm.
        stale_s: how old an answer may be that is given while the callee is away; 0 means that none is.
        sticky: the field that keeps calls together, `@caller` for the person who calls, empty for neither.
        response_type: None where the contract is not loaded.
    """

    path: str
    callee: str
    public: bool
    repeatable: bool
    stale_s: float
    sticky: str
    response_type: type[Message] | None


@cache
def target_of(path: str) -> Target:
    """What the contract says of a method; kept, since a process calls few."""
    descriptor, policy = method_descriptor(path), declared_policy(path)
    parts = path[1:].split(".")
    return Target(
        path=path,
        callee=parts[1] if len(parts) > 2 and parts[0] == "greenledger" else path[1:].partition("/")[0],
        public=Method(path, policy=policy).public,
        repeatable=descriptor is not None and repeatable(descriptor),
        stale_s=float(policy.stale_seconds) if policy is not None else 0.0,
        sticky=policy.sticky_field if policy is not None else "",
        response_type=None if descriptor is None else message_factory.GetMessageClass(descriptor.output_type),
    )


class Outgoing:
    """One outgoing call before it is sent; policies change it in place.

    Args:
        target: the method.
        callee: who is called.
        timeout_s: what the caller asked for, in seconds; None when nothing.
        metadata: headers, to append to.
        streams: whether messages stream, in either direction.
        request: the message, or an iterator of messages.
    """

    __slots__ = (
        "attempts",
        "callee",
        "cut_short",
        "deadline",
        "metadata",
        "request",
        "span",
        "started",
        "streams",
        "target",
        "timeout_s",
        "token",
    )

    def __init__(
        self,
        target: Target,
        callee: Callee,
        timeout_s: float | None,
        metadata: list[tuple[str, str | bytes]],
        streams: bool,
        request: Any,
    ) -> None:
        self.target = target
        self.callee = callee
        self.timeout_s = timeout_s
        self.metadata = metadata
        self.streams = streams
        self.request = request
        self.started = time.perf_counter()
        self.span: Span | None = None
        self.token = ""
        self.deadline: float | None = None
        self.cut_short = False
        self.attempts = 0

    @property
    def path(self) -> str:
        """`/package.Service/Method`."""
        return self.target.path


class ClientPolicy(Protocol):
    """One link of the client chain."""

    async def before(self, outgoing: Outgoing) -> None:
        """Prepare or refuse the call. `after` of links that have prepared it is called in any case."""
        ...

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """The call has ended."""
        ...
