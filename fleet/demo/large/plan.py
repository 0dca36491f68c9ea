"""How much is made, how it is shared out, and the names that make a repeated call have one effect."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass

LOTS_PER_HARVEST = 10
PRODUCTS_PER_VENUE = 4
_MOST_VENUES = 20
_MOST_GUESTS = 100
_GROWERS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """Size of one large run.

    Args:
        lots: lots altogether: those that the venues sell from, and harvests with what is split from them.
        orders: orders altogether.
        in_flight: calls at once.
    """

    lots: int = 100_000
    orders: int = 50_000
    in_flight: int = 32

    @property
    def growers(self) -> int:
        return _GROWERS

    @property
    def products(self) -> int:
        """Products on each menu."""
        return min(PRODUCTS_PER_VENUE, self.lots)

    @property
    def venues(self) -> int:
        """Venues, with one manager each; none when nothing is ordered."""
        return max(1, min(_MOST_VENUES, self.lots // (4 * PRODUCTS_PER_VENUE))) if self.orders else 0

    @property
    def guests(self) -> int:
        return min(_MOST_GUESTS, self.orders)

    @property
    def stock_lots(self) -> int:
        """Lots that the venues sell from, one for each product of each."""
        return self.venues * self.products

    @property
    def harvests(self) -> int:
        """Units of the lot load."""
        return -(-(self.lots - self.stock_lots) // LOTS_PER_HARVEST)

    def parts(self, harvest: int) -> int:
        """How many lots are split from a harvest; the last harvest takes what is left."""
        left = self.lots - self.stock_lots - harvest * LOTS_PER_HARVEST
        return min(LOTS_PER_HARVEST, left) - 1


@dataclass(frozen=True, slots=True, repr=False)
class Names:
    """Request ids, codes and passwords of one run, derived so that a resumed run asks the same again.

    Args:
        tag: tells this run from others.
        key: secret of this run, as text.
    """

    tag: str
    key: str

    def request_id(self, *parts: str | int) -> str:
        """The idempotency key of one call."""
        return str(uuid.UUID(bytes=self._digest("request", *parts)[:16], version=4))

    def password(self, person: str) -> str:
        """A person's password."""
        return self._digest("password", person).hex()

    def email(self, person: str) -> str:
        """A person's address."""
        return f"{person}.{self.tag}@example.com"

    def lot_code(self, *parts: str | int) -> str:
        """A traceability lot code."""
        return "-".join(["GL", self.tag.upper(), *map(str, parts)])

    def _digest(self, *parts: str | int) -> bytes:
        return hmac.digest(self.key.encode(), "/".join(map(str, parts)).encode(), hashlib.sha256)
