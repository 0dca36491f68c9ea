"""Rows of the graph as answers."""

from decimal import Decimal

import asyncpg

from chassis.quantity import Quantity
from services.trace.domain.answers import (
    Custody,
    TracedLot,
    TracedMenuItem,
    TracedOrder,
    TracedShipment,
    TracedStock,
    TracedVenue,
)
from services.trace.domain.orders import OrderState


def lot_of(row: asyncpg.Record) -> TracedLot:
    """A row of traced_lot; what splits have left counts before what was minted."""
    left = row["remaining_amount"]
    return TracedLot(
        lot_id=row["lot_id"],
        lot_code=row["lot_code"],
        product_code=row["product_code"],
        grower_id=row["grower_id"],
        owner_id=row["owner_id"],
        parent_lot_id=row["parent_lot_id"],
        recalled=row["recalled"],
        quantity=_quantity(row["minted_amount"] if left is None else left, row["unit"]),
        harvest_time=row["harvest_time"],
        farm_name=row["farm_name"],
        custodian_id=row["custodian_id"],
        held=row["held"],
        destroyed=row["destroyed_at"] is not None and not left,
        in_transit=row["in_transit"] or row["in_transit_by_partners"],
        unit_id=row["unit_id"],
        in_transit_by_partners_only=row["in_transit_by_partners"] and not row["in_transit"],
    )


def shipment_of(row: asyncpg.Record) -> TracedShipment:
    """A lot of a shipment that has not ended."""
    return TracedShipment(
        shipment_id=row["shipment_id"],
        lot_id=row["lot_id"],
        from_id=row["from_id"],
        to_id=row["to_id"],
        unit_id=row["unit_id"],
        quantity=_quantity(row["amount"], row["unit"]),
        ship_time=row["shipped_at"],
        by_partners_only=row["by_partners"],
    )


def stock_of(row: asyncpg.Record) -> TracedStock:
    """A row of stock."""
    received = _quantity(row["received_amount"], row["received_unit"])
    return TracedStock(row["stock_item_id"], row["venue_id"], row["lot_id"], received, row["quarantined"])


def venue_of(row: asyncpg.Record) -> TracedVenue:
    """A row of venue."""
    return TracedVenue(row["venue_id"], row["name"], row["owner_id"])


def menu_item_of(row: asyncpg.Record) -> TracedMenuItem:
    """A row of menu_item."""
    return TracedMenuItem(row["menu_item_id"], row["venue_id"], row["name"])


def order_of(row: asyncpg.Record) -> TracedOrder:
    """An order with its allocations gathered; an outer join gives a null for none."""
    return TracedOrder(
        order_id=row["order_id"],
        venue_id=row["venue_id"],
        guest_id=row["guest_id"],
        state=OrderState(row["state"]),
        lot_ids=tuple(filter(None, row["lot_ids"])),
        menu_item_ids=tuple(filter(None, row["menu_item_ids"])),
        place_time=row["placed_at"],
    )


def custody_of(row: asyncpg.Record) -> Custody:
    """A row of custody."""
    return Custody(row["owner_id"], row["from_time"], row["reference_document"])


def _quantity(amount: Decimal | None, unit: str | None) -> Quantity | None:
    return None if amount is None or unit is None else Quantity(amount, unit)
