"""Put goods up for sale, end the sale, look at what is for sale."""

from collections.abc import Callable, Sequence
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.errors import (
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from chassis.ids import IdSource
from chassis.saga import newest_attempt
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.market.application.ports import (
    Events,
    ListingFilter,
    Listings,
    ListingSagas,
    Progress,
)
from services.market.domain.events import ListingChanged
from services.market.domain.listing import Listing, Offer, require_something

ATTEMPTS = 32
"""How often one request_id may be used to try again after a refusal; then the last refusal stands."""

SWEEP = 100
"""How many listings one round of the sweep ends at most."""

_LISTINGS = UUID("2f0c7a0b-50ad-5d3e-9b8f-9a5a4e7f1d20")
_KINDS: dict[str, type[DomainError]] = {
    "LOT_NOT_FOUND": NotFound,
    "NOT_OWNER": PermissionDenied,
    "QUANTITY_ZERO": InvalidArgument,
    "UNIT_MISMATCH": InvalidArgument,
    **dict.fromkeys(
        (
            *("LOT_RECALLED", "LOT_HELD", "LOT_EXPIRED"),
            *("QUANTITY_EXCEEDED", "TRANSFER_UNDER_WAY", "OFFER_OPEN", "LOT_IN_TRANSIT", "LOT_IN_UNIT"),
        ),
        FailedPrecondition,
    ),
}


def listing_saga_id(seller_id: str, request_id: str, attempt: int = 1) -> str:
    """The saga of a seller's request: a repeated request finds it instead of starting another."""
    return str(uuid5(_LISTINGS, f"{seller_id}/{request_id}/{attempt}"))


class CreateListing:
    """The same request_id of the same seller is the same listing; a refused one is tried anew."""

    def __init__(self, sagas: ListingSagas, listings: Listings, clock: Clock, ids: IdSource) -> None:
        self._sagas = sagas
        self._listings = listings
        self._clock = clock
        self._ids = ids

    async def __call__(self, request_id: str, offer: Offer) -> Listing:
        """The listing as it is now, in the lot's own unit.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, LOT_HELD, LOT_EXPIRED, QUANTITY_EXCEEDED, TRANSFER_UNDER_WAY,
                OFFER_OPEN, LOT_IN_TRANSIT, LOT_IN_UNIT.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
            AlreadyExists: REQUEST_ID_REUSED.
            Unavailable: LISTING_FAILED, crops did not answer; nothing has changed.
            DeadlineExceeded: LISTING_UNDER_WAY, the outcome is not known yet.
        """
        require_something(offer)

        async def start(saga_id: str) -> Progress:
            found = await self._sagas.find(saga_id)
            return found or await self._sagas.start(saga_id, offer, self._ids.uuid7())

        saga_id, progress = await newest_attempt(
            ATTEMPTS,
            lambda attempt: listing_saga_id(offer.seller_id, request_id, attempt),
            start,
            lambda progress: progress.offer == offer,
            "the request_id was used for another listing",
        )
        if progress.refusal is None and not progress.stored:
            progress = await self._sagas.outcome(saga_id, patience(self._clock))
        return await self._answer(progress)

    async def _answer(self, progress: Progress) -> Listing:
        if progress.refusal is not None:
            raise progress.refusal.error(
                _KINDS,
                "LISTING_FAILED",
                "the listing could not be made; nothing has changed",
                ("lot", progress.offer.lot_id),
            )
        listing = await self._listings.get(progress.listing_id) if progress.stored else None
        if listing is None:
            raise DeadlineExceeded(
                "LISTING_UNDER_WAY",
                "the outcome is not known yet; ask again with the same request_id",
                resource=("lot", progress.offer.lot_id),
            )
        return listing.as_of(self._clock.now())


class _EndListings:
    """Ends sales, for whatever reason."""

    def __init__(
        self,
        transactions: Transactions,
        listings: Listings,
        sagas: ListingSagas,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._listings = listings
        self._sagas = sagas
        self._events = events
        self._clock = clock

    async def _end(self, listing_id: str, end: Callable[[Listing], Listing]) -> Listing:
        async with self._transactions.transaction():
            listing = found(await self._listings.get(listing_id, lock=True), listing_id)
            ended = end(listing)
            if ended is not listing:
                await self._listings.save(ended)
                await self._sagas.release(ended)
                await self._events.publish([ListingChanged(ended)])
        return ended


class CancelListing(_EndListings):
    """Ends the sale at once; what is left is free in the lot when the purchases under way have ended."""

    async def __call__(self, subject: str, listing_id: str) -> Listing:
        """The listing, cancelled; also when it was before.

        Raises:
            NotFound: LISTING_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
        """
        return await self._end(listing_id, lambda listing: listing.cancel(subject, self._clock.now()))


class ExpireListings(_EndListings):
    """Ends the sale of goods past their expiry, and gives back what is left; run it now and then."""

    async def __call__(self) -> bool:
        """Whether there may be more to end at once."""
        now = self._clock.now()
        overdue = await self._listings.overdue(now, SWEEP)
        for listing_id in overdue:
            await self._end(listing_id, lambda listing: listing.as_of(now))
        return len(overdue) == SWEEP


class ReadListings:
    """What is for sale, for everyone; what is past its expiry is told so before it is swept."""

    def __init__(self, listings: Listings, clock: Clock) -> None:
        self._listings = listings
        self._clock = clock

    async def get(self, listing_id: str) -> Listing:
        """One listing.

        Raises:
            NotFound: LISTING_NOT_FOUND.
        """
        return found(await self._listings.get(listing_id), listing_id).as_of(self._clock.now())

    async def page(self, where: ListingFilter, before: str | None, limit: int) -> Sequence[Listing]:
        """Listings older than the id `before`, newest first, at most `limit`."""
        now = self._clock.now()
        return [each.as_of(now) for each in await self._listings.page(where, before, limit, now)]


def found(listing: Listing | None, listing_id: str) -> Listing:
    """The listing.

    Raises:
        NotFound: LISTING_NOT_FOUND.
    """
    if listing is None:
        raise NotFound("LISTING_NOT_FOUND", "there is no such listing", resource=("listing", listing_id))
    return listing
