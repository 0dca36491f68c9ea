"""The market behind its real server, with the real crops and payments beside it."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.protobuf import timestamp_to_proto
from chassis.testing.postgres import PostgresServer
from chassis.testing.service import Metadata, ServiceUnderTest, TokenSigner, serve
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from greenledger.market.v1.market_pb2_grpc import MarketServiceStub
from interceptors.testing import SignedChain
from services.auth.domain.roles import ROLES, SERVICE_SCOPES
from services.crops.wiring import wire as wire_crops
from services.inventory.wiring import wire as wire_inventory
from services.market.wiring import wire
from services.payments.wiring import wire as wire_payments

GROWER, VENUE, OTHER = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc")
NOWHERE = "127.0.0.1:1"


@dataclass
class Town:
    """The three services and what tests do with them."""

    market: ServiceUnderTest
    crops: ServiceUnderTest
    payments: ServiceUnderTest

    @property
    def stub(self) -> MarketServiceStub:
        return MarketServiceStub(self.market.channel)

    @property
    def commands(self) -> crops_pb2_grpc.CropCommandServiceStub:
        return crops_pb2_grpc.CropCommandServiceStub(self.crops.channel)

    def as_(self, subject: str, role: str = "grower") -> Metadata:
        return self.market.signer.user(subject, *ROLES[role].permissions, roles=[role])

    async def lot(
        self, amount: str = "10", unit: str = "KGM", owner: str = GROWER, lot_code: str = ""
    ) -> str:
        """The id of a new lot of leek."""
        return await harvested(self.crops, self.as_(owner), amount=amount, unit=unit, lot_code=lot_code)

    async def look(self, lot_id: str) -> crops_pb2.Lot:
        """A lot as crops decides on it, not as its projection shows it."""
        released = crops_pb2.ReleaseLotQuantityRequest(
            request_id=str(uuid.uuid4()), lot_id=lot_id, commitment_id=str(uuid.uuid4())
        )
        service = self.crops.signer.service("market", "crops.lots.commit")
        return await self.commands.ReleaseLotQuantity(released, metadata=service)


async def harvested(
    crops: ServiceUnderTest,
    metadata: Metadata,
    *,
    product_code: str = "leek",
    amount: str = "10",
    unit: str = "KGM",
    lot_code: str = "",
) -> str:
    """The id of a new lot of the caller's."""
    now = SystemClock().now()
    request = crops_pb2.MintLotRequest(
        request_id=str(uuid.uuid4()),
        lot_code=lot_code or f"LOT-{uuid.uuid4()}",
        product_code=product_code,
        quantity=Quantity(amount=amount, unit_code=unit),
        origin=crops_pb2.Origin(farm_name="Farm", country_code="US"),
        harvest_time=timestamp_to_proto(now - timedelta(days=1)),
        expire_time=timestamp_to_proto(now + timedelta(days=3)),
    )
    stub = crops_pb2_grpc.CropCommandServiceStub(crops.channel)
    return (await stub.MintLot(request, metadata=metadata)).lot_id


@pytest_asyncio.fixture
async def town(postgres_server: PostgresServer) -> AsyncIterator[Town]:
    signer = TokenSigner()
    chain = SignedChain(signer, SERVICE_SCOPES)
    database = postgres_server.database
    async with (
        database("inventory") as inventory_dsn,
        database("crops") as crops_dsn,
        database("payments") as payments_dsn,
        database("market") as market_dsn,
        serve(
            "inventory",
            wire_inventory,
            chain,
            inventory_dsn,
            signer,
            peers={"crops": NOWHERE, "catalog": NOWHERE},
        ) as inventory,
        serve(
            "crops",
            wire_crops,
            chain,
            crops_dsn,
            signer,
            peers={"users": NOWHERE, "notifications": NOWHERE, "inventory": inventory.address},
        ) as crops,
        serve("payments", wire_payments, chain, payments_dsn, signer) as payments,
        serve(
            "market",
            wire,
            chain,
            market_dsn,
            signer,
            peers={"crops": crops.address, "payments": payments.address, "notifications": NOWHERE},
        ) as market,
    ):
        yield Town(market, crops, payments)
