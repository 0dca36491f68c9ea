"""ConfigService: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from greenledger.control.v1 import config_pb2 as pb
from greenledger.control.v1 import config_pb2_grpc
from services.control.adapters.config_codec import setting_to_proto, version_to_proto
from services.control.application.config import ChangeConfig, ConfigQueries
from services.control.application.config_watch import WatchConfig
from services.control.application.watching import Ended, Heartbeat

Context = grpc.aio.ServicerContext[Any, Any]


class ConfigServicer(config_pb2_grpc.ConfigServiceServicer):
    """The RPCs of settings."""

    def __init__(
        self, change: ChangeConfig, queries: ConfigQueries, watch: WatchConfig, page_tokens: PageTokens
    ) -> None:
        self._change = change
        self._queries = queries
        self._watch = watch
        self._page_tokens = page_tokens

    async def GetConfig(self, request: pb.GetConfigRequest, context: Context) -> pb.ConfigEntry:
        return setting_to_proto(self._queries.get(request.name))

    async def ListConfig(self, request: pb.ListConfigRequest, context: Context) -> pb.ListConfigResponse:
        size, query = page_size(request.page_size), {"method": "ListConfig", "service": request.service}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = self._queries.page(request.service, cursor["after"] if cursor else "", size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.name}, query)
        return pb.ListConfigResponse(entries=map(setting_to_proto, page), next_page_token=token)

    async def SetConfig(self, request: pb.SetConfigRequest, context: Context) -> pb.ConfigEntry:
        setting = await self._change.set(
            request.name, request.value, etag=request.etag, by=caller().subject, why=request.why
        )
        return setting_to_proto(setting)

    async def ListConfigVersions(
        self, request: pb.ListConfigVersionsRequest, context: Context
    ) -> pb.ListConfigVersionsResponse:
        size, query = page_size(request.page_size), {"method": "ListConfigVersions", "name": request.name}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._queries.versions(request.name, cursor["before"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.stored.version}, query)
        return pb.ListConfigVersionsResponse(versions=map(version_to_proto, page), next_page_token=token)

    async def RollbackConfig(self, request: pb.RollbackConfigRequest, context: Context) -> pb.ConfigEntry:
        setting = await self._change.roll_back(
            request.name, request.version, etag=request.etag, by=caller().subject, why=request.why
        )
        return setting_to_proto(setting)

    async def WatchConfig(
        self, request: pb.WatchConfigRequest, context: Context
    ) -> AsyncIterator[pb.WatchConfigResponse]:
        async with aclosing(self._watch(request.service)) as news:
            async for item in news:
                match item:
                    case Heartbeat():
                        yield pb.WatchConfigResponse(heartbeat=Empty())
                    case Ended(why):
                        yield pb.WatchConfigResponse(ended=why)
                    case settings:
                        known = pb.ConfigSnapshot(entries=map(setting_to_proto, settings))
                        yield pb.WatchConfigResponse(snapshot=known)
