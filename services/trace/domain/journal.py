"""The journal: one entry for each thing that happened to a lot, as it was told. Entries are only added."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from chassis.quantity import Quantity

# In `detail` of what was split off: the id of the event in the parent's history, which may be wrong, too.
SPLIT_BY: Final = "split_by"
# In `detail` of a correction: ids of the events that say what is right.
CORRECTIVES: Final = "correctives"


class EntryKind(StrEnum):
    """What happened.

    SPLIT_OFF is an entry of the lot that was split, by the part's minting; USED and MADE are what went into a
    transformation and came out of it; RECEIVED and CONSUMED are a venue's stock; SOLD
    is what the owner sold at retail, SERVED what left the lot by being consumed.
    """

    MINTED = "minted"
    SPLIT_OFF = "split-off"
    SPLIT = "split"
    USED = "used"
    MADE = "made"
    OWNED = "owned"
    CUSTODY = "custody"
    COMMITTED = "committed"
    RELEASED = "released"
    DELIVERED = "delivered"
    SHIPPED = "shipped"
    VOIDED = "voided"
    ARRIVED = "arrived"
    TRANSPORT = "transport"
    OBSERVED = "observed"
    PACKED = "packed"
    UNPACKED = "unpacked"
    DESTROYED = "destroyed"
    SOLD = "sold"
    SERVED = "served"
    CORRECTED = "corrected"
    RECEIVED = "received"
    CONSUMED = "consumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened to one lot.

    Args:
        event_id: of the event that told it, as the lot's own history has it.
        number: among the entries of that event about this lot.
        at: when it happened; `utc_offset` is that of the place.
        recorded: when its service wrote it down; entries of a lot follow one another by it.
        quantity: how much was moved.
        remaining: what the lot holds afterwards, where the event says so.
        party_id: whom it is about: owner, custodian, receiver, sender or venue.
        other_id: the other side: previous owner, recipient, sender or parent lot.
        reference: what ties entries together: transformation, shipment, commitment, unit, part or order.
        documents: type and id of each business document.
        detail: what only this kind has, as text.
        declared_wrong: by a correction, which stands in the journal as an entry of its own. It is asked when
            the entry is read, so that it does not matter which of the two was heard first.
    """

    lot_id: str
    event_id: str
    kind: EntryKind
    number: int = 0
    at: datetime
    recorded: datetime
    utc_offset: str = ""
    quantity: Quantity | None = None
    remaining: Quantity | None = None
    party_id: str = ""
    other_id: str = ""
    reference: str = ""
    read_point: str = ""
    biz_location: str = ""
    documents: tuple[tuple[str, str], ...] = ()
    detail: Mapping[str, str] = field(default_factory=dict)
    declared_wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A temperature of a lot's goods, at a moment or over a span.

    Args:
        celsius: of a span the highest that is known of it.
        end: equals `start` for a moment.
        device_id: empty when it is not known what measured.
        reported_by: the partner by whose word alone it is known; empty when crops said so.
    """

    lot_id: str
    event_id: str
    number: int
    start: datetime
    end: datetime
    celsius: Decimal
    device_id: str
    reported_by: str = ""
