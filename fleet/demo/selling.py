"""Second part: a venue opens, goods come in, guests order; not everything goes well."""

import asyncio
import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fleet.client import CallFailed
from fleet.demo import data
from fleet.demo.patience import until
from fleet.demo.requests import as_json, menu_item, new_request_id, quantity, venue
from fleet.demo.stage import Stage
from fleet.demo.world import World
from fleet.errors import FleetError
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import orders_pb2

CARD = "pm_card_visa"
_RECEIPTS = (
    ("kitchen", "kitchen", "350", "LBR"),
    ("market", "market", "100", "LBR"),
    ("kitchen", "romaine-lettuce", "120", "KGM"),
    ("kitchen", "tomato", "80", "KGM"),
    # Of the sprouts there is enough for one bowl.
    ("kitchen", "alfalfa-sprouts", "150", "GRM"),
)
_MENUS = (
    ("kitchen", data.SNACK_CUP),
    ("kitchen", data.GARDEN_SALAD),
    ("kitchen", data.FAMILY_TRAY),
    ("kitchen", data.PARTY_PLATTER),
    ("kitchen", data.SPROUT_BOWL),
)


async def venues_open(stage: Stage, world: World) -> None:
    """Venues open, receive the lots into stock and write their menus."""
    stage.act("Venues open")
    victor = world.sessions["Victor"]
    for name, place in (("kitchen", data.KITCHEN), ("market", data.MARKET)):
        with stage.step(f"Victor opens {place.name}, {place.city}", "JSON"):
            opened = await world.json.post("/api/venues", as_json(venue(place, place.name)), victor)
            world.venues[name] = opened["venueId"]
    for where, lot_name, amount, unit in _RECEIPTS:
        lot = world.lots[lot_name]
        with stage.step(f"The {where} receives {amount} {unit} of {lot.lot_code}", "gRPC"):
            request = inventory_pb2.ReceiveStockRequest(
                request_id=new_request_id(),
                venue_id=world.venues[where],
                lot_id=lot.lot_id,
                quantity=quantity(Decimal(amount), unit),
            )
            await world.rpc.call(world.rpc.inventory.ReceiveStock, request, victor)
    for where, dish in (*_MENUS, ("market", data.SNACK_CUP)):
        with stage.step(f"On the menu of the {where}: {dish.name}", "JSON") as step:
            body = as_json(menu_item(dish, world.venues[where]))
            item = await world.json.post("/api/menu-items", body, victor)
            world.menu[dish.name if where == "kitchen" else f"{dish.name} ({where})"] = item["menuItemId"]
            step.note(f"{dish.price_minor / 100:.2f} {data.CURRENCY}")


async def guests_order(stage: Stage, world: World) -> None:
    """Orders that are paid, two of them at once and one watched; then those that come to nothing."""
    stage.act("Guests order and pay")
    ada = world.sessions["Ada"]
    with stage.step("Ada puts two snack cups and a salad into her cart", "JSON"):
        for dish, count in ((data.SNACK_CUP, 2), (data.GARDEN_SALAD, 1)):
            path = f"/api/cart/items/{world.menu[dish.name]}"
            await world.json.put(path, {"quantity": count}, ada)
    with stage.step("Ada checks out while Ben orders a family tray and watches it come", "both") as step:
        paid, watched = await asyncio.gather(_cart_checkout(world, "Ada"), _watched_checkout(world, "Ben"))
        world.orders.update(paid=paid, late=watched)
        step.note(f"Ada's order {paid} is fulfilled")
        step.note(f"Ben saw {' -> '.join(world.watched)}; the provider answered late the first time")
    with stage.step("and yet Ben was charged once", "JSON") as step:
        payment = await world.json.get(f"/api/payments/orders/{world.orders['late']}", world.sessions["Ben"])
        captured = money(payment["capturedAmount"])
        expect(payment["state"] == "PAYMENT_STATE_CAPTURED" and captured == data.FAMILY_TRAY.price_minor)
        step.note(f"{captured / 100:.2f} {data.CURRENCY} captured")
    with stage.step("Ben buys a snack cup in Denver", "gRPC") as step:
        item = world.menu[f"{data.SNACK_CUP.name} (market)"]
        world.orders["market"] = await checkout(world, "Ben", item, 1)
        step.note(f"order {world.orders['market']}")
    with stage.step("Asked again with the same request_id, the answer is the same order", "gRPC"):
        await _repeat(world)
    stage.act("Some orders come to nothing, and leave nothing behind")
    with stage.step("Chi orders the party platter; the card is declined", "gRPC") as step:
        await _refused(world, data.PARTY_PLATTER, 1, "PAYMENT_DECLINED")
        step.note("PAYMENT_DECLINED")
    with stage.step("Chi orders two sprout bowls; there is enough for one", "gRPC") as step:
        await _refused(world, data.SPROUT_BOWL, 2, "OUT_OF_STOCK")
        step.note("OUT_OF_STOCK")
    with stage.step("Nothing is reserved, and nothing was charged but Chi's salad", "JSON") as step:
        step.note(await _nothing_left_behind(world))


async def checkout(world: World, name: str, menu_item_id: str, count: int) -> str:
    """Order one kind of item over gRPC, without the cart; the order's id."""
    order = await world.rpc.call(world.rpc.orders.Checkout, _order(menu_item_id, count), world.sessions[name])
    return order.order_id


def money(amount: dict[str, Any] | None) -> int:
    """US cents of a google.type.Money in its JSON form; 0 when there is none."""
    amount = amount or {}
    return int(amount.get("units", 0)) * 100 + int(amount.get("nanos", 0)) // 10_000_000


def expect(condition: bool) -> None:
    """Stop the story when it goes otherwise than told.

    Raises:
        FleetError: the condition does not hold.
    """
    if not condition:
        raise FleetError("The fleet answered otherwise than the story tells: see the step above.")


@contextlib.contextmanager
def refused_with(reason: str) -> Iterator[None]:
    """The body must be refused with this reason.

    Raises:
        FleetError: it was accepted.
    """
    try:
        yield
    except CallFailed as error:
        if error.reason != reason:
            raise
    else:
        raise FleetError(f"The order was accepted, though {reason} was expected.")


async def _cart_checkout(world: World, name: str) -> str:
    body = {"requestId": new_request_id(), "paymentMethod": CARD}
    order = await world.json.post("/api/orders", body, world.sessions[name])
    return str(order["orderId"])


async def _watched_checkout(world: World, name: str) -> str:
    """Order, find the order as soon as it is placed, and watch it until its last state."""
    session = world.sessions[name]
    request = _order(world.menu[data.FAMILY_TRAY.name], 1)
    placing = asyncio.create_task(world.rpc.call(world.rpc.orders.Checkout, request, session))

    async def placed() -> str | None:
        found = await world.rpc.call(world.rpc.orders.ListOrders, orders_pb2.ListOrdersRequest(), session)
        return found.orders[0].order_id if found.orders else None

    order_id = await until(placed, "The order")
    watch = orders_pb2.WatchOrderRequest(order_id=order_id)
    async for change in world.rpc.watch(world.rpc.orders.WatchOrder, watch, session):
        if change.HasField("order"):
            state = orders_pb2.OrderState.Name(change.order.state)
            world.watched.append(state.removeprefix("ORDER_STATE_").lower())
    await placing
    return order_id


async def _nothing_left_behind(world: World) -> str:
    """Compensation is done when the refusal is answered or soon after; the words for what was found."""

    async def settled() -> str | None:
        kitchen = world.venues["kitchen"]
        stock = await world.json.get("/api/inventory", world.sessions["Victor"], venueId=kitchen)
        payments = await world.json.get("/api/payments", world.sessions["Chi"])
        captured = sum(money(payment.get("capturedAmount")) for payment in payments["payments"])
        reserved = [item for item in stock["stockItems"] if item["reserved"]["amount"] != "0"]
        if reserved or captured != data.GARDEN_SALAD.price_minor:
            return None
        return f"{len(stock['stockItems'])} stock items, 0 reserved; {captured / 100:.2f} {data.CURRENCY}"

    return await until(settled, "The undoing of the refused orders")


async def _repeat(world: World) -> None:
    request = _order(world.menu[data.GARDEN_SALAD.name], 1)
    session = world.sessions["Chi"]
    first = await world.rpc.call(world.rpc.orders.Checkout, request, session)
    again = await world.rpc.call(world.rpc.orders.Checkout, request, session)
    if first.order_id != again.order_id:
        raise FleetError("The same request_id made two orders.")
    world.orders["repeated"] = first.order_id


async def _refused(world: World, dish: data.Dish, count: int, reason: str) -> None:
    with refused_with(reason):
        await checkout(world, "Chi", world.menu[dish.name], count)
    world.failures.append(reason)


def _order(menu_item_id: str, count: int) -> orders_pb2.CheckoutRequest:
    return orders_pb2.CheckoutRequest(
        request_id=new_request_id(),
        payment_method=CARD,
        items=[orders_pb2.CartItem(menu_item_id=menu_item_id, quantity=count)],
    )
