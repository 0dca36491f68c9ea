"""Ask where goods went and where they came from."""

from chassis.context import Principal
from chassis.errors import NotFound
from services.trace.application.ports import GraphReader
from services.trace.domain.answers import LotTrace, OrderTrace, RecallScope

PERSONAL = "trace.personal"


class TraceGoods:
    """Who guests are is told only to callers with trace.personal."""

    def __init__(self, graph: GraphReader) -> None:
        self._graph = graph

    async def recall_scope(self, actor: Principal, lot_id: str) -> RecallScope:
        """Everything that a lot reached.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        scope = await self._graph.recall_scope(lot_id)
        if scope is None:
            raise _unknown("lot", lot_id)
        return scope if PERSONAL in actor.permissions else scope.without_personal_data()

    async def order(self, actor: Principal, order_id: str) -> OrderTrace:
        """Every lot that an order's food came from.

        Raises:
            NotFound: ORDER_NOT_FOUND.
        """
        trace = await self._graph.order(order_id)
        if trace is None:
            raise _unknown("order", order_id)
        return trace if PERSONAL in actor.permissions else trace.without_personal_data()

    async def lot(self, lot_id: str) -> LotTrace:
        """A lot's journey.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        trace = await self._graph.lot(lot_id)
        if trace is None:
            raise _unknown("lot", lot_id)
        return trace


def _unknown(kind: str, name: str) -> NotFound:
    message = f"No {kind} {name} is known here; news of a new one may be on its way."
    return NotFound(f"{kind.upper()}_NOT_FOUND", message, resource=(kind, name))
