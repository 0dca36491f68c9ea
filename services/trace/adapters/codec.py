"""Answers as protobuf."""

from chassis.protobuf import quantity_to_proto, timestamp_to_proto
from greenledger.trace.v1 import trace_pb2 as pb
from services.trace.domain.answers import (
    Custody,
    LotTrace,
    OrderTrace,
    TracedLot,
    TracedMenuItem,
    TracedOrder,
    TracedShipment,
    TracedStock,
    TracedVenue,
)
from services.trace.domain.orders import OrderState


def id_from_proto(text: str) -> str:
    """A UUID in the one form that is stored; the contract accepts capitals too."""
    return text.lower()


def order_trace_to_proto(trace: OrderTrace) -> pb.OrderTrace:
    """An order and the lots behind it."""
    return pb.OrderTrace(order=order_to_proto(trace.order), lots=map(lot_to_proto, trace.lots))


def lot_trace_to_proto(trace: LotTrace) -> pb.LotTrace:
    """A lot's journey."""
    return pb.LotTrace(
        lot=lot_to_proto(trace.lot),
        ancestors=map(lot_to_proto, trace.ancestors),
        descendants=map(lot_to_proto, trace.descendants),
        custody=map(custody_to_proto, trace.custody),
        stock=map(stock_to_proto, trace.stock),
        descendant_count=trace.descendant_count,
        stock_count=trace.stock_count,
        descent=[
            pb.Descent(
                parent_lot_id=edge.parent_lot_id,
                lot_id=edge.lot_id,
                time=timestamp_to_proto(edge.at) if edge.at else None,
            )
            for edge in trace.descent
        ],
    )


def lot_to_proto(lot: TracedLot) -> pb.TracedLot:
    """A lot."""
    return pb.TracedLot(
        lot_id=lot.lot_id,
        lot_code=lot.lot_code,
        product_code=lot.product_code,
        grower_id=lot.grower_id,
        owner_id=lot.owner_id,
        parent_lot_id=lot.parent_lot_id,
        recalled=lot.recalled,
        quantity=quantity_to_proto(lot.quantity) if lot.quantity else None,
        harvest_time=timestamp_to_proto(lot.harvest_time) if lot.harvest_time else None,
        farm_name=lot.farm_name,
        custodian_id=lot.custodian_id,
        held=lot.held,
        destroyed=lot.destroyed,
        in_transit=lot.in_transit,
        unit_id=lot.unit_id,
        by_partners_only=lot.by_partners_only,
        in_transit_by_partners_only=lot.in_transit_by_partners_only,
    )


def shipment_to_proto(shipment: TracedShipment) -> pb.TracedShipment:
    """A lot on its way."""
    return pb.TracedShipment(
        shipment_id=shipment.shipment_id,
        lot_id=shipment.lot_id,
        from_id=shipment.from_id,
        to_id=shipment.to_id,
        unit_id=shipment.unit_id,
        quantity=quantity_to_proto(shipment.quantity) if shipment.quantity else None,
        ship_time=timestamp_to_proto(shipment.ship_time),
        by_partners_only=shipment.by_partners_only,
    )


def stock_to_proto(stock: TracedStock) -> pb.TracedStock:
    """A venue's stock of a lot."""
    return pb.TracedStock(
        stock_item_id=stock.stock_item_id,
        venue_id=stock.venue_id,
        lot_id=stock.lot_id,
        received=quantity_to_proto(stock.received) if stock.received else None,
        quarantined=stock.quarantined,
    )


def venue_to_proto(venue: TracedVenue) -> pb.TracedVenue:
    """A venue."""
    return pb.TracedVenue(venue_id=venue.venue_id, name=venue.name, owner_id=venue.owner_id)


def menu_item_to_proto(item: TracedMenuItem) -> pb.TracedMenuItem:
    """An item on a menu."""
    return pb.TracedMenuItem(menu_item_id=item.menu_item_id, venue_id=item.venue_id, name=item.name)


def order_to_proto(order: TracedOrder) -> pb.TracedOrder:
    """An order; its state is empty when only its reservation was heard of."""
    return pb.TracedOrder(
        order_id=order.order_id,
        venue_id=order.venue_id,
        guest_id=order.guest_id,
        state="" if order.state is OrderState.UNKNOWN else order.state.name,
        lot_ids=order.lot_ids,
        menu_item_ids=order.menu_item_ids,
        place_time=timestamp_to_proto(order.place_time) if order.place_time else None,
    )


def custody_to_proto(custody: Custody) -> pb.Custody:
    """Who owned a lot from when on."""
    return pb.Custody(
        owner_id=custody.owner_id,
        from_time=timestamp_to_proto(custody.from_time),
        reference_document=custody.reference_document,
    )
