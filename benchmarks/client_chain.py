"""What retries, breaker, bulkhead and discovery cost a caller: client CPU per call and latency.

One bare server in a process of its own is called in turns over four channels: without any chain; with the
chain's policies and gRPC's own retries, which is what there was before; with the whole chain by address; and
with the whole chain by name, told by an aggregated discovery service. Judge by the ratios.

    PYTHONPATH=.:gen/python python -m benchmarks.client_chain --calls 4000 --rounds 7
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import uvloop
from prometheus_client import CollectorRegistry

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.discovery import configure
from chassis.ids import SystemIds
from chassis.resilience import Callees
from chassis.settings import Settings
from chassis.telemetry.metrics import RpcMetrics
from chassis.telemetry.tracing import Tracing
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from interceptors.attempts import Straight
from interceptors.chain import client_chain
from interceptors.client import ClientChain
from interceptors.client_metadata import ClientMetadata
from interceptors.deadline import ClientDeadline
from interceptors.metrics import ClientMetrics
from interceptors.service_token import Token, TokenSource
from interceptors.trace import ClientTrace

CLOCK, IDS, TRACING = SystemClock(), SystemIds(), Tracing("benchmark")
SERVICE = "operations"
NATIVE = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    "methodConfig": [
        {
            "name": [{"service": "greenledger.operations.v1.OperationsService", "method": "GetSaga"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}


class Operations(operations_pb2_grpc.OperationsServiceServicer):
    """Answers at once, so that only the way there is measured."""

    async def GetSaga(self, request: operations_pb2.GetSagaRequest, context: Any) -> Any:
        """The measured method: a read, which may be repeated."""
        return operations_pb2.SagaInstance(saga_id=request.saga_id, name="checkout")


class OneView:
    """A fleet of one instance that never changes."""

    def __init__(self, port: int) -> None:
        from services.control.domain.instances import Health, Instance  # noqa: PLC0415
        from services.control.domain.view import FleetView  # noqa: PLC0415

        now = datetime.now(UTC)
        alone = Instance(
            "one", SERVICE, "v1", "127.0.0.1", port, timedelta(hours=1), now, now, now, health=Health.PASSING
        )
        self._view = FleetView(1, {SERVICE: (alone,)})

    def current(self) -> Any:
        """The view."""
        return self._view

    async def wait_newer(self, revision: int) -> Any:
        """Never."""
        await asyncio.Event().wait()


async def serve() -> None:
    """Serve until standard input ends; prints the port, and that of the discovery service (0 without one)."""
    server = grpc.aio.server()
    operations_pb2_grpc.add_OperationsServiceServicer_to_server(Operations(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    discovery: Any = None
    try:
        from services.control.adapters.xds.grpc_clients import GrpcRenderer  # noqa: PLC0415
        from services.control.adapters.xds.server import XdsServer  # noqa: PLC0415
    except ImportError as missing:
        print(port, 0, flush=True)
        print(f"by name is not measured: {missing}", file=sys.stderr)
    else:
        discovery = XdsServer("127.0.0.1:0", OneView(port), [GrpcRenderer()])
        running = asyncio.create_task(discovery.run())
        running.add_done_callback(lambda task: task.result())
        await discovery.started.wait()
        print(port, discovery.address.rpartition(":")[2], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    if discovery is not None:
        await discovery.stop()
    await server.stop(0)


async def fetch() -> Token:
    """A token that is not looked at."""
    return Token("x" * 700, datetime.now(UTC) + timedelta(hours=1))


def channels(port: int, discovery: int) -> dict[str, grpc.aio.Channel]:
    """The channels that are compared."""
    address, tokens = f"127.0.0.1:{port}", TokenSource(fetch, CLOCK)
    policies = [
        ClientDeadline(CLOCK),
        ClientMetadata(IDS, tokens),
        ClientTrace(TRACING),
        ClientMetrics(RpcMetrics("client", CollectorRegistry())),
    ]
    before = ClientChain(policies, Callees(CLOCK), CLOCK, delivery=Straight()).interceptors()
    chain = client_chain(tracing=TRACING, clock=CLOCK, ids=IDS, tokens=tokens, registry=CollectorRegistry())
    native = [("grpc.service_config", json.dumps(NATIVE)), ("grpc.enable_retries", 1)]
    compared = {
        "bare": Channels({SERVICE: address}),
        "before": Channels({SERVICE: address}, before, options=native),
        "chain": Channels({SERVICE: address}, chain),
    }
    if discovery:
        settings = Settings(
            "benchmark", "", "", "", Path(), instance_id="benchmark-1", xds=(f"127.0.0.1:{discovery}",)
        )
        configure(settings)
        compared["by name"] = Channels({}, chain, xds=True)
    return {name: each.get(SERVICE) for name, each in compared.items()}


async def call_many(stub: Any, calls: int, in_flight: int) -> list[float]:
    """Make so many calls, so many at a time; the seconds of each."""
    request = operations_pb2.GetSagaRequest(saga_id=str(uuid.uuid4()))
    left, took = iter(range(calls)), []

    async def worker() -> None:
        for _ in left:
            begun = time.perf_counter()
            await stub.GetSaga(request, timeout=10)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return took


async def measure(arguments: argparse.Namespace, port: int, discovery: int) -> None:
    """Run the rounds and print the table."""
    compared = channels(port, discovery)
    cpu: dict[str, list[float]] = {name: [] for name in compared}
    alone: dict[str, list[float]] = {name: [] for name in compared}
    for turn in range(arguments.rounds + 1):
        for name, channel in compared.items():
            stub = operations_pb2_grpc.OperationsServiceStub(channel)
            begun = time.process_time()
            await call_many(stub, arguments.calls, arguments.in_flight)
            used_s = time.process_time() - begun
            took = await call_many(stub, arguments.calls // 10, 1)
            if turn:  # the first one warms up
                cpu[name].append(used_s / arguments.calls * 1e6)
                alone[name].append(statistics.median(took) * 1e6)
    for channel in compared.values():
        await channel.close()
    report(cpu, alone)


def with_server(arguments: argparse.Namespace) -> None:
    """Start the server, measure, end the server."""
    command = [sys.executable, "-m", "benchmarks.client_chain", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port, discovery = map(int, server.stdout.readline().split())
        uvloop.run(measure(arguments, port, discovery))
        server.communicate()


def report(cpu: dict[str, list[float]], alone: dict[str, list[float]]) -> None:
    """Print medians, and ratios to what was before, round by round."""
    print("client       CPU a call    to before    one call alone, p50")
    for name, values in cpu.items():
        ratio = statistics.median(v / b for v, b in zip(values, cpu["before"], strict=True))
        print(
            f"{name:9} {statistics.median(values):10.1f} us     x{ratio:.3f}"
            f"     {statistics.median(alone[name]):12.0f} us"
        )


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=4000, help="calls a round (default 4000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument("--in-flight", type=int, default=32, help="concurrent calls (default 32)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve())
    else:
        with_server(arguments)


if __name__ == "__main__":
    main()
