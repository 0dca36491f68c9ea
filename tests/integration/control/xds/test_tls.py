"""Connections inside the fleet as mutual TLS, by what discovery says."""

from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from chassis.testing import eventually
from services.control.adapters.xds import stubs
from services.control.adapters.xds.counters import MemoryCounters
from services.control.adapters.xds.rate_limits import RateLimitService
from services.control.domain.policy import EdgePolicy, RateLimit
from tests.integration.control.xds.certificates import Authority, channel_credentials, server_credentials
from tests.integration.control.xds.edge import base_table, proxy
from tests.integration.control.xds.harness import (
    SERVICE,
    Backend,
    MemoryViews,
    backends,
    grpc_client,
    serving,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_the_edge_shows_its_certificate_and_takes_a_new_one_without_a_restart(
    tmp_path: Path, authority: Authority
) -> None:
    views = MemoryViews()
    own = authority.issue("edge")
    backend = Backend("a", credentials=server_credentials(authority.issue(SERVICE)))
    async with (
        backends(backend) as (a,),
        serving(views, table=base_table(tmp_path), tls_dir=own) as server,
    ):
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            assert await edge.client.calls(5) == {"a": 5}
            assert a.callers == {"spiffe://greenledger/edge"}
            authority.issue("edge", sees="edge-renewed")
            await eventually(lambda: edge.counter("sds.identity.update_success"))

            async def renewed() -> bool:
                await a.stop()
                await a.start()
                await edge.client.calls(5)
                return "spiffe://greenledger/edge-renewed" in a.callers

            await eventually(renewed, ignore=(grpc.aio.AioRpcError,))


async def test_the_edge_speaks_to_none_who_shows_another_name(tmp_path: Path, authority: Authority) -> None:
    views = MemoryViews()
    own = authority.issue("edge")
    impostor = Backend("a", credentials=server_credentials(authority.issue(SERVICE, sees="payments")))
    async with (
        backends(impostor) as (a,),
        serving(views, table=base_table(tmp_path), tls_dir=own) as server,
    ):
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            with pytest.raises(grpc.aio.AioRpcError):
                await edge.client.call()
            assert a.calls == 0
            assert await edge.counter("cluster.orders.ssl.fail_verify_san")


async def test_grpc_clients_show_their_certificate_and_ask_for_the_services(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    views = MemoryViews()
    own = authority.issue("users")
    good = Backend("good", credentials=server_credentials(authority.issue(SERVICE)))
    async with backends(good) as (a,), serving(views, tls_dir=own) as server:
        await views.show([a.registered])
        async with grpc_client(monkeypatch, server.address, tls_dir=own) as client:
            assert await client.calls(5) == {"good": 5}
            assert a.callers == {"spiffe://greenledger/users"}


async def test_grpc_clients_speak_to_none_who_shows_another_name(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    views = MemoryViews()
    own = authority.issue("users")
    impostor = Backend("a", credentials=server_credentials(authority.issue(SERVICE, sees="payments")))
    async with backends(impostor) as (a,), serving(views, tls_dir=own) as server:
        await views.show([a.registered])
        async with grpc_client(monkeypatch, server.address, tls_dir=own) as client:
            with pytest.raises(grpc.aio.AioRpcError):
                await client.call(timeout=3)
            assert a.calls == 0


async def test_the_edge_alone_may_use_up_a_clients_requests(authority: Authority) -> None:
    views, day = MemoryViews(), timedelta(days=1)
    await views.show(edge=EdgePolicy(RateLimit(5, day), RateLimit(5, day), shared=True))
    limits = RateLimitService(views, MemoryCounters(), caller="edge").servicer()
    credentials = server_credentials(authority.issue("control"))
    person = {"entries": [{"key": "person", "value": "somebody"}]}
    spent = stubs.RateLimitRequest(domain="edge", descriptors=[person], hits_addend=5)
    async with serving(views, servicers=[limits], credentials=credentials) as server:

        async def ask(name: str) -> int:
            options = [("grpc.ssl_target_name_override", "control")]
            own = channel_credentials(authority.issue(name))
            async with grpc.aio.secure_channel(server.address, own, options) as channel:
                reply = await stubs.RateLimitServiceStub(channel).ShouldRateLimit(spent, timeout=10)
            return int(reply.overall_code)

        for other in ("orders", "operator"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(other)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert await ask("edge") == stubs.RateLimitResponse.OK, "nobody else has used any"
        assert await ask("edge") == stubs.RateLimitResponse.OVER_LIMIT
