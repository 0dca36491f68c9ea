"""One log line per call that somebody will want to read.

Metrics count every call. A line for each would cost more than the whole rest of the chain, so calls that
succeeded quickly are written at DEBUG, except those whose trace is sampled: they have an id to look up.
"""

import logging
import time
from typing import Any

import grpc
from structlog.typing import FilteringBoundLogger

from chassis.telemetry.tracing import trace_id
from interceptors.call import Call, Method, Proceed
from interceptors.trace import SERVER_FAULTS

_OK = grpc.StatusCode.OK


class AccessLog:
    """Failures of ours at WARNING, refusals and slow or sampled calls at INFO, the rest at DEBUG.

    Args:
        log: where to write.
        slow_s: seconds from which a unary call is slow; default 1.
    """

    def __init__(self, log: FilteringBoundLogger, *, slow_s: float = 1.0) -> None:
        self._log = log
        self._slow_s = slow_s

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method but health and reflection."""
        if method.infrastructure:
            return proceed
        slow_s = float("inf") if method.streams_responses else self._slow_s

        async def record(request: Any, call: Call) -> Any:
            try:
                return await proceed(request, call)
            finally:
                seconds = time.perf_counter() - call.started
                if call.code is not _OK or call.sampled or seconds >= slow_s:
                    level = logging.WARNING if call.code in SERVER_FAULTS else logging.INFO
                    self._write(level, call, seconds)
                elif self._log.is_enabled_for(logging.DEBUG):
                    self._write(logging.DEBUG, call, seconds)

        return record

    def _write(self, level: int, call: Call, seconds: float) -> None:
        facts: dict[str, object] = {
            "method": call.method.path,
            "code": call.code.name,
            "duration_ms": round(seconds * 1000, 2),
            "request_id": call.request_id,
            "trace_id": trace_id(call.traceparent),
        }
        if call.reason:
            facts["reason"] = call.reason
        if call.caller:
            facts["caller"] = call.caller
        if call.principal is not None:
            facts["principal"] = f"{call.principal.kind}:{call.principal.subject}"
        self._log.log(level, "rpc", **facts)
