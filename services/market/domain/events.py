"""What others hear of listings and purchases."""

from dataclasses import dataclass

from chassis.money import Money
from services.market.domain.listing import Listing
from services.market.domain.purchase import Purchase


@dataclass(frozen=True, slots=True)
class Listed:
    """Goods are up for sale."""

    listing: Listing


@dataclass(frozen=True, slots=True)
class ListingChanged:
    """A listing has another state, or more or less of it is left."""

    listing: Listing


@dataclass(frozen=True, slots=True)
class Purchased:
    """Goods were paid and delivered."""

    purchase: Purchase


@dataclass(frozen=True, slots=True)
class PurchaseFailed:
    """A purchase came to nothing; `refunded` is what was given back, None when nothing had been paid."""

    purchase: Purchase
    refunded: Money | None


MarketEvent = Listed | ListingChanged | Purchased | PurchaseFailed
