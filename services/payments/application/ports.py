"""What the use cases need of the outside world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chassis.money import Money
from services.payments.domain.events import PaymentEvent
from services.payments.domain.payment import Payment, Refund, Status


class Payments(Protocol):
    """Payments by order, inside the running transaction."""

    async def add(self, payment: Payment) -> bool:
        """Store a new one; False when the order has one already."""
        ...

    async def of_order(self, order_id: str, *, lock: bool = False) -> Payment | None:
        """The order's payment, locked against other writers when asked."""
        ...

    async def save(self, payment: Payment) -> None:
        """Store what changed."""
        ...

    async def add_refund(self, refund: Refund) -> bool:
        """Store a promise; False when its request made one already."""
        ...

    async def unkept_refunds(self, older_than: timedelta, limit: int) -> Sequence[Refund]:
        """Promises that nobody has kept since, oldest first."""
        ...

    async def refund(self, request_id: str) -> Refund | None:
        """A promise by the request that made it."""
        ...

    async def refund_done(self, request_id: str) -> bool:
        """Mark a promise as kept; False when it was already."""
        ...

    async def page(
        self, payer_id: str | None, status: Status | None, before: str | None, limit: int
    ) -> Sequence[Payment]:
        """Payments with ids below `before`, newest first."""
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def publish(self, event: PaymentEvent) -> None: ...


@dataclass(frozen=True, slots=True)
class Approved:
    """The provider reserved the amount."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider said no, with its code."""

    code: str


class ProviderTimeout(Exception):
    """The provider did not answer in time; what it did is not known. Ask again with the same key."""


class Provider(Protocol):
    """A payment provider. Every call is idempotent by its key and may raise ProviderTimeout.

    Asked for what its books forbid (a capture of nothing, a void of what was captured) it raises
    LookupError: we have then lost track of the money, which nobody may paper over.
    """

    def accepts(self, method: str) -> bool:
        """Whether the token could be one of a payment method of this provider."""
        ...

    async def authorize(self, key: str, amount: Money, method: str) -> Approved | Refused: ...

    async def capture(self, key: str) -> None: ...

    async def void(self, key: str) -> None:
        """Free the authorization of the key; also one that arrives later."""
        ...

    async def refund(self, key: str, refund_key: str, amount: Money) -> None: ...
