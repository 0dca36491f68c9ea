"""A place where guests order."""

from dataclasses import dataclass
from datetime import datetime

from chassis.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class Address:
    """Location description of a business (21 CFR 1.1310)."""

    city: str
    country_code: str
    street: str = ""
    region: str = ""
    postal_code: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue and who runs it."""

    venue_id: str
    owner_id: str
    name: str
    address: Address
    created_at: datetime

    def ensure_owner(self, subject: str) -> None:
        """Refuse anyone but the owner.

        Raises:
            PermissionDenied: NOT_OWNER.
        """
        if subject != self.owner_id:
            raise PermissionDenied(
                "NOT_OWNER", "the venue belongs to someone else", resource=("venue", self.venue_id)
            )
