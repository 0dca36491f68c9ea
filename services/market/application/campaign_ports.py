"""What campaigns need of the outside world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.market.domain.campaign import Campaign, Told, Topic


@dataclass(frozen=True, slots=True)
class Subscription:
    """What somebody wants to hear of, since when."""

    topic: Topic
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """Somebody who is to be told of a campaign."""

    campaign_id: str
    user_id: str


class Subscriptions(Protocol):
    """Who wants to hear of what."""

    async def add(self, user_id: str, topic: Topic, at: datetime) -> Subscription:
        """Store one, or find it."""
        ...

    async def remove(self, user_id: str, topic: Topic) -> None: ...

    async def page(self, user_id: str, after: str | None, limit: int) -> Sequence[Subscription]:
        """Those with topics after the text `after`, in the order of their texts."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What is due to somebody of an active campaign, and whether they are still subscribed."""

    title: str
    message: str
    subscribed: bool


class Campaigns(Protocol):
    """Campaigns and their recipients."""

    async def add(self, campaign: Campaign) -> bool:
        """Store a new one; False when there is one of its id."""
        ...

    async def get(self, campaign_id: str, *, lock: bool = False) -> Campaign | None: ...

    async def save(self, campaign: Campaign) -> None:
        """Store its state."""
        ...

    async def page(self, owner_id: str, before: str | None, limit: int) -> Sequence[Campaign]:
        """Those older than the id `before`, newest first."""
        ...

    async def settle_recipients(self, campaign: Campaign) -> None:
        """Everybody who is subscribed to one of its topics now is to be told, once."""
        ...

    async def due(self, limit: int) -> Sequence[Due]:
        """Some who are to be told of active campaigns, always the same ones until that is recorded."""
        ...

    async def standing(self, due: Due) -> Standing | None:
        """What they are to be told; None if the campaign is not active, or nothing is due any more."""
        ...

    async def active_of(self, owner_id: str) -> int:
        """How many of somebody's campaigns are active; no other begins until the transaction ends."""
        ...

    async def record(self, due: Due, told: Told) -> None: ...

    async def complete(self, at: datetime) -> None:
        """Complete the active campaigns that nobody is left of who is to be told."""
        ...


class Goods(Protocol):
    """Who has what, as crops says."""

    async def has_any(self, owner_id: str, product_code: str) -> bool:
        """Whether some lot of the product that is not used up, recalled or held is theirs."""
        ...


class News(Protocol):
    """Sends messages to people."""

    async def send(self, request_id: str, user_id: str, title: str, message: str) -> None:
        """Have one sent; the same `request_id` is sent once for ever."""
        ...
