"""Exceptions to statuses: the only place where an error becomes an answer.

Inside telemetry, so that telemetry sees the final status; outside everything else, so that no exception's
text reaches a client.
"""

import asyncio
from typing import Any

import asyncpg
import grpc
from confluent_kafka import KafkaException
from google.rpc import error_details_pb2 as details_pb2
from structlog.typing import FilteringBoundLogger

from chassis.clock import Clock
from chassis.database import translate
from chassis.errors import DomainError, Unavailable
from chassis.ids import IdSource
from chassis.telemetry.tracing import trace_id
from interceptors import reasons
from interceptors.call import Call, Method, Proceed
from interceptors.context import REQUEST_ID
from interceptors.handlers import MethodUnknown
from interceptors.status import DOMAIN, Refusal, refusal

_OUTAGES = (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)


class MapErrors:
    """Turns what is raised inside into a status with details.

    Domain errors keep what they say. Outages of the database or the broker are UNAVAILABLE. Everything
    else is INTERNAL with an incident id and nothing more; the log has the traceback under that id.

    Args:
        log: where incidents are written.
        ids: where incident ids come from.
        clock: tells a caller who left from one whose time ran out.
    """

    def __init__(self, log: FilteringBoundLogger, ids: IdSource, clock: Clock) -> None:
        self._log = log
        self._ids = ids
        self._clock = clock

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method."""

        async def guard(request: Any, call: Call) -> Any:
            try:
                response = await proceed(request, call)
            except asyncio.CancelledError:
                call.code = self._why_cancelled(call)
                raise
            except grpc.aio.AbortError:
                call.code = _code_set(call)
                raise
            except Exception as error:
                await self._refuse(call, error)
            else:
                call.code = _code_set(call)
                return response

        return guard

    async def _refuse(self, call: Call, error: Exception) -> None:
        refused = self._refusal(call, error)
        call.code, call.reason, call.error = refused.code, refused.reason, error
        trailers = (*refused.trailers(), (REQUEST_ID, call.request_id))
        await call.grpc.abort(refused.code, refused.message, trailers)

    def _refusal(self, call: Call, error: Exception) -> Refusal:
        if isinstance(error, DomainError):
            return refusal(error)
        if isinstance(error, MethodUnknown):
            info = details_pb2.ErrorInfo(reason=reasons.METHOD_UNKNOWN, domain=DOMAIN)
            return Refusal(grpc.StatusCode.UNIMPLEMENTED, "The method is not served here.", [info])
        outage = _outage(error)
        if outage is not None:
            self._log.warning("outage", error=repr(error), **_identify(call))
            return refusal(outage)
        return self._incident(call, error)

    def _incident(self, call: Call, error: Exception) -> Refusal:
        incident = self._ids.uuid7()
        self._log.error("incident", incident_id=incident, exc_info=error, **_identify(call))
        info = details_pb2.ErrorInfo(
            reason=reasons.INTERNAL, domain=DOMAIN, metadata={"incident_id": incident}
        )
        return Refusal(grpc.StatusCode.INTERNAL, f"Internal error; incident {incident}.", [info])

    def _why_cancelled(self, call: Call) -> grpc.StatusCode:
        # gRPC cancels the handler in both cases and does not say which it was.
        late = call.deadline is not None and self._clock.monotonic() >= call.deadline
        return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


def _outage(error: Exception) -> DomainError | None:
    if isinstance(error, KafkaException):
        return Unavailable(reasons.UNAVAILABLE, "The broker cannot be reached.")
    if isinstance(error, _OUTAGES):
        translated = translate(error)
        return translated if isinstance(translated, DomainError) else None
    return None


def _code_set(call: Call) -> grpc.StatusCode:
    # A handler may set or abort with a status itself; grpc.aio gives the number or the enum back.
    code: Any = call.grpc.code()
    if not code:
        return grpc.StatusCode.OK
    return code if isinstance(code, grpc.StatusCode) else _BY_NUMBER.get(code, grpc.StatusCode.UNKNOWN)


_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def _identify(call: Call) -> dict[str, str]:
    return {
        "method": call.method.path,
        "request_id": call.request_id,
        "trace_id": trace_id(call.traceparent),
    }
