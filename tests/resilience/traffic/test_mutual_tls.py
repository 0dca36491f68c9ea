"""A fleet with control whose connections are all mutual TLS: restarts, new certificates, borrowed tokens."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from chassis.testing import eventually
from fleet.client import CallFailed, RpcEdge, Session
from fleet.membership import Peer
from fleet.testing.live import LiveFleet, live_fleet
from greenledger.inventory.v1 import inventory_pb2
from tests.resilience.fleet.market import Market, new_id
from tests.resilience.traffic.conftest import PATIENT
from tests.resilience.traffic.load import changes, reads, under_load, unrepeatable

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
LIFE = timedelta(seconds=20)
DOUBLED = ("users", "crops", "catalog", "inventory", "orders", "payments", "notifications")


@dataclass
class Trusted:
    """The fleet and people whose calls go through its edge."""

    live: LiveFleet
    market: Market


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trusted() -> AsyncIterator[Trusted]:
    """Certificates that live for 20 s, so that they are renewed each ten."""
    async with live_fleet(PATIENT, control=True, certificate_life=LIFE) as live:
        further = [live.add_replica(name) for name in DOUBLED]
        await asyncio.gather(*(live.start_service(name) for name in further))
        async with RpcEdge(await live.start_edge()) as edge:
            market = Market(live, lambda _: edge)
            await market.open()
            yield Trusted(live, market)


async def test_restarts_and_new_certificates_fail_no_call(trusted: Trusted) -> None:
    live, market = trusted.live, trusted.market
    folder = live.settings.tls_dir("orders")
    assert folder is not None
    first = _certificate(folder)
    async with under_load({**reads(market), **changes(market), **unrepeatable(market)}) as load:
        await load.each_again()
        for name in DOUBLED:
            for replica in (name, f"{name}-2"):
                await live.restart(replica, how=signal.SIGTERM)
            await load.each_again(1)
        await eventually(lambda: _certificate(folder) != first, 60)
        second = _certificate(folder)
        await eventually(lambda: _certificate(folder) != second, 60)
        # New connections, all of them with certificates that the first callers never saw.
        await live.restart("inventory", how=signal.SIGTERM)
        await load.each_again()
    assert not load.failed, load.story


async def test_a_services_token_counts_on_its_own_connections_only(trusted: Trusted) -> None:
    live = trusted.live
    token = await live.token_of("orders")
    release = inventory_pb2.ReleaseReservationRequest(request_id=new_id(), order_id=new_id())
    look = inventory_pb2.GetReservationRequest(order_id=new_id())
    refused = await _as(live, "payments", token, "ReleaseReservation", release)
    assert refused == ("PERMISSION_DENIED", "CALLER_NOT_PERMITTED")
    stolen = await _as(live, "payments", token, "GetReservation", look)
    assert stolen == ("UNAUTHENTICATED", "TOKEN_NOT_YOURS")
    assert await _as(live, "orders", token, "ReleaseReservation", release) == ("OK", "")


async def _as(live: LiveFleet, member: str, token: Session, method: str, request: object) -> tuple[str, str]:
    """Call inventory from the network identity of a member."""
    folder = live.settings.tls_dir(member)
    assert folder is not None
    async with RpcEdge(live.address("inventory"), peer=Peer("inventory", folder)) as rpc:
        try:
            await rpc.call(getattr(rpc.inventory, method), request, token)
        except CallFailed as failure:
            return failure.code, failure.reason
    return "OK", ""


def _certificate(folder: Path) -> bytes:
    return (folder / "certificate.pem").read_bytes()
