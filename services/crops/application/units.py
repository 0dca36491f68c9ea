"""Put lots on a logistic unit, take them off, send and receive it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import FailedPrecondition
from chassis.ids import IdSource
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.crops.application.decisions import LotDecisions, Rule
from services.crops.application.ports import Lots
from services.crops.application.views import LotView
from services.crops.domain.lot import Lot
from services.crops.domain.occasion import Occasion
from services.crops.domain.physical import LotArrived
from services.crops.domain.shipment import receive, ship
from services.crops.domain.unit import not_on, pack, unit_of, unpack

Moved = tuple[str, list[LotView]]
"""The unit's canonical id, and the lots."""


class _Units(LotDecisions):
    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        super().__init__(transactions, lots, clock)
        self._ids = ids

    async def _with(
        self, actor: Principal, unit_id: str, rule: Rule, named: Collection[str] = ()
    ) -> list[LotView]:
        """All lots on a unit, among them those named, after one decision on each."""

        async def attempt() -> list[LotView]:
            lots, now = await self._lots.in_unit(unit_id), self._clock.now()
            _require_some(lots, unit_id)
            for lot_id in sorted(set(named) - {lot.lot_id for lot in lots}):
                raise not_on(unit_id, lot_id)
            return await self._record([(lot, rule(lot, actor=actor.subject, now=now)) for lot in lots])

        return await self._anew(attempt)


class PackUnit(_Units):
    """Who has lots and unit puts them on it."""

    async def __call__(
        self, actor: Principal, unit: str, lot_ids: Sequence[str], occasion: Occasion
    ) -> Moved:
        """The lots on the unit.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.unit.pack` and `unit_of`.
        """
        unit_id, packing_id = unit_of(unit), self._ids.uuid7()

        async def attempt() -> list[LotView]:
            inside = await self._lots.in_unit(unit_id)
            decided = pack(
                [await self._lots.load(each) for each in lot_ids],
                inside,
                unit_id=unit_id,
                packing_id=packing_id,
                actor=actor.subject,
                occasion=occasion,
                now=self._clock.now(),
            )
            return await self._record(decided)

        return unit_id, await self._anew(attempt)


class UnpackUnit(_Units):
    """Who has lots takes them off a unit."""

    async def __call__(
        self, actor: Principal, unit: str, lot_ids: Sequence[str], occasion: Occasion
    ) -> Moved:
        """The lots that were taken off; none named is all.

        Raises:
            FailedPrecondition, PermissionDenied, InvalidArgument: as `domain.unit.unpack` and `unit_of`;
                UNIT_EMPTY.
            NotFound: LOT_NOT_FOUND.
        """
        unit_id, packing_id = unit_of(unit), self._ids.uuid7()

        async def attempt() -> list[LotView]:
            inside = await self._lots.in_unit(unit_id)
            _require_some(inside, unit_id)
            decided = unpack(
                [await self._lots.load(each) for each in lot_ids] or inside,
                unit_id=unit_id,
                packing_id=packing_id,
                actor=actor.subject,
                occasion=occasion,
                now=self._clock.now(),
            )
            return await self._record(decided)

        return unit_id, await self._anew(attempt)


class ShipUnit(_Units):
    """Who has a unit sends it with all that is on it."""

    async def __call__(self, actor: Principal, unit: str, to_id: str, occasion: Occasion) -> list[LotView]:
        """The lots in transit, in one shipment.

        Raises:
            FailedPrecondition, PermissionDenied, InvalidArgument: as `domain.shipment.ship` and `unit_of`;
                UNIT_EMPTY.
        """
        unit_id = unit_of(unit)
        rule = partial(ship, shipment_id=self._ids.uuid7(), to_id=to_id, occasion=occasion, unit_id=unit_id)
        return await self._with(actor, unit_id, rule)


class ReceiveUnit(_Units):
    """The addressee takes a unit with all that is on it."""

    async def __call__(
        self,
        actor: Principal,
        unit: str,
        shipment_id: str,
        counts: Mapping[str, Quantity],
        occasion: Occasion,
    ) -> list[LotView]:
        """The lots in the caller's custody, still on the unit.

        Args:
            counts: by lot id, where something else was counted than was sent.

        Raises:
            FailedPrecondition, PermissionDenied, InvalidArgument: as `domain.shipment.receive` and `unit_of`;
                UNIT_EMPTY; LOT_NOT_IN_UNIT, something was counted of a lot that is not on it.
        """
        unit_id = unit_of(unit)

        def arrived(lot: Lot, /, *, actor: str, now: datetime) -> LotArrived:
            return receive(
                lot,
                shipment_id=shipment_id,
                actor=actor,
                quantity=counts.get(lot.lot_id),
                occasion=occasion,
                now=now,
                unit_id=unit_id,
            )

        return await self._with(actor, unit_id, arrived, counts)


def _require_some(lots: Sequence[Lot], unit_id: str) -> None:
    if not lots:
        raise FailedPrecondition("UNIT_EMPTY", f"No lot is on unit {unit_id}.", resource=("unit", unit_id))
