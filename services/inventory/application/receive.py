"""Take a lot, or part of it, into a venue's stock, and wait until it is there."""

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
from chassis.waiting import patience
from services.inventory.application.ports import Catalog, Progress, Receipts, Stock
from services.inventory.domain.receipt import Receipt, ensure_receivable
from services.inventory.domain.stock import StockItem

ATTEMPTS = 32
"""How often one request_id may be used to try again after a refusal; then the last refusal stands."""

_RECEIPTS = UUID("5a1d7c5e-7d0c-5b1b-8f53-2f3a6b8f4c11")
_KINDS: dict[str, type[DomainError]] = {
    "LOT_NOT_FOUND": NotFound,
    "NOT_OWNER": PermissionDenied,
    "LOT_RECALLED": FailedPrecondition,
    "LOT_EXPIRED": FailedPrecondition,
    "LOT_HELD": FailedPrecondition,
    "QUANTITY_EXCEEDED": FailedPrecondition,
    "TRANSFER_UNDER_WAY": FailedPrecondition,
    "QUANTITY_ZERO": InvalidArgument,
    "UNIT_MISMATCH": InvalidArgument,
}


def receipt_id_of(owner_id: str, request_id: str, attempt: int = 1) -> str:
    """The saga of a caller's request: a repeated request finds it instead of starting another."""
    return str(uuid5(_RECEIPTS, f"{owner_id}/{request_id}/{attempt}"))


class ReceiveStock:
    """A receipt is a stock item of its own, even of a lot that is there already.

    The same request_id of the same caller is the same receipt. One that was refused may be repeated and is
    then tried anew.
    """

    def __init__(
        self, receipts: Receipts, stock: Stock, catalog: Catalog, clock: Clock, ids: IdSource
    ) -> None:
        self._receipts = receipts
        self._stock = stock
        self._catalog = catalog
        self._clock = clock
        self._ids = ids

    async def __call__(self, request_id: str, receipt: Receipt) -> StockItem:
        """The stock that came of it, as it is now; it is kept in the unit of the lot.

        Raises:
            NotFound: VENUE_NOT_FOUND, LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, LOT_HELD, LOT_EXPIRED, QUANTITY_EXCEEDED,
                TRANSFER_UNDER_WAY.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
            AlreadyExists: REQUEST_ID_REUSED.
            Unavailable: RECEIPT_FAILED, a participant did not answer; nothing has changed.
            DeadlineExceeded: RECEIPT_UNDER_WAY, the outcome is not known yet.
        """

        async def start(receipt_id: str) -> Progress:
            return await self._receipts.find(receipt_id) or await self._begin(receipt_id, receipt)

        receipt_id, progress = await newest_attempt(
            ATTEMPTS,
            lambda attempt: receipt_id_of(receipt.owner_id, request_id, attempt),
            start,
            lambda progress: progress.receipt == receipt,
            "the request_id was used for another receipt",
        )
        if progress.refusal is None and not progress.stored:
            progress = await self._receipts.outcome(receipt_id, patience(self._clock))
        return await self._answer(progress)

    async def _begin(self, receipt_id: str, receipt: Receipt) -> Progress:
        # Before anything is begun, so that a request which can never succeed leaves nothing behind.
        ensure_receivable(receipt, await self._catalog.venue_owner(receipt.venue_id))
        return await self._receipts.start(receipt_id, receipt, self._ids.uuid7())

    async def _answer(self, progress: Progress) -> StockItem:
        if progress.refusal is not None:
            raise progress.refusal.error(
                _KINDS,
                "RECEIPT_FAILED",
                "the receipt could not be completed; nothing has changed",
                ("lot", progress.receipt.lot_id),
            )
        item = await self._stock.get(progress.stock_item_id) if progress.stored else None
        if item is None:
            raise DeadlineExceeded(
                "RECEIPT_UNDER_WAY",
                "the outcome is not known yet; ask again with the same request_id",
                resource=("lot", progress.receipt.lot_id),
            )
        return item
