"""Protobuf to domain and back."""

from chassis.protobuf import (
    money_from_proto,
    money_to_proto,
    quantity_from_proto,
    quantity_to_proto,
    timestamp_to_proto,
)
from greenledger.catalog.v1 import catalog_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import orders_pb2 as pb
from services.orders.domain.cart import Cart
from services.orders.domain.order import Ingredient, Line, MenuItem, Need, Order, State

_STATES = {
    State.PENDING: pb.ORDER_STATE_PENDING,
    State.CONFIRMED: pb.ORDER_STATE_CONFIRMED,
    State.PAID: pb.ORDER_STATE_PAID,
    State.FULFILLED: pb.ORDER_STATE_FULFILLED,
    State.FAILED: pb.ORDER_STATE_FAILED,
}
_FROM_PROTO = {proto: state for state, proto in _STATES.items()}


def state_filter(state: "pb.OrderState.ValueType") -> State | None:
    """The state that a filter asks for; None for no filter."""
    return _FROM_PROTO.get(state)


def line_to_proto(line: Line) -> pb.OrderLine:
    """An order line."""
    return pb.OrderLine(
        menu_item_id=line.menu_item_id,
        name=line.name,
        quantity=line.quantity,
        unit_price=money_to_proto(line.unit_price),
    )


def order_to_proto(order: Order) -> pb.Order:
    """An order as the contract shows it."""
    return pb.Order(
        order_id=order.order_id,
        guest_id=order.guest_id,
        venue_id=order.venue_id,
        state=_STATES[order.state],
        lines=map(line_to_proto, order.lines),
        total=money_to_proto(order.total),
        failure_reason=order.failure_reason,
        create_time=timestamp_to_proto(order.created_at),
        update_time=timestamp_to_proto(order.updated_at),
        etag=_etag(order),
        recall_ids=order.recall_ids,
        refunded=money_to_proto(order.refunded) if order.refunded else None,
    )


def _etag(order: Order) -> str:
    """Differs whenever the order shows otherwise; a recall changes no state, so its count stands beside."""
    return f"{order.revision}.{len(order.recall_ids)}" if order.recall_ids else str(order.revision)


def cart_to_proto(cart: Cart) -> pb.Cart:
    """A cart as the contract shows it."""
    proto = pb.Cart(
        venue_id=cart.venue_id,
        items=[pb.CartItem(menu_item_id=item, quantity=count) for item, count in cart.items],
    )
    if cart.updated_at is not None:
        proto.update_time.CopyFrom(timestamp_to_proto(cart.updated_at))
    return proto


def menu_item_from_proto(proto: catalog_pb2.MenuItem) -> MenuItem:
    """A menu item as the catalog tells it."""
    return MenuItem(
        menu_item_id=proto.menu_item_id,
        venue_id=proto.venue_id,
        name=proto.name,
        price=money_from_proto(proto.price),
        available=proto.available,
        ingredients=tuple(
            Ingredient(quantity_from_proto(used.quantity), used.product_code, used.lot_id)
            for used in proto.ingredients
        ),
    )


def need_to_proto(need: Need) -> inventory_pb2.ReservationLine:
    """A line of a reservation."""
    line = inventory_pb2.ReservationLine(
        menu_item_id=need.menu_item_id, quantity=quantity_to_proto(need.quantity)
    )
    if need.lot_id:
        line.lot_id = need.lot_id
    else:
        line.product_code = need.product_code
    return line
