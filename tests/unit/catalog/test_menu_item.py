"""Rules of menu items and venues."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import DomainError, PermissionDenied
from chassis.money import Money
from chassis.quantity import Quantity
from services.catalog.domain.menu_item import Ingredient, MenuItem
from services.catalog.domain.venue import Address, Venue

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LEEK = Ingredient(Quantity.of("0.2", "KGM"), product_code="leek")


def item(**changes: object) -> MenuItem:
    facts = {"name": "Soup", "description": "", "price": Money(500, "USD"), "ingredients": (LEEK,)} | changes
    return MenuItem(menu_item_id="m1", venue_id="v1", created_at=NOW, updated_at=NOW, **facts)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"price": Money(0, "USD")}, "PRICE_INVALID", "price"),
        ({"name": ""}, "VALIDATION_FAILED", "name"),
        ({"ingredients": ()}, "VALIDATION_FAILED", "ingredients"),
        (
            {"ingredients": (LEEK, Ingredient(Quantity.of(0, "KGM"), "kale"))},
            "QUANTITY_ZERO",
            "ingredients[1].quantity",
        ),
    ],
)
def test_an_item_that_cannot_be_served_is_refused_with_the_field(changes, reason, field):
    with pytest.raises(DomainError) as caught:
        item(**changes)
    assert (caught.value.reason, caught.value.violations[0].field) == (reason, field)
    with pytest.raises(DomainError):
        item().changed(changes, NOW)


def test_a_change_counts_a_revision_and_no_change_counts_none():
    first = item()
    second = first.changed({"name": "Stew"}, NOW + timedelta(1))
    assert (second.name, second.revision, second.updated_at) == ("Stew", 2, NOW + timedelta(1))
    assert second.changed({"name": "Stew", "available": True}, NOW + timedelta(2)) is second


def test_only_the_owner_runs_a_venue():
    venue = Venue("v1", "ann", "Bistro", Address("Oslo", "NO"), NOW)
    venue.ensure_owner("ann")
    with pytest.raises(PermissionDenied) as caught:
        venue.ensure_owner("bob")
    assert (caught.value.reason, caught.value.resource) == ("NOT_OWNER", ("venue", "v1"))
