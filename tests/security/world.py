"""The people and things that the tables of bad input name."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.type.money_pb2 import Money

from chassis.testing import eventually
from fleet.client import RpcEdge, Session
from fleet.demo import data
from fleet.demo.requests import mint, new_request_id
from fleet.testing.running import RunningFleet
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.control.v1 import control_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.market.v1 import campaigns_pb2, market_pb2, pools_pb2
from greenledger.notifications.v1 import notifications_pb2
from greenledger.orders.v1 import orders_pb2
from tests.e2e.people import newcomer, open_shop
from tests.security.calls import CONTRACTS, METHODS
from tests.security.forging import Forge

PERMISSIONS = {
    access.permission
    for method in METHODS.values()
    if (access := CONTRACTS.access(method)) is not None and access.permission
}


@dataclass(frozen=True)
class World:
    """Plain data, so that every test may use it on an event loop of its own.

    Args:
        forge: makes tokens.
        ids: by the names that the tables use in braces; `lot` is received whole, `free_lot` is the grower's.
        tokens: authorization headers by caller; `anyone` has every permission and owns nothing,
            `tester` is a service with every permission that is none of the fleet's.
    """

    forge: Forge
    ids: Mapping[str, str]
    tokens: Mapping[str, str]

    def fill(self, value: Any) -> Any:
        """Replace the names in braces, at any depth."""
        if isinstance(value, str):
            return value.format_map(_Fresh(self.ids)) if "{" in value else value
        if isinstance(value, dict):
            return {name: self.fill(part) for name, part in value.items()}
        return [self.fill(part) for part in value] if isinstance(value, list) else value


class _Fresh(dict[str, str]):
    """Ids by name; `{request}` and `{nobody}` are new each time."""

    def __missing__(self, name: str) -> str:
        if name == "code":
            return secrets.token_hex(8)
        return new_request_id()


async def build(fleet: RunningFleet) -> World:
    """Register everyone and make one of each thing through the edge."""
    async with RpcEdge(fleet.edge_url) as edge:
        shop = await open_shop(edge, portions=100)
        # Of this one nobody recalls the lot, whatever else the rows try.
        other_shop = await open_shop(edge, portions=20)
        people = {name: await newcomer(edge, role) for name, role in _ROLES.items()}
        sessions = {name: session for name, (_, session) in people.items()}
        sessions |= {"grower": shop.grower, "manager": shop.manager}
        sessions["operator"] = await Session.open(edge, fleet.operator)
        guest = sessions["guest"]
        harvest = mint(data.CUCUMBER, data.FARM, f"W-{secrets.token_hex(6)}", datetime.now(UTC))
        free_lot = await edge.call(edge.crops.MintLot, harvest, shop.grower)
        on_sale = await _market(edge, shop.grower, shop.manager)
        on_sale |= await _pool(edge, shop.grower, on_sale["sale_lot"])
        request = orders_pb2.CheckoutRequest(
            request_id=new_request_id(),
            payment_method="pm_card",
            items=[orders_pb2.CartItem(menu_item_id=shop.menu_item_id, quantity=1)],
        )
        order = await edge.call(edge.orders.Checkout, request, guest)
        stock = await edge.call(
            edge.inventory.ListStock, inventory_pb2.ListStockRequest(venue_id=shop.venue_id), shop.manager
        )

        async def notification() -> str:
            asked = notifications_pb2.ListNotificationsRequest()
            listed = await edge.call(edge.notifications.ListNotifications, asked, guest)
            return listed.notifications[0].notification_id if listed.notifications else ""

        ids = {
            "lot": shop.lot_id,
            "free_lot": free_lot.lot_id,
            **on_sale,
            "venue": shop.venue_id,
            "item": shop.menu_item_id,
            "good_item": other_shop.menu_item_id,
            "stock": stock.stock_items[0].stock_item_id,
            "order": order.order_id,
            "notification": await eventually(notification),
            "email": people["guest"][0].credentials.email,
            "instance": await _instance(edge, sessions["operator"]),
        }
        ids |= {f"{name}_id": session.user_id for name, session in sessions.items()}
        forge = await Forge.of(fleet)
        tokens = {name: f"Bearer {await session.bearer()}" for name, session in sessions.items()}
        tokens["anyone"] = f"Bearer {forge.user(PERMISSIONS)}"
        tokens["user"] = f"Bearer {forge.user([])}"
        tokens["tester"] = f"Bearer {forge.service(PERMISSIONS)}"
    return World(forge, ids, tokens)


async def _market(edge: RpcEdge, seller: Session, buyer: Session) -> dict[str, str]:
    """A lot with a part of it on sale and a part of that sold; a collection without it."""
    harvest = mint(data.CUCUMBER, data.FARM, f"W-{secrets.token_hex(6)}", datetime.now(UTC))
    lot = await edge.call(edge.crops.MintLot, harvest, seller)
    collection = market_pb2.CreateCollectionRequest(request_id=new_request_id(), name="Autumn")
    offered = market_pb2.CreateListingRequest(
        request_id=new_request_id(),
        lot_id=lot.lot_id,
        quantity=Quantity(amount="10", unit_code="KGM"),
        unit_price=Money(currency_code="USD", units=2),
    )
    listing = await edge.call(edge.market.CreateListing, offered, seller)
    wish = market_pb2.BuyFromListingRequest(
        request_id=new_request_id(),
        listing_id=listing.listing_id,
        quantity=Quantity(amount="1", unit_code="KGM"),
        payment_method="pm_card",
    )
    return {
        "sale_lot": lot.lot_id,
        "listing": listing.listing_id,
        "collection": (await edge.call(edge.market.CreateCollection, collection, seller)).collection_id,
        "purchase": (await edge.call(edge.market.BuyFromListing, wish, buyer)).purchase_id,
    }


async def _instance(edge: RpcEdge, operator: Session) -> str:
    """Id of the instance of trace."""
    asked = control_pb2.ListInstancesRequest(service="trace")
    return (await edge.call(edge.registry.ListInstances, asked, operator)).instances[0].instance_id


async def _pool(edge: RpcEdge, grower: Session, lot_id: str) -> dict[str, str]:
    """A pool of 10 lbs of cucumbers against 50 dollars, the payment behind it; the draft of a campaign."""
    money = Money(currency_code="USD", units=50)
    pounds = Quantity(amount="10", unit_code="LBR")
    pool = pools_pb2.CreatePoolRequest(
        request_id=new_request_id(), product_code="cucumber", unit_code="LBR", currency_code="USD"
    )
    made = await edge.call(edge.pools.CreatePool, pool, grower)
    goods = pools_pb2.DepositGoodsRequest(request_id=new_request_id(), lot_id=lot_id, quantity=pounds)
    await edge.call(edge.pools.DepositGoods, goods, grower)
    payment = pools_pb2.DepositMoneyRequest(
        request_id=new_request_id(),
        amount=Money(currency_code="USD", units=100),
        payment_method="pm_card",
    )
    deposit = await edge.call(edge.pools.DepositMoney, payment, grower)
    funding = pools_pb2.AddLiquidityRequest(
        request_id=new_request_id(), pool_id=made.pool_id, max_goods=pounds, max_money=money
    )
    await edge.call(edge.pools.AddLiquidity, funding, grower)
    news = campaigns_pb2.CreateCampaignRequest(
        request_id=new_request_id(), product_code="cucumber", title="New", message="Come and see."
    )
    campaign = await edge.call(edge.campaigns.CreateCampaign, news, grower)
    return {
        "pool": made.pool_id,
        "deposit": deposit.settlement_id,
        "campaign": campaign.campaign_id,
    }


_ROLES = {"guest": "guest", "stranger": "guest", "other_grower": "grower", "other_manager": "venue"}
