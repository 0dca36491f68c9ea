"""Venues and menus: who may write, what a change needs, and what prices there were."""

import asyncio
import uuid

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money

from greenledger.catalog.v1 import catalog_pb2 as pb
from greenledger.catalog.v1.events_pb2 import MenuItemChanged
from greenledger.common.v1.quantity_pb2 import Quantity
from interceptors.testing import reason


def leek(amount: str, unit: str) -> pb.Ingredient:
    return pb.Ingredient(product_code="leek", quantity=Quantity(amount=amount, unit_code=unit))


LEEK = leek("0.2", "KGM")


def dollars(units: int) -> Money:
    return Money(currency_code="USD", units=units)


async def a_venue(stub, owner, **changes: object) -> pb.Venue:
    address = pb.Address(city="Oslo", country_code="NO", phone="+47 1")
    facts = {"request_id": str(uuid.uuid4()), "name": "Bistro", "address": address} | changes
    return await stub.CreateVenue(pb.CreateVenueRequest(**facts), metadata=owner)


async def an_item(stub, owner, venue_id: str, **changes: object) -> pb.MenuItem:
    facts = {"name": "Soup", "price": dollars(5), "ingredients": [LEEK], "request_id": str(uuid.uuid4())}
    request = pb.CreateMenuItemRequest(**(facts | {"venue_id": venue_id} | changes))
    return await stub.CreateMenuItem(request, metadata=owner)


async def update(stub, owner, item: pb.MenuItem, *paths: str, **changes: object) -> pb.MenuItem:
    facts = {"menu_item_id": item.menu_item_id, "etag": item.etag} | changes
    request = pb.UpdateMenuItemRequest(menu_item=pb.MenuItem(**facts), update_mask=FieldMask(paths=paths))
    return await stub.UpdateMenuItem(request, metadata=owner)


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), reason(caught.value)


async def test_a_venue_and_its_menu_are_read_back_by_anyone(service, stub, ann):
    venue = await a_venue(stub, ann)
    item = await an_item(stub, ann, venue.venue_id, description="Hot")
    assert await stub.GetVenue(pb.GetVenueRequest(venue_id=venue.venue_id)) == venue
    assert await stub.GetMenuItem(pb.GetMenuItemRequest(menu_item_id=item.menu_item_id)) == item
    assert (venue.address.city, item.available, item.etag, item.price) == ("Oslo", True, "1", dollars(5))
    assert [event.aggregate_id for event in await service.published("catalog.venue-created")] == [
        venue.venue_id
    ]


async def test_a_repeated_request_makes_one_item(service, stub, ann):
    venue, request_id = await a_venue(stub, ann), str(uuid.uuid4())
    first = await an_item(stub, ann, venue.venue_id, request_id=request_id)
    assert await an_item(stub, ann, venue.venue_id, request_id=request_id) == first
    other = an_item(stub, ann, venue.venue_id, request_id=request_id, name="Stew")
    assert await refused(other) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert len(await service.published("catalog.menu-item-changed")) == 1


async def test_only_the_owner_writes_a_menu(stub, ann, bob):
    venue = await a_venue(stub, ann)
    item = await an_item(stub, ann, venue.venue_id)
    denied = (grpc.StatusCode.PERMISSION_DENIED, "NOT_OWNER")
    assert await refused(an_item(stub, bob, venue.venue_id)) == denied
    assert await refused(update(stub, bob, item, "name", name="Mine")) == denied
    unknown = an_item(stub, ann, str(uuid.uuid4()))
    assert await refused(unknown) == (grpc.StatusCode.NOT_FOUND, "VENUE_NOT_FOUND")


async def test_a_guest_writes_nothing(service, stub, ann):
    venue, guest = await a_venue(stub, ann), service.signer.user("guest")
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert await refused(an_item(stub, guest, venue.venue_id)) == denied
    assert await refused(a_venue(stub, guest)) == denied


async def test_a_change_touches_what_the_mask_names_and_nothing_else(service, stub, ann):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id, description="Hot")
    changed = await update(stub, ann, item, "name", "available", name="Stew", description="Cold")
    assert (changed.name, changed.available, changed.description) == ("Stew", False, "Hot")
    assert (changed.etag, changed.price, changed.create_time) == ("2", item.price, item.create_time)
    told = MenuItemChanged()
    (await service.published("catalog.menu-item-changed"))[-1].payload.Unpack(told)
    assert (told.revision, told.name, told.available) == (2, "Stew", False)


async def test_without_a_mask_what_is_set_is_changed_and_what_was_read_may_be_sent_back(stub, ann):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id)
    read = {"create_time": item.create_time, "update_time": item.update_time}
    changed = await update(stub, ann, item, name="Stew", **read)
    assert (changed.name, changed.price, changed.available) == ("Stew", item.price, True)
    again = await update(stub, ann, changed, "name", "etag", "menu_item_id", name="Broth")
    assert again.name == "Broth"


async def test_a_change_to_the_same_is_none(service, stub, ann):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id)
    assert await update(stub, ann, item, "name", name="Soup") == item
    assert len(await service.published("catalog.menu-item-changed")) == 1


@pytest.mark.parametrize("path", ["venue_id", "nonsense", "price.units"])
async def test_a_mask_that_names_what_cannot_be_changed_is_refused(stub, ann, path):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id)
    call = update(stub, ann, item, path, venue_id=str(uuid.uuid4()))
    assert await refused(call) == (grpc.StatusCode.INVALID_ARGUMENT, "UPDATE_MASK_INVALID")


async def test_of_two_changes_of_one_revision_one_is_refused(stub, ann):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id)
    calls = (update(stub, ann, item, "name", name=name) for name in ("Stew", "Broth"))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    errors = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert [(each.code(), reason(each)) for each in errors] == [(grpc.StatusCode.ABORTED, "ETAG_MISMATCH")]
    item.etag = ""  # whichever there is
    assert (await update(stub, ann, item, "name", name="Potage")).etag == "3"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"price": Money(currency_code="USD")}, "PRICE_INVALID"),
        ({"price": Money(currency_code="USD", units=-1)}, "AMOUNT_INVALID"),
        ({"price": Money(currency_code="USD", nanos=1)}, "PRICE_INVALID"),
        ({"name": ""}, "VALIDATION_FAILED"),
        ({"ingredients": []}, "VALIDATION_FAILED"),
        (
            {
                "ingredients": [
                    pb.Ingredient(product_code="x", quantity=Quantity(amount="0", unit_code="KGM"))
                ]
            },
            "QUANTITY_ZERO",
        ),
        (
            {
                "ingredients": [
                    pb.Ingredient(product_code="x", quantity=Quantity(amount="1", unit_code="QQQ"))
                ]
            },
            "UNIT_UNKNOWN",
        ),
        ({"menu_item_id": "17"}, "VALIDATION_FAILED"),
        ({"menu_item_id": ""}, "VALIDATION_FAILED"),
    ],
)
async def test_a_bad_change_is_refused_with_its_reason_and_changes_nothing(stub, ann, changes, expected):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id)
    paths = [name for name in changes if name != "menu_item_id"] or ["name"]
    call = update(stub, ann, item, *paths, **changes)
    assert await refused(call) == (grpc.StatusCode.INVALID_ARGUMENT, expected)
    assert await stub.GetMenuItem(pb.GetMenuItemRequest(menu_item_id=item.menu_item_id)) == item


async def test_an_item_that_does_not_exist_cannot_be_changed(stub, ann):
    ghost = pb.MenuItem(menu_item_id=str(uuid.uuid4()))
    call = update(stub, ann, ghost, "name", name="Stew")
    assert await refused(call) == (grpc.StatusCode.NOT_FOUND, "MENU_ITEM_NOT_FOUND")


async def test_every_price_joins_the_history_newest_first_also_one_that_comes_back(stub, ann):
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id)
    for units in (6, 6, 7, 5):
        item = await update(stub, ann, item, "price", price=dollars(units))
    item = await update(stub, ann, item, "name", name="Stew")
    prices, token = [], ""
    while True:
        request = pb.ListPricesRequest(menu_item_id=item.menu_item_id, page_size=3, page_token=token)
        page = await stub.ListPrices(request)
        prices, token = [*prices, *page.prices], page.next_page_token
        if not token:
            break
    assert [each.price.units for each in prices] == [5, 7, 6, 5]
    times = [each.from_time.ToDatetime() for each in prices]
    assert times == sorted(times, reverse=True)


async def test_a_batch_is_in_the_order_asked_for_and_whole_or_not_at_all(stub, ann):
    venue = await a_venue(stub, ann)
    ids = [(await an_item(stub, ann, venue.venue_id)).menu_item_id for _ in range(3)][::-1]
    asked = [ids[0].upper(), *ids[1:]]
    found = await stub.BatchGetMenuItems(pb.BatchGetMenuItemsRequest(menu_item_ids=asked))
    assert [item.menu_item_id for item in found.menu_items] == ids
    call = stub.BatchGetMenuItems(pb.BatchGetMenuItemsRequest(menu_item_ids=[*ids, str(uuid.uuid4())]))
    assert await refused(call) == (grpc.StatusCode.NOT_FOUND, "MENU_ITEM_NOT_FOUND")


async def test_lists_are_filtered_and_their_pages_join(stub, ann, bob):
    venues = [await a_venue(stub, owner) for owner in (ann, bob, ann)]
    items = [await an_item(stub, ann, venues[0].venue_id) for _ in range(3)]
    await update(stub, ann, items[1], "available", available=False)
    mine = await stub.ListVenues(pb.ListVenuesRequest(owner_id=venues[0].owner_id))
    assert [venue.venue_id for venue in mine.venues] == [venues[0].venue_id, venues[2].venue_id]
    seen, token = [], ""
    for _ in range(2):
        request = pb.ListMenuItemsRequest(
            venue_id=venues[0].venue_id, available_only=True, page_size=1, page_token=token
        )
        page = await stub.ListMenuItems(request)
        seen, token = [*seen, *page.menu_items], page.next_page_token
    assert ([item.menu_item_id for item in seen], token) == (
        [items[0].menu_item_id, items[2].menu_item_id],
        "",
    )


async def test_a_lot_in_capitals_is_stored_as_the_lot_that_it_is(stub, ann):
    lot_id = str(uuid.uuid4())
    ingredient = pb.Ingredient(lot_id=lot_id.upper(), quantity=Quantity(amount="1", unit_code="H87"))
    item = await an_item(stub, ann, (await a_venue(stub, ann)).venue_id.upper(), ingredients=[ingredient])
    assert (item.ingredients[0].lot_id, item.venue_id) == (lot_id, item.venue_id.lower())


async def test_a_text_with_a_zero_byte_is_refused_not_an_incident(stub, ann):
    code, _ = await refused(a_venue(stub, ann, name="Bis\0tro"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
