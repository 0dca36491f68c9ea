"""Subscribe to news, make campaigns, and tell those who subscribed."""

from collections.abc import Sequence
from uuid import UUID, uuid5

import structlog

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.market.application.campaign_ports import (
    Campaigns,
    Due,
    Goods,
    News,
    Standing,
    Subscription,
    Subscriptions,
)
from services.market.domain.campaign import Campaign, State, Told, Topic, require_active_room

BATCH = 50
"""How many are told before the pause between two batches."""

TELL_CRASHPOINTS = ("market.campaign.sent", "market.campaign.recorded")
"""Crash points: somebody's message is handed over, and that is not recorded; it is."""
declare(*TELL_CRASHPOINTS)

_MESSAGES = UUID("b6a4d6f6-0a43-5fb0-8f0e-2f7b7d1c9c55")
_log = structlog.get_logger(__name__)


class SubscriptionCommands:
    """What somebody wants to hear of."""

    def __init__(self, subscriptions: Subscriptions, clock: Clock) -> None:
        self._subscriptions = subscriptions
        self._clock = clock

    async def subscribe(self, user_id: str, topic: Topic) -> Subscription:
        """The subscription, be it new or old."""
        return await self._subscriptions.add(user_id, topic, self._clock.now())

    async def unsubscribe(self, user_id: str, topic: Topic) -> None:
        """End one; there need not be one."""
        await self._subscriptions.remove(user_id, topic)

    async def page(self, user_id: str, after: str | None, limit: int) -> Sequence[Subscription]:
        """Subscriptions with topics after the text `after`, at most `limit`."""
        return await self._subscriptions.page(user_id, after, limit)


class CampaignCommands:
    """A campaign is its owner's, and so are goods of its product when it is drafted and when it begins."""

    def __init__(
        self,
        transactions: Transactions,
        campaigns: Campaigns,
        goods: Goods,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._campaigns = campaigns
        self._goods = goods
        self._clock = clock
        self._ids = ids

    async def draft(self, owner_id: str, product_code: str, title: str, message: str) -> Campaign:
        """A draft of news of what the caller has.

        Raises:
            PermissionDenied: NOT_OWNER, no lot of the product is the caller's.
        """
        await self._require_goods(owner_id, product_code)
        return await self.create(owner_id, product_code, title, message)

    async def create(
        self, owner_id: str, product_code: str, title: str, message: str, campaign_id: str = ""
    ) -> Campaign:
        """A draft, whoever's the goods are; with an id that is taken, what that names."""
        now = self._clock.now()
        draft = Campaign(
            campaign_id or self._ids.uuid7(), owner_id, product_code, title, message, State.DRAFT, now, now
        )
        return draft if await self._campaigns.add(draft) else await self.get(owner_id, draft.campaign_id)

    async def activate(self, owner_id: str, campaign_id: str, *, bounded: bool = True) -> Campaign:
        """Begin to tell those who are subscribed at the first activation, or go on with it.

        Args:
            bounded: whether only so many of an owner's may be active, and the first time only while they have
                the goods, default True; False for launches, each of which costs its goods and money.

        Raises:
            NotFound: CAMPAIGN_NOT_FOUND.
            PermissionDenied: NOT_OWNER, of the campaign or of any lot of its product.
            FailedPrecondition: CAMPAIGNS_ACTIVE.
        """
        drafted = await self.get(owner_id, campaign_id)
        if bounded and not drafted.begun:
            await self._require_goods(owner_id, drafted.product_code)
        async with self._transactions.transaction():
            present = await self.get(owner_id, campaign_id, lock=True)
            if bounded and present.state in (State.DRAFT, State.INACTIVE):
                require_active_room(await self._campaigns.active_of(owner_id))
            if not present.begun:
                await self._campaigns.settle_recipients(present)
            await self._campaigns.save(present.activated(self._clock.now()))
            return await self.get(owner_id, campaign_id)

    async def deactivate(self, owner_id: str, campaign_id: str) -> Campaign:
        """Stop telling. Raises as `activate`."""
        async with self._transactions.transaction():
            present = await self.get(owner_id, campaign_id, lock=True)
            stopped = present.deactivated(self._clock.now())
            await self._campaigns.save(stopped)
            return stopped

    async def get(self, owner_id: str, campaign_id: str, *, lock: bool = False) -> Campaign:
        """One of somebody's campaigns. Raises as `activate`."""
        found = await self._campaigns.get(campaign_id, lock=lock)
        if found is None:
            resource = ("campaign", campaign_id)
            raise NotFound("CAMPAIGN_NOT_FOUND", "there is no such campaign", resource=resource)
        found.require_owner(owner_id)
        return found

    async def page(self, owner_id: str, before: str | None, limit: int) -> Sequence[Campaign]:
        """Somebody's campaigns older than the id `before`, newest first, at most `limit`."""
        return await self._campaigns.page(owner_id, before, limit)

    async def _require_goods(self, owner_id: str, product_code: str) -> None:
        if not await self._goods.has_any(owner_id, product_code):
            raise PermissionDenied(
                "NOT_OWNER", "no lot of that product is yours", resource=("product", product_code)
            )


class TellSubscribers:
    """Tells a batch. Each message is named after campaign and person, so that a repeat after a crash, or by
    another replica, is the same message."""

    def __init__(self, campaigns: Campaigns, news: News, clock: Clock, batch: int = BATCH) -> None:
        self._campaigns = campaigns
        self._news = news
        self._clock = clock
        self._batch = batch

    async def __call__(self) -> None:
        """Tell the next ones.

        Raises:
            DomainError: the message could not be handed over now; the next time goes on with it.
        """
        for due in await self._campaigns.due(self._batch):
            await self._tell(due)
        await self._campaigns.complete(self._clock.now())

    async def _tell(self, due: Due) -> None:
        standing = await self._campaigns.standing(due)
        if standing is None:
            return  # deactivated meanwhile: they are told when it goes on; or told by another replica
        told = await self._send(standing, due) if standing.subscribed else Told.SKIPPED
        await self._campaigns.record(due, told)
        crashpoint("market.campaign.recorded")

    async def _send(self, standing: Standing, due: Due) -> Told:
        request_id = str(uuid5(_MESSAGES, f"{due.campaign_id}/{due.user_id}"))
        try:
            await self._news.send(request_id, due.user_id, standing.title, standing.message)
        except (FailedPrecondition, InvalidArgument, NotFound, PermissionDenied) as refusal:
            _log.warning("campaign.refused", campaign=due.campaign_id, reason=refusal.reason)
            return Told.SKIPPED
        crashpoint("market.campaign.sent")
        return Told.TOLD
