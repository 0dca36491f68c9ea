"""The order of the policies, and why it is this one.

Server, outermost first:
 1. read context   ids first, so that everything below can name the request
 2. trace          the span covers all that follows
 3. metrics
 4. access log     both see the final status, whoever set it
 5. map errors     inside telemetry, so that telemetry sees the final status; outside the rest, so that
                   nothing leaks from it
 6. admission      refuse before any work is done
 7. deadline       no work for a caller who has gone
 8. authenticate   costly for a new token, so after the two that are cheap
 9. authorize      by the contract's option; deny by default
10. limit          per person, so after it is known who calls
11. open streams   gauge by kind of principal
12. enter context  ids, deadline and principal are known: in force for what follows
13. validate       nothing is parsed for a caller who may not call
14. idempotency    innermost: a repeated request passes every check again, and its handler runs in the
                   transaction that stores the answer

Client, outermost first: deadline (may refuse, costs nothing) -> metadata and token (may wait) -> trace ->
metrics. Retries are gRPC's own, below all of these.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from prometheus_client import REGISTRY, CollectorRegistry

from chassis.clock import Clock
from chassis.idempotency import IdempotencyStore
from chassis.ids import IdSource
from chassis.logging import get_logger
from chassis.telemetry.metrics import RpcMetrics
from chassis.telemetry.tracing import Tracing
from interceptors.access_log import AccessLog
from interceptors.admission import Admission
from interceptors.authenticate import Authenticate
from interceptors.authorize import Authorize
from interceptors.call import Call, Method, Proceed, ServerPolicy
from interceptors.client import ClientChain
from interceptors.client_metadata import ClientMetadata
from interceptors.context import EnterContext, ReadContext
from interceptors.deadline import ClientDeadline, Deadline
from interceptors.errors import MapErrors
from interceptors.handlers import Handler, describe, innermost, outermost, received, unknown
from interceptors.idempotency import Idempotency
from interceptors.limit import PrincipalLimit
from interceptors.metrics import ClientMetrics, Metrics, OpenStreams
from interceptors.outgoing import ClientPolicy
from interceptors.service_token import TokenSource
from interceptors.tokens import TokenVerifier
from interceptors.trace import ClientTrace, Trace
from interceptors.validate import Validate

_NOT_SERVED = Method(path="/unknown/unknown", known=False)


class ServerChain(grpc.aio.ServerInterceptor):
    """All policies as one grpc.aio interceptor; the wrapped handler of a method is made once.

    Args:
        policies: outermost first.
    """

    def __init__(self, policies: Sequence[ServerPolicy]) -> None:
        self._policies = tuple(policies)
        self._handlers: dict[str, Handler] = {}
        self._not_served = outermost(_NOT_SERVED, None, self._wrap(_NOT_SERVED, unknown))

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The wrapped handler of the method, or the one that says that it is not served."""
        received.set(handler_call_details.invocation_metadata or ())
        path = handler_call_details.method
        cached = self._handlers.get(path)
        if cached is not None:
            return cached
        handler = await continuation(handler_call_details)
        if handler is None:
            return self._not_served  # not kept: anyone can make up paths
        method = describe(path, handler)
        wrapped = outermost(method, handler, self._wrap(method, _innermost(handler)))
        return self._handlers.setdefault(path, wrapped)

    def _wrap(self, method: Method, proceed: Proceed) -> Proceed:
        for policy in reversed(self._policies):
            try:
                proceed = policy.around(method, proceed)
            except Exception as error:
                # A method that cannot be served as its contract says fails inside the chain: as an incident.
                proceed = _failing(error)
        return proceed


def server_chain(
    *,
    verifier: TokenVerifier,
    tracing: Tracing,
    clock: Clock,
    ids: IdSource,
    idempotency: IdempotencyStore | None = None,
    admission: Admission | None = None,
    deadline: Deadline | None = None,
    limit: PrincipalLimit | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> ServerChain:
    """The server chain of a service.

    Args:
        verifier: tokens to principals.
        tracing: the process's tracing.
        clock, ids: of the process.
        idempotency: store in the service's database; default None, for a service without one.
        admission: keep it to drain; default a new one with its defaults.
        deadline: default 15 s, cap 60 s.
        limit: per person; default off.
        registry: of metrics; default the process's.
    """
    log = get_logger("greenledger.rpc").bind()  # resolved once: it costs more than a call may
    return ServerChain(
        [
            ReadContext(ids),
            Trace(tracing),
            Metrics(RpcMetrics("server", registry)),
            AccessLog(log),
            MapErrors(log, ids, clock),
            admission or Admission(),
            deadline or Deadline(clock),
            Authenticate(verifier),
            Authorize(),
            limit or PrincipalLimit(clock),
            OpenStreams(registry),
            EnterContext(),
            Validate(),
            Idempotency(idempotency),
        ]
    )


def client_chain(
    *,
    tracing: Tracing,
    clock: Clock,
    ids: IdSource,
    tokens: TokenSource | None = None,
    deadline: ClientDeadline | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> list[grpc.aio.ClientInterceptor]:
    """The client chain, for `chassis.channels.Channels`.

    Args:
        tracing: the process's tracing.
        clock, ids: of the process.
        tokens: the service's own token; default None, for calls without one.
        deadline: default 3 s, margin 20 ms.
        registry: of metrics; default the process's.
    """
    policies: list[ClientPolicy] = [
        deadline or ClientDeadline(clock),
        ClientMetadata(ids, tokens),
        ClientTrace(tracing),
        ClientMetrics(RpcMetrics("client", registry)),
    ]
    return ClientChain(policies).interceptors()


def _innermost(handler: Handler) -> Proceed:
    try:
        return innermost(handler)
    except TypeError as error:
        return _failing(error)


def _failing(error: Exception) -> Proceed:
    async def fail(_request: Any, _call: Call) -> Any:
        # The same error at every call: without this its traceback would grow for ever.
        raise error.with_traceback(None)

    return fail
