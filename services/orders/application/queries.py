"""Reading and watching orders."""

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

from chassis.context import Principal
from chassis.errors import NotFound
from services.orders.application.ports import Catalog, Changes, Orders
from services.orders.domain.order import Order, State

POLL_S = 1.0
READ_ALL = "orders.read"
READ_VENUE = "orders.venue.read"


class OrderQueries:
    """One's own orders, those of one's venue, or all with orders.read."""

    def __init__(
        self,
        orders: Orders,
        catalog: Catalog,
        changes: Changes,
        heartbeat: timedelta = timedelta(seconds=15),
    ) -> None:
        self._orders = orders
        self._catalog = catalog
        self._changes = changes
        self._heartbeat_s = heartbeat.total_seconds()
        self._poll_s = min(POLL_S, self._heartbeat_s)

    async def get(self, order_id: str, actor: Principal) -> Order:
        """An order.

        Raises:
            NotFound: ORDER_NOT_FOUND, also for someone else's: its existence is private.
        """
        order = await self._orders.get(order_id)
        if order is None or not await self._may_see(order, actor):
            raise NotFound("ORDER_NOT_FOUND", "there is no such order")
        return order

    async def page(
        self, actor: Principal, venue_id: str | None, state: State | None, before: str | None, limit: int
    ) -> Sequence[Order]:
        """Orders older than the id `before`, newest first, at most `limit`."""
        everything = READ_ALL in actor.permissions
        if venue_id and not everything and await self._owns_venue(venue_id, actor):
            everything = True
        guest_id = None if everything else actor.subject
        return await self._orders.page(guest_id, venue_id, state, before, limit)

    async def watch(self, order_id: str, after_revision: int) -> AsyncGenerator[Order | None, None]:
        """The order at each revision above `after_revision`, None as a heartbeat; ends with a final state.

        Who may watch was checked by `get`.
        """
        quiet_s = 0.0
        with self._changes.watch(order_id) as changed:
            while True:
                news = await self._orders.history(order_id, after_revision)
                for order in news:
                    after_revision, quiet_s = order.revision, 0.0
                    yield order
                if await self._ended(order_id, after_revision):
                    return
                # The poll finds what another replica changed; the wake-up what this one did.
                quiet_s += 0.0 if await changed.wait(self._poll_s) else self._poll_s
                if quiet_s >= self._heartbeat_s:
                    quiet_s = 0.0
                    yield None

    async def _ended(self, order_id: str, told_revision: int) -> bool:
        # A last state that was reached after the history was read is still to be told.
        order = await self._orders.get(order_id)
        return order is None or (order.state.final and order.revision <= told_revision)

    async def _may_see(self, order: Order, actor: Principal) -> bool:
        if order.guest_id == actor.subject or READ_ALL in actor.permissions:
            return True
        return await self._owns_venue(order.venue_id, actor)

    async def _owns_venue(self, venue_id: str, actor: Principal) -> bool:
        if READ_VENUE not in actor.permissions:
            return False
        try:
            return await self._catalog.venue_owner(venue_id) == actor.subject
        except NotFound:
            return False
