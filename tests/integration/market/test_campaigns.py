"""Campaigns tell those who subscribed, each once, through the real notifications."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.crashpoints import CrashpointHit, arm, disarm
from chassis.testing import eventually
from chassis.testing.postgres import PostgresServer
from chassis.testing.service import Metadata, ServiceUnderTest, TokenSigner, serve
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from greenledger.market.v1 import campaigns_pb2 as pb
from greenledger.market.v1.campaigns_pb2_grpc import CampaignServiceStub
from interceptors.testing import SignedChain
from services.auth.domain.roles import ROLES, SERVICE_SCOPES
from services.crops.wiring import wire as wire_crops
from services.market.adapters.campaign_clients import NewsClient
from services.market.adapters.campaign_db import PostgresCampaigns
from services.market.application.campaigns import TELL_CRASHPOINTS, TellSubscribers
from services.market.domain.campaign import MAX_ACTIVE
from services.market.wiring import wire
from services.notifications.wiring import wire as wire_notifications
from tests.integration.market.conftest import GROWER, NOWHERE, OTHER, VENUE, harvested
from tests.integration.market.pool_exchange import refused


@dataclass
class Village:
    """The market beside crops and notifications, and nobody who tells unless the test does."""

    market: ServiceUnderTest
    crops: ServiceUnderTest
    notifications: ServiceUnderTest

    @property
    def stub(self) -> CampaignServiceStub:
        return CampaignServiceStub(self.market.channel)

    def as_(self, subject: str, role: str = "grower") -> Metadata:
        return self.market.signer.user(subject, *ROLES[role].permissions, roles=[role])

    def teller(self, batch: int = 50) -> TellSubscribers:
        news = NewsClient(self.market.runtime.channels.get("notifications"))
        return TellSubscribers(PostgresCampaigns(self.market.runtime.database), news, SystemClock(), batch)

    async def subscribed(self, count: int) -> list[str]:
        """So many new people who subscribed to kale."""
        people = [str(uuid.uuid4()) for _ in range(count)]
        for person in people:
            request = pb.SubscribeRequest(product_code="kale")
            await self.stub.Subscribe(request, metadata=self.as_(person, "guest"))
        return people

    async def kale(self, owner: str = GROWER) -> str:
        """A new lot of kale."""
        return await harvested(self.crops, self.as_(owner), product_code="kale")

    async def draft(self, title: str = "New kale") -> str:
        request = pb.CreateCampaignRequest(
            request_id=str(uuid.uuid4()), product_code="kale", title=title, message="Come and see."
        )
        return (await self.stub.CreateCampaign(request, metadata=self.as_(GROWER))).campaign_id

    async def activate(self, campaign_id: str) -> pb.Campaign:
        request = pb.ActivateCampaignRequest(campaign_id=campaign_id)
        return await self.stub.ActivateCampaign(request, metadata=self.as_(GROWER))

    async def deactivate(self, campaign_id: str) -> pb.Campaign:
        request = pb.DeactivateCampaignRequest(campaign_id=campaign_id)
        return await self.stub.DeactivateCampaign(request, metadata=self.as_(GROWER))

    async def look(self, campaign_id: str) -> pb.Campaign:
        request = pb.GetCampaignRequest(campaign_id=campaign_id)
        return await self.stub.GetCampaign(request, metadata=self.as_(GROWER))

    async def told(self) -> list[str]:
        """Who was sent something, as often as they were."""
        rows = await self.notifications.runtime.database.fetch(
            "SELECT user_id FROM notification WHERE template = 'market-news' ORDER BY user_id"
        )
        return [str(row["user_id"]) for row in rows]


@pytest_asyncio.fixture
async def village(postgres_server: PostgresServer) -> AsyncIterator[Village]:
    signer = TokenSigner()
    chain = SignedChain(signer, SERVICE_SCOPES)
    database = postgres_server.database
    async with (
        database("notifications") as notifications_dsn,
        database("crops") as crops_dsn,
        database("market") as market_dsn,
        serve(
            "notifications",
            wire_notifications,
            chain,
            notifications_dsn,
            signer,
            peers={"users": NOWHERE},
            smtp_url="smtp://127.0.0.1:1",
            loops=False,
        ) as notifications,
        serve(
            "crops",
            wire_crops,
            chain,
            crops_dsn,
            signer,
            peers=dict.fromkeys(("users", "notifications", "inventory"), NOWHERE),
        ) as crops,
        serve(
            "market",
            wire,
            chain,
            market_dsn,
            signer,
            peers={"notifications": notifications.address, "crops": crops.address, "payments": NOWHERE},
            loops=False,
        ) as market,
    ):
        made = Village(market, crops, notifications)
        await made.kale()
        yield made


async def test_an_active_campaign_tells_each_subscriber_once(village: Village) -> None:
    people = await village.subscribed(3)
    # Also one who subscribed to both, and the grower, who knows already.
    for subject, topic in (
        (people[0], {"grower_id": GROWER}),
        (GROWER, {"product_code": "kale"}),
        (VENUE, {"grower_id": GROWER}),
        (OTHER, {"product_code": "leek"}),
    ):
        await village.stub.Subscribe(pb.SubscribeRequest(**topic), metadata=village.as_(subject))
    campaign_id = await village.draft()
    await village.teller()()
    assert await village.told() == []
    active = await village.activate(campaign_id)
    assert (active.state, active.recipients, active.told) == (pb.CAMPAIGN_STATE_ACTIVE, 4, 0)
    for _ in range(2):
        await village.teller()()
    assert await village.told() == sorted([*people, VENUE])
    done = await village.activate(campaign_id)
    assert (done.state, done.told) == (pb.CAMPAIGN_STATE_COMPLETED, 4)
    await village.teller()()
    assert len(await village.told()) == 4


async def test_people_are_told_in_batches_and_who_unsubscribed_before_is_not(village: Village) -> None:
    people = sorted(await village.subscribed(5))
    campaign_id = await village.draft()
    await village.activate(campaign_id)
    await village.teller(batch=2)()
    assert await village.told() == people[:2]
    await village.stub.Unsubscribe(
        pb.UnsubscribeRequest(product_code="kale"), metadata=village.as_(people[2], "guest")
    )
    for _ in range(2):
        await village.teller(batch=2)()
    assert await village.told() == [*people[:2], *people[3:]]
    done = await village.look(campaign_id)
    assert (done.state, done.told, done.skipped) == (pb.CAMPAIGN_STATE_COMPLETED, 4, 1)


async def test_a_deactivated_campaign_stops_and_goes_on_with_the_rest(village: Village) -> None:
    people = sorted(await village.subscribed(3))
    campaign_id = await village.draft()
    await village.activate(campaign_id)
    await village.teller(batch=1)()
    assert (await village.deactivate(campaign_id)).state == pb.CAMPAIGN_STATE_INACTIVE
    await village.teller()()
    assert await village.told() == people[:1]
    await village.subscribed(1)  # too late: the recipients are those of the first activation
    await village.activate(campaign_id)
    await village.teller()()
    assert await village.told() == people


async def test_an_owner_activates_so_many_at_once_and_all_take_turns(village: Village) -> None:
    await village.subscribed(3)
    campaigns = [await village.draft() for _ in range(MAX_ACTIVE + 1)]
    for campaign_id in campaigns[:-1]:
        await village.activate(campaign_id)
    assert await refused(village.activate(campaigns[-1])) == "CAMPAIGNS_ACTIVE"
    await village.teller(batch=MAX_ACTIVE)()
    assert [(await village.look(each)).told for each in campaigns[:-1]] == [1] * MAX_ACTIVE
    await village.deactivate(campaigns[0])
    await village.activate(campaigns[-1])


async def test_who_is_due_of_a_campaign_that_was_stopped_is_not_skipped(village: Village) -> None:
    await village.subscribed(1)
    campaign_id = await village.draft()
    await village.activate(campaign_id)
    stored = PostgresCampaigns(village.market.runtime.database)
    [due] = await stored.due(1)
    present = await stored.standing(due)
    assert present is not None
    assert (present.subscribed, bool(present.message)) == (True, True)
    await village.deactivate(campaign_id)
    assert await stored.standing(due) is None
    await village.activate(campaign_id)
    assert await stored.standing(due) == present


async def test_several_who_tell_at_once_tell_each_once(village: Village) -> None:
    people = sorted(await village.subscribed(6))
    await village.activate(await village.draft())
    await asyncio.gather(*(village.teller()() for _ in range(4)))
    assert await village.told() == people


@pytest.mark.parametrize("point", TELL_CRASHPOINTS)
async def test_telling_goes_on_after_it_was_cut_off(village: Village, point: str) -> None:
    people = sorted(await village.subscribed(3))
    campaign_id = await village.draft()
    await village.activate(campaign_id)
    arm(f"{point}:throw@2")
    try:
        with pytest.raises(CrashpointHit):
            await village.teller()()
    finally:
        disarm()
    await village.teller()()
    assert await village.told() == people
    assert (await village.look(campaign_id)).told == 3


async def test_the_process_itself_tells(village: Village) -> None:
    people = sorted(await village.subscribed(2))
    await village.activate(await village.draft())
    [loop] = [each for each in village.market.service.background if each._name == "market.campaigns"]
    running = asyncio.create_task(loop.run())

    async def all_told() -> bool:
        return await village.told() == people

    await eventually(all_told)
    await loop.stop()
    await running


async def test_news_is_of_what_one_has(village: Village) -> None:
    async def draft() -> pb.Campaign:
        request = pb.CreateCampaignRequest(
            request_id=str(uuid.uuid4()), product_code="kale", title="New kale", message="Come and see."
        )
        return await village.stub.CreateCampaign(request, metadata=village.as_(OTHER))

    assert await refused(draft()) == "NOT_OWNER"
    lot_id = await village.kale(OTHER)
    campaign = await draft()
    activation = pb.ActivateCampaignRequest(campaign_id=campaign.campaign_id)
    used_up = crops_pb2.DestroyLotRequest(request_id=str(uuid.uuid4()), lot_id=lot_id, reason="spoilt")
    commands = crops_pb2_grpc.CropCommandServiceStub(village.crops.channel)
    await commands.DestroyLot(used_up, metadata=village.as_(OTHER))
    assert (
        await refused(village.stub.ActivateCampaign(activation, metadata=village.as_(OTHER))) == "NOT_OWNER"
    )
    await village.kale(OTHER)
    active = await village.stub.ActivateCampaign(activation, metadata=village.as_(OTHER))
    assert active.state == pb.CAMPAIGN_STATE_ACTIVE


async def test_a_campaign_is_its_owners_and_subscriptions_are_listed(village: Village) -> None:
    campaign_id = await village.draft()
    stranger = village.as_(OTHER)
    asked = village.stub.ActivateCampaign(
        pb.ActivateCampaignRequest(campaign_id=campaign_id), metadata=stranger
    )
    assert await refused(asked) == "NOT_OWNER"
    unknown = village.stub.GetCampaign(
        pb.GetCampaignRequest(campaign_id=str(uuid.uuid4())), metadata=stranger
    )
    assert await refused(unknown) == "CAMPAIGN_NOT_FOUND"
    mine = await village.stub.ListCampaigns(pb.ListCampaignsRequest(), metadata=village.as_(GROWER))
    assert [each.campaign_id for each in mine.campaigns] == [campaign_id]
    guest = village.as_(VENUE, "guest")
    for _ in range(2):
        await village.stub.Subscribe(pb.SubscribeRequest(product_code="kale"), metadata=guest)
    await village.stub.Subscribe(pb.SubscribeRequest(grower_id=GROWER), metadata=guest)
    first = await village.stub.ListSubscriptions(pb.ListSubscriptionsRequest(page_size=1), metadata=guest)
    rest = await village.stub.ListSubscriptions(
        pb.ListSubscriptionsRequest(page_size=1, page_token=first.next_page_token), metadata=guest
    )
    assert [each.grower_id or each.product_code for each in [*first.subscriptions, *rest.subscriptions]] == [
        GROWER,
        "kale",
    ]
