"""What the transfer saga does, step by step; `adapters.sagas` says in which order and how often."""

from uuid import UUID, uuid5

import structlog

from chassis.clock import Clock
from chassis.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable, Violation
from services.crops.application.ports import Change, Directory, LotQueries, Lots, Notifier, Transfer
from services.crops.domain.handover import accept_ownership
from services.crops.domain.transfer import begin_transfer, cancel_transfer, complete_transfer

_log = structlog.get_logger(__name__)
_NOBODY = "a former user"


class TransferSteps:
    """The steps of one transfer."""

    def __init__(
        self, lots: Lots, queries: LotQueries, directory: Directory, notifier: Notifier, clock: Clock
    ) -> None:
        self._lots = lots
        self._queries = queries
        self._directory = directory
        self._notifier = notifier
        self._clock = clock

    async def begin(self, transfer_id: str, transfer: Transfer) -> None:
        """Check that the caller may, and reserve the lot for this transfer.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            InvalidArgument: TRANSFER_TO_SELF.
            FailedPrecondition: LOT_RECALLED, LOT_EMPTY, TRANSFER_UNDER_WAY or QUANTITY_COMMITTED; of an
                accepted offer OFFER_ENDED or OFFER_EXPIRED.
        """
        lot = await self._lots.load(transfer.lot_id)
        if transfer.offer_id:
            accepted = accept_ownership(
                lot,
                transfer.offer_id,
                transfer_id=transfer_id,
                actor=transfer.new_owner_id,
                now=self._clock.now(),
            )
            await self._lots.save([Change(lot.lot_id, lot.version, accepted)])
            return
        event = begin_transfer(
            lot,
            transfer_id=transfer_id,
            actor=transfer.owner_id,
            new_owner_id=transfer.new_owner_id,
            reference_document=transfer.reference_document,
            now=self._clock.now(),
        )
        await self._lots.save([Change(lot.lot_id, lot.version, (event,))])

    async def cancel(self, transfer_id: str, transfer: Transfer) -> None:
        """Free the lot again; nothing to do when a recall has ended the transfer."""
        lot = await self._lots.load(transfer.lot_id)
        event = cancel_transfer(lot, transfer_id=transfer_id, now=self._clock.now())
        if event is not None:
            await self._lots.save([Change(lot.lot_id, lot.version, (event,))])

    async def check_new_owner(self, transfer: Transfer) -> None:
        """Ask the users service.

        Raises:
            FailedPrecondition: NEW_OWNER_UNKNOWN.
            Unavailable, DeadlineExceeded: it does not answer.
        """
        if await self._directory.find(transfer.new_owner_id) is None:
            raise FailedPrecondition(
                "NEW_OWNER_UNKNOWN",
                "The new owner is not an active user.",
                violations=[Violation("new_owner_id", "is not an active user")],
            )

    async def record(self, transfer_id: str, transfer: Transfer) -> int:
        """Make the new owner the owner and tell others; returns the lot's version after it.

        Raises:
            FailedPrecondition: LOT_RECALLED, the recall came first.
        """
        lot = await self._lots.load(transfer.lot_id)
        event = complete_transfer(lot, transfer_id=transfer_id, now=self._clock.now())
        await self._lots.save([Change(lot.lot_id, lot.version, (event,))])
        return lot.version + 1

    async def show(self, transfer: Transfer, version: int) -> None:
        """Wait until queries show the transfer.

        Raises:
            Unavailable: they do not yet.
        """
        if not await self._queries.shows(transfer.lot_id, version):
            raise Unavailable("UNAVAILABLE", "The read model has not reached the transfer yet.")

    async def notify(self, transfer: Transfer, key: str) -> None:
        """Tell the former and the new owner, each once.

        Raises:
            Unavailable, DeadlineExceeded: a participant does not answer.
        """
        lot = await self._lots.load(transfer.lot_id)
        # Names are asked for here instead of being kept in the saga: they are personal data.
        from_name, to_name = await self._name(transfer.owner_id), await self._name(transfer.new_owner_id)
        for user_id in (transfer.owner_id, transfer.new_owner_id):
            try:
                await self._notifier.tell_of_transfer(
                    str(uuid5(UUID(key), user_id)),
                    user_id,
                    lot_code=lot.lot_code,
                    from_name=from_name,
                    to_name=to_name,
                )
            except NotFound:
                _log.info("transfer_not_told", user_id=user_id, lot_id=transfer.lot_id, why="user is gone")
            except AlreadyExists:
                # Sent by an attempt whose answer was lost, when one of the two had another name.
                _log.info("transfer_told_before", user_id=user_id, lot_id=transfer.lot_id)

    async def _name(self, user_id: str) -> str:
        person = await self._directory.find(user_id)
        return person.display_name if person else _NOBODY
