"""People and goods that the tests of a whole fleet begin with."""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from fleet.client import RpcEdge, Session
from fleet.demo import data
from fleet.demo.people import Person, log_in, register_by_rpc
from fleet.demo.requests import menu_item, mint, new_request_id, quantity, venue
from greenledger.crops.v1 import crops_pb2
from greenledger.inventory.v1 import inventory_pb2


@dataclass(frozen=True, slots=True)
class Shop:
    """A venue that sells portions of 100 g from one lot."""

    grower: Session
    manager: Session
    venue_id: str
    lot_id: str
    menu_item_id: str


async def newcomer(edge: RpcEdge, role: str) -> tuple[Person, Session]:
    """Someone who just registered, logged in."""
    name = f"{role}-{secrets.token_hex(6)}"
    person = await register_by_rpc(edge, name, role, f"{name}@example.com")
    return person, await log_in(edge, person)


async def open_shop(edge: RpcEdge, *, portions: int, price_minor: int = 500) -> Shop:
    """A venue with so many portions in stock and one item on its menu."""
    grower, manager = (await newcomer(edge, "grower"))[1], (await newcomer(edge, "venue"))[1]
    harvest = replace(data.CUCUMBER, unit="GRM", amount=Decimal(portions * 100))
    code = f"T-{secrets.token_hex(6)}"
    lot = await edge.call(edge.crops.MintLot, mint(harvest, data.FARM, code, datetime.now(UTC)), grower)
    transfer = crops_pb2.TransferLotRequest(
        request_id=new_request_id(), lot_id=lot.lot_id, new_owner_id=manager.user_id
    )
    await edge.call(edge.crops.TransferLot, transfer, grower)
    opened = await edge.call(edge.catalog.CreateVenue, venue(data.KITCHEN, f"Shop {code}"), manager)
    receipt = inventory_pb2.ReceiveStockRequest(
        request_id=new_request_id(),
        venue_id=opened.venue_id,
        lot_id=lot.lot_id,
        quantity=quantity(portions * 100, "GRM"),
    )
    await edge.call(edge.inventory.ReceiveStock, receipt, manager)
    dish = data.Dish("Cucumber portion", "", price_minor, {"cucumber": 100})
    item = await edge.call(edge.catalog.CreateMenuItem, menu_item(dish, opened.venue_id), manager)
    return Shop(grower, manager, opened.venue_id, lot.lot_id, item.menu_item_id)
