"""Set stock aside for an order, and what becomes of it."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import InvalidArgument, NotFound
from chassis.transactions import Transactions
from services.inventory.application.ports import Events, Reservations, Stock
from services.inventory.domain.events import Consumed, Released, Reserved
from services.inventory.domain.reservation import Reservation, State
from services.inventory.domain.stock import Need, allocate

DEFAULT_HOLD = timedelta(minutes=15)
_EXPIRE_BATCH = 100


class ReservationCommands:
    """Every command may be repeated; giving back may come before reserving."""

    def __init__(
        self,
        transactions: Transactions,
        stock: Stock,
        reservations: Reservations,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._stock = stock
        self._reservations = reservations
        self._events = events
        self._clock = clock

    async def reserve(
        self, order_id: str, venue_id: str, needs: Sequence[Need], hold: timedelta | None = None
    ) -> Reservation:
        """Set aside all that is needed, or nothing.

        Args:
            hold: how long it binds when nothing more is heard; default 15 minutes.

        Raises:
            FailedPrecondition: OUT_OF_STOCK, RESERVATION_RELEASED, RESERVATION_EXPIRED.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
        """
        if any(need.quantity.is_zero for need in needs):
            raise InvalidArgument("QUANTITY_ZERO", "a reservation needs more than nothing")
        async with self._transactions.transaction():
            existing = await self._reservations.get(order_id, lock=True)
            if existing is not None:
                existing.ensure_not_given_back()
                return existing
            now = self._clock.now()
            stock = await self._stock.lock_for(venue_id, needs)
            reservation = Reservation(
                order_id, venue_id, State.HELD, now + (hold or DEFAULT_HOLD), allocate(needs, stock, now)
            )
            if not await self._reservations.add(reservation):
                return await self._late(order_id)
            await self._events.publish([Reserved(reservation)])
        return reservation

    async def confirm(self, order_id: str) -> Reservation:
        """Hold past the expiry.

        Raises:
            NotFound: RESERVATION_NOT_FOUND.
            FailedPrecondition: LOT_QUARANTINED, LOT_HELD, RESERVATION_EXPIRED, RESERVATION_RELEASED.
        """
        async with self._transactions.transaction():
            reservation = await self._locked(order_id)
            confirmed = reservation.confirmed(await self._reservations.lock_stock(reservation))
            if confirmed is not reservation:
                await self._reservations.confirm(confirmed)
        return confirmed

    async def consume(self, order_id: str) -> Reservation:
        """Take the goods out of stock.

        Raises:
            NotFound: RESERVATION_NOT_FOUND.
            FailedPrecondition: LOT_QUARANTINED, LOT_HELD, RESERVATION_EXPIRED, RESERVATION_RELEASED.
        """
        async with self._transactions.transaction():
            reservation = await self._locked(order_id)
            consumed = reservation.consumed(await self._reservations.lock_stock(reservation))
            if consumed is not reservation:
                await self._reservations.consume(consumed)
                await self._events.publish([Consumed(consumed)])
        return consumed

    async def release(self, order_id: str) -> Reservation:
        """Give it back; where there is none, leave a tombstone that refuses a late one.

        Raises:
            FailedPrecondition: RESERVATION_CONSUMED.
        """
        tombstone = Reservation(order_id, "", State.RELEASED, self._clock.now())
        async with self._transactions.transaction():
            if await self._reservations.add(tombstone):
                return tombstone
            return await self._give_back(await self._locked(order_id), expired=False)

    async def expire(self) -> int:
        """Give back what ran out; returns how many in this round."""
        for done in range(_EXPIRE_BATCH):
            # One a transaction: with the stock of several in hand we could wait in a circle with an order.
            async with self._transactions.transaction():
                reservation = await self._reservations.lock_expired(self._clock.now())
                if reservation is None:
                    return done
                await self._give_back(reservation, expired=True)
        return _EXPIRE_BATCH

    async def get(self, order_id: str) -> Reservation:
        """The reservation of an order.

        Raises:
            NotFound: RESERVATION_NOT_FOUND.
        """
        reservation = await self._reservations.get(order_id)
        if reservation is None:
            raise NotFound("RESERVATION_NOT_FOUND", "the order has no reservation")
        return reservation

    async def _give_back(self, reservation: Reservation, *, expired: bool) -> Reservation:
        released = reservation.released(expired=expired)
        if released is not reservation:
            await self._reservations.unbind(released)
            await self._events.publish([Released(released)])
        return released

    async def _locked(self, order_id: str) -> Reservation:
        reservation = await self._reservations.get(order_id, lock=True)
        if reservation is None:
            raise NotFound("RESERVATION_NOT_FOUND", "the order has no reservation")
        return reservation

    async def _late(self, order_id: str) -> Reservation:
        # Another request of the same order, or its release, was quicker while we chose stock.
        reservation = await self._locked(order_id)
        reservation.ensure_not_given_back()
        return reservation
