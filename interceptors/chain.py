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
 8. identity       with mutual TLS: which member of the fleet calls, and whether the contract lets it. The
                   handshake has done the costly part, so a few microseconds here spare the next one the
                   signatures and key look-ups of whoever may not call at all
 9. authenticate   costly for a new token, so after those that are cheap
10. own token      with mutual TLS: the token is that of the member who calls; needs both of the above
11. authorize      by the contract's option; deny by default
12. limit          per person, so after it is known who calls
13. open streams   gauge by kind of principal
14. enter context  ids, deadline and principal are known: in force for what follows
15. validate       nothing is parsed for a caller who may not call
16. idempotency    innermost: a repeated request passes every check again, and its handler runs in the
                   transaction that stores the answer

Client, outermost first:
 1. deadline       may refuse, costs nothing
 2. metadata       the token may have to be waited for
 3. trace
 4. metrics        both see the call as its maker does, whatever its attempts
 5. fallback       an earlier answer, of reads that allow it, instead of the failure of all that follows
 6. guard          breaker and bulkhead: what is refused costs no attempt
 7. attempts       the one layer that tries again; gRPC's own retries are off
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from prometheus_client import REGISTRY, CollectorRegistry

from chassis.clock import Clock
from chassis.idempotency import IdempotencyStore
from chassis.ids import IdSource
from chassis.logging import get_logger, resolve
from chassis.resilience import (
    BreakerChange,
    BreakerState,
    CalleeMetrics,
    Callees,
    StaleAnswers,
)
from chassis.telemetry.metrics import RpcMetrics
from chassis.telemetry.tracing import Tracing
from interceptors.access_log import AccessLog
from interceptors.admission import Admission
from interceptors.attempts import Attempts, Straight
from interceptors.authenticate import Authenticate
from interceptors.authorize import Authorize
from interceptors.call import Call, Method, Proceed, ServerPolicy
from interceptors.client import ClientChain
from interceptors.client_metadata import ClientMetadata
from interceptors.context import EnterContext, ReadContext
from interceptors.deadline import ClientDeadline, Deadline
from interceptors.errors import MapErrors
from interceptors.fallback import Fallback
from interceptors.guard import Guard
from interceptors.handlers import Handler, describe, innermost, outermost, received, unknown
from interceptors.idempotency import Idempotency
from interceptors.identity import NetworkIdentity, OwnToken
from interceptors.limit import PrincipalLimit
from interceptors.metrics import ClientMetrics, Metrics, OpenStreams
from interceptors.outgoing import ClientPolicy
from interceptors.service_token import TokenSource
from interceptors.tokens import TokenVerifier
from interceptors.trace import ClientTrace, Trace
from interceptors.validate import Validate

_log = get_logger("greenledger.client")
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
    mutual_tls: bool = False,
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
        mutual_tls: whether connections prove network identities, which are checked then; default no.
        registry: of metrics; default the process's.
    """
    log = resolve("greenledger.rpc")  # once: it costs more than a call may
    return ServerChain(
        [
            ReadContext(ids),
            Trace(tracing),
            Metrics(RpcMetrics("server", registry)),
            AccessLog(log),
            MapErrors(log, ids, clock),
            admission or Admission(),
            deadline or Deadline(clock),
            *([NetworkIdentity()] if mutual_tls else []),
            Authenticate(verifier),
            *([OwnToken()] if mutual_tls else []),
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
    callees: Callees | None = None,
    attempts: Attempts | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> list[grpc.aio.ClientInterceptor]:
    """The client chain, for `chassis.channels.Channels`.

    Args:
        tracing: the process's tracing.
        clock, ids: of the process.
        tokens: the service's own token; default None, for calls without one.
        deadline: default what the callee's policy says, margin 20 ms.
        callees: policies, breakers and limits of the services called; default the contract's defaults.
        attempts: default with the system's randomness.
        registry: of metrics; default the process's.
    """
    callees = callees or Callees(clock)
    CalleeMetrics(callees, registry)
    callees.on_breaker_change(log_breaker_change)
    policies: list[ClientPolicy] = [
        deadline or ClientDeadline(clock),
        ClientMetadata(ids, tokens),
        ClientTrace(tracing),
        ClientMetrics(RpcMetrics("client", registry)),
    ]
    delivery = Fallback(Guard(attempts or Attempts(clock)), StaleAnswers(clock), clock)
    return ClientChain(policies, callees, clock, delivery=delivery).interceptors()


def control_chain(
    *, clock: Clock, ids: IdSource, tokens: TokenSource | None = None
) -> list[grpc.aio.ClientInterceptor]:
    """The client chain for calls to one replica of control: deadline and token, and nothing else.

    Who calls tries each replica on its own, and again until it answers: nothing is guarded or repeated.

    Args:
        clock, ids: of the process.
        tokens: the service's own token; default None, for calls without one.
    """
    policies: list[ClientPolicy] = [ClientDeadline(clock), ClientMetadata(ids, tokens)]
    return ClientChain(policies, Callees(clock), clock, delivery=Straight()).interceptors()


def log_breaker_change(change: BreakerChange) -> None:
    """One line for each change of a circuit breaker."""
    write = _log.warning if change.state is BreakerState.OPEN else _log.info
    write(
        "breaker.changed",
        callee=change.callee,
        state=change.state.name.lower(),
        previous=change.previous.name.lower(),
        detail=change.detail,
    )


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
