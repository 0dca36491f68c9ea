"""What the use cases need of the outside world."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chassis.saga import Refusal
from services.crops.application.views import CustodyView, LotEventView, LotFilter, LotView, OwnershipView
from services.crops.domain.doubts import Doubt
from services.crops.domain.events import LotEvent
from services.crops.domain.lot import Lot


@dataclass(frozen=True, slots=True)
class Change:
    """What was decided on a lot.

    Args:
        lot_id: the lot.
        expected_version: the version that the decision was based on; 0 for a new lot.
        events: the decision.
        doubts: what does not fit about each of them, recorded as findings; default nothing about any.
    """

    lot_id: str
    expected_version: int
    events: tuple[LotEvent, ...]
    doubts: tuple[tuple[Doubt, ...], ...] = ()


class Lots(Protocol):
    """The lots' histories: the side that decides."""

    async def load(self, lot_id: str, at_version: int | None = None) -> Lot:
        """A lot as it is, or as it was after so many events.

        Raises:
            NotFound: LOT_NOT_FOUND; LOT_STATE_NOT_FOUND, there are not so many yet.
        """
        ...

    async def load_at(self, lot_id: str, time: datetime) -> Lot:
        """A lot as it was, by what had been recorded until then.

        Raises:
            NotFound: LOT_NOT_FOUND; LOT_STATE_NOT_FOUND, it was not there yet.
        """
        ...

    async def descendants(self, lot_id: str) -> Sequence[Lot]:
        """Every lot split from a lot, directly or not."""
        ...

    async def further(self, lot: Lot) -> Sequence[Lot]:
        """The states of a lot after this one, oldest first, some hundred at a time."""
        ...

    async def in_unit(self, unit_id: str) -> Sequence[Lot]:
        """The lots on a logistic unit; what is on it stays so until the running transaction ends.

        Args:
            unit_id: canonical.
        """
        ...

    async def guard_recalls(self) -> None:
        """Let nobody else record or end a recall until the running transaction ends; call it before loading.

        Either leaves lots as they are because of what it read of others, which no version protects.
        """
        ...

    async def save(self, changes: Sequence[Change]) -> None:
        """Record decisions and tell others of them, in the running transaction, all or none.

        Raises:
            AlreadyExists: LOT_CODE_TAKEN, a new lot's code is one of its grower's already.
            Aborted: CONCURRENT_CHANGE, a lot is not at the expected version.
        """
        ...


class ServedLots(Lots, Protocol):
    """Lots of which many orders are served at once."""

    async def guard_servings(self, lot_ids: Sequence[str]) -> None:
        """Let nobody else serve of these lots until the running transaction ends.

        Args:
            lot_ids: sorted.
        """
        ...

    async def recorded(self, event_ids: Sequence[str]) -> Collection[str]:
        """Which of these events are recorded already."""
        ...


class LotQueries(Protocol):
    """The read models. Every answer includes what was committed before the question, or waits for it."""

    async def get(self, lot_id: str) -> LotView | None: ...

    async def page(self, where: LotFilter, after: str | None, limit: int) -> Sequence[LotView]:
        """Lots with ids above `after`, in the order of their ids, which is that of their minting."""
        ...

    async def events(self, lot_id: str, after_version: int, limit: int) -> Sequence[LotEventView]:
        """A lot's history above a version, oldest first; empty for an unknown lot."""
        ...

    async def ownership(self, lot_id: str, after_number: int, limit: int) -> Sequence[OwnershipView]:
        """A lot's owners above a number, first owner first; empty for an unknown lot."""
        ...

    async def custody(self, lot_id: str, after_number: int, limit: int) -> Sequence[CustodyView]:
        """A lot's custodians above a number, first one first; empty for an unknown lot."""
        ...

    async def shows(self, lot_id: str, version: int) -> bool:
        """Whether the read models have reached a version of a lot; waits a short while for it."""
        ...


class Watcher(Protocol):
    """One who waits for changes of a lot."""

    async def wait(self, timeout_s: float) -> bool:
        """Until the lot may have changed, or the time in seconds; True when it may have."""
        ...


class Changes(Protocol):
    """Hears of lots that this process changes."""

    def watch(self, lot_id: str) -> AbstractContextManager[Watcher]: ...


class OverdueOffers(Protocol):
    """The offers that nobody took in time."""

    async def overdue(self, now: datetime, limit: int) -> Sequence[str]:
        """Lots whose offer's time is up, the longest overdue first."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may own lots."""

    user_id: str
    display_name: str


class Directory(Protocol):
    """The users service."""

    async def find(self, user_id: str) -> Person | None:
        """An active user; None for anyone else.

        Raises:
            Unavailable, DeadlineExceeded: it does not answer.
        """
        ...


class Notifier(Protocol):
    """The notifications service."""

    async def tell_of_transfer(
        self, request_id: str, user_id: str, *, lot_code: str, from_name: str, to_name: str
    ) -> None:
        """Send one message, however often it is asked to with that request_id.

        Raises:
            Unavailable, DeadlineExceeded: it does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Transfer:
    """What the transfer saga is started with; `offer_id` is set when the new owner accepted an offer."""

    lot_id: str
    owner_id: str
    new_owner_id: str
    reference_document: str
    offer_id: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a transfer stands: refused, or visible to queries as `visible_version`, or neither yet."""

    transfer: Transfer
    visible_version: int | None = None
    refusal: Refusal | None = None


class Transfers(Protocol):
    """Runs the transfer saga."""

    async def start(self, transfer_id: str, transfer: Transfer) -> Progress:
        """Start a transfer, or find the one with that id; compare `transfer` to see which."""
        ...

    async def outcome(self, transfer_id: str, within: timedelta) -> Progress:
        """Wait until it is visible or refused; neither is set when that takes longer."""
        ...
