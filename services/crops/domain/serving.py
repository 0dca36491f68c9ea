"""Serving: goods in a venue's stock were eaten, and leave the lot and what was committed of it at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from chassis.quantity import Quantity
from services.crops.domain.events import LotServed, Purpose, Taken
from services.crops.domain.lot import Commitment, Lot

_SERVINGS: Final = UUID("6f2c7c1e-3d0b-5c4e-9b42-0f5a0f1d7e21")


@dataclass(frozen=True, slots=True)
class Serving:
    """What an order took of a lot out of a venue's stock.

    Args:
        parts: the commitment that each came by, which has the id of its stock, and how much.
        served_at: when the goods left the stock.
    """

    lot_id: str
    order_id: str
    venue_id: str
    parts: tuple[tuple[str, Quantity], ...]
    served_at: datetime

    @property
    def serving_id(self) -> str:
        """The same for the same order and lot; who does not know the order cannot tell it from this."""
        return str(uuid5(_SERVINGS, f"{self.order_id}/{self.lot_id}"))


def serve(lot: Lot, serving: Serving, *, now: datetime) -> LotServed:
    """Record what was served: it has happened, so nothing of it is refused.

    It takes from the commitments it came by; what these do not have it takes from what is free, as far as
    there is any. What does not fit is for `doubts` to say.

    Raises:
        InvalidArgument: UNIT_UNKNOWN or UNIT_MISMATCH, it cannot be told in the lot's unit.
    """
    nothing = lot.quantity - lot.quantity
    left = {commitment_id: made.left for commitment_id, made in _receipts(lot, serving.venue_id)}
    taken: dict[str, Quantity] = {}
    told = beyond = nothing
    for stock_item_id, amount in serving.parts:
        missing = amount.to(lot.quantity.unit)
        told += missing
        for commitment_id in _came_by(stock_item_id, lot, sorted(left)):
            part = missing if missing <= left[commitment_id] else left[commitment_id]
            if not part.is_zero:
                left[commitment_id] -= part
                taken[commitment_id] = taken.get(commitment_id, nothing) + part
                missing -= part
        beyond += missing
    free = beyond if beyond <= lot.uncommitted else lot.uncommitted
    return LotServed(
        lot_id=lot.lot_id,
        serving_id=serving.serving_id,
        venue_id=serving.venue_id,
        quantity=told,
        taken=tuple(Taken(*each) for each in taken.items()),
        remaining=lot.quantity - free - sum(taken.values(), start=nothing),
        served_at=serving.served_at,
        at=now,
    )


def _receipts(lot: Lot, venue_id: str) -> Iterator[tuple[str, Commitment]]:
    for commitment_id, made in lot.commitments.items():
        if made is not None and made.purpose is Purpose.RECEIPT and made.venue_id == venue_id:
            yield commitment_id, made


def _came_by(stock_item_id: str, lot: Lot, receipts: Sequence[str]) -> Sequence[str]:
    """The commitment of the stock; where none is named like it, any of the venue.

    Before commitments were named like the stock that came of them nobody said which is whose.
    """
    if stock_item_id in lot.commitments:
        return [each for each in receipts if each == stock_item_id]
    return receipts
