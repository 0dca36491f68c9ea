"""RegistryService: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from greenledger.control.v1 import control_pb2 as pb
from greenledger.control.v1 import control_pb2_grpc
from services.control.adapters.codec import announcement_from_proto, instance_to_proto, registration_to_proto
from services.control.application.instance_queries import All, Changed, InstanceQueries, Removed
from services.control.application.instances import InstanceCommands
from services.control.application.watching import Ended, Heartbeat

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(control_pb2_grpc.RegistryServiceServicer):
    """The RPCs of the registry."""

    def __init__(self, commands: InstanceCommands, queries: InstanceQueries, page_tokens: PageTokens) -> None:
        self._commands = commands
        self._queries = queries
        self._page_tokens = page_tokens

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.Registration:
        instance = await self._commands.register(announcement_from_proto(request), caller())
        return registration_to_proto(instance)

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: Context) -> pb.Registration:
        return registration_to_proto(self._commands.heartbeat(request.instance_id, caller()))

    async def Deregister(self, request: pb.DeregisterRequest, context: Context) -> Empty:
        self._commands.deregister(request.instance_id, caller())
        return Empty()

    async def Discover(self, request: pb.DiscoverRequest, context: Context) -> pb.DiscoverResponse:
        found = self._queries.discover(request.service, request.version)
        return pb.DiscoverResponse(instances=map(instance_to_proto, found))

    async def ListInstances(
        self, request: pb.ListInstancesRequest, context: Context
    ) -> pb.ListInstancesResponse:
        size = page_size(request.page_size)
        query = {"method": "ListInstances", "service": request.service}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = self._queries.page(request.service, cursor["after"] if cursor else "", size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.instance_id}, query)
        return pb.ListInstancesResponse(instances=map(instance_to_proto, page), next_page_token=token)

    async def WatchInstances(
        self, request: pb.WatchInstancesRequest, context: Context
    ) -> AsyncIterator[pb.WatchInstancesResponse]:
        async with aclosing(self._queries.watch(frozenset(request.services))) as news:
            async for item in news:
                match item:
                    case All(instances):
                        known = pb.InstanceList(instances=map(instance_to_proto, instances))
                        yield pb.WatchInstancesResponse(snapshot=known)
                    case Changed(instance):
                        yield pb.WatchInstancesResponse(changed=instance_to_proto(instance))
                    case Removed(instance_id):
                        yield pb.WatchInstancesResponse(removed=instance_id)
                    case Heartbeat():
                        yield pb.WatchInstancesResponse(heartbeat=Empty())
                    case Ended(why):
                        yield pb.WatchInstancesResponse(ended=why)
