"""Offer a lot, and end the offer: accepted, rejected, withdrawn or expired."""

from datetime import datetime
from functools import partial

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import Aborted
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.crops.application.decisions import LotDecisions
from services.crops.application.ports import Lots, OverdueOffers, Transfer
from services.crops.application.transfer_lot import TransferLot
from services.crops.application.views import LotView
from services.crops.domain.events import LotEvent, OfferKind, OfferOutcome
from services.crops.domain.handover import accept_custody, expire, offer, offer_to, reject, withdraw
from services.crops.domain.lot import Lot

SWEEP = 100


class OfferLot(LotDecisions):
    """The owner offers ownership, the custodian custody, who is both may offer both."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        super().__init__(transactions, lots, clock)
        self._ids = ids

    async def __call__(
        self,
        actor: Principal,
        lot_id: str,
        to_id: str,
        kind: OfferKind,
        expire_time: datetime,
        reference_document: str,
    ) -> LotView:
        """The lot with its offer.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.handover.offer`.
        """
        rule = partial(
            offer,
            offer_id=self._ids.uuid7(),
            kind=kind,
            to_id=to_id,
            expire_time=expire_time,
            reference_document=reference_document,
        )
        return await self._by(actor, lot_id, rule)


class AcceptOffer(LotDecisions):
    """Custody changes at once; ownership by the transfer saga. A repeated acceptance finds the first."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, transfer: TransferLot) -> None:
        super().__init__(transactions, lots, clock)
        self._transfer = transfer

    async def __call__(self, actor: Principal, lot_id: str, offer_id: str) -> LotView:
        """The lot of the new owner or custodian.

        Raises:
            NotFound: LOT_NOT_FOUND, OFFER_NOT_FOUND.
            PermissionDenied: NOT_ADDRESSEE.
            FailedPrecondition: OFFER_ENDED, OFFER_EXPIRED; as `TransferLot`.
            Unavailable, DeadlineExceeded: as `TransferLot`.
        """
        found = offer_to(await self._lots.load(lot_id), offer_id, actor.subject)
        if found.kind is not OfferKind.CUSTODY:
            transfer = Transfer(lot_id, found.offered_by, found.to_id, found.reference_document, offer_id)
            return await self._transfer.run(actor, offer_id, transfer)

        def decide(lot: Lot) -> tuple[LotEvent, ...]:
            if lot.offers[offer_id].outcome is OfferOutcome.ACCEPTED:
                return ()
            return accept_custody(lot, offer_id, actor=actor.subject, now=self._clock.now())

        return await self._decide(lot_id, decide)


class RejectOffer(LotDecisions):
    """The one to whom it was made refuses."""

    async def __call__(self, actor: Principal, lot_id: str, offer_id: str) -> LotView:
        """The lot without the offer.

        Raises:
            NotFound: LOT_NOT_FOUND, OFFER_NOT_FOUND.
            PermissionDenied: NOT_ADDRESSEE.
            FailedPrecondition: OFFER_ENDED.
        """
        return await self._by(actor, lot_id, partial(reject, offer_id=offer_id))


class WithdrawOffer(LotDecisions):
    """The one who made it takes it back."""

    async def __call__(self, actor: Principal, lot_id: str, offer_id: str) -> LotView:
        """The lot without the offer.

        Raises:
            NotFound: LOT_NOT_FOUND, OFFER_NOT_FOUND.
            PermissionDenied: NOT_OFFERER.
            FailedPrecondition: OFFER_ENDED.
        """
        return await self._by(actor, lot_id, partial(withdraw, offer_id=offer_id))


class ExpireOffers(LotDecisions):
    """Ends the offers whose time is up, so that their lots are free again; run it now and then."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, overdue: OverdueOffers) -> None:
        super().__init__(transactions, lots, clock)
        self._overdue = overdue

    async def __call__(self) -> bool:
        """Whether there may be more to end at once."""
        lot_ids = await self._overdue.overdue(self._clock.now(), SWEEP)
        for lot_id in lot_ids:
            try:
                await self._decide(lot_id, self._expired)
            except Aborted:
                continue  # someone is at work on the lot; the next sweep looks again
        return len(lot_ids) == SWEEP

    def _expired(self, lot: Lot) -> tuple[LotEvent, ...]:
        ended = expire(lot, now=self._clock.now())
        return (ended,) if ended else ()
