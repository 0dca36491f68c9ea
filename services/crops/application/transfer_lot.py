"""Hand a lot to another owner and wait until queries show it."""

from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import (
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from chassis.saga import newest_attempt
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.crops.application.ports import Lots, Progress, Transfer, Transfers
from services.crops.application.views import LotView

ATTEMPTS = 8
"""How often one request_id may be used to try again after a refusal; then the last refusal stands."""

_TRANSFERS = UUID("0f6b0c56-5f5c-5a60-9a0b-6f8d3f3f0e9b")
_KINDS: dict[str, type[DomainError]] = {
    "LOT_NOT_FOUND": NotFound,
    "NOT_OWNER": PermissionDenied,
    "TRANSFER_TO_SELF": InvalidArgument,
    "NEW_OWNER_UNKNOWN": FailedPrecondition,
    "LOT_RECALLED": FailedPrecondition,
    "LOT_EMPTY": FailedPrecondition,
    "OFFER_NOT_FOUND": NotFound,
    "NOT_ADDRESSEE": PermissionDenied,
    "OFFER_OPEN": FailedPrecondition,
    "OFFER_ENDED": FailedPrecondition,
    "OFFER_EXPIRED": FailedPrecondition,
    "LOT_HELD": FailedPrecondition,
    "LOT_DESTROYED": FailedPrecondition,
    "TRANSFER_UNDER_WAY": FailedPrecondition,
    "QUANTITY_COMMITTED": FailedPrecondition,
}


def transfer_id_of(subject: str, request_id: str, attempt: int = 1) -> str:
    """The saga of a caller's request: a repeated request finds it instead of starting another."""
    name = f"{subject}/{request_id}" if attempt == 1 else f"{subject}/{request_id}/{attempt}"
    return str(uuid5(_TRANSFERS, name))


class TransferLot:
    """Starts the transfer saga, or finds the one that the same request has started before.

    A request that was refused may be repeated and is then tried anew; one that took effect answers
    what it answered then, whatever has become of the lot since.
    """

    def __init__(self, transactions: Transactions, transfers: Transfers, lots: Lots, clock: Clock) -> None:
        self._transactions = transactions
        self._transfers = transfers
        self._lots = lots
        self._clock = clock

    async def __call__(
        self, actor: Principal, request_id: str, lot_id: str, new_owner_id: str, reference_document: str
    ) -> LotView:
        """The lot as the transfer left it.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            InvalidArgument: TRANSFER_TO_SELF.
            FailedPrecondition: NEW_OWNER_UNKNOWN, LOT_RECALLED, LOT_EMPTY, TRANSFER_UNDER_WAY,
                QUANTITY_COMMITTED.
            AlreadyExists: REQUEST_ID_REUSED.
            Unavailable: TRANSFER_FAILED, a participant did not answer; nothing has changed.
            DeadlineExceeded: TRANSFER_UNDER_WAY, the outcome is not known yet.
        """
        return await self.run(
            actor, request_id, Transfer(lot_id, actor.subject, new_owner_id, reference_document)
        )

    async def run(self, actor: Principal, request_id: str, transfer: Transfer) -> LotView:
        """The lot as a transfer left it that the actor asked for, or agreed to, under a request id.

        Raises:
            DomainError: as calling it, but for NOT_OWNER of an accepted offer.
        """

        async def start(transfer_id: str) -> Progress:
            async with self._transactions.transaction():
                return await self._transfers.start(transfer_id, transfer)

        transfer_id, progress = await newest_attempt(
            ATTEMPTS,
            lambda attempt: transfer_id_of(actor.subject, request_id, attempt),
            start,
            lambda progress: progress.transfer == transfer,
            "The request_id was used for another transfer.",
        )
        if progress.refusal is None and progress.visible_version is None:
            progress = await self._transfers.outcome(transfer_id, patience(self._clock))
        return await self._answer(transfer.lot_id, progress)

    async def _answer(self, lot_id: str, progress: Progress) -> LotView:
        if progress.refusal is not None:
            raise progress.refusal.error(
                _KINDS, "TRANSFER_FAILED", "The transfer could not be completed; nothing has changed."
            )
        if progress.visible_version is None:
            raise DeadlineExceeded(
                "TRANSFER_UNDER_WAY",
                "The outcome is not known yet; ask again with the same request_id.",
                resource=("lot", lot_id),
            )
        return LotView.of(await self._lots.load(lot_id, at_version=progress.visible_version))
