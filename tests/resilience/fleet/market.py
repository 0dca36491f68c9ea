"""A small market on a live fleet: a grower, a venue with stock and a menu, a guest who orders."""

import itertools
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from chassis.testing import eventually
from fleet.client import CallFailed, Credentials, RpcEdge, Session
from fleet.testing.live import LiveFleet
from greenledger.catalog.v1 import catalog_pb2
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import orders_pb2
from greenledger.users.v1 import users_pb2

T = TypeVar("T")

PASSWORD = "green tomatoes 42"
CARD = "pm_card"
DECLINED_CARD = "pm_declined"
PRICE_MINOR = 1250
_PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED"}
_DEFECTS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNIMPLEMENTED"}
_numbers = itertools.count(1)


def new_id() -> str:
    """A fresh request id."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Goods:
    """A lot in stock, and a dish of which each portion takes one kilogram of it."""

    lot_id: str
    product_code: str
    menu_item_id: str


class Market:
    """The people and their goods.

    Args:
        live: the fleet.
        rpc: where the calls to a service go; default the service's own port.
    """

    def __init__(self, live: LiveFleet, rpc: Callable[[str], RpcEdge] | None = None) -> None:
        self.live = live
        self.rpc = rpc or live.rpc
        self.operator: Session
        self.grower: Session
        self.owner: Session
        self.guest: Session
        self.venue_id = ""
        self.goods: Goods
        self.refusals: list[str] = []

    async def open(self) -> None:
        """Register everybody, open the venue and put one dish on its menu."""
        self.operator = await Session.open(self.rpc("auth"), self.live.operator)
        self.grower = await self.log_in(await self.register("grower"))
        self.owner = await self.log_in(await self.register("venue"))
        self.guest = await self.log_in(await self.register("guest"))
        catalog = self.rpc("catalog")
        venue = await catalog.call(
            catalog.catalog.CreateVenue,
            catalog_pb2.CreateVenueRequest(
                request_id=new_id(),
                name="Market Kitchen",
                address=catalog_pb2.Address(city="Salinas", country_code="US"),
            ),
            self.owner,
        )
        self.venue_id = venue.venue_id
        self.goods = await self.stocked()

    def registration(self, role: str = "guest") -> users_pb2.CreateUserRequest:
        """A registration of somebody new."""
        number = next(_numbers)
        return users_pb2.CreateUserRequest(
            request_id=new_id(),
            email=f"person{number}.{uuid.uuid4().hex[:8]}@example.com",
            password=PASSWORD,
            display_name=f"Person {number}",
            role=role,
        )

    async def register(self, role: str) -> Credentials:
        """Somebody new."""
        users = self.rpc("users")
        request = self.registration(role)
        await users.call(users.users.CreateUser, request)
        return Credentials(request.email, request.password)

    async def log_in(self, credentials: Credentials) -> Session:
        """A login at auth."""
        return await Session.open(self.rpc("auth"), credentials)

    async def mint(self, product_code: str, kilograms: int = 1000) -> str:
        """A lot of the grower; its id."""
        crops = self.rpc("crops")
        now = datetime.now(UTC)
        lot = await crops.call(
            crops.crops.MintLot,
            crops_pb2.MintLotRequest(
                request_id=new_id(),
                lot_code=f"LOT-{uuid.uuid4().hex[:12]}",
                product_code=product_code,
                quantity=Quantity(amount=str(kilograms), unit_code="KGM"),
                origin=crops_pb2.Origin(farm_name="River Farm", country_code="US"),
                harvest_time=_stamp(now - timedelta(days=1)),
                expire_time=_stamp(now + timedelta(days=10)),
            ),
            self.grower,
        )
        return lot.lot_id

    async def transfer(
        self, lot_id: str, new_owner_id: str, request_id: str = "", by: Session | None = None
    ) -> crops_pb2.Lot:
        """Hand a lot over; by default the grower does."""
        crops = self.rpc("crops")
        request = crops_pb2.TransferLotRequest(
            request_id=request_id or new_id(),
            lot_id=lot_id,
            new_owner_id=new_owner_id,
            reference_document="BOL-1",
        )
        return await crops.call(crops.crops.TransferLot, request, by or self.grower)

    async def recall(self, lot_id: str, request_id: str = "") -> crops_pb2.RecallLotResponse:
        """Recall a lot; when it is answered its stock is blocked."""
        crops = self.rpc("crops")
        request = crops_pb2.RecallLotRequest(
            request_id=request_id or new_id(),
            lot_id=lot_id,
            reason="listeria",
            recall_class=crops_pb2.RECALL_CLASS_I,
        )
        return await crops.call(crops.crops.RecallLot, request, self.grower)

    async def release_recall(self, lot_id: str) -> None:
        """End the recall of a lot."""
        crops = self.rpc("crops")
        request = crops_pb2.ReleaseRecallRequest(request_id=new_id(), lot_id=lot_id, reason="clean")
        await crops.call(crops.crops.ReleaseRecall, request, self.operator)

    async def stocked(self, kilograms: int = 1000, price_minor: int = PRICE_MINOR) -> Goods:
        """A lot of a new product in the venue's stock, and a dish made of it."""
        product = f"tomato-{uuid.uuid4().hex[:10]}"
        lot_id = await self.mint(product, kilograms)
        await self.transfer(lot_id, self.owner.user_id)
        await self.receive(lot_id, kilograms)
        return Goods(lot_id, product, await self.dish(product, price_minor))

    async def receive(self, lot_id: str, kilograms: int, request_id: str = "") -> inventory_pb2.StockItem:
        """Take a lot of the venue's owner into the venue's stock."""
        inventory = self.rpc("inventory")
        receipt = inventory_pb2.ReceiveStockRequest(
            request_id=request_id or new_id(),
            venue_id=self.venue_id,
            lot_id=lot_id,
            quantity=Quantity(amount=str(kilograms), unit_code="KGM"),
        )
        return await inventory.call(inventory.inventory.ReceiveStock, receipt, self.owner)

    async def dish(self, product_code: str, price_minor: int) -> str:
        """A dish on the menu, one kilogram each; its id."""
        catalog = self.rpc("catalog")
        units, cents = divmod(price_minor, 100)
        request = catalog_pb2.CreateMenuItemRequest(
            request_id=new_id(),
            venue_id=self.venue_id,
            name=f"Salad at {price_minor}",
            price=Money(currency_code="USD", units=units, nanos=cents * 10_000_000),
            ingredients=[
                catalog_pb2.Ingredient(
                    product_code=product_code, quantity=Quantity(amount="1", unit_code="KGM")
                )
            ],
        )
        return (await catalog.call(catalog.catalog.CreateMenuItem, request, self.owner)).menu_item_id

    async def order(
        self, request_id: str, menu_item_id: str = "", method: str = CARD, count: int = 1
    ) -> orders_pb2.Order:
        """One checkout."""
        orders = self.rpc("orders")
        request = orders_pb2.CheckoutRequest(
            request_id=request_id,
            payment_method=method,
            items=[orders_pb2.CartItem(menu_item_id=menu_item_id or self.goods.menu_item_id, quantity=count)],
        )
        return await orders.call(orders.orders.Checkout, request, self.guest)

    async def outcome(self, request_id: str, menu_item_id: str = "", method: str = CARD) -> str:
        """Ask until the answer is final: the order's state, or the reason of the refusal."""

        async def ask() -> str:
            order = await self.order(request_id, menu_item_id, method)
            return str(orders_pb2.OrderState.Name(order.state)).removeprefix("ORDER_STATE_")

        return await self.patiently(ask)

    async def patiently(self, ask: Callable[[], Awaitable[T]], timeout_s: float = 40.0) -> T | str:
        """Repeat a call that meets an outage, as a client should; a final refusal gives its reason.

        Raises:
            RuntimeError: the fleet said something that a client must never see.
            AssertionError: no final answer in time.
        """

        async def answered() -> tuple[T | str] | None:
            try:
                return (await ask(),)
            except CallFailed as failure:
                self.refusals.append(f"{failure.code} {failure.reason}")
                if failure.code in _PASSING:
                    return None
                if failure.code in _DEFECTS or not failure.reason:
                    raise RuntimeError(f"{failure.code} {failure.reason}: {failure.message}") from failure
                return (failure.reason,)

        try:
            found = await eventually(answered, timeout_s, interval_s=0.05, ignore=())
        except AssertionError as error:
            raise AssertionError(
                f"no final answer: {self.refusals[-5:]}; {await self._under_way()}"
            ) from error
        assert found is not None
        return found[0]

    async def _under_way(self) -> list[dict[str, Any]]:
        sql = """
        SELECT s.saga_id, s.state, p.step, p.direction, p.state AS step_state, p.attempts, p.error
        FROM saga s JOIN saga_step p USING (saga_id)
        WHERE s.state NOT IN ('COMPLETED', 'COMPENSATED') ORDER BY p.started_at
        """
        found: list[dict[str, Any]] = []
        for service in ("orders", "crops", "users", "inventory", "market"):
            found += [dict(row) for row in await self.live.fetch(service, sql)]
        return found

    async def order_id(self, request_id: str) -> str:
        """The order of a request, once there is one."""
        sql = "SELECT order_id::text FROM customer_order WHERE request_id = $1"
        found: Any = await eventually(lambda: self.live.fetchval("orders", sql, request_id), 20)
        return str(found)


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
