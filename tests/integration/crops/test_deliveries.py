"""Delivering with a real database: once, at once, and never more than was committed."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from chassis.errors import DomainError, FailedPrecondition, PermissionDenied
from chassis.quantity import Quantity
from greenledger.crops.v1 import events_pb2
from services.crops.domain.delivery import Delivery
from services.crops.domain.events import Purpose, RecallClass
from services.crops.domain.lot import Commitment, LotState
from tests.integration.crops.conftest import Crops, service, user
from tests.unit.crops.lots import BUYER, GROWER, MAKER


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def on_sale(crops: Crops, amount: int = 30) -> tuple[str, Delivery]:
    """A lot of which some is committed for sale, and the delivery of ten of it."""
    lot, commitment_id = await crops.minted(), str(uuid4())
    await crops.commit(lot.lot_id, commitment_id, GROWER, Commitment(kg(amount), Purpose.LISTING, "", MAKER))
    return lot.lot_id, Delivery(str(uuid4()), commitment_id, kg(10), BUYER, "ROM-1-a", MAKER)


async def test_a_delivery_is_shown_told_and_kept_in_both_histories(crops: Crops) -> None:
    lot_id, wish = await on_sale(crops)
    lot, new = await crops.deliver(lot_id, wish)
    assert (lot.quantity, lot.committed, lot.owner_id) == (kg(90), kg(20), GROWER)
    assert (new.quantity, new.committed, new.owner_id) == (kg(10), kg(0), BUYER)
    assert await crops.read.get(lot_id) == lot
    assert await crops.read.get(new.lot_id) == new
    types = [event.type for event in await crops.read.events(lot_id, 2, 10)]
    assert types == ["LotQuantityDelivered", "LotSplit"]
    owners = await crops.read.ownership(new.lot_id, -1, 10)
    assert [each.owner_id for each in owners] == [GROWER, BUYER]
    [told] = await crops.published("crop.transferred")
    payload = events_pb2.LotTransferred()
    assert told.payload.Unpack(payload)
    assert (payload.lot_id, payload.previous_owner_id, payload.new_owner_id) == (new.lot_id, GROWER, BUYER)
    [less] = await crops.published("crop.quantity-delivered")
    delivered = events_pb2.LotQuantityDelivered()
    assert less.payload.Unpack(delivered)
    assert (delivered.lot_id, delivered.commitment_id, delivered.quantity.amount) == (
        lot_id,
        wish.commitment_id,
        "10",
    )
    assert (delivered.delivered_lot_id, delivered.new_owner_id) == (new.lot_id, BUYER)
    [split] = await crops.published("crop.split")
    assert split.aggregate_id == lot_id


async def test_a_delivery_that_is_repeated_at_once_and_later_is_made_once(crops: Crops) -> None:
    lot_id, wish = await on_sale(crops)
    answers = await asyncio.gather(*(crops.deliver(lot_id, wish) for _ in range(6)))
    [new_id] = {new.lot_id for _, new in answers}
    await crops.recall(user(GROWER), lot_id, "glass", RecallClass.I)
    lot, new = await crops.deliver(lot_id, wish)
    assert (lot.quantity, lot.state) == (kg(90), LotState.RECALLED)
    assert (new.lot_id, new.state, new.owner_id) == (new_id, LotState.ACTIVE, BUYER)  # as it was then
    assert len(await crops.published("crop.minted")) == 2


async def test_another_service_neither_delivers_nor_takes_back_and_may_not_keep_its_maker_from_it(
    crops: Crops,
) -> None:
    lot_id, wish = await on_sale(crops)
    for call in (
        crops.deliver(lot_id, replace(wish, made_by="inventory")),
        crops.release(service("inventory"), lot_id, wish.commitment_id),
    ):
        with pytest.raises(PermissionDenied) as refused:
            await call
        assert refused.value.reason == "COMMITMENT_OF_ANOTHER"
    lot, new = await crops.deliver(lot_id, wish)
    assert (lot.committed, new.quantity) == (kg(20), kg(10))
    assert (await crops.release(service(MAKER), lot_id, wish.commitment_id)).committed == kg(0)


async def test_of_deliveries_at_once_only_what_was_committed_goes_out(crops: Crops) -> None:
    lot_id, wish = await on_sale(crops, 30)
    wishes = [replace(wish, delivery_id=str(uuid4()), lot_code=f"ROM-1-{n}") for n in range(5)]
    answers = await asyncio.gather(*(crops.deliver(lot_id, each) for each in wishes), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, DomainError)]
    assert [refusal.reason for refusal in refused] == ["QUANTITY_EXCEEDED"] * 2
    lot = await crops.read.get(lot_id)
    assert (lot.quantity, lot.committed) == (kg(70), kg(0))


async def test_a_recall_reaches_what_was_delivered(crops: Crops) -> None:
    lot_id, wish = await on_sale(crops)
    _, new = await crops.deliver(lot_id, wish)
    _, recalled = await crops.recall(user(GROWER), lot_id, "glass", RecallClass.I)
    assert set(recalled) == {lot_id, new.lot_id}


async def test_a_refused_delivery_leaves_a_tombstone_that_outlives_its_cause(crops: Crops) -> None:
    lot_id, wish = await on_sale(crops)
    await crops.hold(user(GROWER), lot_id, "a smell")
    for _ in range(2):
        with pytest.raises(FailedPrecondition) as refusal:
            await crops.deliver(lot_id, wish)
        assert refusal.value.reason == "LOT_HELD"
    await crops.release_hold(user(GROWER), lot_id, "it was the truck")
    with pytest.raises(FailedPrecondition) as refusal:
        await crops.deliver(lot_id, wish)
    assert refusal.value.reason == "LOT_HELD"
    assert len(await crops.published("crop.minted")) == 1
    _, new = await crops.deliver(lot_id, replace(wish, delivery_id=str(uuid4())))
    assert new.owner_id == BUYER
