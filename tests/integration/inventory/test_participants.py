"""One suite for crops: the fake passes what the real service passes behind its server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.errors import DomainError
from chassis.protobuf import timestamp_to_proto
from chassis.quantity import Quantity
from chassis.testing.postgres import PostgresServer
from chassis.testing.service import TokenSigner, serve
from greenledger.common.v1 import quantity_pb2
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from interceptors.testing import SignedChain, reason
from services.auth.domain.roles import SERVICE_SCOPES
from services.crops.wiring import wire
from services.inventory.adapters.clients import CropsClient
from services.inventory.application.ports import Crops
from services.inventory.domain.receipt import Receipt
from tests.integration.inventory.fakes import FakeCrops

OWNER, STRANGER, VENUE = (str(uuid4()) for _ in range(3))


@dataclass
class Party:
    """The port with a lot of one kilogram of OWNER, and how to recall it."""

    crops: Crops
    lot_id: str
    recall: Callable[[], Awaitable[None]]

    def receipt(self, amount: str = "400", unit: str = "GRM") -> Receipt:
        return Receipt(OWNER, VENUE, self.lot_id, Quantity.of(amount, unit))


@pytest_asyncio.fixture(params=["fake", "service"])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    async with AsyncExitStack() as stack:
        yield await (_fake() if request.param == "fake" else _service(request, stack))


async def _fake() -> Party:
    crops = FakeCrops(SystemClock())
    lot_id = crops.mint(OWNER, Quantity.of(1, "KGM"))

    async def recall() -> None:
        crops.recall(lot_id)

    return Party(crops, lot_id, recall)


async def _service(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Party:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    signer, dsn = TokenSigner(), await stack.enter_async_context(server.database("crops"))
    chain = SignedChain(signer, SERVICE_SCOPES)
    peers = dict.fromkeys(("users", "notifications", "inventory"), "127.0.0.1:1")
    running = await stack.enter_async_context(serve("crops", wire, chain, dsn, signer, peers=peers))
    commands, now = crops_pb2_grpc.CropCommandServiceStub(running.channel), SystemClock().now()
    grower = signer.user(OWNER, "crops.lots.mint", "crops.lots.recall")
    lot = await commands.MintLot(
        crops_pb2.MintLotRequest(
            request_id=str(uuid4()),
            lot_code="LOT",
            product_code="kale",
            quantity=quantity_pb2.Quantity(amount="1", unit_code="KGM"),
            origin=crops_pb2.Origin(farm_name="Farm", country_code="US"),
            harvest_time=timestamp_to_proto(now - timedelta(days=1)),
            expire_time=timestamp_to_proto(now + timedelta(days=3)),
        ),
        metadata=grower,
    )

    async def recall() -> None:
        asked = crops_pb2.RecallLotRequest(
            request_id=str(uuid4()), lot_id=lot.lot_id, reason="glass", recall_class=crops_pb2.RECALL_CLASS_I
        )
        # It is recorded, and goes on for ever with an inventory that is not there.
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await commands.RecallLot(asked, metadata=grower, timeout=2)
        assert reason(late.value) == "RECALL_UNDER_WAY"

    # As the inventory service would call: with its own account's permissions.
    runtime = running.runtime
    settings = replace(runtime.settings, service="inventory", peers={"crops": running.address})
    channels = chain.channels(settings, runtime.tracing, runtime.clock, runtime.ids)
    stack.push_async_callback(channels.close)
    return Party(CropsClient(channels.get("crops")), lot.lot_id, recall)


def key() -> str:
    return str(uuid4())


async def reason_of(call: Awaitable[object]) -> str:
    with pytest.raises(DomainError) as refused:
        await call
    return refused.value.reason


async def test_goods_are_committed_in_the_lots_unit_and_once_for_a_key(party: Party) -> None:
    commitment_id = key()
    first, second = [await party.crops.commit(commitment_id, party.receipt()) for _ in range(2)]
    assert first == second
    assert (str(first.quantity), first.product_code) == ("0.4 KGM", "kale")
    assert await reason_of(party.crops.commit(key(), party.receipt("601"))) == "QUANTITY_EXCEEDED"
    await party.crops.commit(key(), party.receipt("600"))
    other = party.crops.commit(commitment_id, party.receipt("401"))
    assert await reason_of(other) == "REQUEST_ID_REUSED"


async def test_what_is_released_can_be_committed_by_another(party: Party) -> None:
    commitment_id = key()
    await party.crops.commit(commitment_id, party.receipt("1000"))
    for _ in range(2):
        await party.crops.release(key(), party.lot_id, commitment_id)
    await party.crops.commit(key(), party.receipt("1000"))
    again = party.crops.commit(commitment_id, party.receipt("1000"))
    assert await reason_of(again) == "COMMITMENT_RELEASED"


async def test_a_release_that_comes_first_refuses_its_commitment(party: Party) -> None:
    commitment_id = key()
    await party.crops.release(key(), party.lot_id, commitment_id)
    assert await reason_of(party.crops.commit(commitment_id, party.receipt())) == "COMMITMENT_RELEASED"


async def test_what_cannot_be_committed_is_refused_with_the_reason(party: Party) -> None:
    receipt = party.receipt()
    refused = {
        "NOT_OWNER": replace(receipt, owner_id=STRANGER),
        "LOT_NOT_FOUND": replace(receipt, lot_id=key()),
        "UNIT_MISMATCH": party.receipt("1", "LTR"),
        "QUANTITY_ZERO": party.receipt("0.0004"),
    }
    for expected, wanted in refused.items():
        assert await reason_of(party.crops.commit(key(), wanted)) == expected
    assert await reason_of(party.crops.release(key(), key(), key())) == "LOT_NOT_FOUND"


async def test_of_a_recalled_lot_nothing_is_committed_and_everything_released(party: Party) -> None:
    commitment_id = key()
    await party.crops.commit(commitment_id, party.receipt())
    await party.recall()
    assert await reason_of(party.crops.commit(key(), party.receipt())) == "LOT_RECALLED"
    await party.crops.release(key(), party.lot_id, commitment_id)
