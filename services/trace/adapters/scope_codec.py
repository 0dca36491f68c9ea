"""Recall scopes as protobuf."""

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.protobuf import timestamp_to_proto
from greenledger.trace.v1 import trace_pb2 as pb
from services.trace.adapters.codec import (
    lot_to_proto,
    menu_item_to_proto,
    order_to_proto,
    shipment_to_proto,
    stock_to_proto,
    venue_to_proto,
)
from services.trace.domain.answers import (
    TracedLot,
    TracedMenuItem,
    TracedOrder,
    TracedShipment,
    TracedStock,
    TracedVenue,
)
from services.trace.domain.scope import Place, RecallScope, ScopeEntry, ScopeKind


def kind_from_proto(kind: pb.RecallScopeKind.ValueType) -> ScopeKind | None:
    """What to list; None for every kind."""
    return ScopeKind(kind) if kind else None


def largest_page(kind: ScopeKind | None) -> int:
    """How many entries a page may have; of guests more, since each of their pages goes over all orders."""
    return 20_000 if kind is ScopeKind.GUEST else 1000


def cursor_of(place: Place) -> list[Any]:
    """A place as a page token carries it."""
    return [int(place.kind), place.entry_id, place.lot_id]


def place_from_cursor(cursor: list[Any]) -> Place:
    """The place that `cursor_of` wrote down."""
    kind, entry_id, lot_id = cursor
    return Place(ScopeKind(kind), entry_id, lot_id)


def scope_to_proto(scope: RecallScope) -> pb.RecallScope:
    """How far a lot reached."""
    counts = scope.counts
    return pb.RecallScope(
        lot_id=scope.lot_id,
        recalled=scope.recalled,
        lots=map(lot_to_proto, scope.lots),
        stock=map(stock_to_proto, scope.stock),
        venues=map(venue_to_proto, scope.venues),
        menu_items=map(menu_item_to_proto, scope.menu_items),
        orders=map(order_to_proto, scope.orders),
        guest_ids=scope.guest_ids,
        guest_count=counts.guests,
        as_of_time=_time(scope.as_of),
        lot_count=counts.lots,
        recalled_lot_count=counts.recalled_lots,
        stock_count=counts.stock,
        quarantined_stock_count=counts.quarantined_stock,
        venue_count=counts.venues,
        menu_item_count=counts.menu_items,
        order_count=counts.orders,
        first_order_time=_time(scope.first_order),
        last_order_time=_time(scope.last_order),
        complete=scope.complete,
        position=scope.position,
        shipments=map(shipment_to_proto, scope.shipments),
        shipment_count=counts.shipments,
        held_lot_count=counts.held_lots,
        destroyed_lot_count=counts.destroyed_lots,
        custodian_ids=scope.custodian_ids,
        custodian_count=counts.custodians,
        partner_lot_count=counts.partner_lots,
    )


def entry_to_proto(entry: ScopeEntry) -> pb.RecallScopeEntry:  # noqa: PLR0911 - one for each kind of entry
    """One thing that a lot reached."""
    match entry.what:
        case TracedLot() as lot:
            return pb.RecallScopeEntry(lot=lot_to_proto(lot))
        case TracedStock() as stock:
            return pb.RecallScopeEntry(stock=stock_to_proto(stock))
        case TracedVenue() as venue:
            return pb.RecallScopeEntry(venue=venue_to_proto(venue))
        case TracedMenuItem() as item:
            return pb.RecallScopeEntry(menu_item=menu_item_to_proto(item))
        case TracedOrder() as order:
            return pb.RecallScopeEntry(order=order_to_proto(order))
        case TracedShipment() as shipment:
            return pb.RecallScopeEntry(shipment=shipment_to_proto(shipment))
        case None:
            return pb.RecallScopeEntry(guest_id=entry.place.entry_id)


def _time(moment: datetime | None) -> Timestamp | None:
    return timestamp_to_proto(moment) if moment else None
