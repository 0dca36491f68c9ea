"""A real gRPC process for the supervisor's tests: serves grpc.health.v1 on GREENLEDGER_LISTEN.

ECHO_MODE changes how it behaves: `never` stays NOT_SERVING, `crash` ends with a word in its log,
`stubborn` ignores SIGTERM.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.tls import server_credentials


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
    if tls_dir := os.environ.get("GREENLEDGER_TLS_DIR"):
        server.add_secure_port(os.environ["GREENLEDGER_LISTEN"], server_credentials(Path(tls_dir)))
    else:
        server.add_insecure_port(os.environ["GREENLEDGER_LISTEN"])
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, (lambda: None) if mode == "stubborn" else stopping.set
    )
    await stopping.wait()
    told = ("SERVICE", "INSTANCE", "VERSION", "CONTROL")
    print(*(os.environ.get(f"GREENLEDGER_{name}", "-") for name in told), "drained", flush=True)
    await server.stop(1)


asyncio.run(main())
