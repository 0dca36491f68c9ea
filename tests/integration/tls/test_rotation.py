"""Certificates, the authority and signing keys are replaced under load, and no call fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from chassis.channels import Channels
from chassis.testing import eventually
from chassis.tls import RenewedChannel, read
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from tests.integration.interceptors.harness import Server, serve, watch_request
from tests.integration.tls.world import SERVED, SETTLE, Members, calling, enrolled, outcome

# Connections are given up all the time, so that handshakes happen at every moment of a change.
SHORT_LIVED = (("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 5_000))


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Members:
    """Everybody has a certificate, and looks at it before each call: steps need no long time between them."""
    monkeypatch.setattr("chassis.tls.renewed._LOOK_S", 0.0)
    return enrolled(tmp_path / "tls", timedelta(milliseconds=300))


@dataclass
class Load:
    """Calls without a pause, and how they ended."""

    call: Callable[[], Awaitable[str]]
    outcomes: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Until cancelled; what is begun is counted."""
        while True:
            self.outcomes.append(await self.call())

    async def more(self) -> None:
        """Return when some more calls have ended."""
        await self.beyond(len(self.outcomes) + 20)

    async def beyond(self, count: int) -> None:
        """Return when more calls than that have ended."""
        await eventually(lambda: len(self.outcomes) > count, 20, interval_s=0.005)

    @property
    def failed(self) -> set[str]:
        return set(self.outcomes) - {"OK"}


@contextlib.asynccontextmanager
async def under_load(call: Callable[[], Awaitable[str]]) -> AsyncIterator[Load]:
    """Four callers while the body runs."""
    load = Load(call)
    tasks = [asyncio.create_task(load.run()) for _ in range(4)]
    try:
        await load.more()
        yield load
        await load.more()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def issuer_of(members: Members, name: str) -> str:
    certificate = x509.load_pem_x509_certificate(read(members[name]).certificate)
    return certificate.issuer.rfc4514_string()


async def tended(members: Members) -> None:
    """The authority's next step, as soon as it is due."""
    before = members.authority.state()
    await eventually(
        lambda: members.authority.tend() and members.authority.state() != before,
        SETTLE.total_seconds() * 4,
        interval_s=0.05,
    )


async def test_the_authority_is_replaced_and_no_call_fails(members: Members) -> None:
    first = issuer_of(members, "users")
    async with (
        serve(*SERVED, tls_dir=members["orders"], options=SHORT_LIVED) as server,
        calling(server, "orders", members["users"]) as calls,
        under_load(calls.public) as load,
    ):
        members.authority.rotate()
        await load.more()
        await tended(members)
        assert issuer_of(members, "users") != first
        await load.more()
        await tended(members)
        assert members.authority.state().settled
        # The old root is believed no more: only who has followed can connect by now.
        async with calling(server, "orders", members["crops"]) as newcomer:
            assert await newcomer.public() == "OK"
        await load.more()
    assert load.failed == set()
    assert len(load.outcomes) > 100


async def test_a_server_and_a_client_that_are_not_restarted_use_their_new_certificates(
    members: Members,
) -> None:
    async with serve(*SERVED, tls_dir=members["orders"], options=SHORT_LIVED) as server:
        shown = shown_by(server)
        before = await shown()
        async with calling(server, "orders", members["users"]) as calls:
            assert await calls.public() == "OK"
            members.authority.rotate()
            await tended(members)
            await tended(members)
            after = await shown()
            assert before != after == x509.load_pem_x509_certificate(read(members["orders"]).certificate)
            # The client's first certificate is worth nothing to this server now.
            assert await calls.public() == "OK"


def shown_by(server: Server) -> Callable[[], Awaitable[x509.Certificate]]:
    """What the server shows to whoever connects."""

    async def look() -> x509.Certificate:
        import ssl  # noqa: PLC0415

        host, _, port = server.address.partition(":")
        pem = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
        return x509.load_pem_x509_certificate(pem.encode())

    return look


async def test_files_that_do_not_fit_leave_the_last_certificate_in_force(members: Members) -> None:
    async with serve(*SERVED, tls_dir=members["orders"], options=SHORT_LIVED) as server:
        (members["orders"] / "key.pem").unlink()
        (members["orders"] / "key.pem").write_bytes((members["crops"] / "key.pem").read_bytes())
        async with calling(server, "orders", members["users"]) as calls:
            assert await calls.public() == "OK"


class Orders(orders_pb2_grpc.OrderServiceServicer):
    """A watch that says something whenever it is told to."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[int] = asyncio.Queue()

    async def WatchOrder(self, request: Any, context: Any) -> AsyncIterator[Any]:
        while True:
            await self.news.get()
            yield orders_pb2.WatchOrderResponse()


async def test_a_stream_goes_on_when_its_channel_takes_a_new_certificate(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.tls.renewed._LAST_CALLS_S", 0.0)
    orders = Orders()
    add = orders_pb2_grpc.add_OrderServiceServicer_to_server
    async with serve((add, orders), *SERVED, tls_dir=members["orders"]) as server:
        channels = Channels({"orders": server.address}, tls_dir=members["edge"])
        channel = channels.get("orders")
        assert isinstance(channel, RenewedChannel)
        watch = orders_pb2_grpc.OrderServiceStub(channel).WatchOrder(
            watch_request(), metadata=server.authorized()
        )
        orders.news.put_nowait(1)
        await watch.read()
        former = channel.current()
        members.authority.rotate()
        assert channel.current() is not former
        # Its former channel takes no new calls by now.
        await eventually(lambda: _refuses(former), 10)
        orders.news.put_nowait(2)
        assert await watch.read() is not grpc.aio.EOF
        watch.cancel()
        await channels.close()


async def _refuses(channel: grpc.aio.Channel) -> bool:
    try:
        await outcome(channel.unary_unary("/nothing/Nothing")(b"", timeout=2))
    except grpc.aio.UsageError:
        return True
    return False
