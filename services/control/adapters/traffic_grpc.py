"""TrafficService: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty

from chassis.context import caller
from chassis.errors import InvalidArgument, Violation
from chassis.paging import PageTokens, page_size
from greenledger.control.v1 import traffic_pb2 as pb
from greenledger.control.v1 import traffic_pb2_grpc
from services.control.adapters.policy_codec import (
    edge_from_proto,
    edge_to_proto,
    in_force_to_proto,
    policy_from_proto,
    weights_from_proto,
)
from services.control.application.policies import ChangeEdge, ChangePolicy
from services.control.application.policy_queries import PolicyQueries
from services.control.application.watching import Ended, Heartbeat
from services.control.domain.versioned import Versioned

Context = grpc.aio.ServicerContext[Any, Any]


class TrafficServicer(traffic_pb2_grpc.TrafficServiceServicer):
    """The RPCs of traffic policy."""

    def __init__(
        self, change: ChangePolicy, change_edge: ChangeEdge, queries: PolicyQueries, page_tokens: PageTokens
    ) -> None:
        self._change = change
        self._change_edge = change_edge
        self._queries = queries
        self._page_tokens = page_tokens

    async def GetTrafficPolicy(
        self, request: pb.GetTrafficPolicyRequest, context: Context
    ) -> pb.TrafficPolicy:
        return in_force_to_proto(self._queries.get(request.service))

    async def ListTrafficPolicies(
        self, request: pb.ListTrafficPoliciesRequest, context: Context
    ) -> pb.ListTrafficPoliciesResponse:
        size, query = page_size(request.page_size), {"method": "ListTrafficPolicies"}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = self._queries.page(cursor["after"] if cursor else "", size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.policy.service}, query)
        return pb.ListTrafficPoliciesResponse(policies=map(in_force_to_proto, page), next_page_token=token)

    async def SetTrafficPolicy(
        self, request: pb.SetTrafficPolicyRequest, context: Context
    ) -> pb.TrafficPolicy:
        if request.policy.service not in ("", request.service):
            raise InvalidArgument(
                "POLICY_INVALID",
                "the policy names another service",
                violations=(Violation("policy.service", f"is not {request.service!r}"),),
            )
        policy = policy_from_proto(request.policy, request.service)
        stored = await self._change.set(policy, etag=request.etag, by=caller().subject, why=request.why)
        return in_force_to_proto(self._queries.shown(request.service, stored))

    async def ShiftTraffic(self, request: pb.ShiftTrafficRequest, context: Context) -> pb.TrafficPolicy:
        weights = weights_from_proto(request.weights)
        stored = await self._change.shift(
            request.service, weights, etag=request.etag, by=caller().subject, why=request.why
        )
        return in_force_to_proto(self._queries.shown(request.service, stored))

    async def ResetTrafficPolicy(
        self, request: pb.ResetTrafficPolicyRequest, context: Context
    ) -> pb.TrafficPolicy:
        stored = await self._change.reset(request.service, by=caller().subject, why=request.why)
        return in_force_to_proto(self._queries.shown(request.service, stored))

    async def RollbackTrafficPolicy(
        self, request: pb.RollbackTrafficPolicyRequest, context: Context
    ) -> pb.TrafficPolicy:
        stored = await self._change.roll_back(
            request.service, request.version, etag=request.etag, by=caller().subject, why=request.why
        )
        return in_force_to_proto(self._queries.shown(request.service, stored))

    async def ListTrafficPolicyVersions(
        self, request: pb.ListTrafficPolicyVersionsRequest, context: Context
    ) -> pb.ListTrafficPolicyVersionsResponse:
        size = page_size(request.page_size)
        query = {"method": "ListTrafficPolicyVersions", "service": request.service}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._queries.versions(request.service, cursor["before"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.stored.version}, query)
        return pb.ListTrafficPolicyVersionsResponse(
            policies=map(in_force_to_proto, page),
            next_page_token=token,
            original=in_force_to_proto(self._queries.shown(request.service, Versioned())),
        )

    async def GetEdgePolicy(self, request: pb.GetEdgePolicyRequest, context: Context) -> pb.EdgePolicy:
        return edge_to_proto(*self._queries.edge())

    async def SetEdgePolicy(self, request: pb.SetEdgePolicyRequest, context: Context) -> pb.EdgePolicy:
        policy = edge_from_proto(request.policy)
        stored = await self._change_edge.set(policy, etag=request.etag, by=caller().subject, why=request.why)
        return edge_to_proto(self._queries.edge_shown(stored), stored)

    async def ResetEdgePolicy(self, request: pb.ResetEdgePolicyRequest, context: Context) -> pb.EdgePolicy:
        stored = await self._change_edge.reset(by=caller().subject, why=request.why)
        return edge_to_proto(self._queries.edge_shown(stored), stored)

    async def RollbackEdgePolicy(
        self, request: pb.RollbackEdgePolicyRequest, context: Context
    ) -> pb.EdgePolicy:
        stored = await self._change_edge.roll_back(
            request.version, etag=request.etag, by=caller().subject, why=request.why
        )
        return edge_to_proto(self._queries.edge_shown(stored), stored)

    async def ListEdgePolicyVersions(
        self, request: pb.ListEdgePolicyVersionsRequest, context: Context
    ) -> pb.ListEdgePolicyVersionsResponse:
        size, query = page_size(request.page_size), {"method": "ListEdgePolicyVersions"}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._queries.edge_versions(cursor["before"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last[1].version}, query)
        return pb.ListEdgePolicyVersionsResponse(
            policies=[edge_to_proto(*shown) for shown in page],
            next_page_token=token,
            original=edge_to_proto(self._queries.edge_shown(Versioned()), Versioned()),
        )

    async def WatchTrafficPolicies(
        self, request: pb.WatchTrafficPoliciesRequest, context: Context
    ) -> AsyncIterator[pb.WatchTrafficPoliciesResponse]:
        async with aclosing(self._queries.watch(request.services)) as news:
            async for item in news:
                match item:
                    case Heartbeat():
                        yield pb.WatchTrafficPoliciesResponse(heartbeat=Empty())
                    case Ended(why):
                        yield pb.WatchTrafficPoliciesResponse(ended=why)
                    case policies:
                        known = pb.TrafficPolicyList(policies=map(in_force_to_proto, policies))
                        yield pb.WatchTrafficPoliciesResponse(snapshot=known)
