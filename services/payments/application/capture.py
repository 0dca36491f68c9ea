"""Take the authorized amount."""

from dataclasses import replace

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import NotFound
from chassis.transactions import Transactions
from services.payments.application.authorize import provider_timeout
from services.payments.application.ports import Events, Payments, Provider, ProviderTimeout
from services.payments.domain.events import Succeeded
from services.payments.domain.payment import Payment, State

CAPTURE_CRASHPOINTS = ("payments.capture.decided", "payments.capture.answered", "payments.capture.recorded")
"""Crash points: the decision is stored; the provider has the money; that is stored."""
declare(*CAPTURE_CRASHPOINTS)


class CapturePayment:
    """Decide, tell the provider, record. A repeat goes on where the last one stopped."""

    def __init__(
        self,
        transactions: Transactions,
        payments: Payments,
        provider: Provider,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._payments = payments
        self._provider = provider
        self._events = events
        self._clock = clock

    async def __call__(self, order_id: str) -> Payment:
        """Capture the order's payment.

        Raises:
            NotFound: PAYMENT_NOT_FOUND.
            FailedPrecondition: PAYMENT_NOT_AUTHORIZED, PAYMENT_VOIDED.
            DeadlineExceeded: PROVIDER_TIMEOUT.
        """
        async with self._transactions.transaction():
            payment = await self._payments.of_order(order_id, lock=True)
            if payment is None:
                raise NotFound("PAYMENT_NOT_FOUND", "the order has no payment")
            payment = payment.capturing(self._clock.now())
            await self._payments.save(payment)
        if payment.state is State.CAPTURED:
            return payment
        crashpoint("payments.capture.decided")
        try:
            await self._provider.capture(payment.payment_id)
        except ProviderTimeout:
            raise provider_timeout() from None
        crashpoint("payments.capture.answered")
        captured = await self._record(payment)
        crashpoint("payments.capture.recorded")
        return captured

    async def _record(self, payment: Payment) -> Payment:
        async with self._transactions.transaction():
            present = await self._payments.of_order(payment.order_id, lock=True)
            if present is None or present.state is not State.CAPTURING:
                return present or payment
            captured = replace(present, state=State.CAPTURED, updated_at=self._clock.now())
            await self._payments.save(captured)
            await self._events.publish(Succeeded(captured))
            return captured
