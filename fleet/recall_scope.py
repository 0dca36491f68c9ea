"""A recall scope as its callers ask for it: the summary, and every page behind it."""

from collections.abc import AsyncIterator

from fleet.client import RpcEdge, Session
from greenledger.trace.v1 import trace_pb2

# Guests come in larger pages, since each costs a pass over all orders.
_PAGE_SIZES = {trace_pb2.RECALL_SCOPE_KIND_GUEST: 20_000}
_PAGE_SIZE = 1000


async def summary(edge: RpcEdge, session: Session, lot_id: str) -> trace_pb2.RecallScope:
    """How far a lot reached: all the counts, and the first of each kind."""
    return await edge.call(edge.trace.GetRecallScope, trace_pb2.GetRecallScopeRequest(lot_id=lot_id), session)


def is_stopped(scope: trace_pb2.RecallScope, recalled: int = 1) -> bool:
    """Whether a recall has arrived at every lot and all stock of the scope.

    Args:
        recalled: lots that must be known to be recalled at least; default the lot itself.
    """
    return (
        scope.recalled
        and scope.lot_count == scope.recalled_lot_count >= recalled
        and scope.stock_count == scope.quarantined_stock_count
    )


async def entries(
    edge: RpcEdge,
    session: Session,
    scope: trace_pb2.RecallScope,
    kind: trace_pb2.RecallScopeKind.ValueType,
) -> AsyncIterator[trace_pb2.RecallScopeEntry]:
    """What a summary counted of a kind, page by page."""
    request = trace_pb2.ListRecallScopeEntriesRequest(
        lot_id=scope.lot_id,
        kind=kind,
        position=scope.position,
        page_size=_PAGE_SIZES.get(kind, _PAGE_SIZE),
    )
    while True:
        page = await edge.call(edge.trace.ListRecallScopeEntries, request, session)
        for entry in page.entries:
            yield entry
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def whole(edge: RpcEdge, session: Session, scope: trace_pb2.RecallScope) -> trace_pb2.RecallScope:
    """A summary with everything that it counted, as far as the caller may see it."""
    if scope.complete:
        return scope
    filled = trace_pb2.RecallScope()
    filled.CopyFrom(scope)
    for kind, name in _LISTS.items():
        del getattr(filled, name)[:]
        if kind == trace_pb2.RECALL_SCOPE_KIND_GUEST and not scope.guest_ids:
            continue
        async for entry in entries(edge, session, scope, kind):
            getattr(filled, name).append(getattr(entry, entry.WhichOneof("entry") or ""))
    filled.complete = True
    return filled


_LISTS = {
    trace_pb2.RECALL_SCOPE_KIND_LOT: "lots",
    trace_pb2.RECALL_SCOPE_KIND_STOCK: "stock",
    trace_pb2.RECALL_SCOPE_KIND_VENUE: "venues",
    trace_pb2.RECALL_SCOPE_KIND_MENU_ITEM: "menu_items",
    trace_pb2.RECALL_SCOPE_KIND_ORDER: "orders",
    trace_pb2.RECALL_SCOPE_KIND_GUEST: "guest_ids",
    trace_pb2.RECALL_SCOPE_KIND_SHIPMENT: "shipments",
}
