"""Protobuf to domain and back."""

from typing import Any

from google.type.money_pb2 import Money as MoneyProto

from chassis.money import Money
from chassis.protobuf import (
    id_from_proto,
    money_from_proto,
    money_to_proto,
    quantity_from_proto,
    quantity_to_proto,
    timestamp_to_proto,
)
from greenledger.catalog.v1 import catalog_pb2 as pb
from services.catalog.domain.menu_item import Ingredient, MenuItem, PriceChange
from services.catalog.domain.venue import Address, Venue


def address_from_proto(proto: pb.Address) -> Address:
    """An address."""
    return Address(
        city=proto.city,
        country_code=proto.country_code,
        street=proto.street,
        region=proto.region,
        postal_code=proto.postal_code,
        phone=proto.phone,
    )


def address_to_proto(address: Address) -> pb.Address:
    """An address as the contract shows it."""
    return pb.Address(
        city=address.city,
        country_code=address.country_code,
        street=address.street,
        region=address.region,
        postal_code=address.postal_code,
        phone=address.phone,
    )


def venue_to_proto(venue: Venue) -> pb.Venue:
    """A venue as the contract shows it."""
    return pb.Venue(
        venue_id=venue.venue_id,
        owner_id=venue.owner_id,
        name=venue.name,
        address=address_to_proto(venue.address),
        create_time=timestamp_to_proto(venue.created_at),
        etag="1",
    )


def ingredient_from_proto(proto: pb.Ingredient) -> Ingredient:
    """An ingredient."""
    lot_id = id_from_proto(proto.lot_id, "lot_id")
    return Ingredient(quantity_from_proto(proto.quantity), proto.product_code, lot_id)


def ingredient_to_proto(ingredient: Ingredient) -> pb.Ingredient:
    """An ingredient as the contract shows it."""
    proto = pb.Ingredient(quantity=quantity_to_proto(ingredient.quantity))
    if ingredient.lot_id:
        proto.lot_id = ingredient.lot_id
    else:
        proto.product_code = ingredient.product_code
    return proto


def item_to_proto(item: MenuItem) -> pb.MenuItem:
    """A menu item as the contract shows it."""
    return pb.MenuItem(
        menu_item_id=item.menu_item_id,
        venue_id=item.venue_id,
        name=item.name,
        description=item.description,
        price=money_to_proto(item.price),
        ingredients=map(ingredient_to_proto, item.ingredients),
        available=item.available,
        create_time=timestamp_to_proto(item.created_at),
        update_time=timestamp_to_proto(item.updated_at),
        etag=str(item.revision),
        recall_ids=item.recall_ids,
    )


def changes_from_proto(request: pb.UpdateMenuItemRequest) -> dict[str, Any]:
    """The values of the fields that the mask names; without a mask, of those that are set (AIP-134).

    What names the item, and what only we set, is passed over: callers send back what they have read.
    """
    item = request.menu_item
    paths = list(request.update_mask.paths) or [field.name for field, _ in item.ListFields()]
    return {path: _VALUES.get(path, lambda _: None)(item) for path in paths if path not in _PASSED_OVER}


def price_to_proto(change: PriceChange) -> pb.Price:
    """A price of the history."""
    return pb.Price(price=money_to_proto(change.price), from_time=timestamp_to_proto(change.since))


_PASSED_OVER = frozenset({"menu_item_id", "etag", "create_time", "update_time", "recall_ids"})


def price_from_proto(proto: MoneyProto) -> Money:
    """A price; finer than the currency's minor unit it is PRICE_INVALID."""
    return money_from_proto(proto, reason="PRICE_INVALID")


_VALUES: dict[str, Any] = {
    "name": lambda item: item.name,
    "description": lambda item: item.description,
    "price": lambda item: price_from_proto(item.price),
    "ingredients": lambda item: tuple(map(ingredient_from_proto, item.ingredients)),
    "available": lambda item: item.available,
}
