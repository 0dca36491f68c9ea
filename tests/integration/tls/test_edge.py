"""A real Envoy that speaks mutual TLS to the services behind it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from chassis.testing import eventually
from fleet.edge.render import render
from fleet.edge.settings import Address, EdgeSettings
from fleet.services import SERVICES
from fleet.testing.ports import free_port
from tests.integration.edge.harness import LOOPBACK, LoopThread, envoy, wait_until
from tests.integration.edge.services import Services
from tests.integration.tls.world import SETTLE, Members

DISHES = "/api/menu-items:batchGet?menu_item_ids=00000000-0000-4000-8000-000000000001"


@dataclass
class World:
    """An edge, and `catalog` behind it; `orders` is expected where `catalog` listens, too."""

    members: Members
    catalog: Services
    thread: LoopThread
    http: httpx.Client

    def dishes(self) -> int:
        """Status of a call to catalog."""
        return self.http.get(DISHES).status_code

    def restart(self) -> None:
        """Catalog again, with the certificate that it has now; the edge has to connect anew."""
        self.thread.run(self.catalog.stop())
        self.thread.run(self.catalog.start(self.catalog.port))


@pytest.fixture
def world(members: Members, tmp_path: Path) -> Iterator[World]:
    thread = LoopThread()
    catalog = Services(tls_dir=members["catalog"])
    auth = Services(catalog.keys, tls_dir=members["auth"])
    try:
        thread.run(catalog.start())
        thread.run(auth.start())
        ports = {name: free_port() for name in ("control", *(spec.name for spec in SERVICES))}
        ports |= {"auth": auth.port, "catalog": catalog.port, "orders": catalog.port}
        settings = EdgeSettings(
            listen=Address(LOOPBACK, free_port()),
            admin=Address(LOOPBACK, free_port()),
            services={name: (Address(LOOPBACK, port),) for name, port in ports.items()},
            output_dir=tmp_path / "envoy",
            tls_dir=members["edge"],
        )
        with (
            envoy(render(settings), tmp_path / "envoy.log"),
            httpx.Client(base_url=f"http://{LOOPBACK}:{settings.listen.port}", timeout=20) as http,
        ):
            world = World(members, catalog, thread, http)
            wait_until(lambda: world.dishes() == 200)
            yield world
    finally:
        thread.run(catalog.stop())
        thread.run(auth.stop())
        thread.stop()


def test_services_see_the_edge_as_the_caller(world: World) -> None:
    assert world.dishes() == 200
    assert world.catalog.last("BatchGetMenuItems").caller == "edge"


def test_keys_of_auth_are_fetched_over_it_too(world: World) -> None:
    wait_until(lambda: world.http.get("/.well-known/jwks.json").status_code == 200)


def test_a_service_that_proves_another_name_gets_no_call(world: World) -> None:
    headers = {"authorization": f"Bearer {world.catalog.token}"}
    wait_until(lambda: world.http.get("/api/users/me", headers=headers).status_code == 503)
    before = len(world.catalog.calls)
    assert world.http.get("/api/cart", headers=headers).status_code == 503
    assert len(world.catalog.calls) == before


async def test_the_edge_follows_a_change_of_the_authority_without_a_restart(
    world: World,
) -> None:
    old = world.members.folder.parent / "old"
    shutil.copytree(world.members["catalog"] / "current", old)
    world.members.authority.rotate()
    await settled(world.members)
    world.restart()
    wait_until(lambda: world.dishes() == 200)
    # What was believed before is believed no more: the edge has read the new authority.
    world.catalog.tls_dir = old
    world.restart()
    wait_until(lambda: world.dishes() == 503)


async def settled(members: Members) -> None:
    """Let the change of the authority come to its end."""

    def done() -> bool:
        members.authority.tend()
        return members.authority.state().settled

    await eventually(done, SETTLE.total_seconds() * 4, interval_s=0.2)


def test_what_the_edge_is_rendered_from_names_no_key_itself(world: World) -> None:
    rendered = world.members.folder.parent / "envoy" / "edge.yaml"
    assert "PRIVATE KEY" not in rendered.read_text()
    assert str(world.members["edge"]) in rendered.read_text()
