"""Send a lot, take that back, say where it is, receive it."""

from functools import partial

from chassis.clock import Clock
from chassis.context import Principal
from chassis.ids import IdSource
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.crops.application.decisions import LotDecisions, Rule
from services.crops.application.ports import Lots
from services.crops.application.views import LotView
from services.crops.domain.occasion import Occasion
from services.crops.domain.physical import TransportStage
from services.crops.domain.shipment import receive, record_transport, ship, void_shipment


class ShipLot(LotDecisions):
    """Its custodian sends a lot to someone."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        super().__init__(transactions, lots, clock)
        self._ids = ids

    async def __call__(self, actor: Principal, lot_id: str, to_id: str, occasion: Occasion) -> LotView:
        """The lot in transit.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.shipment.ship`.
        """
        rule = partial(ship, shipment_id=self._ids.uuid7(), to_id=to_id, occasion=occasion)
        return await self._by(actor, lot_id, rule)


class _Together(LotDecisions):
    async def _with_its_unit(self, actor: Principal, lot_id: str, rule: Rule) -> LotView:
        """The lot after one decision on it and on each lot that is on the same logistic unit."""

        async def attempt() -> LotView:
            lot, now = await self._lots.load(lot_id), self._clock.now()
            others = await self._lots.in_unit(lot.unit_id) if lot.unit_id else []
            together = [lot, *(each for each in others if each.lot_id != lot_id)]
            decided = [(each, rule(each, actor=actor.subject, now=now)) for each in together]
            return (await self._record(decided))[0]

        return await self._anew(attempt)


class VoidShipment(_Together):
    """Who sent a lot, alone or on a unit, takes that back."""

    async def __call__(
        self, actor: Principal, lot_id: str, shipment_id: str, reason: str, occasion: Occasion
    ) -> LotView:
        """The lot, no longer in transit.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.shipment.void_shipment`.
        """
        rule = partial(void_shipment, shipment_id=shipment_id, reason=reason, occasion=occasion)
        return await self._with_its_unit(actor, lot_id, rule)


class RecordTransport(_Together):
    """Sender or addressee say where goods under way are."""

    async def __call__(
        self, actor: Principal, lot_id: str, shipment_id: str, stage: TransportStage, occasion: Occasion
    ) -> LotView:
        """The lot in transit.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.shipment.record_transport`.
        """
        rule = partial(record_transport, shipment_id=shipment_id, stage=stage, occasion=occasion)
        return await self._with_its_unit(actor, lot_id, rule)


class ReceiveLot(LotDecisions):
    """The addressee takes the goods."""

    async def __call__(
        self, actor: Principal, lot_id: str, shipment_id: str, quantity: Quantity | None, occasion: Occasion
    ) -> LotView:
        """The lot in the caller's custody.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.shipment.receive`.
        """
        rule = partial(receive, shipment_id=shipment_id, quantity=quantity, occasion=occasion)
        return await self._by(actor, lot_id, rule)
