"""What the interceptor chains cost: CPU per call, a bare grpc.aio method against the whole chain.

Three servers (bare, chain, chain with a sampled trace for every call) run side by side as processes of
their own and are called in turns, so that a noisy machine disturbs them alike. Judge by the ratios.

    PYTHONPATH=.:gen/python python benchmarks/interceptor_chain.py --calls 4000 --rounds 7
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import jwt
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

from chassis.clock import SystemClock
from chassis.ids import SystemIds
from chassis.logging import configure
from chassis.telemetry.tracing import Tracing
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from interceptors.chain import client_chain, server_chain
from interceptors.jwks import JwksSource
from interceptors.service_token import Token, TokenSource
from interceptors.tokens import TokenVerifier

GOAL = 1.25
CLOCK, IDS = SystemClock(), SystemIds()


class Operations(operations_pb2_grpc.OperationsServiceServicer):
    """Answers at once, so that only the path to the handler is measured."""

    async def RetrySaga(self, request: operations_pb2.RetrySagaRequest, context: Any) -> Any:
        """The measured method: two rules, one permission."""
        return operations_pb2.SagaInstance(saga_id=request.saga_id, name="checkout")


class Discard(SpanExporter):
    """Takes spans and drops them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pretend."""
        return SpanExportResult.SUCCESS


async def serve(kind: str, key_set: dict[str, Any]) -> None:
    """Serve until standard input ends; answer each line with the CPU seconds used so far."""
    configure("benchmark", "INFO", sys.stderr)

    async def fetch() -> dict[str, Any]:
        return key_set

    interceptors = []
    if kind != "bare":
        interceptors.append(
            server_chain(
                verifier=TokenVerifier(JwksSource(fetch, CLOCK), CLOCK),
                tracing=Tracing("benchmark", Discard(), sample_ratio=1.0 if kind == "traced" else 0.01),
                clock=CLOCK,
                ids=IDS,
            )
        )
    server = grpc.aio.server(interceptors=interceptors)
    operations_pb2_grpc.add_OperationsServiceServicer_to_server(Operations(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)
    await server.stop(0)


class Served:
    """A server process, which `serve` of a benchmark is.

    Args:
        module: of the benchmark.
        kind: what the benchmark calls it.
        arguments: of the command line.
    """

    def __init__(self, module: str, kind: str, *arguments: str) -> None:
        self.kind = kind
        command = [sys.executable, "-m", module, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.port = int(self._line())

    def cpu_s(self) -> float:
        """CPU seconds that the server has used."""
        assert self.process.stdin is not None
        self.process.stdin.write("cpu\n")
        self.process.stdin.flush()
        return float(self._line())

    def stop(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


async def call_many(stub: Any, calls: int, in_flight: int, metadata: Any) -> None:
    """Make so many calls, so many at a time."""
    request = operations_pb2.RetrySagaRequest(saga_id=str(uuid.uuid4()), why="benchmark")
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await stub.RetrySaga(request, metadata=metadata, timeout=10)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


async def measure(arguments: argparse.Namespace) -> None:
    """Run the rounds and print the table."""
    token, key_set = issue()
    servers = [
        Served("benchmarks.interceptor_chain", kind, "--serve", kind, "--key-set", json.dumps(key_set))
        for kind in ("bare", "chain", "traced")
    ]
    try:
        await measure_servers(servers, token, arguments)
        await measure_clients(servers[0], token, arguments)
    finally:
        for server in servers:
            server.stop()


async def measure_servers(servers: list[Served], token: str, arguments: argparse.Namespace) -> None:
    """Server CPU per call of each kind."""
    # The same headers for all, also for the bare one: what they cost on the wire is no cost of the chain.
    metadata = (("authorization", f"Bearer {token}"), ("x-request-id", str(uuid.uuid4())))
    channels = {s.kind: grpc.aio.insecure_channel(f"127.0.0.1:{s.port}") for s in servers}
    costs: dict[str, list[float]] = {s.kind: [] for s in servers}
    for turn in range(arguments.rounds + 1):
        for server in servers:
            before = server.cpu_s()
            stub = operations_pb2_grpc.OperationsServiceStub(channels[server.kind])
            await call_many(stub, arguments.calls, arguments.in_flight, metadata)
            if turn:  # the first one warms up
                costs[server.kind].append((server.cpu_s() - before) / arguments.calls * 1e6)
    for channel in channels.values():
        await channel.close()
    report("server", costs)


async def measure_clients(server: Served, token: str, arguments: argparse.Namespace) -> None:
    """Client CPU per call with and without the client chain, against the bare server."""

    async def fetch() -> Token:
        return Token(token, datetime.now(UTC) + timedelta(hours=1))

    tokens = TokenSource(fetch, CLOCK)
    chain = client_chain(
        tracing=Tracing("benchmark"), clock=CLOCK, ids=IDS, tokens=tokens, registry=CollectorRegistry()
    )
    address = f"127.0.0.1:{server.port}"
    channels = {
        "bare": grpc.aio.insecure_channel(address),
        "chain": grpc.aio.insecure_channel(address, interceptors=chain),
    }
    costs: dict[str, list[float]] = {kind: [] for kind in channels}
    for turn in range(arguments.rounds + 1):
        for kind, channel in channels.items():
            before = time.process_time()
            stub = operations_pb2_grpc.OperationsServiceStub(channel)
            await call_many(stub, arguments.calls, arguments.in_flight, None)
            if turn:
                costs[kind].append((time.process_time() - before) / arguments.calls * 1e6)
    for channel in channels.values():
        await channel.close()
    report("client", costs)


def report(side: str, costs: dict[str, list[float]]) -> None:
    """Print medians and ratios to bare, round by round."""
    for kind, values in costs.items():
        ratio = statistics.median(v / b for v, b in zip(values, costs["bare"], strict=True))
        goal = f"  goal {GOAL}" if (side, kind) == ("server", "chain") else ""
        print(f"{side:7} {kind:7} {statistics.median(values):7.1f} us CPU/call  x{ratio:.2f}{goal}")


def issue() -> tuple[str, dict[str, Any]]:
    """A service token and the key set that verifies it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    claims = {
        "iss": "greenledger-auth",
        "aud": "greenledger-services",
        "sub": "benchmark",
        "kind": "service",
        "roles": ["operator"],
        "scope": "control.instances.write operations.read operations.write",
        "iat": now,
        "exp": now + 3600,
        "jti": str(uuid.uuid4()),
    }
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    key_set = {"keys": [{**public, "kid": "benchmark", "use": "sig", "alg": "RS256"}]}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "benchmark"}), key_set


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=4000, help="calls a round (default 4000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument("--in-flight", type=int, default=32, help="concurrent calls (default 32)")
    parser.add_argument("--serve", choices=("bare", "chain", "traced"), help=argparse.SUPPRESS)
    parser.add_argument("--key-set", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.serve, arguments.key_set) if arguments.serve else measure(arguments))


if __name__ == "__main__":
    main()
