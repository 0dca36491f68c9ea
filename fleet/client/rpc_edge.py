"""The edge, or a service's own port, over gRPC with the generated stubs."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.message import Message

from fleet.client.errors import CallFailed
from fleet.client.session import Session
from fleet.membership import Peer, channel_to
from greenledger.auth.v1.auth_pb2_grpc import AuthServiceStub
from greenledger.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from greenledger.control.v1.config_pb2_grpc import ConfigServiceStub
from greenledger.control.v1.control_pb2_grpc import RegistryServiceStub
from greenledger.control.v1.traffic_pb2_grpc import TrafficServiceStub
from greenledger.crops.v1.crops_pb2_grpc import CropCommandServiceStub, CropQueryServiceStub
from greenledger.crops.v1.epcis_pb2_grpc import EpcisServiceStub
from greenledger.crops.v1.ledger_pb2_grpc import LedgerServiceStub
from greenledger.inventory.v1.inventory_pb2_grpc import InventoryServiceStub
from greenledger.market.v1.campaigns_pb2_grpc import CampaignServiceStub
from greenledger.market.v1.launches_pb2_grpc import LaunchServiceStub
from greenledger.market.v1.market_pb2_grpc import MarketServiceStub
from greenledger.market.v1.pools_pb2_grpc import PoolServiceStub
from greenledger.notifications.v1.notifications_pb2_grpc import MailboxServiceStub, NotificationServiceStub
from greenledger.operations.v1.operations_pb2_grpc import OperationsServiceStub
from greenledger.orders.v1.orders_pb2_grpc import OrderServiceStub
from greenledger.payments.v1.payments_pb2_grpc import PaymentServiceStub
from greenledger.trace.v1.recall_pb2_grpc import RecallServiceStub
from greenledger.trace.v1.trace_pb2_grpc import TraceServiceStub
from greenledger.users.v1.users_pb2_grpc import UserServiceStub

if TYPE_CHECKING:
    from grpc.aio import UnaryStreamMultiCallable, UnaryUnaryMultiCallable

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]


class RpcEdge:
    """gRPC calls to one address; needs a running event loop.

    Args:
        url: `http://host:port` or `host:port` for plain text, `https://host[:port]` for TLS.
        timeout_s: deadline of a unary call; default 20 s.
        peer: the service to expect there, by mutual TLS; default none: it is an edge.
    """

    def __init__(self, url: str, *, timeout_s: float = 20.0, peer: Peer | None = None) -> None:
        self._timeout_s = timeout_s
        parts = urlsplit(url if "//" in url else f"//{url}")
        if parts.scheme == "https":
            credentials = grpc.ssl_channel_credentials()
            target = f"{parts.hostname}:{parts.port or 443}"
            self.channel = grpc.aio.secure_channel(target, credentials, _OPTIONS)
        else:
            self.channel = channel_to(parts.netloc, peer, _OPTIONS)
        self.auth = AuthServiceStub(self.channel)
        self.users = UserServiceStub(self.channel)
        self.crops = CropCommandServiceStub(self.channel)
        self.lots = CropQueryServiceStub(self.channel)
        self.ledger = LedgerServiceStub(self.channel)
        self.epcis = EpcisServiceStub(self.channel)
        self.catalog = CatalogServiceStub(self.channel)
        self.inventory = InventoryServiceStub(self.channel)
        self.orders = OrderServiceStub(self.channel)
        self.payments = PaymentServiceStub(self.channel)
        self.notifications = NotificationServiceStub(self.channel)
        self.mailbox = MailboxServiceStub(self.channel)
        self.trace = TraceServiceStub(self.channel)
        self.recalls = RecallServiceStub(self.channel)
        self.market = MarketServiceStub(self.channel)
        self.pools = PoolServiceStub(self.channel)
        self.campaigns = CampaignServiceStub(self.channel)
        self.launches = LaunchServiceStub(self.channel)
        self.registry = RegistryServiceStub(self.channel)
        self.config = ConfigServiceStub(self.channel)
        self.traffic = TrafficServiceStub(self.channel)
        self.operations = OperationsServiceStub(self.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.channel.close()

    async def call(
        self, method: "UnaryUnaryMultiCallable[Q, R]", request: Q, session: Session | None = None
    ) -> R:
        """One unary call.

        Raises:
            CallFailed: it was refused or not answered.
        """
        metadata = await _metadata(session)
        try:
            return await method(request, timeout=self._timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise CallFailed.from_rpc(error) from error

    async def watch(
        self, method: "UnaryStreamMultiCallable[Q, R]", request: Q, session: Session | None = None
    ) -> AsyncIterator[R]:
        """The messages of a stream, until it ends.

        Raises:
            CallFailed: it was refused or broke off.
        """
        stream = method(request, metadata=await _metadata(session))
        try:
            async for message in stream:
                yield message
        except grpc.aio.AioRpcError as error:
            raise CallFailed.from_rpc(error) from error
        finally:
            stream.cancel()


async def _metadata(session: Session | None) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {await session.bearer()}"),) if session else ()
