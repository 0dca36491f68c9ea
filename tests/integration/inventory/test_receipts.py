"""Lots come into stock, never more of one than there is."""

from decimal import Decimal

import pytest

from chassis.context import Principal
from chassis.errors import DomainError
from chassis.quantity import Quantity
from tests.integration.inventory.conftest import OWNER, STRANGER, VENUE, Inventory, new_id


async def reason_of(call) -> str:
    with pytest.raises(DomainError) as caught:
        await call
    return caught.value.reason


async def test_a_lot_may_be_received_in_parts_up_to_its_quantity(inventory: Inventory):
    lot_id = inventory.lot("1", "KGM")
    await inventory.receive(OWNER, VENUE, lot_id, Quantity.of("400", "GRM"))
    item = await inventory.receive(OWNER, VENUE, lot_id, Quantity.of("0.6", "KGM"))
    assert str(item.on_hand) == "0.6 KGM"
    one_gram = inventory.receive(OWNER, VENUE, lot_id, Quantity.of("1", "GRM"))
    assert await reason_of(one_gram) == "QUANTITY_EXCEEDED"
    assert await inventory.received(lot_id) == Decimal(1)


async def test_what_rounds_to_nothing_in_the_lots_unit_is_nothing(inventory: Inventory):
    lot_id = inventory.lot("1", "KGM")
    crumb = inventory.receive(OWNER, VENUE, lot_id, Quantity.of("0.0004", "GRM"))
    assert await reason_of(crumb) == "QUANTITY_ZERO"


async def test_a_receipt_needs_both_lot_and_venue(inventory: Inventory):
    lot_id, one = inventory.lot(), Quantity.of(1, "H87")
    assert await reason_of(inventory.receive(STRANGER, VENUE, lot_id, one)) == "NOT_OWNER"
    assert await reason_of(inventory.receive(OWNER, new_id(), lot_id, one)) == "VENUE_NOT_FOUND"
    assert await reason_of(inventory.receive(OWNER, VENUE, new_id(), one)) == "LOT_NOT_FOUND"
    mass = Quantity.of(1, "KGM")
    assert await reason_of(inventory.receive(OWNER, VENUE, lot_id, mass)) == "UNIT_MISMATCH"


async def test_a_recall_that_came_by_event_stops_a_receipt_although_crops_is_behind(inventory: Inventory):
    lot_id = inventory.lot()
    await inventory.quarantine(lot_id)
    call = inventory.receive(OWNER, VENUE, lot_id, Quantity.of(1, "H87"))
    assert await reason_of(call) == "LOT_RECALLED"
    assert inventory.crops.lots[lot_id].committed.is_zero


async def test_a_recall_that_crops_knows_of_stops_a_receipt_although_no_event_came(inventory: Inventory):
    lot_id = inventory.lot()
    inventory.crops.recall(lot_id)
    call = inventory.receive(OWNER, VENUE, lot_id, Quantity.of(1, "H87"))
    assert await reason_of(call) == "LOT_RECALLED"


async def test_stock_is_shown_to_its_venue_and_to_those_who_may_see_all(inventory: Inventory):
    item = await inventory.stocked()
    assert await inventory.queries.get(item.stock_item_id, Principal(OWNER, "user")) == item
    auditor = Principal(STRANGER, "user", permissions=frozenset({"inventory.read"}))
    assert await inventory.queries.page(auditor, VENUE, None, None, None, 10) == [item]
    stranger = Principal(STRANGER, "user", roles=frozenset({"operator"}))
    assert await reason_of(inventory.queries.get(item.stock_item_id, stranger)) == "NOT_OWNER"
    assert await reason_of(inventory.queries.get(new_id(), stranger)) == "STOCK_ITEM_NOT_FOUND"
    listing = inventory.queries.page(stranger, VENUE, None, None, None, 10)
    assert await reason_of(listing) == "NOT_OWNER"
    service = Principal("orders", "service")
    assert await reason_of(inventory.queries.get(item.stock_item_id, service)) == "NOT_OWNER"


async def test_a_listing_is_in_the_order_of_use_and_pages_join(inventory: Inventory):
    items = [await inventory.stocked(days=days) for days in (5, 2, 9, 2)]
    expected = sorted(items, key=lambda item: (item.expires_at, item.stock_item_id))
    owner, seen, after = Principal(OWNER, "user"), [], None
    while page := await inventory.queries.page(owner, VENUE, "kale", None, after, 3):
        seen += page
        after = (page[-1].expires_at, page[-1].stock_item_id)
    assert seen == expected
    one = await inventory.queries.page(owner, VENUE, None, items[0].lot_id, None, 3)
    assert one == [items[0]]
    assert await inventory.queries.page(owner, VENUE, "leek", None, None, 3) == []
