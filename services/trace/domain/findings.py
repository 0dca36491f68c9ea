"""What does not add up, or is missing, in what was told of goods. It is shown, not repaired."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum


class FindingCode(IntEnum):
    """Of a mass balance up to 19, gaps in a history from 20 on; numbers as in the contract."""

    ORIGIN_UNKNOWN = 1
    REMAINDER_DIFFERS = 2
    TAKEN_BEYOND_HELD = 3
    COMMITTED_BEYOND_HELD = 4
    RECEIVED_BEYOND_COMMITTED = 5
    CONSUMED_BEYOND_RECEIVED = 6
    TRANSFORMATION_DIFFERS = 7
    NOT_COMPARABLE = 8
    SHIPPED_NOT_RECEIVED = 20
    RECEIVED_NOT_SHIPPED = 21
    SHIPMENT_DIFFERS = 22
    OWNER_WITHOUT_CUSTODY = 23
    EXPIRED_IN_STOCK = 24
    BEFORE_IT_EXISTED = 25
    OWN_ANCESTOR = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Args:
        party_id: the holder that it concerns, if any.
        reference: shipment, transformation or other thing that it concerns, if any.
        difference: how much too much, or, negative, too little; in `unit`.
        at: since when, where that can be said.
        by_partners_only: it is about what nobody but partners said.
    """

    code: FindingCode
    lot_id: str
    message: str
    party_id: str = ""
    reference: str = ""
    difference: Decimal | None = None
    unit: str = ""
    at: datetime | None = None
    by_partners_only: bool = False

    def place(self) -> tuple[int, str, str, str]:
        """Where it stands in a list."""
        when = self.at.astimezone(UTC).isoformat() if self.at else ""
        return int(self.code), when, self.reference, self.party_id
