"""A quarantine takes items off the menu once, and its end brings them back."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from chassis.testing.service import ServiceUnderTest, received
from greenledger.catalog.v1 import catalog_pb2 as pb
from greenledger.catalog.v1.events_pb2 import MenuItemDelisted
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.inventory.v1.events_pb2 import QuarantineLifted, StockQuarantined
from tests.integration.catalog.test_catalog import LEEK, a_venue, an_item, refused, update

LOT = "11111111-1111-4111-8111-111111111111"
REFUSED = (grpc.StatusCode.FAILED_PRECONDITION, "LOT_RECALLED")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OF_LOT = pb.Ingredient(lot_id=LOT, quantity=Quantity(amount="1", unit_code="KGM"))
OF_KALE = pb.Ingredient(product_code="kale", quantity=Quantity(amount="1", unit_code="KGM"))


async def hear(service: ServiceUnderTest, fact: Message, minute: int) -> None:
    """An event that occurred so many minutes after the beginning."""
    topic = "quarantined" if isinstance(fact, StockQuarantined) else "quarantine-lifted"
    handlers: dict[str, Any] = {entry.topic: entry.handler for entry in service.service.subscriptions}
    event = received(f"inventory.{topic}", fact)._replace(occurred_time=BEGIN + timedelta(minutes=minute))
    async with service.runtime.database.transaction() as tx:
        await handlers[event.type](event, tx)


def blocked(venue: pb.Venue, stock: str = "s1", recall: str = "r1", lot: str = LOT) -> StockQuarantined:
    return StockQuarantined(
        stock_item_id=stock, venue_id=venue.venue_id, lot_id=lot, product_code="leek", recall_id=recall
    )


def lifted(venue: pb.Venue, stock: str = "s1", recall: str = "r1") -> QuarantineLifted:
    return QuarantineLifted(stock_item_id=stock, venue_id=venue.venue_id, lot_id=LOT, recall_id=recall)


async def read(stub, item: pb.MenuItem) -> tuple[bool, list[str]]:
    found = await stub.GetMenuItem(pb.GetMenuItemRequest(menu_item_id=item.menu_item_id))
    return found.available, list(found.recall_ids)


async def delisted(service: ServiceUnderTest) -> list[tuple[str, str]]:
    told = []
    for event in await service.published("catalog.menu-item-delisted"):
        payload = MenuItemDelisted()
        assert event.payload.Unpack(payload)
        told.append((payload.menu_item_id, payload.recall_id))
    return sorted(told)


async def test_what_names_the_lot_or_the_product_leaves_the_menu_of_that_venue(service, stub, ann):
    venue, other = await a_venue(stub, ann), await a_venue(stub, ann)
    special = await an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT])
    soup = await an_item(stub, ann, venue.venue_id)
    kale = await an_item(stub, ann, venue.venue_id, ingredients=[OF_KALE])
    elsewhere = await an_item(stub, ann, other.venue_id, ingredients=[OF_LOT])
    for _ in range(2):
        await hear(service, blocked(venue), 1)
    await hear(service, blocked(venue, stock="s2"), 1)
    assert [await read(stub, item) for item in (special, soup)] == [(False, ["r1"])] * 2
    assert [await read(stub, item) for item in (kale, elsewhere)] == [(True, [])] * 2
    taken = sorted((item.menu_item_id, "r1") for item in (special, soup))
    assert await delisted(service) == taken
    on_menu = await stub.ListMenuItems(pb.ListMenuItemsRequest(venue_id=venue.venue_id, available_only=True))
    assert [item.menu_item_id for item in on_menu.menu_items] == [kale.menu_item_id]


async def test_the_venue_puts_back_what_names_the_product_and_it_stays(service, stub, ann):
    venue = await a_venue(stub, ann)
    soup = await an_item(stub, ann, venue.venue_id)
    await hear(service, blocked(venue), 1)
    await update(stub, ann, soup, "available", available=True, etag="")
    await hear(service, blocked(venue, stock="s2"), 2)
    assert await read(stub, soup) == (True, [])
    await hear(service, blocked(venue, recall="r2"), 3)
    assert await read(stub, soup) == (False, ["r2"])


async def test_what_names_the_lot_is_refused_while_it_is_in_quarantine(service, stub, ann):
    venue = await a_venue(stub, ann)
    special = await an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT])
    soup = await an_item(stub, ann, venue.venue_id, ingredients=[OF_KALE])
    await hear(service, blocked(venue), 1)
    relist = update(stub, ann, special, "available", available=True, etag="")
    assert await refused(relist) == REFUSED
    assert await refused(an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT])) == REFUSED
    assert await refused(update(stub, ann, soup, "ingredients", ingredients=[OF_LOT])) == REFUSED
    renamed = await update(stub, ann, special, "name", name="Gone", etag="")
    assert not renamed.available
    remade = await update(
        stub, ann, special, "ingredients", "available", ingredients=[LEEK], available=True, etag=""
    )
    assert (remade.available, list(remade.recall_ids)) == (True, [])


async def test_the_end_of_all_quarantines_brings_back_what_only_recalls_took_off(service, stub, ann):
    venue = await a_venue(stub, ann)
    special = await an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT])
    hidden = await an_item(stub, ann, venue.venue_id)
    await update(stub, ann, hidden, "available", available=False)
    await hear(service, blocked(venue), 1)
    await hear(service, blocked(venue, stock="s2"), 1)
    await hear(service, lifted(venue), 2)
    assert await read(stub, special) == (False, ["r1"])
    await hear(service, lifted(venue, stock="s2"), 3)
    assert [await read(stub, item) for item in (special, hidden)] == [(True, []), (False, [])]
    again = await update(stub, ann, special, "available", available=True, etag="")
    assert again.available


async def test_an_end_that_overtakes_its_quarantine_counts(service, stub, ann):
    venue = await a_venue(stub, ann)
    special = await an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT])
    await hear(service, lifted(venue), 2)
    await hear(service, blocked(venue), 1)
    assert await read(stub, special) == (True, [])
    await hear(service, blocked(venue, recall="r2"), 3)
    assert await read(stub, special) == (False, ["r2"])


async def test_a_quarantine_without_a_recall_is_of_before_and_takes_nothing_off(service, stub, ann):
    venue = await a_venue(stub, ann)
    special = await an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT])
    await hear(service, blocked(venue, recall=""), 1)
    assert await read(stub, special) == (True, [])


@pytest.mark.parametrize("round_", range(5))
async def test_whoever_is_first_no_item_that_names_the_lot_is_offered(service, stub, ann, round_):
    venue = await a_venue(stub, ann)
    soup = await an_item(stub, ann, venue.venue_id, ingredients=[OF_KALE])
    outcomes = await asyncio.gather(
        hear(service, blocked(venue), 1),
        an_item(stub, ann, venue.venue_id, ingredients=[OF_LOT], request_id=str(uuid.uuid4())),
        update(stub, ann, soup, "ingredients", ingredients=[OF_LOT]),
        return_exceptions=True,
    )
    assert outcomes[0] is None
    menu = await stub.ListMenuItems(pb.ListMenuItemsRequest(venue_id=venue.venue_id, available_only=True))
    assert all(OF_LOT not in item.ingredients for item in menu.menu_items), outcomes
