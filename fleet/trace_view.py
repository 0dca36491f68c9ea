"""A recall scope, a lot's journey and an order's origins, for people at a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.trace.v1 import trace_pb2

ROWS_SHOWN = 20


def print_scope(console: Console, scope: trace_pb2.RecallScope, *, rows: int = ROWS_SHOWN) -> None:
    """Show how far a lot reached; of each kind at most `rows` rows, of the 100 that the answer has."""
    console.print(scope_summary(scope))
    console.print(_lots_table(scope.lots, scope.lot_count, rows))
    console.print(_stock_table(scope, rows))
    for table in (_menu_table(scope, rows), _orders_table(scope, rows)):
        console.print(table)


def scope_summary(scope: trace_pb2.RecallScope) -> Text:
    """One line with the counts, and whether the lot is recalled."""
    state = Text("recalled", style="bold red") if scope.recalled else Text("not recalled", style="green")
    return Text.assemble("The lot is ", state, f": {counts(scope)} (as of {_moment(scope.as_of_time)})")


def counts(scope: trace_pb2.RecallScope) -> str:
    """How much of each kind a lot reached, in words."""
    numbers = (
        (scope.lot_count, "lot"),
        (scope.venue_count, "venue"),
        (scope.stock_count, "stock item"),
        (scope.menu_item_count, "menu item"),
        (scope.order_count, "order"),
        (scope.guest_count, "guest"),
    )
    return ", ".join(f"{number:,} {word}{'' if number == 1 else 's'}" for number, word in numbers)


def print_journey(console: Console, journey: trace_pb2.LotTrace, *, rows: int = ROWS_SHOWN) -> None:
    """Show where a lot came from, what was made of it, who owned it and where it lies."""
    console.print(_tree(journey, rows))
    custody = _table("Owned by", "owner", "from", "reference document")
    for entry in journey.custody:
        custody.add_row(entry.owner_id, _moment(entry.from_time), entry.reference_document or "-")
    console.print(custody)
    if journey.stock:
        stock = _table("In stock", "venue", "received", "quarantined", "stock item")
        for item in journey.stock[:rows]:
            stock.add_row(item.venue_id, _amount(item.received), _yes(item.quarantined), item.stock_item_id)
        console.print(_shortened(stock, journey.stock_count, rows))


def print_order(console: Console, trace: trace_pb2.OrderTrace) -> None:
    """Show the lots that an order's food came from, back to the harvests."""
    console.print(f"Order {trace.order.order_id}: {trace.order.state}", highlight=False)
    console.print(_lots_table(trace.lots, len(trace.lots), ROWS_SHOWN))


def _tree(journey: trace_pb2.LotTrace, rows: int) -> Tree:
    branch: Tree | None = None
    root: Tree | None = None
    for lot in (*journey.ancestors, journey.lot):
        label = _label(lot, chosen=lot.lot_id == journey.lot.lot_id)
        branch = branch.add(label) if branch is not None else Tree(label)
        root = root or branch
    assert root is not None
    assert branch is not None
    nodes = {journey.lot.lot_id: branch}
    for lot in journey.descendants[:rows]:
        nodes[lot.lot_id] = nodes.get(lot.parent_lot_id, branch).add(_label(lot))
    if journey.descendant_count > rows:
        branch.add(f"and {journey.descendant_count - rows} more")
    return root


def _label(lot: trace_pb2.TracedLot, *, chosen: bool = False) -> Text:
    label = Text(lot.lot_code, style="bold" if chosen else "")
    label.append(f"  {_amount(lot.quantity)} {lot.product_code}", style="default")
    if not lot.parent_lot_id:
        label.append(f", {lot.farm_name}, harvested {_moment(lot.harvest_time)}", style="default")
    if lot.recalled:
        label.append("  recalled", style="bold red")
    return label.append(f"  {lot.lot_id}", style="dim")


def _lots_table(lots: Sequence[trace_pb2.TracedLot], total: int, rows: int) -> RenderableType:
    table = _table("Lots", "lot code", "product", "left", "farm", "harvested", "recalled")
    for lot in lots[:rows]:
        table.add_row(
            *(lot.lot_code, lot.product_code, _amount(lot.quantity), lot.farm_name),
            *(_moment(lot.harvest_time)[:10], _yes(lot.recalled)),
        )
    return _shortened(table, total, rows)


def _stock_table(scope: trace_pb2.RecallScope, rows: int) -> RenderableType:
    venues = {venue.venue_id: venue.name for venue in scope.venues}
    codes = {lot.lot_id: lot.lot_code for lot in scope.lots}
    table = _table("Venues and stock", "venue", "lot", "received", "quarantined")
    for item in scope.stock[:rows]:
        table.add_row(
            venues.get(item.venue_id, item.venue_id),
            codes.get(item.lot_id, item.lot_id),
            *(_amount(item.received), _yes(item.quarantined)),
        )
    return _shortened(table, scope.stock_count, rows)


def _menu_table(scope: trace_pb2.RecallScope, rows: int) -> RenderableType:
    venues = {venue.venue_id: venue.name for venue in scope.venues}
    table = _table("Menu items", "name", "venue")
    for item in scope.menu_items[:rows]:
        table.add_row(item.name, venues.get(item.venue_id, item.venue_id))
    return _shortened(table, scope.menu_item_count, rows)


def _orders_table(scope: trace_pb2.RecallScope, rows: int) -> RenderableType:
    table = _table("Orders and guests", "order", "state", "guest")
    for order in scope.orders[:rows]:
        table.add_row(order.order_id, order.state, order.guest_id or "(not shown)")
    return _shortened(table, scope.order_count, rows)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _shortened(table: Table, total: int, rows: int) -> RenderableType:
    return table if total <= rows else Group(table, Text(f"and {total - rows} more", style="dim"))


def _amount(quantity: Quantity) -> str:
    return f"{quantity.amount} {quantity.unit_code}" if quantity.amount else "-"


def _moment(stamp: Timestamp) -> str:
    if not stamp.seconds:
        return "-"
    return datetime.fromtimestamp(stamp.seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
