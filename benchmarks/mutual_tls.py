"""What mutual TLS costs: a call to a service in plain text against one that proves and asks for names.

Two servers with the whole server chain run side by side as processes of their own and are called in turns,
each over one connection, by a client as services have it. On the one, connections are mutual TLS, and the
chain checks network identity, callers and whose token it is. Then: what a new connection costs.

    PYTHONPATH=.:gen/python python -m benchmarks.mutual_tls --calls 4000 --rounds 7
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from benchmarks.interceptor_chain import Served, issue
from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.ids import SystemIds
from chassis.logging import configure
from chassis.telemetry.tracing import Tracing
from chassis.tls import server_credentials
from fleet.trust import Authority
from greenledger.control.v1 import control_pb2, control_pb2_grpc
from interceptors.chain import server_chain
from interceptors.jwks import JwksSource
from interceptors.tokens import TokenVerifier

CLOCK, IDS = SystemClock(), SystemIds()
CALLER, CALLEE = "benchmark", "callee"
KINDS = ("plain", "mutual")


class Answers(control_pb2_grpc.RegistryServiceServicer):
    """Answers at once, so that only the way to the handler is measured."""

    async def Heartbeat(self, request: control_pb2.HeartbeatRequest, context: Any) -> Any:
        """The measured method: every service with its token, from every member of the fleet."""
        return control_pb2.Registration()


async def serve(tls_dir: Path | None, key_set: dict[str, Any]) -> None:
    """Serve until standard input ends; answer each line with the CPU seconds used so far."""
    configure("benchmark", "INFO", sys.stderr)

    async def fetch() -> dict[str, Any]:
        return key_set

    chain = server_chain(
        verifier=TokenVerifier(JwksSource(fetch, CLOCK), CLOCK),
        tracing=Tracing("benchmark"),
        clock=CLOCK,
        ids=IDS,
        mutual_tls=tls_dir is not None,
    )
    server = grpc.aio.server(interceptors=[chain])
    control_pb2_grpc.add_RegistryServiceServicer_to_server(Answers(), server)
    if tls_dir is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", server_credentials(tls_dir))
    await server.start()
    print(port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(time.process_time(), flush=True)
    await server.stop(0)


class Side(Served):
    """A server process, and the channel to it."""

    def __init__(self, kind: str, folder: Path, key_set: dict[str, Any]) -> None:
        mutual = kind == "mutual"
        where = str(folder / CALLEE) if mutual else "plain"
        super().__init__("benchmarks.mutual_tls", kind, "--serve", where, "--key-set", json.dumps(key_set))
        self._tls_dir = folder / CALLER if mutual else None
        self.channel = self.connect()

    def connect(self) -> grpc.aio.Channel:
        """A new channel, as a service opens it, that shares its connection with no other."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        return Channels({CALLEE: f"127.0.0.1:{self.port}"}, options=options, tls_dir=self._tls_dir).get(
            CALLEE
        )


class Costs:
    """What was measured of each kind, round by round."""

    def __init__(self, name: str, unit: str) -> None:
        self._name, self._unit = name, unit
        self.values: dict[str, list[float]] = {kind: [] for kind in KINDS}

    def report(self) -> None:
        """Medians, and the median ratio to plain text."""
        for kind, values in self.values.items():
            ratio = statistics.median(v / b for v, b in zip(values, self.values["plain"], strict=True))
            print(f"{self._name:22} {kind:7} {statistics.median(values):8.1f} {self._unit}  x{ratio:.2f}")


async def call_many(channel: grpc.aio.Channel, calls: int, in_flight: int, metadata: Any) -> None:
    """Make so many calls, so many at a time."""
    method = control_pb2_grpc.RegistryServiceStub(channel).Heartbeat
    request = control_pb2.HeartbeatRequest(instance_id="benchmark-1")
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await method(request, metadata=metadata, timeout=10)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


async def measure_calls(sides: list[Side], metadata: Any, arguments: argparse.Namespace) -> None:
    """Calls on a connection that is there."""
    server, client = Costs("server, a call", "us CPU"), Costs("client, a call", "us CPU")
    alone = Costs("one call at a time", "us")
    for turn in range(arguments.rounds + 1):
        for side in sides:
            cpu_before, own_before = side.cpu_s(), time.process_time()
            await call_many(side.channel, arguments.calls, arguments.in_flight, metadata)
            own, cpu = time.process_time() - own_before, side.cpu_s() - cpu_before
            few = arguments.calls // 10
            began = time.perf_counter()
            await call_many(side.channel, few, 1, metadata)
            if turn:  # the first one warms up
                server.values[side.kind].append(cpu / arguments.calls * 1e6)
                client.values[side.kind].append(own / arguments.calls * 1e6)
                alone.values[side.kind].append((time.perf_counter() - began) / few * 1e6)
    for costs in (server, client, alone):
        costs.report()


async def measure_connections(sides: list[Side], metadata: Any, arguments: argparse.Namespace) -> None:
    """A new connection and the first call on it."""
    costs = Costs("connection and call", "us")
    for turn in range(arguments.rounds * 5 + 1):
        for side in sides:
            began = time.perf_counter()
            channel = side.connect()
            await call_many(channel, 1, 1, metadata)
            if turn:
                costs.values[side.kind].append((time.perf_counter() - began) * 1e6)
            await channel.close()
    costs.report()


async def measure(arguments: argparse.Namespace) -> None:
    """Run the rounds and print the table."""
    token, key_set = issue()
    metadata = (("authorization", f"Bearer {token}"),)
    with tempfile.TemporaryDirectory() as state:
        folder = Path(state) / "tls"
        Authority(folder).ensure({CALLER: (), CALLEE: ()})
        sides = [Side(kind, folder, key_set) for kind in KINDS]
        try:
            await measure_calls(sides, metadata, arguments)
            await measure_connections(sides, metadata, arguments)
            for side in sides:
                await side.channel.close()
        finally:
            for side in sides:
                side.stop()


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=4000, help="calls a round (default 4000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument("--in-flight", type=int, default=32, help="concurrent calls (default 32)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--key-set", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        tls_dir = None if arguments.serve == "plain" else Path(arguments.serve)
        uvloop.run(serve(tls_dir, arguments.key_set))
    else:
        uvloop.run(measure(arguments))


if __name__ == "__main__":
    main()
