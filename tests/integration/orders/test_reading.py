"""Who sees which order, and what a watcher is told."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from chassis.context import Principal
from chassis.errors import NotFound
from chassis.ids import SystemIds
from chassis.testing import eventually
from services.orders.adapters.db import PostgresOrders
from services.orders.application.queries import OrderQueries
from services.orders.domain.order import Order, State, draft
from tests.integration.orders.conftest import ANN, BOB, OWNER, VENUE, Orders

PATH = [State.PENDING, State.CONFIRMED, State.PAID, State.FULFILLED]


def guest(subject: str, *permissions: str) -> Principal:
    return Principal(subject, "user", permissions=frozenset(permissions))


async def test_an_order_is_seen_by_its_guest_its_venue_and_those_who_may_see_all(orders: Orders):
    order = await orders.order()
    for actor in (guest(ANN), guest(OWNER, "orders.venue.read"), guest(BOB, "orders.read")):
        assert await orders.queries.get(order.order_id, actor) == order


@pytest.mark.parametrize("permissions", [(), ("orders.venue.read",)])
async def test_someone_elses_order_does_not_exist(orders: Orders, permissions):
    order = await orders.order()
    with pytest.raises(NotFound) as foreign:
        await orders.queries.get(order.order_id, guest(BOB, *permissions))
    with pytest.raises(NotFound) as unknown:
        await orders.queries.get(SystemIds().uuid7(), guest(BOB, *permissions))
    assert (foreign.value.reason, foreign.value.message) == (unknown.value.reason, unknown.value.message)


async def test_a_listing_shows_ones_own_orders_or_those_of_ones_venue(orders: Orders):
    mine = await orders.order()
    theirs = await orders.checkout(BOB, SystemIds().uuid7(), "pm_card", [(orders.soup, 1)])
    everything = [theirs, mine]
    page = orders.queries.page
    assert await page(guest(ANN), None, None, None, 10) == [mine]
    assert await page(guest(BOB), VENUE, None, None, 10) == [theirs]
    assert await page(guest(OWNER, "orders.venue.read"), VENUE, None, None, 10) == everything
    assert await page(guest(OWNER, "orders.venue.read"), None, None, None, 10) == []
    stranger = guest("eve", "orders.venue.read")
    assert await page(stranger, SystemIds().uuid7(), None, None, 10) == []
    assert await page(guest("eve", "orders.read"), None, State.FULFILLED, None, 10) == everything
    assert await page(guest("eve", "orders.read"), None, State.FAILED, None, 10) == []


async def test_pages_join_without_gap_or_repetition_newest_first(orders: Orders):
    made = [(await orders.order()).order_id for _ in range(5)]
    seen, before = [], None
    while page := await orders.queries.page(guest(ANN), None, None, before, 2):
        seen += [order.order_id for order in page]
        before = page[-1].order_id
    assert seen == made[::-1]


async def watch(orders: Orders, order_id: str, after: int = 0, queries: OrderQueries | None = None):
    """(state, revision) of all that a watcher is told, without heartbeats."""
    async with aclosing((queries or orders.queries).watch(order_id, after)) as news:
        return [(order.state, order.revision) async for order in news if order is not None]


async def test_a_watcher_is_told_each_state_once_in_order(orders: Orders):
    request_id = SystemIds().uuid7()
    checkout = asyncio.create_task(orders.order(request_id=request_id))
    order = await eventually(lambda: orders.store.of_request(ANN, request_id), interval_s=0.001)
    async with asyncio.timeout(20):
        assert await watch(orders, order.order_id) == list(zip(PATH, range(1, 5), strict=True))
    await checkout


async def test_a_watcher_resumes_after_what_it_has_seen(orders: Orders):
    order = await orders.order()
    assert await watch(orders, order.order_id, after=2) == [(State.PAID, 3), (State.FULFILLED, 4)]
    assert await watch(orders, order.order_id, after=4) == []


async def test_each_told_state_carries_what_was_known_then(orders: Orders):
    order = await orders.order()
    async with aclosing(orders.queries.watch(order.order_id, 0)) as news:
        told = [each async for each in news]
    assert told[-1] == order
    assert told[0] == replace(order, state=State.PENDING, revision=1, updated_at=order.created_at)


async def test_a_quiet_order_sends_heartbeats(idle_orders: Orders):
    orders = idle_orders
    order = await placed(orders)
    async with aclosing(orders.queries.watch(order.order_id, 1)) as news:
        async with asyncio.timeout(10):
            assert [await anext(news) for _ in range(3)] == [None, None, None]
            await orders.store.save(order.to(State.FAILED, orders.clock.now(), "OUT_OF_STOCK"))
            told = [each async for each in news if each is not None]
    assert [(each.state, each.failure_reason) for each in told] == [(State.FAILED, "OUT_OF_STOCK")]


async def test_a_last_state_that_comes_while_the_watcher_looks_is_still_told(idle_orders: Orders):
    orders = idle_orders
    order = await placed(orders)

    class LateOrders(PostgresOrders):
        """The order fails right after its history was read."""

        async def history(self, order_id: str, after_revision: int) -> Sequence[Order]:
            found = await super().history(order_id, after_revision)
            await self.save(order.to(State.FAILED, orders.clock.now(), "OUT_OF_STOCK"))
            return found

    queries = OrderQueries(LateOrders(orders.database, orders.changes), orders.catalog, orders.changes)
    async with asyncio.timeout(10):
        assert await watch(orders, order.order_id, 1, queries) == [(State.FAILED, 2)]


async def test_a_watcher_that_leaves_is_forgotten(idle_orders: Orders):
    orders = idle_orders
    order = await placed(orders)
    async with aclosing(orders.queries.watch(order.order_id, 0)) as news:
        await anext(news)
        assert orders.changes._watchers
    assert not orders.changes._watchers


async def placed(orders: Orders) -> Order:
    """A stored order that nobody works on."""
    now, ids = orders.clock.now(), SystemIds()
    made = draft([(orders.catalog.items[orders.soup], 1)])
    order = Order(ids.uuid7(), ANN, VENUE, made.lines, made.total, State.PENDING, now, now, ids.uuid7(), "h")
    assert await orders.store.add(order)
    return order
