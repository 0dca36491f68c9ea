"""Reserve an order's amount at the provider."""

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import Aborted, DeadlineExceeded, FailedPrecondition, InvalidArgument
from chassis.ids import IdSource
from chassis.money import Money
from chassis.transactions import Transactions
from services.payments.application.ports import (
    Approved,
    Events,
    Payments,
    Provider,
    ProviderTimeout,
)
from services.payments.domain.events import Declined
from services.payments.domain.payment import GIVEN_UP, Payment, State

AUTHORIZE_CRASHPOINTS = (
    "payments.authorize.intended",
    "payments.authorize.answered",
    "payments.authorize.recorded",
)
"""Crash points: the intent is stored; the provider has answered; its answer is stored."""
declare(*AUTHORIZE_CRASHPOINTS)


def provider_timeout() -> DeadlineExceeded:
    """The error for a provider that did not answer: the caller asks again with the same request."""
    return DeadlineExceeded("PROVIDER_TIMEOUT", "the payment provider did not answer in time; ask again")


class AuthorizePayment:
    """One payment an order. The intent is stored before the provider is asked, so that a repeat after
    a crash asks it again under the same key."""

    def __init__(
        self,
        transactions: Transactions,
        payments: Payments,
        provider: Provider,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._payments = payments
        self._provider = provider
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(self, order_id: str, payer_id: str, amount: Money, method: str) -> Payment:
        """Reserve `amount` of the payer's `method` for the order.

        Raises:
            InvalidArgument: PAYMENT_METHOD_INVALID.
            FailedPrecondition: PAYMENT_DECLINED, PAYMENT_VOIDED.
            AlreadyExists: REQUEST_ID_REUSED.
            DeadlineExceeded: PROVIDER_TIMEOUT.
        """
        if not self._provider.accepts(method):
            raise InvalidArgument("PAYMENT_METHOD_INVALID", "the payment method is not one of this provider")
        payment = await self._intend(order_id, payer_id, amount, method)
        if payment.state is State.PENDING:
            crashpoint("payments.authorize.intended")
            payment = await self._ask(payment, amount)
            crashpoint("payments.authorize.recorded")
        if payment.state is State.DECLINED:
            raise FailedPrecondition(
                "PAYMENT_DECLINED",
                "the payment was declined",
                metadata={"decline_code": payment.decline_code},
            )
        return payment

    async def _intend(self, order_id: str, payer_id: str, amount: Money, method: str) -> Payment:
        now = self._clock.now()
        fresh = Payment.intended(self._ids.uuid7(), order_id, payer_id, amount, method, now)
        async with self._transactions.transaction():
            if await self._payments.add(fresh):
                return fresh
            recorded = await self._payments.of_order(order_id)
        if recorded is None:
            raise Aborted("CONCURRENT_CHANGE", "the payment changed meanwhile; try again")
        recorded.ensure_repeats(payer_id, amount, method)
        return recorded

    async def _ask(self, payment: Payment, amount: Money) -> Payment:
        try:
            answer = await self._provider.authorize(payment.payment_id, amount, payment.method)
        except ProviderTimeout:
            raise provider_timeout() from None
        crashpoint("payments.authorize.answered")
        async with self._transactions.transaction():
            present = await self._payments.of_order(payment.order_id, lock=True)
            if present is None:
                raise Aborted("CONCURRENT_CHANGE", "the payment changed meanwhile; try again")
            if present.state in GIVEN_UP:
                # The void that overtook us tells the provider itself: its key is a tombstone there.
                raise FailedPrecondition("PAYMENT_VOIDED", "the payment of this order was voided")
            if present.state is not State.PENDING:
                return present
            now = self._clock.now()
            if isinstance(answer, Approved):
                present = present.authorized(now)
            else:
                present = present.declined(answer.code, now)
                await self._events.publish(Declined(present))
            await self._payments.save(present)
            return present
