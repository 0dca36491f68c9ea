"""A tiny stand-in for control: it takes registrations and tells what the test puts into it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.ids import SystemIds
from fleet.testing.ports import free_edge_port
from greenledger.control.v1 import (
    config_pb2,
    config_pb2_grpc,
    control_pb2,
    control_pb2_grpc,
    traffic_pb2,
    traffic_pb2_grpc,
)
from interceptors.chain import control_chain
from interceptors.service_token import TokenSource


class Told:
    """A value that watchers follow."""

    def __init__(self) -> None:
        self.message: Any = None
        self.watchers = 0
        self._changed = asyncio.Condition()

    async def tell(self, message: Any) -> None:
        """Send a message to all who watch, now or later."""
        async with self._changed:
            self.message = message
            self._changed.notify_all()

    async def follow(self) -> AsyncIterator[Any]:
        """The message there is, and each later one."""
        self.watchers += 1
        try:
            seen = None
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self.message is not seen)  # noqa: B023
                    seen = self.message
                yield seen
        finally:
            self.watchers -= 1


class Control(
    control_pb2_grpc.RegistryServiceServicer,
    traffic_pb2_grpc.TrafficServiceServicer,
    config_pb2_grpc.ConfigServiceServicer,
):
    """One replica."""

    def __init__(self) -> None:
        self.instances: dict[str, control_pb2.Instance] = {}
        self.calls: list[str] = []
        self.tokens: set[str] = set()
        self.asked: list[Any] = []
        self.on_deregister: Any = None
        self.interval_s = 0.02
        self.policies, self.config = Told(), Told()

    async def Register(self, request: Any, context: Any) -> Any:
        self._note("register", context)
        self.instances[request.instance.instance_id] = request.instance
        return self._registration(request.instance.instance_id)

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        self._note("heartbeat", context)
        if request.instance_id not in self.instances:
            await context.abort(grpc.StatusCode.NOT_FOUND, "register again")
        return self._registration(request.instance_id)

    async def Deregister(self, request: Any, context: Any) -> Any:
        self._note("deregister", context)
        if self.on_deregister is not None:
            await self.on_deregister()
        self.instances.pop(request.instance_id, None)
        return Empty()

    async def WatchTrafficPolicies(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        self._note("policies", context)
        self.asked.append(request)
        async for message in self.policies.follow():
            yield message
            if message.WhichOneof("content") == "ended":
                return

    async def WatchConfig(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        self._note("config", context)
        self.asked.append(request)
        async for message in self.config.follow():
            yield message
            if message.WhichOneof("content") == "ended":
                return

    def _note(self, call: str, context: Any) -> None:
        self.calls.append(call)
        self.tokens.add(dict(context.invocation_metadata()).get("authorization", ""))

    def _registration(self, instance_id: str) -> control_pb2.Registration:
        interval = Duration()
        interval.FromNanoseconds(int(self.interval_s * 1e9))
        return control_pb2.Registration(instance_id=instance_id, heartbeat_interval=interval)


class Replica:
    """A control that can be stopped and started at one address."""

    def __init__(self) -> None:
        self.control = Control()
        self.address = f"127.0.0.1:{free_edge_port()}"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Serve."""
        server = self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        control_pb2_grpc.add_RegistryServiceServicer_to_server(self.control, server)
        traffic_pb2_grpc.add_TrafficServiceServicer_to_server(self.control, server)
        config_pb2_grpc.add_ConfigServiceServicer_to_server(self.control, server)
        server.add_insecure_port(self.address)
        await server.start()

    async def stop(self) -> None:
        """Be gone."""
        if self._server is not None:
            await self._server.stop(0)


@asynccontextmanager
async def replicas(count: int = 2) -> AsyncIterator[list[Replica]]:
    """So many replicas that serve."""
    running = [Replica() for _ in range(count)]
    for replica in running:
        await replica.start()
    try:
        yield running
    finally:
        for replica in running:
            await replica.stop()


def channels_to(running: list[Replica], tokens: TokenSource | None = None, **arguments: Any) -> Channels:
    """What a process has: channels to its peers, and to the replicas."""
    chain = control_chain(clock=SystemClock(), ids=SystemIds(), tokens=tokens)
    addresses = {replica.address: replica.address for replica in running}
    # A replica that comes back is found at once, so that no test waits for a backoff.
    options = (("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 50))
    quick = (*options, ("grpc.min_reconnect_backoff_ms", 50))
    control = Channels(addresses, chain, options=quick)
    return Channels({"catalog": "127.0.0.1:1"}, control=control, **arguments)


def policies(*known: traffic_pb2.TrafficPolicy) -> traffic_pb2.WatchTrafficPoliciesResponse:
    """A snapshot."""
    listed = traffic_pb2.TrafficPolicyList(policies=known)
    return traffic_pb2.WatchTrafficPoliciesResponse(snapshot=listed)


def config(**values: str) -> config_pb2.WatchConfigResponse:
    """A snapshot of entries that somebody has set; `_` stands for the dot of a name."""
    entries = [
        config_pb2.ConfigEntry(name=name.replace("_", "."), value=value, version=1)
        for name, value in values.items()
    ]
    return config_pb2.WatchConfigResponse(snapshot=config_pb2.ConfigSnapshot(entries=entries))
