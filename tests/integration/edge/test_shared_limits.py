"""Limits that several edges share: real proxies, the real control, one Valkey."""

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import REGISTRY

from chassis.testing import eventually
from chassis.testing.postgres import PostgresServer
from fleet.edge import limits
from fleet.edge.render import render
from fleet.edge.settings import Address, EdgeSettings
from fleet.testing.ports import free_port
from greenledger.control.v1 import traffic_pb2
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from services.control import wiring
from services.control.adapters.settings import ControlSettings
from services.control.adapters.xds.counters import ValkeyCounters
from tests.integration.control.conftest import Control, World
from tests.integration.control.xds.test_rate_limits import PATIENCE, answers, valkey_server
from tests.integration.edge.harness import LOOPBACK, edge_settings, envoy
from tests.integration.edge.services import Services
from tests.integration.edge.shape import error_of, reason_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC, CART = "/.well-known/jwks.json", "/api/cart"
ANONYMOUS, PERSON = 6, 10
# Far longer than the tests take: nobody's window ends while they run.
WINDOW_S = 36_000
ADDRESSES = (f"127.0.2.{number}" for number in itertools.count(1))
Headers = Mapping[str, str]


@dataclass
class Proxy:
    """One edge."""

    settings: EdgeSettings
    log: Path
    channel: grpc.aio.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = grpc.aio.insecure_channel(f"{LOOPBACK}:{self.settings.listen.port}")

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.settings.listen.port}"

    async def counter(self, name: str) -> int:
        """One of its counters by its full name."""
        async with httpx.AsyncClient() as client:
            admin = f"http://{LOOPBACK}:{self.settings.admin.port}/stats?filter=^{name}$"
            return int((await client.get(admin)).text.partition(": ")[2] or 0)


@dataclass
class Shared:
    """Two edges that one control serves."""

    world: World
    settings: ControlSettings
    valkey_url: str
    services: Services = field(default_factory=Services)
    proxies: tuple[Proxy, ...] = ()

    async def start(self) -> None:
        """Begin control, or begin it again."""
        self._life = AsyncExitStack()
        self.control: Control = await self.world.control(
            self.settings, stack=self._life, valkey_url=self.valkey_url
        )

    async def stop(self) -> None:
        """End control."""
        await self._life.aclose()

    async def limit(self, anonymous: int, person: int, *, shared: bool = True) -> None:
        """Change the limits by the RPC, and wait until both edges obey."""
        policy = traffic_pb2.EdgePolicy(shared=shared)
        for limit, requests in ((policy.anonymous, anonymous), (policy.authenticated, person)):
            limit.requests = requests
            limit.per.FromSeconds(WINDOW_S)
        request = traffic_pb2.SetEdgePolicyRequest(policy=policy, why="a test")
        await self.control.traffic.SetEdgePolicy(request, metadata=self.control.operator)
        for proxy in self.proxies:
            await eventually(lambda proxy=proxy: self._told(proxy, anonymous, shared), 20, ignore=(KeyError,))

    async def _told(self, proxy: Proxy, anonymous: int, shared: bool) -> bool:
        async with at(next(ADDRESSES)) as client:
            headers = (await client.get(proxy.url + PUBLIC)).headers
        if not anonymous:
            return "ratelimit-limit" not in headers
        # A proxy that counts for itself gives one back whenever its share of the time is over.
        counted_by_control = int(headers["ratelimit-reset"]) > WINDOW_S / 2
        return headers["ratelimit-limit"] == str(anonymous) and counted_by_control is shared

    def bearer(self, person: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.services.keys[0].token(sub=person)}"}


def at(address: str) -> httpx.AsyncClient:
    """Somebody at an address."""
    return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=address), timeout=60)


@pytest_asyncio.fixture
async def caller() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at an address of their own."""
    async with at(next(ADDRESSES)) as client:
        yield client


@contextmanager
def edge(settings: EdgeSettings) -> Iterator[Proxy]:
    log = settings.output_dir / "envoy.log"
    with envoy(render(settings), log):
        yield Proxy(settings, log)


@asynccontextmanager
async def upstreams(world: Shared) -> AsyncIterator[Services]:
    """`orders` and `auth`, registered; gives the latter."""
    auth = Services(world.services.keys, world.services.calls)
    try:
        for name, each in (("orders", world.services), ("auth", auth)):
            await each.start()
            await world.control.register(name, each.port, lease_s=300)
        yield auth
    finally:
        await world.services.stop()
        await auth.stop()


@pytest.fixture(scope="module")
def patient() -> Iterator[None]:
    """No answer of control or Valkey comes too late because the machine does other things."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "ValkeyCounters", partial(ValkeyCounters, answer_within=PATIENCE))
        patch.setattr(limits, "ANSWER_WITHIN", f"{PATIENCE.total_seconds()}s")
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory, patient: None
) -> AsyncIterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    listen = f"{LOOPBACK}:{free_port()}"
    settings = ControlSettings(
        xds_listen=listen, edge_routes=folder / "1" / "routes.json", poll=timedelta(milliseconds=50)
    )
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(postgres_server.database("control"))
        url = stack.enter_context(valkey_server(free_port()))
        await answers(url)
        world = Shared(World(dsn, stack), settings, url)
        await world.start()
        stack.push_async_callback(world.stop)
        auth = await stack.enter_async_context(upstreams(world))
        for number in ("1", "2"):
            (folder / number).mkdir()
            own = edge_settings(world.services, auth, folder / number, ())
            own = replace(own, xds=(Address.parse(listen),), node=f"edge-{number}", deadline_s=60)
            proxy = stack.enter_context(edge(own))
            stack.push_async_callback(proxy.channel.close)
            world.proxies = (*world.proxies, proxy)
        for proxy in world.proxies:
            await eventually(lambda proxy=proxy: _open(world, proxy), 60, ignore=(httpx.HTTPError,))
        await world.limit(ANONYMOUS, PERSON)
        yield world


async def _open(world: Shared, proxy: Proxy) -> bool:
    async with httpx.AsyncClient() as client:
        reply = await client.get(proxy.url + CART, headers=world.bearer("nobody"))
    return reply.is_success


async def get(client: httpx.AsyncClient, proxy: Proxy, headers: Headers | None = None) -> httpx.Response:
    return await client.get(proxy.url + (CART if headers else PUBLIC), headers=headers)


async def cart(proxy: Proxy, headers: Headers) -> str:
    """The code of a gRPC call."""
    return (await carted(proxy, headers))[0]


async def carted(proxy: Proxy, headers: Headers) -> tuple[str, Any]:
    """Code and error of a gRPC call."""
    call = orders_pb2_grpc.OrderServiceStub(proxy.channel).GetCart(
        orders_pb2.GetCartRequest(), metadata=tuple(headers.items()), timeout=60
    )
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name, error
    return "OK", None


async def test_over_both_edges_json_and_grpc_of_a_person_get_exactly_the_quota(shared: Shared) -> None:
    headers = shared.bearer(str(uuid.uuid4()))
    async with httpx.AsyncClient(timeout=60) as client:
        calls = [
            asyncio.gather(
                *(cart(proxy, headers) for _ in range(PERSON)),
                *(get(client, proxy, headers) for _ in range(PERSON)),
            )
            for proxy in shared.proxies
        ]
        found = [outcome for part in await asyncio.gather(*calls) for outcome in part]
    codes: Counter[Any] = Counter(
        outcome if isinstance(outcome, str) else outcome.status_code for outcome in found
    )
    assert codes.keys() <= {"OK", "RESOURCE_EXHAUSTED", 200, 429}
    assert codes["OK"] + codes[200] == PERSON


async def test_without_a_token_an_address_has_one_quota_at_both(
    shared: Shared, caller: httpx.AsyncClient
) -> None:
    replies = await asyncio.gather(
        *(get(caller, proxy) for proxy in shared.proxies for _ in range(ANONYMOUS))
    )
    assert Counter(reply.status_code for reply in replies) == {200: ANONYMOUS, 429: ANONYMOUS}
    async with at(next(ADDRESSES)) as other:
        assert (await get(other, shared.proxies[1])).status_code == 200


async def test_answers_say_what_is_left_over_all_and_a_refusal_when_to_come_back(
    shared: Shared, caller: httpx.AsyncClient
) -> None:
    turns = itertools.cycle(shared.proxies)
    replies = [await get(caller, next(turns)) for _ in range(ANONYMOUS)]
    assert [reply.headers["ratelimit-remaining"] for reply in replies] == ["5", "4", "3", "2", "1", "0"]
    refused = await get(caller, next(turns))
    assert (refused.status_code, reason_of(refused)) == (429, "RATE_LIMITED")
    seconds = int(refused.headers["retry-after"])
    assert WINDOW_S - 60 < seconds <= WINDOW_S
    (retry,) = [
        part for part in error_of(refused)["details"] if part["@type"].endswith("google.rpc.RetryInfo")
    ]
    assert retry["retryDelay"] == f"{seconds}s"
    for reply in (replies[0], refused):
        assert reply.headers.get_list("ratelimit-limit") == [str(ANONYMOUS)]
        assert len(reply.headers.get_list("ratelimit-remaining")) == 1
        assert abs(int(reply.headers["ratelimit-reset"]) - seconds) <= 60
        assert not any(name.startswith(("x-ratelimit", "x-envoy", "x-greenledger")) for name in reply.headers)
    assert refused.headers.get_list("retry-after") == [str(seconds)]
    assert refused.headers["ratelimit-remaining"] == "0"


async def test_a_grpc_caller_is_told_the_same(shared: Shared) -> None:
    headers = shared.bearer(str(uuid.uuid4()))
    turns = itertools.cycle(shared.proxies)
    assert [await cart(next(turns), headers) for _ in range(PERSON)] == ["OK"] * PERSON
    code, error = await carted(next(turns), headers)
    assert code == "RESOURCE_EXHAUSTED"
    status = rpc_status.from_call(error)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert [status.details[0].Unpack(info), status.details[1].Unpack(retry)] == [True, True]
    assert (info.reason, info.domain) == ("RATE_LIMITED", "greenledger")
    told = {**dict(error.initial_metadata() or ()), **dict(error.trailing_metadata() or ())}
    assert told["ratelimit-limit"] == str(PERSON)
    assert retry.retry_delay.seconds == int(told["ratelimit-reset"]) > WINDOW_S - 60


@pytest.mark.parametrize(
    "header",
    [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-envoy-external-address",
        "x-envoy-original-path",
        "x-envoy-original-dst-host",
        "x-user-id",
        "x_user_id",
        "x-user-role",
        "x-greenledger-key",
        "x-greenledger-limited",
    ],
)
async def test_what_a_caller_says_of_itself_opens_nothing(
    shared: Shared, caller: httpx.AsyncClient, header: str
) -> None:
    left, right = shared.proxies
    for _ in range(ANONYMOUS):
        assert (await get(caller, left)).status_code == 200
    for value in ("10.9.8.7", str(uuid.uuid4()), "for=10.9.8.7"):
        assert (await caller.get(right.url + PUBLIC, headers={header: value})).status_code == 429


async def test_a_grpc_caller_opens_nothing_by_what_it_says_of_itself_either(shared: Shared) -> None:
    headers = shared.bearer(str(uuid.uuid4()))
    spoofed = [("x-forwarded-for", "10.9.8.7"), ("x-user-id", "me"), ("x-envoy-external-address", "10.9.8.7")]
    codes = [
        await cart(proxy, {**headers, name: value})
        for proxy, (name, value) in itertools.islice(
            zip(itertools.cycle(shared.proxies), itertools.cycle(spoofed), strict=False), PERSON + 3
        )
    ]
    assert codes == ["OK"] * PERSON + ["RESOURCE_EXHAUSTED"] * 3


async def test_pages_count_for_nobody(shared: Shared, caller: httpx.AsyncClient) -> None:
    left, right = shared.proxies
    for proxy in (left, right) * ANONYMOUS:
        reply = await caller.get(f"{proxy.url}/docs")
        assert reply.status_code == 200
        assert "ratelimit-limit" not in reply.headers
    assert (await get(caller, left)).headers["ratelimit-remaining"] == str(ANONYMOUS - 1)


async def test_the_limit_changes_while_the_edges_run(shared: Shared, caller: httpx.AsyncClient) -> None:
    turns = itertools.cycle(shared.proxies)
    for _ in range(ANONYMOUS):
        assert (await get(caller, next(turns))).status_code == 200
    assert (await get(caller, next(turns))).status_code == 429
    await shared.limit(ANONYMOUS + 2, PERSON)
    assert [(await get(caller, next(turns))).status_code for _ in range(3)] == [200, 200, 429]
    # Each for itself, and back.
    await shared.limit(3, PERSON, shared=False)
    for proxy in shared.proxies:
        assert [(await get(caller, proxy)).status_code for _ in range(4)] == [200, 200, 200, 429]
    await shared.limit(0, 0)
    reply = await get(caller, next(turns))
    assert (reply.status_code, reply.headers.get("ratelimit-limit")) == (200, None)
    await shared.limit(ANONYMOUS, PERSON)


async def test_no_request_is_counted_twice_and_none_reaches_a_service_that_was_refused(
    shared: Shared, caller: httpx.AsyncClient
) -> None:
    decided = decisions()
    seen = len(shared.services.calls)
    headers = shared.bearer(str(uuid.uuid4()))
    replies = [await get(caller, shared.proxies[0], headers) for _ in range(PERSON + 5)]
    assert Counter(reply.status_code for reply in replies) == {200: PERSON, 429: 5}
    assert decisions() == decided + PERSON + 5
    assert len([call for call in shared.services.calls[seen:] if call.method == "GetCart"]) == PERSON


def decisions() -> float:
    """How often control was asked about a person."""
    name = "xds_rate_limit_decisions_total"
    labels = [{"client": "person", "outcome": outcome} for outcome in ("ok", "over")]
    return sum(REGISTRY.get_sample_value(name, each) or 0 for each in labels)


async def test_requests_pass_while_control_is_away_and_count_on_when_it_is_back(
    shared: Shared, caller: httpx.AsyncClient
) -> None:
    left, right = shared.proxies
    headers = shared.bearer(str(uuid.uuid4()))
    for _ in range(ANONYMOUS):
        assert (await get(caller, left)).status_code == 200
    assert (await get(caller, right)).status_code == 429
    await shared.stop()
    passed = "cluster.{}.ratelimit.failure_mode_allowed"
    for proxy in shared.proxies:
        before = {name: await proxy.counter(passed.format(name)) for name in ("auth", "orders")}
        replies = [await get(caller, proxy) for _ in range(3)]
        assert {reply.status_code for reply in replies} == {200}
        assert "ratelimit-limit" not in replies[0].headers
        assert [await cart(proxy, headers) for _ in range(PERSON + 1)] == ["OK"] * (PERSON + 1)
        assert await proxy.counter(passed.format("auth")) == before["auth"] + 3
        assert await proxy.counter(passed.format("orders")) == before["orders"] + PERSON + 1
    await shared.start()
    for proxy in shared.proxies:
        await eventually(lambda proxy=proxy: _refused(caller, proxy), 20)
    assert await cart(left, headers) == "OK"


async def _refused(client: httpx.AsyncClient, proxy: Proxy) -> bool:
    return (await get(client, proxy)).status_code == 429


async def test_no_script_failed(shared: Shared) -> None:
    for proxy in shared.proxies:
        assert "script log" not in proxy.log.read_text()
