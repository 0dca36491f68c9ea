"""A real gRPC process for the supervisor's tests: serves grpc.health.v1 on GREENLEDGER_LISTEN.

ECHO_MODE changes how it behaves: `never` stays NOT_SERVING, `crash` ends with a word in its log,
`stubborn` ignores SIGTERM.
"""

import asyncio
import os
import signal
import sys

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc


class Health(health_pb2_grpc.HealthServicer):
    def __init__(self, status: "health_pb2.HealthCheckResponse.ServingStatus") -> None:
        self._status = status

    async def Check(self, request, context):
        return health_pb2.HealthCheckResponse(status=self._status)


async def main() -> None:
    mode = os.environ.get("ECHO_MODE", "")
    if mode == "crash":
        sys.exit("the ledger is upside down")
    statuses = health_pb2.HealthCheckResponse
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(
        Health(statuses.NOT_SERVING if mode == "never" else statuses.SERVING), server
    )
    server.add_insecure_port(os.environ["GREENLEDGER_LISTEN"])
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, (lambda: None) if mode == "stubborn" else stopping.set
    )
    await stopping.wait()
    print(f"{os.environ['GREENLEDGER_SERVICE']} drained", flush=True)
    await server.stop(1)


asyncio.run(main())
