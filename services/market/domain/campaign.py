"""News for those who subscribed to a product or a grower."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from chassis.errors import FailedPrecondition, PermissionDenied

MAX_ACTIVE: Final = 5
"""How many campaigns of one owner are sent at the same time."""


class State(StrEnum):
    """Where a campaign stands."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INACTIVE = "INACTIVE"


class Told(StrEnum):
    """Where a recipient stands. SKIPPED: no longer subscribed, or refused by who sends."""

    PENDING = "PENDING"
    TOLD = "TOLD"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Topic:
    """What one subscribes to; exactly one of the two is set."""

    product_code: str = ""
    grower_id: str = ""

    @property
    def text(self) -> str:
        """As it is stored and compared."""
        return f"product:{self.product_code}" if self.product_code else f"grower:{self.grower_id}"

    @classmethod
    def of(cls, text: str) -> "Topic":
        """From `text`."""
        kind, _, name = text.partition(":")
        return cls(product_code=name) if kind == "product" else cls(grower_id=name)


@dataclass(frozen=True, slots=True)
class Campaign:
    """What its owner has to say of a product.

    Args:
        recipients, told, skipped: how many, since it was first activated.
    """

    campaign_id: str
    owner_id: str
    product_code: str
    title: str
    message: str
    state: State
    created_at: datetime
    updated_at: datetime
    recipients: int = 0
    told: int = 0
    skipped: int = 0

    @property
    def topics(self) -> tuple[Topic, Topic]:
        """Who subscribes to one of these hears of it."""
        return Topic(product_code=self.product_code), Topic(grower_id=self.owner_id)

    @property
    def begun(self) -> bool:
        """Whether its recipients are settled: they are those of the first activation."""
        return self.state is not State.DRAFT

    def require_owner(self, user_id: str) -> None:
        """Refuse what only the owner may do.

        Raises:
            PermissionDenied: NOT_OWNER.
        """
        if self.owner_id != user_id:
            raise PermissionDenied(
                "NOT_OWNER", "the campaign is someone else's", resource=("campaign", self.campaign_id)
            )

    def activated(self, at: datetime) -> "Campaign":
        """It is being sent; one that everybody was told of stays so."""
        if self.state in (State.ACTIVE, State.COMPLETED):
            return self
        return replace(self, state=State.ACTIVE, updated_at=at)

    def deactivated(self, at: datetime) -> "Campaign":
        """Nothing more is sent. A draft stays one: nobody was to hear of it yet."""
        return replace(self, state=State.INACTIVE, updated_at=at) if self.state is State.ACTIVE else self


def require_active_room(active: int) -> None:
    """Refuse to begin another campaign of somebody who has so many active ones.

    Raises:
        FailedPrecondition: CAMPAIGNS_ACTIVE.
    """
    if active >= MAX_ACTIVE:
        raise FailedPrecondition(
            "CAMPAIGNS_ACTIVE", f"at most {MAX_ACTIVE} campaigns are active at once; stop one or wait"
        )
