"""grpc.health.v1.Health on asyncio, with watchers that all learn of every change.

The servicer that comes with grpcio-health-checking stops updating the other watchers of a service when
one leaves, and its open watches make `stop(grace)` wait the whole grace.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2

Status: TypeAlias = int

UNKNOWN: Status = health_pb2.HealthCheckResponse.UNKNOWN
SERVING: Status = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Status = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: Status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

SERVICE_NAME = "grpc.health.v1.Health"
OVERALL = ""
"""The name under which the whole process is asked for."""

_Context = grpc.aio.ServicerContext[Any, Any]


class HealthServicer:
    """Health of this process's services; starts with the whole process NOT_SERVING.

    Register with `health_pb2_grpc.add_HealthServicer_to_server`.

    Source: the gRPC health checking protocol.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, Status] = {OVERALL: NOT_SERVING}
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._ended = False

    def set(self, service: str, status: Status) -> None:
        """Change the status of one service ("" is the whole process) and tell its watchers."""
        if self._statuses.get(service) == status:
            return
        self._statuses[service] = status
        for changed in self._watchers.get(service, ()):
            changed.set()

    def set_all(self, status: Status) -> None:
        """Change the status of every service known so far."""
        for service in list(self._statuses):
            self.set(service, status)

    def end_watches(self) -> None:
        """Tell watchers the last status and end their streams, now and for those who come later."""
        self._ended = True
        for watchers in self._watchers.values():
            for changed in watchers:
                changed.set()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """The status now; NOT_FOUND for a service that was never set."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=status)

    async def List(self, request: Any, context: _Context) -> Any:
        """The status of every service."""
        statuses = {
            name: health_pb2.HealthCheckResponse(status=status) for name, status in self._statuses.items()
        }
        response: Any = vars(health_pb2)["HealthListResponse"]  # newer than the type stubs
        return response(statuses=statuses)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status now and after every change; SERVICE_UNKNOWN until the service is set."""
        changed = asyncio.Event()
        watchers = self._watchers.setdefault(request.service, set())
        watchers.add(changed)
        told: Status | None = None
        try:
            while True:
                changed.clear()
                status = self._statuses.get(request.service, SERVICE_UNKNOWN)
                if status != told:
                    told = status
                    yield health_pb2.HealthCheckResponse(status=status)
                elif self._ended:
                    return
                else:
                    await changed.wait()
        finally:
            watchers.discard(changed)
            if not watchers and self._watchers.get(request.service) is watchers:
                # Anyone may watch any name: what nobody watches must not stay in memory.
                del self._watchers[request.service]
