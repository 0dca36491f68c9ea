"""Limits of the whole edge where its routes come from control."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx

from chassis.testing import eventually
from fleet.edge.render import render
from fleet.edge.settings import Address
from fleet.testing.ports import free_port
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.domain.policy import EdgePolicy, RateLimit, TrafficPolicy, VersionWeight
from tests.integration.control.xds.harness import MemoryViews, instance, serving
from tests.integration.edge.harness import LOOPBACK, edge_settings, envoy
from tests.integration.edge.services import Services

DAY = timedelta(days=1)
PUBLIC, CART = "/.well-known/jwks.json", "/api/cart"
PERSON, ANONYMOUS = 6, 4


class Steered:
    """The edge, the services behind it and what control says."""

    def __init__(self, folder: Path) -> None:
        self.views, self.port = MemoryViews(), free_port()
        self.orders = Services()
        self.auth = Services(self.orders.keys, self.orders.calls)
        settings = edge_settings(self.orders, self.auth, folder, ())
        self.settings = replace(settings, xds=(Address(LOOPBACK, self.port),))
        self.configuration = render(self.settings)
        self.table = EdgeTable(folder / "routes.json")
        self.url = f"http://{LOOPBACK}:{settings.listen.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        """Both services and the edge, as soon as it knows its routes; it needs control for that."""
        await self.orders.start()
        await self.auth.start()
        try:
            orders = instance("a", self.orders.port, service="orders")
            await self.views.show([orders, instance("b", self.auth.port, service="auth")])
            with envoy(self.configuration, self.settings.output_dir / "envoy.log"):
                async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
                    await eventually(lambda: self._open(client), 60, ignore=(httpx.HTTPError,))
                    yield client
        finally:
            await self.orders.stop()
            await self.auth.stop()

    async def _open(self, client: httpx.AsyncClient) -> bool:
        ready = await client.get(f"http://{LOOPBACK}:{self.settings.admin.port}/ready")
        return ready.text.strip() == "LIVE" and (await client.get("/docs")).is_success

    async def reloaded(self, client: httpx.AsyncClient, name: str) -> int:
        """How often Envoy took a resource that had changed."""
        admin = f"http://{LOOPBACK}:{self.settings.admin.port}/stats?filter=^{name}.config_reload$"
        return int((await client.get(admin)).text.partition(": ")[2] or 0)

    def bearer(self, person: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.orders.keys[0].token(sub=person)}"}


ROUTES = "http.edge.rds.edge"
LIMITS = "extension_config_discovery.http_filter.envoy.filters.http.local_ratelimit"


async def codes(
    client: httpx.AsyncClient, count: int, path: str, headers: dict[str, str] | None = None
) -> Counter[int]:
    """How requests were answered, one after the other."""
    return Counter([(await client.get(path, headers=headers)).status_code for _ in range(count)])


async def test_a_change_of_policy_gives_nobody_a_new_quota_and_one_of_limits_everybody(
    tmp_path: Path,
) -> None:
    edge = Steered(tmp_path)
    limits = EdgePolicy(RateLimit(ANONYMOUS, DAY), RateLimit(PERSON, DAY))
    await edge.views.show(edge=limits)
    person = edge.bearer("5e5d3b62-7e53-4d9c-b0d5-7a7c1b1f0b0e")
    async with serving(edge.views, edge.port, edge.table), edge.running() as client:
        # In force from the first request on.
        assert await codes(client, ANONYMOUS + 2, PUBLIC) == {200: ANONYMOUS, 429: 2}

        async def cart() -> bool:
            return (await client.get(CART, headers=edge.bearer("somebody-else"))).is_success

        await eventually(cart)
        assert await codes(client, PERSON - 1, CART, person) == {200: PERSON - 1}
        before = await edge.reloaded(client, ROUTES)
        shifted = TrafficPolicy("orders", weights=(VersionWeight("v1", 100),))
        await edge.views.show(policies=[shifted])

        async def taken() -> bool:
            return await edge.reloaded(client, ROUTES) == before + 1

        await eventually(taken)
        assert await codes(client, 2, PUBLIC) == {429: 2}
        assert await codes(client, 3, CART, person) == {200: 1, 429: 2}
        assert await codes(client, ANONYMOUS, "/docs") == {200: ANONYMOUS}
        await edge.views.show(edge=EdgePolicy(RateLimit(ANONYMOUS + 1, DAY), RateLimit(PERSON, DAY)))

        async def anew() -> bool:
            return await edge.reloaded(client, LIMITS) == 2

        await eventually(anew)
        assert await codes(client, ANONYMOUS + 2, PUBLIC) == {200: ANONYMOUS + 1, 429: 1}
        assert await codes(client, PERSON + 1, CART, person) == {200: PERSON, 429: 1}


async def test_paths_that_are_not_served_count_as_well(tmp_path: Path) -> None:
    edge = Steered(tmp_path)
    await edge.views.show(edge=EdgePolicy(RateLimit(3, DAY), RateLimit(3, DAY)))
    async with serving(edge.views, edge.port, edge.table), edge.running() as client:
        assert await codes(client, 5, "/nowhere") == {404: 3, 429: 2}
