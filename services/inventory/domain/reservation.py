"""Stock set aside for an order."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chassis.errors import FailedPrecondition
from services.inventory.domain.stock import Allocation, Block


class State(StrEnum):
    """HELD until it expires, CONFIRMED until it is consumed; the other three are final."""

    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    CONSUMED = "CONSUMED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


_REFUSALS = {
    State.RELEASED: ("RESERVATION_RELEASED", "the reservation was given back"),
    State.EXPIRED: ("RESERVATION_EXPIRED", "the reservation has run out"),
    State.CONSUMED: ("RESERVATION_CONSUMED", "the goods have left the stock"),
}
_BLOCKED = {
    Block.RECALL: "a lot that was set aside for the order has been recalled",
    Block.HOLD: "a lot that was set aside for the order is held back",
}


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is set aside for one order; RELEASED without allocations is a tombstone."""

    order_id: str
    venue_id: str
    state: State
    expires_at: datetime
    allocations: tuple[Allocation, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it binds stock."""
        return self.state in (State.HELD, State.CONFIRMED)

    def confirmed(self, block: Block | None) -> "Reservation":
        """Hold it past its expiry.

        Args:
            block: why stock that it took from must not be used, if so.

        Raises:
            FailedPrecondition: LOT_QUARANTINED, LOT_HELD, RESERVATION_RELEASED, RESERVATION_EXPIRED,
                RESERVATION_CONSUMED.
        """
        if self.state is State.CONFIRMED:
            return self
        self._ensure_usable(block)
        return replace(self, state=State.CONFIRMED)

    def consumed(self, block: Block | None) -> "Reservation":
        """Take the goods out of stock; of a consumed one, the same again.

        Raises:
            FailedPrecondition: LOT_QUARANTINED, LOT_HELD, RESERVATION_RELEASED, RESERVATION_EXPIRED.
        """
        if self.state is State.CONSUMED:
            return self
        self._ensure_usable(block)
        return replace(self, state=State.CONSUMED)

    def released(self, *, expired: bool = False) -> "Reservation":
        """Give it back.

        Raises:
            FailedPrecondition: RESERVATION_CONSUMED.
        """
        if self.state is State.CONSUMED:
            raise FailedPrecondition(*_REFUSALS[State.CONSUMED])
        if not self.open:
            return self
        return replace(self, state=State.EXPIRED if expired else State.RELEASED)

    def ensure_not_given_back(self) -> None:
        """Refuse to reserve for an order whose reservation was given back, perhaps before it came.

        Raises:
            FailedPrecondition: RESERVATION_RELEASED, RESERVATION_EXPIRED.
        """
        if self.state in (State.RELEASED, State.EXPIRED):
            raise FailedPrecondition(*_REFUSALS[self.state])

    def _ensure_usable(self, block: Block | None) -> None:
        if not self.open:
            raise FailedPrecondition(*_REFUSALS[self.state])
        if block:
            raise FailedPrecondition(block.value, _BLOCKED[block])
