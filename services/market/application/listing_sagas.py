"""The sagas of listings: commit the goods and list them; after its end, give back what is left.

Committed goods can be neither listed again nor received into stock nor split off nor transferred, so that
they count once. Until they are listed every failure releases them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from chassis.clock import Clock
from chassis.errors import NotFound, Unavailable
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Retry, Saga, Step, StepContext
from services.market.application.ports import Crops, Events, Listings, Standings
from services.market.domain.events import Listed
from services.market.domain.listing import Goods, Listing, Offer, listed

LIST = "list_lot"
RELEASE = "release_listing"
DEADLINE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ListingData:
    """What listing is started with; the listing's id is chosen before, so that it is one for ever."""

    offer: Offer
    listing_id: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        offer = self.offer
        return {
            "seller_id": offer.seller_id,
            "lot_id": offer.lot_id,
            "amount": offer.quantity.text,
            "unit": offer.quantity.unit,
            "price_minor": offer.unit_price.minor,
            "currency": offer.unit_price.currency,
            "listing_id": self.listing_id,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what `to_json` made; further keys are ignored."""
        quantity = Quantity.of(data["amount"], data["unit"])
        price = Money(data["price_minor"], data["currency"])
        return cls(Offer(data["seller_id"], data["lot_id"], quantity, price), data["listing_id"])


class ListingSteps:
    """The sagas' actions."""

    def __init__(
        self, listings: Listings, standings: Standings, crops: Crops, events: Events, clock: Clock
    ) -> None:
        self._listings = listings
        self._standings = standings
        self._crops = crops
        self._events = events
        self._clock = clock

    def list_lot(self) -> Saga:
        """Commit, then list."""
        quick = Retry(attempts=5, first=timedelta(milliseconds=100), ceiling=timedelta(seconds=2))
        return Saga(
            LIST,
            version=1,
            deadline=DEADLINE,
            steps=(
                Step("commit", self.commit, undo=self.uncommit, retry=quick),
                Step("store", self.store, pivot=True, local=True),
            ),
        )

    def release_listing(self) -> Saga:
        """Give back what is left of a listing that has ended; that is never turned back from."""
        patient = Retry(None, first=timedelta(milliseconds=200), ceiling=timedelta(seconds=5))
        return Saga(RELEASE, version=1, steps=(Step("release", self.release, pivot=True, retry=patient),))

    async def commit(self, ctx: StepContext) -> dict[str, Any]:
        offer = ListingData.from_json(ctx.data).offer
        goods = await self._crops.commit(ctx.idempotency_key, offer)
        return {
            "commitment_id": ctx.idempotency_key,
            "goods": {
                "lot_code": goods.lot_code,
                "product_code": goods.product_code,
                "amount": goods.quantity.text,
                "unit": goods.quantity.unit,
                "expires_at": goods.expires_at.isoformat(),
            },
        }

    async def uncommit(self, ctx: StepContext) -> None:
        await self._release(ctx.idempotency_key, ctx.data["lot_id"], ctx.action_key)

    async def store(self, ctx: StepContext) -> None:
        data = ListingData.from_json(ctx.data)
        # A recall that is being applied now either sees the listing and blocks it, or is seen here.
        block = await self._standings.locked(data.offer.lot_id)
        listing = listed(
            data.offer,
            _goods(ctx.data["goods"]),
            listing_id=data.listing_id,
            commitment_id=ctx.data["commitment_id"],
            block=block,
            now=self._clock.now(),
        )
        await self._listings.add(listing)
        await self._events.publish([Listed(listing)])

    async def release(self, ctx: StepContext) -> None:
        listing = await self._listings.get(ctx.data["listing_id"])
        if listing is None:
            raise NotFound("LISTING_NOT_FOUND", "there is no such listing")
        if not listing.taken.is_zero:
            # Whoever bought before the end gets the goods, or gives them back first.
            raise Unavailable("PURCHASES_UNDER_WAY", "purchases of the listing have not ended yet")
        if not listing.remaining.is_zero:
            await self._release(ctx.idempotency_key, listing.lot_id, listing.commitment_id)

    async def _release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        try:
            await self._crops.release(request_id, lot_id, commitment_id)
        except NotFound:
            return  # of no lot nothing is committed, nor will be


def released(listing: Listing) -> dict[str, Any]:
    """What giving back is started with."""
    return {"listing_id": listing.listing_id}


def _goods(data: Mapping[str, Any]) -> Goods:
    quantity = Quantity.of(data["amount"], data["unit"])
    expires_at = datetime.fromisoformat(data["expires_at"])
    return Goods(data["lot_code"], data["product_code"], quantity, expires_at)
