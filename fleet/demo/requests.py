"""The demo's data as requests, in protobuf; the JSON side sends their JSON form."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from fleet.demo.data import CURRENCY, Dish, Farm, Harvest, Place
from greenledger.catalog.v1 import catalog_pb2
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2


def new_request_id() -> str:
    """A fresh idempotency key (AIP-155)."""
    return str(uuid.uuid4())


def as_json(message: Message, *without: str) -> dict[str, Any]:
    """A request as its JSON form, without the fields that the path gives."""
    body: dict[str, Any] = MessageToDict(message)
    return {name: value for name, value in body.items() if name not in without}


def quantity(amount: Decimal | int, unit: str) -> Quantity:
    """An exact amount with its unit."""
    return Quantity(amount=format(Decimal(amount).normalize(), "f"), unit_code=unit)


def price(minor: int) -> Money:
    """US cents as money."""
    return Money(currency_code=CURRENCY, units=minor // 100, nanos=minor % 100 * 10_000_000)


def mint(
    harvest: Harvest,
    farm: Farm,
    lot_code: str,
    now: datetime,
    *,
    request_id: str = "",
    amount: Decimal | None = None,
) -> crops_pb2.MintLotRequest:
    """Record a harvest.

    Args:
        now: the moment from which the harvest's age counts back.
        request_id: default a fresh one.
        amount: instead of the harvest's own, in its unit.
    """
    return crops_pb2.MintLotRequest(
        request_id=request_id or new_request_id(),
        lot_code=lot_code,
        product_code=harvest.product_code,
        description=harvest.commodity,
        variety=harvest.variety,
        quantity=quantity(amount or harvest.amount, harvest.unit),
        origin=crops_pb2.Origin(
            farm_name=farm.name,
            field=harvest.field,
            city=farm.city,
            region=farm.region,
            country_code=farm.country_code,
            gln=farm.gln,
        ),
        harvest_time=_timestamp(now - harvest.age),
        harvest_utc_offset=harvest.utc_offset,
        expire_time=_timestamp(now - harvest.age + harvest.shelf_life),
    )


def split(
    lot_id: str, parts: Iterable[tuple[str, Quantity]], *, request_id: str = ""
) -> crops_pb2.SplitLotRequest:
    """Take parts of a lot: lot code and quantity of each."""
    return crops_pb2.SplitLotRequest(
        request_id=request_id or new_request_id(),
        lot_id=lot_id,
        parts=[crops_pb2.Part(lot_code=code, quantity=amount) for code, amount in parts],
    )


def venue(place: Place, name: str, *, request_id: str = "") -> catalog_pb2.CreateVenueRequest:
    """Open a venue at a place."""
    return catalog_pb2.CreateVenueRequest(
        request_id=request_id or new_request_id(),
        name=name,
        address=catalog_pb2.Address(
            street=place.street,
            city=place.city,
            region=place.region,
            postal_code=place.postal_code,
            country_code=place.country_code,
            phone=place.phone,
        ),
    )


def menu_item(dish: Dish, venue_id: str, *, request_id: str = "") -> catalog_pb2.CreateMenuItemRequest:
    """Put a dish on a venue's menu; its ingredients are products, whatever the lot."""
    return catalog_pb2.CreateMenuItemRequest(
        request_id=request_id or new_request_id(),
        venue_id=venue_id,
        name=dish.name,
        description=dish.description,
        price=price(dish.price_minor),
        ingredients=[
            catalog_pb2.Ingredient(product_code=product, quantity=quantity(grams, "GRM"))
            for product, grams in dish.uses.items()
        ],
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
