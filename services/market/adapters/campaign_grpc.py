"""CampaignService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.errors import InvalidArgument, Violation
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto, timestamp_to_proto
from greenledger.market.v1 import campaigns_pb2 as pb
from greenledger.market.v1 import campaigns_pb2_grpc
from services.market.application.campaign_ports import Subscription
from services.market.application.campaigns import CampaignCommands, SubscriptionCommands
from services.market.domain.campaign import Campaign, Topic

Context = grpc.aio.ServicerContext[Any, Any]


class CampaignServicer(campaigns_pb2_grpc.CampaignServiceServicer):
    """The RPCs of subscriptions and campaigns."""

    def __init__(
        self, subscriptions: SubscriptionCommands, campaigns: CampaignCommands, page_tokens: PageTokens
    ) -> None:
        self._subscriptions = subscriptions
        self._campaigns = campaigns
        self._page_tokens = page_tokens

    async def Subscribe(self, request: pb.SubscribeRequest, context: Context) -> pb.Subscription:
        made = await self._subscriptions.subscribe(caller().subject, _topic(request))
        return _subscription_to_proto(made)

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Context) -> pb.UnsubscribeResponse:
        await self._subscriptions.unsubscribe(caller().subject, _topic(request))
        return pb.UnsubscribeResponse()

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Context
    ) -> pb.ListSubscriptionsResponse:
        actor, size = caller().subject, page_size(request.page_size)
        query = {"method": "ListSubscriptions", "actor": actor}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._subscriptions.page(actor, cursor["after"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.topic.text}, query)
        return pb.ListSubscriptionsResponse(
            subscriptions=map(_subscription_to_proto, page), next_page_token=token
        )

    async def CreateCampaign(self, request: pb.CreateCampaignRequest, context: Context) -> pb.Campaign:
        made = await self._campaigns.draft(
            caller().subject, request.product_code, request.title, request.message
        )
        return campaign_to_proto(made)

    async def ActivateCampaign(self, request: pb.ActivateCampaignRequest, context: Context) -> pb.Campaign:
        return campaign_to_proto(await self._campaigns.activate(caller().subject, request.campaign_id))

    async def DeactivateCampaign(
        self, request: pb.DeactivateCampaignRequest, context: Context
    ) -> pb.Campaign:
        return campaign_to_proto(await self._campaigns.deactivate(caller().subject, request.campaign_id))

    async def GetCampaign(self, request: pb.GetCampaignRequest, context: Context) -> pb.Campaign:
        return campaign_to_proto(await self._campaigns.get(caller().subject, request.campaign_id))

    async def ListCampaigns(
        self, request: pb.ListCampaignsRequest, context: Context
    ) -> pb.ListCampaignsResponse:
        actor, size = caller().subject, page_size(request.page_size)
        query = {"method": "ListCampaigns", "actor": actor}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._campaigns.page(actor, cursor["before"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.campaign_id}, query)
        return pb.ListCampaignsResponse(campaigns=map(campaign_to_proto, page), next_page_token=token)


def campaign_to_proto(campaign: Campaign) -> pb.Campaign:
    """A campaign as the contract shows it."""
    return pb.Campaign(
        campaign_id=campaign.campaign_id,
        owner_id=campaign.owner_id,
        product_code=campaign.product_code,
        title=campaign.title,
        message=campaign.message,
        state=pb.CampaignState.Value(f"CAMPAIGN_STATE_{campaign.state.value}"),
        recipients=campaign.recipients,
        told=campaign.told,
        skipped=campaign.skipped,
        create_time=timestamp_to_proto(campaign.created_at),
        update_time=timestamp_to_proto(campaign.updated_at),
    )


def _topic(request: pb.SubscribeRequest | pb.UnsubscribeRequest) -> Topic:
    if bool(request.product_code) == bool(request.grower_id):
        raise InvalidArgument(
            "VALIDATION_FAILED",
            "The request breaks rules of the contract.",
            violations=[Violation("product_code", "is given, or grower_id is, and not both")],
        )
    return Topic(request.product_code, id_from_proto(request.grower_id, "grower_id"))


def _subscription_to_proto(subscription: Subscription) -> pb.Subscription:
    return pb.Subscription(
        product_code=subscription.topic.product_code,
        grower_id=subscription.topic.grower_id,
        create_time=timestamp_to_proto(subscription.created_at),
    )
