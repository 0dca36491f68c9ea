"""Carts in PostgreSQL."""

import asyncio

import pytest

from chassis.errors import FailedPrecondition, NotFound
from chassis.ids import SystemIds
from chassis.money import Money
from tests.integration.orders.conftest import ANN, BOB, VENUE, Orders


async def test_a_cart_keeps_what_was_put_in(idle_orders: Orders):
    orders = idle_orders
    assert (await orders.cart.get(ANN)).items == ()
    changed = await orders.cart.set_item(ANN, orders.soup, 2)
    assert await orders.cart.get(ANN) == changed
    assert (changed.venue_id, changed.items) == (VENUE, ((orders.soup, 2),))
    assert (await orders.cart.get(BOB)).items == ()


async def test_concurrent_additions_lose_none_also_in_a_cart_that_was_not_there(idle_orders: Orders):
    orders, start = idle_orders, asyncio.Barrier(12)
    items = [orders.catalog.add(VENUE, Money(100, "USD")) for _ in range(12)]

    async def add(item: str) -> None:
        await start.wait()
        await orders.cart.set_item(ANN, item, 1)

    await asyncio.gather(*map(add, items))
    cart = await orders.cart.get(ANN)
    assert ({item for item, _ in cart.items}, cart.revision) == (set(items), 12)


async def test_only_what_is_on_a_menu_now_goes_into_a_cart(idle_orders: Orders):
    orders = idle_orders
    gone = orders.catalog.add(VENUE, Money(100, "USD"), available=False)
    with pytest.raises(FailedPrecondition, match="not available"):
        await orders.cart.set_item(ANN, gone, 1)
    with pytest.raises(NotFound):
        await orders.cart.set_item(ANN, SystemIds().uuid7(), 1)
    await orders.cart.set_item(ANN, gone, 0)  # but it can always be taken out


async def test_clearing_empties_the_cart_and_says_when(idle_orders: Orders):
    orders = idle_orders
    before = await orders.cart.set_item(ANN, orders.soup, 2)
    await orders.cart.clear(ANN)
    cart = await orders.cart.get(ANN)
    assert (cart.items, cart.venue_id, cart.revision) == ((), "", before.revision + 1)
    assert cart.updated_at > before.updated_at
    await orders.cart.clear(BOB)
