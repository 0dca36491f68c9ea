"""Calls that go on while something happens to the fleet, and what became of each."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fleet.client import CallFailed
from greenledger.auth.v1 import auth_pb2
from greenledger.catalog.v1 import catalog_pb2
from greenledger.control.v1 import control_pb2
from greenledger.crops.v1 import crops_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.market.v1 import market_pb2
from greenledger.notifications.v1 import notifications_pb2
from greenledger.orders.v1 import orders_pb2
from greenledger.payments.v1 import payments_pb2
from greenledger.trace.v1 import recall_pb2
from greenledger.users.v1 import users_pb2
from tests.resilience.fleet.market import Market, new_id

Kind = Callable[[], Awaitable[object]]
"""Makes one call."""

# Between two calls of a kind: the processors also belong to those who start meanwhile.
_PAUSE_S = 0.02


@dataclass
class Load:
    """What was called.

    Args:
        made: calls that were answered, by kind.
        failed: the others, in words that begin with the kind and end with when it was.
    """

    made: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    @property
    def story(self) -> str:
        """All failures, for the message of an assertion, which shortens lists."""
        return "\n".join(self.failed)

    async def each_again(self, calls: int = 3, timeout_s: float = 60.0) -> None:
        """Wait until each kind was answered so many times more.

        Raises:
            AssertionError: it was not, in time.
        """
        wanted = {kind: count + calls for kind, count in self.made.items()}
        deadline = asyncio.get_running_loop().time() + timeout_s
        while left := {kind for kind, count in wanted.items() if self.made[kind] < count}:
            assert asyncio.get_running_loop().time() < deadline, f"not answered: {left}; {self.failed[-5:]}"
            await asyncio.sleep(_PAUSE_S)

    async def lasts(self, seconds: float) -> None:
        """Go on for so long: each kind must be answered again and again meanwhile."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await self.each_again(1)


@asynccontextmanager
async def under_load(kinds: Mapping[str, Kind], *, at_once: int = 1, least: int = 3) -> AsyncIterator[Load]:
    """Make calls of each kind, one after the other, until the block ends.

    Args:
        kinds: by name; what one raises but CallFailed ends the test.
        at_once: calls of each kind under way.
        least: answers of each kind without which the load has shown nothing.
    """
    load = Load(Counter(dict.fromkeys(kinds, 0)))
    began, ending = time.monotonic(), asyncio.Event()

    async def go_on(name: str, call: Kind) -> None:
        while not ending.is_set():
            try:
                await call()
                load.made[name] += 1
            except CallFailed as failure:
                after = f"after {time.monotonic() - began:.1f} s"
                load.failed.append(f"{name}: {failure.code} {failure} {failure.metadata} {after}")
            await asyncio.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as tasks:
        for name, call in kinds.items():
            for _ in range(at_once):
                tasks.create_task(go_on(name, call))
        try:
            yield load
        finally:
            ending.set()
    rare = {name: count for name, count in load.made.items() if count < least}
    assert not rare, f"a load that makes no calls shows nothing: {rare}"


def reads(market: Market) -> dict[str, Kind]:
    """One read of every service."""
    rpc, guest, operator = market.rpc, market.guest, market.operator
    return {
        "auth": lambda: rpc("auth").call(rpc("auth").auth.GetJwks, auth_pb2.GetJwksRequest()),
        "users": lambda: rpc("users").call(rpc("users").users.GetMe, users_pb2.GetMeRequest(), guest),
        "crops": lambda: rpc("crops").call(
            rpc("crops").lots.GetLot, crops_pb2.GetLotRequest(lot_id=market.goods.lot_id), market.owner
        ),
        "catalog": lambda: rpc("catalog").call(
            rpc("catalog").catalog.ListVenues, catalog_pb2.ListVenuesRequest(page_size=1)
        ),
        "inventory": lambda: rpc("inventory").call(
            rpc("inventory").inventory.ListStock,
            inventory_pb2.ListStockRequest(venue_id=market.venue_id, page_size=1),
            market.owner,
        ),
        "orders": lambda: rpc("orders").call(
            rpc("orders").orders.GetCart, orders_pb2.GetCartRequest(), guest
        ),
        "payments": lambda: rpc("payments").call(
            rpc("payments").payments.ListPayments, payments_pb2.ListPaymentsRequest(page_size=1), operator
        ),
        "notifications": lambda: rpc("notifications").call(
            rpc("notifications").notifications.ListNotifications,
            notifications_pb2.ListNotificationsRequest(page_size=1),
            guest,
        ),
        "trace": lambda: rpc("trace").call(
            rpc("trace").recalls.ListRecalls, recall_pb2.ListRecallsRequest(page_size=1), operator
        ),
        "market": lambda: rpc("market").call(
            rpc("market").market.ListListings, market_pb2.ListListingsRequest(page_size=1), guest
        ),
        "control": lambda: rpc("control").call(
            rpc("control").registry.ListInstances, control_pb2.ListInstancesRequest(page_size=1), operator
        ),
    }


def changes(market: Market) -> dict[str, Kind]:
    """Changes that services make together, each with a request_id: who calls whom stands in the name."""
    goods = market.goods

    async def hand_over() -> None:
        await market.transfer(await market.mint(goods.product_code, 1), market.owner.user_id)

    async def stock() -> None:
        lot_id = await market.mint(goods.product_code, 1)
        await market.transfer(lot_id, market.owner.user_id)
        await market.receive(lot_id, 1)

    async def collect() -> None:
        rpc = market.rpc("market")
        request = market_pb2.CreateCollectionRequest(request_id=new_id(), name="Mine")
        await rpc.call(rpc.market.CreateCollection, request, market.grower)

    async def register() -> None:
        rpc = market.rpc("users")
        await rpc.call(rpc.users.CreateUser, market.registration())

    async def check_out() -> None:
        order = await market.order(new_id())
        assert order.state == orders_pb2.ORDER_STATE_FULFILLED, order

    return {
        "registration (users > auth, notifications)": register,
        "handing over (crops > users)": hand_over,
        "stock (inventory > crops, catalog)": stock,
        "dish (catalog)": lambda: market.dish(goods.product_code, 990),
        "checkout (orders > catalog, inventory, payments, notifications)": check_out,
        "collection (market)": collect,
    }


def unrepeatable(market: Market) -> dict[str, Kind]:
    """Changes that nobody may repeat on the caller's behalf."""
    goods = market.goods

    async def fill_cart() -> None:
        rpc = market.rpc("orders")
        request = orders_pb2.SetCartItemRequest(menu_item_id=goods.menu_item_id, quantity=1)
        await rpc.call(rpc.orders.SetCartItem, request, market.guest)

    return {"cart (orders)": fill_cart, "login (auth)": lambda: market.log_in(market.live.operator)}
