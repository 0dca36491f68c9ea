"""Sell goods at retail."""

from functools import partial

from chassis.context import Principal
from chassis.quantity import Quantity
from services.crops.application.decisions import LotDecisions
from services.crops.application.views import LotView
from services.crops.domain.sale import sell


class SellLot(LotDecisions):
    """The owner who has the goods sells some of them."""

    async def __call__(
        self, actor: Principal, lot_id: str, quantity: Quantity, reference_document: str
    ) -> LotView:
        """What is left.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.sale.sell`.
        """
        rule = partial(sell, quantity=quantity, reference_document=reference_document)
        return await self._by(actor, lot_id, rule)
