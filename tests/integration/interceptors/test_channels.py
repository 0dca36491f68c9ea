"""Channels by address: what remains without a control plane."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.ids import SystemIds
from chassis.telemetry.tracing import Tracing
from chassis.testing import eventually
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from interceptors.chain import client_chain


class Named(operations_pb2_grpc.OperationsServiceServicer):
    """Says who it is."""

    def __init__(self, name: str) -> None:
        self.name, self.address = name, ""
        self._server = grpc.aio.server()

    async def GetSaga(self, request: Any, context: Any) -> Any:
        await asyncio.sleep(0.001)
        return operations_pb2.SagaInstance(saga_id=request.saga_id, name=self.name)

    async def start(self) -> None:
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)


@asynccontextmanager
async def two() -> AsyncIterator[tuple[list[Named], Any]]:
    """Two servers, and a stub on one channel to both."""
    servers = [Named("a"), Named("b")]
    for server in servers:
        await server.start()
    chain = client_chain(
        tracing=Tracing("test"), clock=SystemClock(), ids=SystemIds(), registry=CollectorRegistry()
    )
    channels = Channels({"peer": ",".join(server.address for server in servers)}, chain)
    try:
        yield servers, operations_pb2_grpc.OperationsServiceStub(channels.get("peer"))
    finally:
        await channels.close()
        for server in servers:
            await server.stop()


async def ask(stub: Any) -> str:
    request = operations_pb2.GetSagaRequest(saga_id=str(uuid.uuid4()))
    return str((await stub.GetSaga(request, timeout=5)).name)


async def both_answer(stub: Any) -> bool:
    return {await ask(stub) for _ in range(4)} == {"a", "b"}


async def test_several_addresses_are_used_in_turn() -> None:
    async with two() as (_, stub):
        await eventually(lambda: both_answer(stub))
        answers = [await ask(stub) for _ in range(10)]
        assert answers in (["a", "b"] * 5, ["b", "a"] * 5)


async def test_one_of_them_may_die_under_load_and_no_read_fails() -> None:
    async with two() as (servers, stub):
        await eventually(lambda: both_answer(stub))
        ended, done = asyncio.Event(), 0

        async def work() -> None:
            nonlocal done
            while not ended.is_set():
                await ask(stub)
                done += 1

        workers = [asyncio.ensure_future(work()) for _ in range(16)]
        await eventually(lambda: done > 100)
        await servers[0].stop()
        more = done + 200
        await eventually(lambda: done > more or any(worker.done() for worker in workers))
        ended.set()
        await asyncio.gather(*workers)
        assert {await ask(stub) for _ in range(4)} == {"b"}
