"""The people, venues and goods of a large run; made again, or found again when it is resumed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from fleet.client import Credentials, RpcEdge, Session
from fleet.demo import data
from fleet.demo.large.plan import Names, Plan
from fleet.demo.people import registration
from fleet.demo.requests import menu_item, mint, quantity, split, venue
from greenledger.crops.v1 import crops_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import orders_pb2

T = TypeVar("T")
P = TypeVar("P")

_STOCK_KILOGRAMS = 100_000
_HARVEST_KILOGRAMS = 1_000
_PORTION_GRAMS = 120
# A password costs the auth service tens of milliseconds of a core; more at once would only queue.
_REGISTRATIONS_AT_ONCE = 4
_CARD = "pm_card_visa"


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue of the run: id, and by product its menu item and the lot that it is served from."""

    venue_id: str
    menu_item_ids: tuple[str, ...]
    lot_ids: tuple[str, ...]


class Market:
    """Makes everything of one run through the edge; every call carries a derived request id.

    Args:
        edge: over gRPC.
        plan: how much.
        names: of this run.
        began_at: moment from which harvests count back, in seconds since the epoch.
    """

    def __init__(self, edge: RpcEdge, plan: Plan, names: Names, began_at: float) -> None:
        self._edge = edge
        self._plan = plan
        self._names = names
        self._now = datetime.fromtimestamp(int(began_at), UTC)
        self.growers: list[Session] = []
        self.guests: list[Session] = []
        self.venues: list[Venue] = []

    async def open(self, on_progress: Callable[[], None]) -> None:
        """Register and log in everyone, open the venues and fill their stock."""

        async def person(role_and_number: tuple[str, int]) -> Session:
            session = await self._person(*role_and_number)
            on_progress()
            return session

        plan = self._plan
        at_once = _REGISTRATIONS_AT_ONCE
        self.growers = await _each(range(plan.growers), lambda n: person(("grower", n)), at_once)
        self.guests = await _each(range(plan.guests), lambda n: person(("guest", n)), at_once)
        managers = await _each(range(plan.venues), lambda n: person(("venue", n)), at_once)
        self.venues = await _each(
            range(plan.venues), lambda n: self._venue(n, managers[n]), plan.in_flight // 4 or 1
        )

    async def harvest(self, number: int) -> int:
        """Mint a harvest and split it; how many lots that made."""
        parts = self._plan.parts(number)
        grower = self._growers_turn(number)
        code = self._names.lot_code(f"H{number:06}")
        lot = await self._mint(number, grower, code, _HARVEST_KILOGRAMS)
        if parts:
            share = quantity(_HARVEST_KILOGRAMS // 10, "KGM")
            codes = [(f"{code}-{part + 1}", share) for part in range(parts)]
            request = split(lot.lot_id, codes, request_id=self._names.request_id("split", code))
            await self._edge.call(self._edge.crops.SplitLot, request, grower)
        return 1 + parts

    async def order(self, number: int) -> int:
        """One order of one to three kinds of items; what is ordered follows from its number."""
        shop = self.venues[number % len(self.venues)]
        kinds = min(1 + number // 7 % 3, len(shop.menu_item_ids))
        first = number // 3
        items = [
            orders_pb2.CartItem(
                menu_item_id=shop.menu_item_ids[(first + kind) % len(shop.menu_item_ids)],
                quantity=1 + (number + kind) % 3,
            )
            for kind in range(kinds)
        ]
        request = orders_pb2.CheckoutRequest(
            request_id=self._names.request_id("order", number), payment_method=_CARD, items=items
        )
        # Not `number % guests`: each venue would see the same few guests.
        guest = self.guests[number // len(self.venues) % len(self.guests)]
        await self._edge.call(self._edge.orders.Checkout, request, guest)
        return 1

    async def lots_seen(self) -> int:
        """How many lots of this run the API lists."""

        async def of(grower: Session) -> int:
            request, seen = crops_pb2.ListLotsRequest(grower_id=grower.user_id, page_size=1000), 0
            while True:
                page = await self._edge.call(self._edge.lots.ListLots, request, grower)
                seen += len(page.lots)
                if not page.next_page_token:
                    return seen
                request.page_token = page.next_page_token

        return sum([await of(grower) for grower in self.growers])

    async def orders_seen(self) -> int:
        """How many fulfilled orders of this run the API lists."""

        async def of(guest: Session) -> int:
            request = orders_pb2.ListOrdersRequest(
                page_size=1000, state=orders_pb2.OrderState.ORDER_STATE_FULFILLED
            )
            seen = 0
            while True:
                page = await self._edge.call(self._edge.orders.ListOrders, request, guest)
                seen += len(page.orders)
                if not page.next_page_token:
                    return seen
                request.page_token = page.next_page_token

        return sum([await of(guest) for guest in self.guests])

    async def _person(self, role: str, number: int) -> Session:
        who = f"{role}{number}"
        email, password = self._names.email(who), self._names.password(who)
        request_id = self._names.request_id("person", who)
        request = registration(f"{role} {number}", role, email, password, request_id=request_id)
        # In bulk nobody wants an e-mail for every step of fifty thousand orders.
        request.preferences.order_updates = False
        await self._edge.call(self._edge.users.CreateUser, request)
        return await Session.open(self._edge, Credentials(email, password))

    async def _venue(self, number: int, manager: Session) -> Venue:
        names, edge = self._names, self._edge
        place = data.KITCHEN if number % 2 else data.MARKET
        request = venue(place, f"{place.name} {number}", request_id=names.request_id("venue", number))
        venue_id = (await edge.call(edge.catalog.CreateVenue, request, manager)).venue_id
        lots, items = [], []
        for product in range(self._plan.products):
            lots.append(await self._stock(number, product, venue_id, manager))
            slug, commodity = data.COMMODITIES[self._product(number, product)]
            # Prices are multiples of 25 cents: no total is one of the simulator's magic amounts.
            dish = data.Dish(f"{commodity} plate", "", 525 + 125 * product, {slug: _PORTION_GRAMS})
            on_menu = menu_item(dish, venue_id, request_id=names.request_id("dish", number, product))
            items.append((await edge.call(edge.catalog.CreateMenuItem, on_menu, manager)).menu_item_id)
        return Venue(venue_id, tuple(items), tuple(lots))

    async def _stock(self, number: int, product: int, venue_id: str, manager: Session) -> str:
        names, edge = self._names, self._edge
        grower = self._growers_turn(number)
        code = names.lot_code(f"S{number:02}", product)
        lot = await self._mint(self._product(number, product), grower, code, _STOCK_KILOGRAMS)
        transfer = crops_pb2.TransferLotRequest(
            request_id=names.request_id("transfer", code),
            lot_id=lot.lot_id,
            new_owner_id=manager.user_id,
            reference_document=f"BOL-{code}"[:100],
        )
        await edge.call(edge.crops.TransferLot, transfer, grower)
        receipt = inventory_pb2.ReceiveStockRequest(
            request_id=names.request_id("receipt", code),
            venue_id=venue_id,
            lot_id=lot.lot_id,
            quantity=quantity(_STOCK_KILOGRAMS, "KGM"),
        )
        await edge.call(edge.inventory.ReceiveStock, receipt, manager)
        return lot.lot_id

    async def _mint(self, kind: int, grower: Session, code: str, kilograms: int) -> crops_pb2.Lot:
        slug, commodity = data.COMMODITIES[kind % len(data.COMMODITIES)]
        harvest = data.Harvest(
            slug,
            commodity,
            "",
            Decimal(kilograms),
            "KGM",
            f"Field {kind % 40}",
            "+00:00",
            timedelta(hours=6 + kind % 48),
            timedelta(days=30 + kind % 60),
        )
        farm = data.FARMS[kind % len(data.FARMS)]
        request_id = self._names.request_id("mint", code)
        request = mint(harvest, farm, code, self._now, request_id=request_id)
        return await self._edge.call(self._edge.crops.MintLot, request, grower)

    def _growers_turn(self, number: int) -> Session:
        return self.growers[number % len(self.growers)]

    def _product(self, venue_number: int, product: int) -> int:
        return (venue_number + product) % len(data.COMMODITIES)


async def _each(of: Iterable[P], make: Callable[[P], Awaitable[T]], at_once: int) -> list[T]:
    """Make one for each, so many at once; in the order of what they are made of."""
    gate = asyncio.Semaphore(at_once)

    async def gated(value: P) -> T:
        async with gate:
            return await make(value)

    return list(await asyncio.gather(*(gated(value) for value in of)))
