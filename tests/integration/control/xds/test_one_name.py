"""Replicas of control behind one host name."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest

from fleet.testing.ports import free_port
from tests.integration.control.xds.harness import (
    LOOPBACK,
    Backend,
    MemoryViews,
    answering,
    backends,
    grpc_client,
    serving,
)

REPLICAS = (LOOPBACK, "127.0.0.2")
_ANSWER, _ADDRESS, _IN = 0x8580, 1, 1


class Resolver(asyncio.DatagramProtocol):
    """A name server (RFC 1035) that knows one thing of every name: the addresses of the replicas."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = 12
        while data[end]:
            end += data[end] + 1
        (kind,) = struct.unpack("!H", data[end + 1 : end + 3])
        found = [bytes(map(int, each.split("."))) for each in REPLICAS] if kind == _ADDRESS else []
        header = data[:2] + struct.pack("!HHHHH", _ANSWER, 1, len(found), 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", _ADDRESS, _IN, 1, 4)
        answers = b"".join(record + address for address in found)
        self._transport.sendto(header + data[12 : end + 5] + answers, addr)


@asynccontextmanager
async def resolver() -> AsyncIterator[int]:
    """Its port."""
    port = free_port()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Resolver, local_addr=(LOOPBACK, port)
    )
    try:
        yield port
    finally:
        transport.close()


async def test_a_caller_whose_control_is_away_learns_of_changes_from_another_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, views = free_port(), MemoryViews()
    async with (
        backends(Backend("a"), Backend("b")) as (a, b),
        resolver() as names,
        AsyncExitStack() as first,
        serving(views, port, host=REPLICAS[1]),
    ):
        await first.enter_async_context(serving(views, port, host=REPLICAS[0]))
        await views.show([a.registered])
        async with grpc_client(monkeypatch, f"dns://{LOOPBACK}:{names}/control.test:{port}") as client:
            assert await client.call() == "a"
            await first.aclose()
            await views.show([a.registered, b.registered])
            await answering(client, {"a", "b"})
