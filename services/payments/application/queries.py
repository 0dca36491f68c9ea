"""Reading payments."""

from collections.abc import Sequence

from chassis.context import Principal
from chassis.errors import NotFound
from services.payments.application.ports import Payments
from services.payments.domain.payment import Payment, Status

READ_ALL = "payments.read"


class PaymentQueries:
    """One's own payments; everyone's with payments.read."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def of_order(self, order_id: str, actor: Principal) -> Payment:
        """The payment of an order.

        Raises:
            NotFound: PAYMENT_NOT_FOUND, also for someone else's: its existence is private.
        """
        payment = await self._payments.of_order(order_id)
        if payment is None or (payment.payer_id != actor.subject and READ_ALL not in actor.permissions):
            raise NotFound("PAYMENT_NOT_FOUND", "the order has no payment")
        return payment

    async def page(
        self, actor: Principal, status: Status | None, before: str | None, limit: int
    ) -> Sequence[Payment]:
        """Payments older than the id `before`, newest first, at most `limit`."""
        payer = None if READ_ALL in actor.permissions else actor.subject
        return await self._payments.page(payer, status, before, limit)
