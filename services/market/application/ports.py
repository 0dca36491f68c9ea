"""What collections, listings and purchases need of the outside world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Refusal
from services.market.domain.collection import Collection
from services.market.domain.events import MarketEvent
from services.market.domain.listing import Block, Goods, Listing, Offer
from services.market.domain.listing import State as ListingState
from services.market.domain.purchase import Purchase


class Collections(Protocol):
    """Collections with their lots."""

    async def add(self, collection: Collection, request_id: str, request_hash: str) -> bool:
        """Store a new one; False when the owner's request has made one already."""
        ...

    async def of_request(self, owner_id: str, request_id: str) -> tuple[Collection, str] | None:
        """The one that a request has made, and that request's hash."""
        ...

    async def get(self, collection_id: str, *, lock: bool = False) -> Collection | None: ...

    async def save(self, collection: Collection) -> None:
        """Store its lots."""
        ...

    async def page(self, owner_id: str | None, before: str | None, limit: int) -> Sequence[Collection]:
        """Those older than the id `before`, newest first."""
        ...


class LotOwners(Protocol):
    """Who owns lots, as crops says."""

    async def owner_of(self, lot_id: str) -> str:
        """The present owner.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        ...


@dataclass(frozen=True, slots=True)
class ListingFilter:
    """Which listings to show; each that is set must hold."""

    product_code: str = ""
    lot_id: str = ""
    seller_id: str = ""
    collection_id: str = ""
    state: ListingState | None = None


class Listings(Protocol):
    """Listings, and what is known of the lots that they sell."""

    async def add(self, listing: Listing) -> None: ...

    async def get(self, listing_id: str, *, lock: bool = False) -> Listing | None: ...

    async def save(self, listing: Listing) -> None:
        """Store what is left of it and its state."""
        ...

    async def of_lot(self, lot_id: str) -> Sequence[Listing]:
        """Those of a lot that are neither cancelled nor expired, locked until the transaction ends."""
        ...

    async def overdue(self, now: datetime, limit: int) -> Sequence[str]:
        """Ids of those that `Listing.as_of` lets expire, at most `limit`."""
        ...

    async def page(
        self, where: ListingFilter, before: str | None, limit: int, now: datetime
    ) -> Sequence[Listing]:
        """Those older than the id `before`, newest first, by the states that they have now."""
        ...


class Standings(Protocol):
    """What is known of lots: recalls and holds, in whatever order they were heard of."""

    async def locked(self, lot_id: str) -> Block:
        """Whether its goods may be sold; keeps that so until the transaction ends."""
        ...

    async def recalled(self, lot_id: str, recall_id: str, *, released: bool) -> Block:
        """Remember a recall or its end, which stays ended, and say what holds now; locked as above."""
        ...

    async def held(self, lot_id: str, *, held: bool, at: datetime) -> Block:
        """Remember a hold or its end unless a later one is known; locked as above."""
        ...


class Purchases(Protocol):
    """Purchases."""

    async def add(self, purchase: Purchase) -> bool:
        """Store a new one; False when the buyer's request has made one already."""
        ...

    async def get(self, purchase_id: str, *, lock: bool = False) -> Purchase | None: ...

    async def of_request(self, buyer_id: str, request_id: str) -> Purchase | None: ...

    async def save(self, purchase: Purchase) -> None:
        """Store its state and what was delivered."""
        ...

    async def page(
        self,
        buyer_id: str | None,
        seller_id: str | None,
        listing_id: str | None,
        before: str | None,
        limit: int,
    ) -> Sequence[Purchase]:
        """Those of this buyer or this seller, of anyone when neither is given; newest first."""
        ...

    async def prices(
        self, product_code: str, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Purchase]:
        """Completed ones of a product before (end, id), the last first."""
        ...


class Crops(Protocol):
    """The crops service."""

    async def commit(self, commitment_id: str, offer: Offer) -> Goods:
        """Set the goods of a listing aside, once however often it is asked to with that id.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, LOT_HELD, LOT_EXPIRED, QUANTITY_EXCEEDED, TRANSFER_UNDER_WAY,
                OFFER_OPEN, LOT_IN_TRANSIT, LOT_IN_UNIT; COMMITMENT_RELEASED, it was taken back.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
        """
        ...

    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        """Take back what is left of a commitment, also of one that has not arrived yet.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        ...

    async def deliver(
        self,
        delivery_id: str,
        lot_id: str,
        commitment_id: str,
        quantity: Quantity,
        new_owner_id: str,
        lot_code: str,
    ) -> str:
        """Make a part of a commitment a lot of someone else's, once; its id.

        Raises:
            FailedPrecondition: LOT_RECALLED, LOT_HELD and others; refused for good.
        """
        ...


class Payments(Protocol):
    """The payments service, each call idempotent; a purchase is an order there, and so is a deposit."""

    async def authorize(
        self, request_id: str, order_id: str, payer_id: str, amount: Money, payment_method: str
    ) -> None:
        """Reserve.

        Raises:
            FailedPrecondition: PAYMENT_DECLINED, and what else payments refuses.
        """
        ...

    async def capture(self, request_id: str, order_id: str) -> None: ...

    async def void(self, request_id: str, order_id: str) -> None:
        """Also of a payment that has not arrived, which is then refused."""
        ...

    async def refund(self, request_id: str, order_id: str, reason: str, amount: Money | None = None) -> None:
        """Give back a part; default all that is left."""
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def publish(self, events: Sequence[MarketEvent]) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the making of a listing stands: refused, or stored as `listing_id`, or neither yet."""

    offer: Offer
    listing_id: str
    stored: bool = False
    refusal: Refusal | None = None


class ListingSagas(Protocol):
    """Runs the sagas that list and that release."""

    async def find(self, saga_id: str) -> Progress | None: ...

    async def start(self, saga_id: str, offer: Offer, listing_id: str) -> Progress:
        """Start listing, or find the one with that id; compare `offer` to see which."""
        ...

    async def outcome(self, saga_id: str, within: timedelta) -> Progress:
        """Wait until it is stored or refused; it is neither when that takes longer."""
        ...

    async def release(self, listing: Listing) -> None:
        """Start giving the goods of a listing that has ended back, in the running transaction."""
        ...


class PurchaseSagas(Protocol):
    """Runs the purchase saga."""

    async def start(self, purchase_id: str, data: Mapping[str, Any]) -> None:
        """Start it in the running transaction."""
        ...

    async def ended(self, purchase_id: str, within: timedelta) -> bool:
        """Wait for the end; False when it takes longer."""
        ...
