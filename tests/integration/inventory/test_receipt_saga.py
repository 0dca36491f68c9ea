"""The receipt saga with a real engine and database: goods count once, whatever fails on the way."""

import asyncio
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.errors import AlreadyExists, DeadlineExceeded, DomainError, FailedPrecondition, Unavailable
from chassis.quantity import Quantity
from chassis.testing import eventually
from chassis.testing.service import published
from services.inventory.application import receive
from services.inventory.application.receipt_saga import NAME, ReceiptData
from services.inventory.domain.receipt import Receipt
from tests.integration.inventory.conftest import OWNER, VENUE, Inventory

FIVE = Quantity.of(5, "H87")


def lost() -> Unavailable:
    return Unavailable("UNAVAILABLE", "the answer was lost")


async def test_what_is_received_is_committed_and_told_once(inventory: Inventory):
    lot_id = inventory.lot(10)
    item = await inventory.receive(OWNER, VENUE, lot_id, FIVE)
    lot = inventory.crops.lots[lot_id]
    assert (lot.committed, lot.uncommitted) == (FIVE, FIVE)
    (told,) = await published(inventory.database, "inventory.received")
    assert told.aggregate_id == item.stock_item_id


async def test_a_repeated_request_is_the_same_receipt_and_another_one_under_its_id_is_refused(
    inventory: Inventory,
):
    lot_id, request_id = inventory.lot(10), str(uuid4())
    first, second = [await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id) for _ in range(2)]
    assert first == second
    assert await inventory.received(lot_id) == Decimal(5)
    with pytest.raises(AlreadyExists) as refused:
        await inventory.receive(OWNER, VENUE, lot_id, Quantity.of(4, "H87"), request_id)
    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_a_commitment_is_named_like_its_stock_so_that_crops_knows_what_is_served_of_it(
    inventory: Inventory,
):
    lot_id = inventory.lot(10)
    item = await inventory.receive(OWNER, VENUE, lot_id, FIVE)
    assert list(inventory.crops.lots[lot_id].commitments) == [item.stock_item_id]


async def test_a_receipt_from_before_commitments_were_named_keeps_the_name_of_its_step(inventory: Inventory):
    lot_id, receipt_id = inventory.lot(10), str(uuid4())
    data = ReceiptData(Receipt(OWNER, VENUE, lot_id, FIVE), str(uuid4())).to_json()
    del data["commitment_id"]
    async with inventory.database.transaction() as tx:
        await inventory.engine.start(tx, NAME, receipt_id, data)
    await inventory.engine.outcome(receipt_id, timedelta(seconds=10))
    [commitment_id] = inventory.crops.lots[lot_id].commitments
    assert commitment_id not in (data["stock_item_id"], receipt_id)


async def test_one_request_that_comes_many_times_at_once_is_one_receipt(inventory: Inventory):
    lot_id, request_id = inventory.lot(10), str(uuid4())
    calls = (inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id) for _ in range(8))
    items = await asyncio.gather(*calls)
    assert len({item.stock_item_id for item in items}) == 1
    assert inventory.crops.lots[lot_id].committed == FIVE


async def test_a_refused_request_may_be_repeated_and_is_tried_anew(inventory: Inventory):
    lot_id, request_id = inventory.lot(10), str(uuid4())
    other = await inventory.receive(OWNER, VENUE, lot_id, Quantity.of(6, "H87"))
    for _ in range(2):
        with pytest.raises(FailedPrecondition) as refused:
            await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
        assert refused.value.reason == "QUANTITY_EXCEEDED"
        assert refused.value.metadata == {"available": "4", "unit": "H87"}
    (commitment_id,) = inventory.crops.lots[lot_id].commitments
    await inventory.crops.release("", lot_id, commitment_id)
    again = await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
    assert again.stock_item_id != other.stock_item_id


async def test_after_too_many_refusals_the_last_one_stands(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(receive, "ATTEMPTS", 2)
    lot_id, request_id = inventory.lot(1), str(uuid4())
    for _ in range(3):
        with pytest.raises(FailedPrecondition):
            await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
    assert await inventory.database.fetchval("SELECT count(*) FROM saga") == 2


async def test_a_recall_between_commitment_and_storage_refuses_and_releases(inventory: Inventory):
    lot_id = inventory.lot(10)

    async def recalled() -> None:
        await inventory.quarantine(lot_id)

    inventory.crops.after = recalled
    with pytest.raises(FailedPrecondition) as refused:
        await inventory.receive(OWNER, VENUE, lot_id, FIVE)
    assert refused.value.reason == "LOT_RECALLED"
    assert inventory.crops.lots[lot_id].committed.is_zero
    assert await published(inventory.database, "inventory.received") == []


async def test_a_commitment_whose_answer_is_lost_is_asked_for_again_and_made_once(inventory: Inventory):
    lot_id = inventory.lot(10)
    inventory.crops.failures = [lost(), lost()]
    await inventory.receive(OWNER, VENUE, lot_id, FIVE)
    assert inventory.crops.lots[lot_id].committed == FIVE
    assert await inventory.received(lot_id) == Decimal(5)


async def test_when_crops_never_answers_nothing_stays_committed(inventory: Inventory):
    lot_id, request_id = inventory.lot(10), str(uuid4())
    inventory.crops.failures = [lost() for _ in range(5)]
    with pytest.raises(Unavailable) as failed:
        await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
    assert (failed.value.reason, failed.value.retry_after is not None) == ("RECEIPT_FAILED", True)
    assert inventory.crops.lots[lot_id].committed.is_zero
    await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
    assert inventory.crops.lots[lot_id].committed == FIVE


async def test_receipts_that_wait_for_a_slow_crops_hold_no_connection(inventory: Inventory):
    lot_id, go = inventory.lot(100), asyncio.Event()
    waiting = 0

    async def wait() -> None:
        nonlocal waiting
        waiting += 1
        await go.wait()

    inventory.crops.before = wait
    calls = [asyncio.create_task(inventory.receive(OWNER, VENUE, lot_id, FIVE)) for _ in range(12)]
    await eventually(lambda: waiting == 12)
    sessions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    )
    assert await inventory.database.fetchval(sessions) == 0
    go.set()
    await asyncio.gather(*calls)
    assert await inventory.received(lot_id) == Decimal(60)


async def test_an_outcome_that_is_not_known_in_time_can_be_asked_for_again(inventory: Inventory):
    lot_id, request_id, go = inventory.lot(10), str(uuid4()), asyncio.Event()

    async def wait() -> None:
        await go.wait()

    inventory.crops.before = wait
    # Its own clock stands still; the system's is the one of the deadline.
    inventory.receive_stock._clock = SystemClock()
    impatient = RequestContext(deadline=time.monotonic() + 0.4)
    with use(impatient), pytest.raises(DeadlineExceeded) as unknown:
        await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
    assert unknown.value.reason == "RECEIPT_UNDER_WAY"
    go.set()
    item = await inventory.receive(OWNER, VENUE, lot_id, FIVE, request_id)
    assert item.on_hand == FIVE
    assert inventory.crops.lots[lot_id].committed == FIVE


async def test_a_request_that_can_never_succeed_leaves_nothing_behind(inventory: Inventory):
    outcomes = Counter()
    for venue_id, quantity in ((str(uuid4()), FIVE), (VENUE, Quantity.of(0, "H87"))):
        with pytest.raises(DomainError) as refused:
            await inventory.receive(OWNER, venue_id, inventory.lot(10), quantity)
        outcomes[refused.value.reason] += 1
    assert outcomes == {"VENUE_NOT_FOUND": 1, "QUANTITY_ZERO": 1}
    assert await inventory.database.fetchval("SELECT count(*) FROM saga") == 0
