"""Record what was measured of a lot."""

from collections.abc import Sequence
from functools import partial

from chassis.context import Principal
from services.crops.application.decisions import LotDecisions
from services.crops.application.views import LotView
from services.crops.domain.observation import observe
from services.crops.domain.occasion import Occasion
from services.crops.domain.physical import Reading


class ObserveLot(LotDecisions):
    """Who has or owns a lot tells of its cooling and of sensors."""

    async def __call__(
        self, actor: Principal, lot_id: str, cooling: bool, readings: Sequence[Reading], occasion: Occasion
    ) -> LotView:
        """The lot, which is as it was.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, InvalidArgument: as `domain.observation.observe`.
        """
        rule = partial(observe, cooling=cooling, readings=readings, occasion=occasion)
        return await self._by(actor, lot_id, rule)
