"""Free an authorization, also one that has not arrived."""

from dataclasses import replace

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import Aborted
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.payments.application.authorize import provider_timeout
from services.payments.application.ports import Events, Payments, Provider, ProviderTimeout
from services.payments.domain.events import Voided
from services.payments.domain.payment import Payment, State

VOID_CRASHPOINTS = ("payments.void.decided", "payments.void.answered", "payments.void.recorded")
"""Crash points: the decision is stored; the provider has let go; that is stored."""
declare(*VOID_CRASHPOINTS)


class VoidPayment:
    """Leaves a tombstone where no payment exists, so that a late authorization is refused."""

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

    async def __call__(self, order_id: str) -> Payment:
        """Void the order's payment; a declined one is left as it is.

        Raises:
            FailedPrecondition: PAYMENT_CAPTURED.
            DeadlineExceeded: PROVIDER_TIMEOUT.
        """
        payment = await self._decide(order_id)
        if payment.state is not State.VOIDING:
            return payment
        crashpoint("payments.void.decided")
        try:
            await self._provider.void(payment.payment_id)
        except ProviderTimeout:
            raise provider_timeout() from None
        crashpoint("payments.void.answered")
        voided = await self._record(payment)
        crashpoint("payments.void.recorded")
        return voided

    async def _record(self, payment: Payment) -> Payment:
        async with self._transactions.transaction():
            present = await self._payments.of_order(payment.order_id, lock=True)
            if present is None or present.state is not State.VOIDING:
                return present or payment
            voided = replace(present, state=State.VOIDED, updated_at=self._clock.now())
            await self._payments.save(voided)
            await self._events.publish(Voided(voided))
            return voided

    async def _decide(self, order_id: str) -> Payment:
        now = self._clock.now()
        tombstone = Payment(self._ids.uuid7(), order_id, "", None, "", State.VOIDED, now, now)
        async with self._transactions.transaction():
            if await self._payments.add(tombstone):
                return tombstone
            payment = await self._payments.of_order(order_id, lock=True)
            if payment is None:
                raise Aborted("CONCURRENT_CHANGE", "the payment changed meanwhile; try again")
            payment = payment.voiding(now)
            if payment.state is State.VOIDING:
                await self._payments.save(payment)
            return payment
