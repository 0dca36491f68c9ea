"""Buy of a listing and wait for what becomes of it; look at purchases and prices."""

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Violation,
)
from chassis.ids import IdSource
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.market.application.listings import found
from services.market.application.ports import Events, Listings, Purchases, PurchaseSagas
from services.market.application.purchase_saga import started_with
from services.market.domain.events import ListingChanged
from services.market.domain.purchase import Purchase, State, purchase

READ_ALL = "market.purchases.read"
_MESSAGES = {
    "PAYMENT_METHOD_INVALID": "the payment method is not one that can be charged; buy anew with another",
    "PAYMENT_DECLINED": "the payment was declined; nothing is charged",
    "PROVIDER_TIMEOUT": "the payment provider did not answer; nothing is charged, buy anew",
    "LOT_RECALLED": "the lot was recalled; what was paid is given back",
    "LOT_HELD": "the lot is held back; what was paid is given back",
}


class BuyFromListing:
    """The same request_id of the same buyer always leads to the same purchase and the same answer.

    What is bought is taken from the listing at once, in the transaction that begins the purchase, so that
    however many buy at the same time no more is sold than there is.
    """

    def __init__(
        self,
        transactions: Transactions,
        listings: Listings,
        purchases: Purchases,
        sagas: PurchaseSagas,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._listings = listings
        self._purchases = purchases
        self._sagas = sagas
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(
        self, buyer_id: str, request_id: str, listing_id: str, quantity: Quantity, payment_method: str
    ) -> Purchase:
        """The purchase, paid and delivered.

        Raises:
            NotFound: LISTING_NOT_FOUND.
            FailedPrecondition: LISTING_SOLD_OUT, LISTING_CANCELLED, LISTING_BLOCKED, LOT_EXPIRED,
                QUANTITY_EXCEEDED, BUYER_IS_SELLER; PAYMENT_DECLINED, PROVIDER_TIMEOUT, LOT_RECALLED,
                LOT_HELD, PURCHASE_FAILED, after which nothing is charged.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH, UNIT_UNKNOWN, AMOUNT_INVALID,
                PAYMENT_METHOD_INVALID.
            AlreadyExists: REQUEST_ID_REUSED.
            DeadlineExceeded: PURCHASE_UNDER_WAY, the outcome is not known yet.
        """
        facts = [listing_id, quantity.text, quantity.unit, payment_method]
        request_hash = sha256(json.dumps(facts).encode()).hexdigest()
        bought = await self._purchases.of_request(buyer_id, request_id)
        if bought is None:
            bought = await self._begin(
                buyer_id, request_id, request_hash, listing_id, quantity, payment_method
            )
        if bought.request_hash != request_hash:
            raise AlreadyExists("REQUEST_ID_REUSED", "the request_id was used for another purchase")
        if not bought.state.final:
            bought = await self._await_end(bought.purchase_id)
        return _answer(bought)

    async def _begin(
        self,
        buyer_id: str,
        request_id: str,
        request_hash: str,
        listing_id: str,
        quantity: Quantity,
        payment_method: str,
    ) -> Purchase:
        async with self._transactions.transaction():
            listing = found(await self._listings.get(listing_id, lock=True), listing_id)
            # Under the listing's lock: a twin of this request has either ended here or not begun.
            existing = await self._purchases.of_request(buyer_id, request_id)
            if existing is not None:
                return existing
            changed, bought = purchase(
                listing,
                quantity,
                purchase_id=self._ids.uuid7(),
                buyer_id=buyer_id,
                request_id=request_id,
                request_hash=request_hash,
                now=self._clock.now(),
            )
            if not await self._purchases.add(bought):
                raise Aborted("CONCURRENT_CHANGE", "the request_id is being used for another purchase")
            await self._listings.save(changed)
            await self._events.publish([ListingChanged(changed)])
            await self._sagas.start(bought.purchase_id, started_with(listing, bought, payment_method))
        return bought

    async def _await_end(self, purchase_id: str) -> Purchase:
        await self._sagas.ended(purchase_id, patience(self._clock))
        bought = await self._purchases.get(purchase_id)
        if bought is None or not bought.state.final:
            raise DeadlineExceeded(
                "PURCHASE_UNDER_WAY",
                "the outcome is not known yet; ask again with the same request_id",
                metadata={"purchase_id": purchase_id},
            )
        return bought


class ReadPurchases:
    """One's own as buyer or seller; anyone's with market.purchases.read. Prices are everyone's."""

    def __init__(self, purchases: Purchases) -> None:
        self._purchases = purchases

    async def get(self, purchase_id: str, actor: Principal) -> Purchase:
        """One purchase.

        Raises:
            NotFound: PURCHASE_NOT_FOUND, also for someone else's: its existence is private.
        """
        bought = await self._purchases.get(purchase_id)
        if bought is None or (
            actor.subject not in (bought.buyer_id, bought.seller_id) and READ_ALL not in actor.permissions
        ):
            raise NotFound(
                "PURCHASE_NOT_FOUND", "there is no such purchase", resource=("purchase", purchase_id)
            )
        return bought

    async def page(
        self,
        actor: Principal,
        *,
        as_buyer: bool,
        as_seller: bool,
        listing_id: str | None,
        before: str | None,
        limit: int,
    ) -> Sequence[Purchase]:
        """Purchases older than the id `before`, newest first, at most `limit`.

        Args:
            as_buyer, as_seller: the parts of the caller; neither shows everyone's to who may see them.
        """
        everyones = READ_ALL in actor.permissions and not (as_buyer or as_seller)
        both = not everyones and as_buyer == as_seller
        buyer = actor.subject if as_buyer or both else None
        seller = actor.subject if as_seller or both else None
        return await self._purchases.page(buyer, seller, listing_id, before, limit)

    async def prices(
        self, product_code: str, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Purchase]:
        """What a product was sold for, the last first."""
        return await self._purchases.prices(product_code, before, limit)


def _answer(bought: Purchase) -> Purchase:
    if bought.state is not State.FAILED:
        return bought
    reason = bought.failure_reason
    message = _MESSAGES.get(reason, "the purchase could not be completed; nothing is charged")
    facts = {"purchase_id": bought.purchase_id}
    if reason == "PAYMENT_METHOD_INVALID":
        wrong = Violation("payment_method", "is not one that can be charged")
        raise InvalidArgument(reason, message, metadata=facts, violations=(wrong,))
    raise FailedPrecondition(reason, message, metadata=facts)
