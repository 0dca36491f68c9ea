"""Give captured money back."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import AlreadyExists, NotFound
from chassis.money import Money
from chassis.transactions import Transactions
from services.payments.application.authorize import provider_timeout
from services.payments.application.ports import Events, Payments, Provider, ProviderTimeout
from services.payments.domain.events import Refunded
from services.payments.domain.payment import Payment, Refund

PATIENCE = timedelta(seconds=30)
BATCH = 100

REFUND_CRASHPOINTS = ("payments.refund.promised", "payments.refund.answered", "payments.refund.recorded")
"""Crash points: the promise is stored; the provider has kept it; that is stored."""
declare(*REFUND_CRASHPOINTS)


class RefundPayment:
    """Promises count against what is left at once, so that two refunds never exceed the capture; in what
    others see of the payment they count when they are kept."""

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

    async def __call__(self, request_id: str, order_id: str, amount: Money | None, reason: str) -> Payment:
        """Give back `amount`, or all that is left when None; once per request id.

        Raises:
            NotFound: PAYMENT_NOT_FOUND.
            FailedPrecondition: PAYMENT_NOT_CAPTURED, REFUND_EXCEEDS_CAPTURE.
            AlreadyExists: REQUEST_ID_REUSED.
            DeadlineExceeded: PROVIDER_TIMEOUT.
        """
        payment, refund = await self._promise(request_id, order_id, amount, reason)
        return payment if refund.done else await self._keep(payment, refund)

    async def keep_promises(self) -> bool:
        """Keep what was promised a while ago by requests that did not come back; whether there was any."""
        unkept = await self._payments.unkept_refunds(PATIENCE, BATCH)
        for refund in unkept:
            payment = await self._payments.of_order(refund.order_id)
            if payment is not None:
                await self._keep(payment, refund)
        return bool(unkept)

    async def _keep(self, payment: Payment, refund: Refund) -> Payment:
        crashpoint("payments.refund.promised")
        try:
            await self._provider.refund(payment.payment_id, refund.request_id, refund.amount)
        except ProviderTimeout:
            raise provider_timeout() from None
        crashpoint("payments.refund.answered")
        async with self._transactions.transaction():
            # Locked, so that the totals that others are told of never fall.
            payment = await self._locked(refund.order_id)
            if await self._payments.refund_done(refund.request_id):
                payment = payment.refunded(refund.amount, self._clock.now())
                await self._payments.save(payment)
                total = Money(payment.refunded_minor, refund.amount.currency)
                await self._events.publish(Refunded(payment, refund.amount, total, refund.reason))
        crashpoint("payments.refund.recorded")
        return payment

    async def _promise(
        self, request_id: str, order_id: str, amount: Money | None, reason: str
    ) -> tuple[Payment, Refund]:
        async with self._transactions.transaction():
            payment = await self._locked(order_id)
            recorded = await self._payments.refund(request_id)
            if recorded is not None:
                asked = (recorded.order_id, recorded.asked, recorded.reason)
                if asked != (payment.order_id, amount, reason):
                    raise _reused()
                return payment, recorded
            payment, promised = payment.refunding(amount, self._clock.now())
            refund = Refund(request_id, payment.order_id, promised, amount, reason)
            await self._payments.save(payment)
            if not await self._payments.add_refund(refund):
                raise _reused()  # by a refund of another order, a moment ago
            return payment, refund

    async def _locked(self, order_id: str) -> Payment:
        payment = await self._payments.of_order(order_id, lock=True)
        if payment is None:
            raise NotFound("PAYMENT_NOT_FOUND", "the order has no payment")
        return payment


def _reused() -> AlreadyExists:
    return AlreadyExists("REQUEST_ID_REUSED", "the request_id was used for another refund")
