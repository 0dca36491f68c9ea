"""Offers with a real database and saga engine: shown, told, accepted once, expired by the sweep."""

import asyncio
from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from chassis.errors import DomainError
from chassis.testing import eventually
from services.crops.application.views import LotFilter, LotView
from services.crops.domain.events import OfferKind
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import BUYER, GROWER, STRANGER

TABLES = ("lot_view", "lot_ownership", "lot_history")


async def offered(
    crops: Crops, kind: OfferKind = OfferKind.BOTH, to_id: str = BUYER, seconds: float = 600
) -> tuple[LotView, str]:
    """A lot with an open offer, and the offer's id."""
    minted = await crops.minted()
    until = SystemClock().now() + timedelta(seconds=seconds)
    lot = await crops.offer(user(GROWER), minted.lot_id, to_id, kind, until, "BOL-7")
    assert lot.offer is not None
    return lot, lot.offer.offer_id


async def reason_of(call: object) -> str:
    with pytest.raises(DomainError) as refused:
        await call  # type: ignore[misc]
    return refused.value.reason


async def test_an_accepted_offer_changes_owner_and_custodian_once(crops: Crops) -> None:
    lot, offer_id = await offered(crops)
    assert await crops.read.get(lot.lot_id) == lot
    accepts = (crops.accept(user(BUYER), lot.lot_id, offer_id) for _ in range(4))
    answers = await asyncio.gather(*accepts)
    assert {(each.owner_id, each.custodian_id, each.offer) for each in answers} == {(BUYER, BUYER, None)}
    assert await crops.read.get(lot.lot_id) == answers[0]
    told = [
        len(await crops.published(f"crop.{topic}")) for topic in ("offered", "offer-ended", "transferred")
    ]
    assert told == [1, 1, 1]


async def test_accepted_custody_changes_the_custodian_alone(crops: Crops) -> None:
    lot, offer_id = await offered(crops, OfferKind.CUSTODY)
    for _ in range(2):
        answer = await crops.accept(user(BUYER), lot.lot_id, offer_id)
        assert (answer.owner_id, answer.custodian_id) == (GROWER, BUYER)
    assert await crops.read.get(lot.lot_id) == answer
    assert [line.type for line in await crops.read.events(lot.lot_id, 1, 10)] == [
        "LotOffered",
        "LotOfferEnded",
        "LotCustodyChanged",
    ]
    assert len(await crops.published("crop.custody-changed")) == 1


@pytest.mark.parametrize("kind", list(OfferKind))
async def test_a_forged_acceptance_is_refused_and_changes_nothing(crops: Crops, kind: OfferKind) -> None:
    lot, offer_id = await offered(crops, kind)
    for forger in (STRANGER, GROWER):
        assert await reason_of(crops.accept(user(forger), lot.lot_id, offer_id)) == "NOT_ADDRESSEE"
        assert await reason_of(crops.reject(user(forger), lot.lot_id, offer_id)) == "NOT_ADDRESSEE"
    other, _ = await crops.minted("OTHER"), None
    assert await reason_of(crops.accept(user(BUYER), other.lot_id, offer_id)) == "OFFER_NOT_FOUND"
    assert await crops.read.get(lot.lot_id) == lot


async def test_of_an_acceptance_and_a_withdrawal_at_once_one_counts(crops: Crops) -> None:
    lot, offer_id = await offered(crops)
    accepted, withdrawn = await asyncio.gather(
        crops.accept(user(BUYER), lot.lot_id, offer_id),
        crops.withdraw(user(GROWER), lot.lot_id, offer_id),
        return_exceptions=True,
    )
    assert isinstance(accepted, LotView) != isinstance(withdrawn, LotView)
    owner = BUYER if isinstance(accepted, LotView) else GROWER
    assert (await crops.read.get(lot.lot_id)).owner_id == owner
    assert len(await crops.published("crop.offer-ended")) == 1


async def test_an_offer_that_nobody_takes_in_time_is_refused_and_swept(crops: Crops) -> None:
    lot, offer_id = await offered(crops, seconds=0.2)

    async def too_late() -> bool:
        return SystemClock().now() >= lot.offer.expire_time  # type: ignore[union-attr]

    await eventually(too_late)
    assert await reason_of(crops.accept(user(BUYER), lot.lot_id, offer_id)) == "OFFER_EXPIRED"
    assert await crops.expire() is False
    assert (await crops.read.get(lot.lot_id)).offer is None
    assert len(await crops.published("crop.offer-ended")) == 1
    assert await crops.expire() is False


async def test_an_offer_to_nobody_known_leaves_the_lot_free(crops: Crops) -> None:
    lot, offer_id = await offered(crops, to_id=STRANGER)
    assert await reason_of(crops.accept(user(STRANGER), lot.lot_id, offer_id)) == "NEW_OWNER_UNKNOWN"
    after = await crops.read.get(lot.lot_id)
    assert (after.owner_id, after.offer) == (GROWER, None)


async def test_a_rebuilt_projection_shows_offers_as_the_live_one(crops: Crops) -> None:
    await offered(crops)
    await crops.read.page(LotFilter(), None, 10)
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live
