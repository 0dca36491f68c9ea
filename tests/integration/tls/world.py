"""Members of a fleet, real servers and real connections between them."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from chassis.channels import Channels
from chassis.tls import read
from fleet.membership import members
from fleet.trust import Authority, certificates, folders
from fleet.trust.certificates import Root
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.control.v1 import control_pb2, control_pb2_grpc
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from tests.integration.interceptors.harness import Server, reason

NAMES = ("auth", "users", "crops", "market", "orders", "catalog", "control")
SETTLE = timedelta(seconds=5)
"""Five times the shortest interval of gRPC's file watcher: the machine may be busy."""


@dataclass
class Members:
    """Who has a certificate, and where."""

    folder: Path
    authority: Authority

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def with_uri(self, name: str, uri: str) -> Path:
        """A member whose certificate, by the fleet's own authority, has another URI in it."""
        root = self.authority.state().signing
        files = [self.folder / "authority" / f"root-{root}.{kind}" for kind in ("pem", "key")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(certificates, "spiffe_id", lambda _: uri)
            signed = Root.load(*(file.read_bytes() for file in files)).leaf(
                name, (), datetime.now(UTC), timedelta(hours=1)
            )
        folder = self.folder.parent / "odd" / name
        folders.publish(
            folder, certificate=signed[0], key=signed[1], authority=read(self["orders"]).authority
        )
        return folder


def enrolled(folder: Path, settle: timedelta) -> Members:
    """An authority that takes its steps so far apart, and a certificate for everybody."""
    authority = Authority(folder, settle=settle, leaf_life=timedelta(hours=1))
    # As a fleet's with two processes of control: all that meet its certificate must cope with these names.
    authority.ensure(members(NAMES, ("127.0.0.1:1", "127.0.0.1:2")))
    return Members(folder, authority)


@asynccontextmanager
async def calling(server: Server, callee: str, tls_dir: Path | None) -> AsyncIterator["Calls"]:
    """Calls to a server by whoever holds the certificate in a folder."""
    channels = Channels({callee: server.address}, tls_dir=tls_dir)
    try:
        yield Calls(channels.get(callee))
    finally:
        await channels.close()


class Calls:
    """One method of each kind that the contract knows; each gives the reason it was refused with, or "OK"."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._between_services = auth_pb2_grpc.AuthServiceStub(channel).PrepareCredentials
        self._for_both = crops_pb2_grpc.CropQueryServiceStub(channel).GetLot
        self._public = catalog_pb2_grpc.CatalogServiceStub(channel).GetVenue
        self._for_all = control_pb2_grpc.RegistryServiceStub(channel).Heartbeat

    async def between_services(self, metadata: Any = None) -> str:
        """No HTTP binding; the contract names `users`."""
        request = auth_pb2.PrepareCredentialsRequest(
            email="ann@example.org", password="green tomatoes", role="guest"
        )
        return await outcome(self._between_services(request, metadata=metadata, timeout=5))

    async def for_both(self, metadata: Any = None) -> str:
        """An HTTP binding; the contract names `market` besides."""
        request = crops_pb2.GetLotRequest(lot_id=str(uuid.uuid4()))
        return await outcome(self._for_both(request, metadata=metadata, timeout=5))

    async def for_all(self, metadata: Any = None) -> str:
        """No HTTP binding; the contract names nobody."""
        request = control_pb2.HeartbeatRequest(instance_id="orders-1")
        return await outcome(self._for_all(request, metadata=metadata, timeout=5))

    async def public(self) -> str:
        """Needs no token."""
        request = catalog_pb2.GetVenueRequest(venue_id=str(uuid.uuid4()))
        return await outcome(self._public(request, timeout=5))


async def outcome(call: Any) -> str:
    """OK, the reason of a refusal, or the status of one without a reason."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason(error) or str(error.code().name)
    return "OK"


class Auth(auth_pb2_grpc.AuthServiceServicer):
    """Answers."""

    async def PrepareCredentials(self, request: Any, context: Any) -> Any:
        return auth_pb2.PreparedCredentials(ticket="ticket")


class Registry(control_pb2_grpc.RegistryServiceServicer):
    """Answers."""

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        return control_pb2.Registration()


class Crops(crops_pb2_grpc.CropQueryServiceServicer):
    """Answers."""

    async def GetLot(self, request: Any, context: Any) -> Any:
        return crops_pb2.Lot(lot_id=request.lot_id)


class Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    """Answers."""

    async def GetVenue(self, request: Any, context: Any) -> Any:
        return catalog_pb2.Venue(venue_id=request.venue_id)


SERVED = (
    (auth_pb2_grpc.add_AuthServiceServicer_to_server, Auth()),
    (control_pb2_grpc.add_RegistryServiceServicer_to_server, Registry()),
    (crops_pb2_grpc.add_CropQueryServiceServicer_to_server, Crops()),
    (catalog_pb2_grpc.add_CatalogServiceServicer_to_server, Catalog()),
)
