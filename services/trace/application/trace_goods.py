"""Ask where goods came from and went to."""

from chassis.context import Principal
from chassis.errors import NotFound
from services.trace.application.ports import GraphReader
from services.trace.domain.answers import LotTrace, OrderTrace

PERSONAL = "trace.personal"


class TraceGoods:
    """Who guests are is told only to callers with trace.personal."""

    def __init__(self, graph: GraphReader) -> None:
        self._graph = graph

    async def order(self, actor: Principal, order_id: str) -> OrderTrace:
        """Every lot that an order's food came from.

        Raises:
            NotFound: ORDER_NOT_FOUND.
        """
        trace = await self._graph.order(order_id)
        if trace is None:
            raise unknown("order", order_id)
        return trace if PERSONAL in actor.permissions else trace.without_personal_data()

    async def lot(self, lot_id: str) -> LotTrace:
        """A lot's journey.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        trace = await self._graph.lot(lot_id)
        if trace is None:
            raise unknown("lot", lot_id)
        return trace


def unknown(kind: str, name: str) -> NotFound:
    """The error about a lot or an order that nobody has mentioned."""
    message = f"No {kind} {name} is known here; news of a new one may be on its way."
    return NotFound(f"{kind.upper()}_NOT_FOUND", message, resource=(kind, name))
