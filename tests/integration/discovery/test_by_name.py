"""Our channels and our chain on what the real discovery service tells: keys, versions, restarts, deaths."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from chassis import context
from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.context import Principal, RequestContext
from chassis.discovery import configure
from chassis.discovery.bootstrap import turned
from chassis.ids import SystemIds
from chassis.resilience import Callees
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from chassis.testing import eventually
from fleet.testing.ports import free_edge_port
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.chain import client_chain
from services.control.domain.instances import Instance
from services.control.domain.policy import Balancing, HeaderRoute, TrafficPolicy
from tests.integration.control.xds.harness import MemoryViews, instance, serving


class Answers(crops_pb2_grpc.CropQueryServiceServicer, orders_pb2_grpc.OrderServiceServicer):
    """One instance of crops and orders that says who it is."""

    def __init__(self, name: str, version: str = "v1") -> None:
        self.name, self.version, self.port = name, version, free_edge_port()
        self.busy = False
        self._server: grpc.aio.Server | None = None

    async def GetLot(self, request: Any, context: Any) -> Any:
        if self.busy:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "too busy")
        await asyncio.sleep(0.002)  # so that calls are under way when it dies
        return crops_pb2.Lot(lot_id=request.lot_id, owner_id=self.name)

    async def GetCart(self, request: Any, context: Any) -> Any:
        return orders_pb2.Cart(venue_id=self.name)

    async def start(self) -> None:
        """Serve."""
        server = self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        crops_pb2_grpc.add_CropQueryServiceServicer_to_server(self, server)
        orders_pb2_grpc.add_OrderServiceServicer_to_server(self, server)
        server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()

    async def stop(self, grace_s: float = 0) -> None:
        """Finish what is under way within so long."""
        assert self._server is not None
        await self._server.stop(grace_s)

    def registered(self) -> tuple[Instance, ...]:
        """As control knows it, for both services."""
        return tuple(
            instance(f"{self.name}-{service}", self.port, self.version, service)
            for service in ("crops", "orders")
        )


@dataclass
class World:
    """Instances, what control shows of them, and one caller.

    Args:
        replicas: of control, in the order in which the caller asks them; closed, one is away.
    """

    views: MemoryViews
    replicas: Sequence[AsyncExitStack]
    instances: Sequence[Answers]
    callees: Callees
    channels: Channels
    lots: Any
    orders: Any

    async def show(self, *hidden: Answers, policies: Sequence[TrafficPolicy] | None = None) -> None:
        """Tell of all instances but these."""
        seen = [each.registered() for each in self.instances if each not in hidden]
        await self.views.show([entry for pair in seen for entry in pair], policies)

    async def lot(self, lot_id: str = "") -> str:
        """Who answers for a lot."""
        request = crops_pb2.GetLotRequest(lot_id=lot_id or str(uuid.uuid4()))
        return str((await self.lots.GetLot(request, timeout=10)).owner_id)

    async def cart(self, subject: str) -> str:
        """Who answers for a person's cart."""
        with context.use(RequestContext(principal=Principal(subject, "user"))):
            answer = await self.orders.GetCart(orders_pb2.GetCartRequest(), timeout=10)
        return str(answer.venue_id)


@asynccontextmanager
async def world(
    patch: pytest.MonkeyPatch, *instances: Answers, replicas: int = 1, **show: Any
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        for each in instances:
            await each.start()
            stack.push_async_callback(each.stop)
        views = MemoryViews()
        control: dict[str, AsyncExitStack] = {}
        for _ in range(replicas):
            own = await stack.enter_async_context(AsyncExitStack())
            control[(await own.enter_async_context(serving(views))).address] = own
        instance_id = f"catalog-{uuid.uuid4()}"
        settings = Settings("catalog", "", "", "", Path(), instance_id=instance_id, xds=tuple(control))
        environ: dict[str, str] = {}
        configure(settings, environ)
        for name, value in environ.items():
            patch.setenv(name, value)
        callees = Callees()
        chain = client_chain(
            tracing=Tracing("test"),
            clock=SystemClock(),
            ids=SystemIds(),
            callees=callees,
            registry=CollectorRegistry(),
        )
        channels = Channels({}, chain, xds=True, callees=callees)
        stack.push_async_callback(channels.close)
        made = World(
            views,
            [control[address] for address in turned(settings.xds, instance_id)],
            instances,
            callees,
            channels,
            crops_pb2_grpc.CropQueryServiceStub(channels.get("crops")),
            orders_pb2_grpc.OrderServiceStub(channels.get("orders")),
        )
        await made.show(**show)
        yield made


def three() -> tuple[Answers, ...]:
    return Answers("a"), Answers("b"), Answers("c")


async def test_calls_by_name_reach_every_instance_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch, *three()) as fleet:

        async def spread() -> bool:
            return {await fleet.lot() for _ in range(12)} == {"a", "b", "c"}

        await eventually(spread)


async def test_a_caller_whose_control_is_away_learns_of_changes_from_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch, *three(), replicas=2) as fleet:
        first, second, third = fleet.instances
        await fleet.show(second, third)
        await eventually(lambda: answered_by(fleet, first.name))
        await fleet.replicas[0].aclose()
        await fleet.show(first, second)
        await eventually(lambda: answered_by(fleet, third.name))


async def test_who_was_never_called_is_known_when_control_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch, *three()) as fleet:
        channel = fleet.channels.get("crops")
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE, "control might not be there yet"
        fleet.channels.connect()
        await eventually(lambda: channel.get_state() is grpc.ChannelConnectivity.READY)
        await fleet.replicas[0].aclose()
        assert await fleet.lot() in {"a", "b", "c"}


async def test_a_lot_and_a_cart_stay_with_their_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    sticky = [TrafficPolicy(name, balancing=Balancing.RING_HASH) for name in ("crops", "orders")]
    async with world(monkeypatch, *three(), policies=sticky) as fleet:
        lots = [str(uuid.uuid4()) for _ in range(30)]
        first = [await fleet.lot(lot_id) for lot_id in lots]
        assert set(first) == {"a", "b", "c"}
        assert [await fleet.lot(lot_id) for lot_id in lots] == first
        people = [f"person-{number}" for number in range(30)]
        carts = [await fleet.cart(person) for person in people]
        assert set(carts) == {"a", "b", "c"}
        assert [await fleet.cart(person) for person in people] == carts


async def test_what_the_instance_of_a_lot_refuses_is_asked_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sticky = [TrafficPolicy("crops", balancing=Balancing.RING_HASH)]
    async with world(monkeypatch, *three(), policies=sticky) as fleet:
        busy, *_ = fleet.instances
        lots = [str(uuid.uuid4()) for _ in range(60)]
        # So few that the budget of retries does not run out.
        its = [lot_id for lot_id in lots if await fleet.lot(lot_id) == busy.name][:5]
        busy.busy = True
        answers = await asyncio.gather(*map(fleet.lot, its), return_exceptions=True)
    # Each of the two further keys of a lot may belong to the same instance, for all five lots once in 60,000.
    assert {"b", "c"} & {answer for answer in answers if isinstance(answer, str)}
    assert busy.name not in answers


@pytest.mark.parametrize(
    ("routing", "versions"),
    [
        ((("x-version", "v2"),), {"v2"}),
        ((("x-user-role", "guest,grower"),), {"v2"}),
        ((("x-user-role", "guest,growers"),), {"v1", "v2"}),
        ((), {"v1", "v2"}),
    ],
)
async def test_what_steered_the_call_under_way_steers_its_follow_ups(
    monkeypatch: pytest.MonkeyPatch, routing: tuple[tuple[str, str], ...], versions: set[str]
) -> None:
    routes = (HeaderRoute("x-version", "v2", "v2"), HeaderRoute("x-user-role", "grower", "v2"))
    policy = TrafficPolicy("crops", header_routes=routes)
    async with world(monkeypatch, Answers("v1"), Answers("v2", "v2"), policies=[policy]) as fleet:
        for name in ("v1", "v2"):
            await eventually(lambda name=name: answered_by(fleet, name))
        with context.use(RequestContext(routing=routing)):
            assert {await fleet.lot() for _ in range(20)} == versions


async def calls_until(
    fleet: World, ended: asyncio.Event, workers: int = 16
) -> tuple[int, list[BaseException]]:
    """Read lots all the time; how often that went well, and what went wrong."""
    done, failures = 0, list[BaseException]()

    async def work() -> None:
        nonlocal done
        while not ended.is_set():
            try:
                await fleet.lot()
                done += 1
            except Exception as failure:
                failures.append(failure)

    await asyncio.gather(*(work() for _ in range(workers)))
    return done, failures


async def test_a_rolling_restart_under_load_fails_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch, *three()) as fleet:
        ended = asyncio.Event()
        load = asyncio.create_task(calls_until(fleet, ended))
        for each in fleet.instances:
            await fleet.show(each)
            await asyncio.sleep(0.3)  # the notice that a process gives
            await each.stop(5)
            await each.start()
            await fleet.show()
            await eventually(lambda each=each: answered_by(fleet, each.name))
        ended.set()
        done, failures = await load
    assert failures == []
    assert done > 100


async def test_instances_that_die_without_a_word_fail_no_call_that_may_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch, *three()) as fleet:
        ended = asyncio.Event()
        load = asyncio.create_task(calls_until(fleet, ended))
        for each in fleet.instances[:2]:
            for other in fleet.instances:
                await eventually(lambda other=other: answered_by(fleet, other.name))
            await each.stop(0)  # with a third of all calls under way on it
            await asyncio.sleep(0.3)
            await each.start()
        ended.set()
        done, failures = await load
        retried = fleet.callees.get("crops").retried
    assert failures == []
    assert sum(retried.values()) > 0
    assert done > 100


async def answered_by(fleet: World, name: str) -> bool:
    return name in {await fleet.lot() for _ in range(6)}
