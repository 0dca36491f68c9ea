"""Minting, splitting and recalling with a real database."""

import asyncio

import pytest

from chassis.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from chassis.quantity import Quantity
from greenledger.crops.v1 import events_pb2
from services.crops.application.ports import Change
from services.crops.domain.events import RecallClass
from services.crops.domain.lot import LotState
from services.crops.domain.transfer import begin_transfer
from tests.integration.crops.conftest import OPERATOR, Crops, user
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, NOW, STRANGER, harvest


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def test_a_minted_lot_is_told_to_others_and_readable_at_once(crops: Crops) -> None:
    minted = await crops.minted()
    assert await crops.read.get(minted.lot_id) == minted
    [event] = await crops.published("crop.minted")
    payload = events_pb2.LotMinted()
    assert event.payload.Unpack(payload)
    assert (event.aggregate_id, payload.lot_code, payload.quantity.amount) == (minted.lot_id, "ROM-1", "100")
    assert (payload.origin.farm_name, payload.parent_lot_id) == ("Salinas Farm", "")


async def test_a_growers_lot_code_is_given_once(crops: Crops) -> None:
    await crops.minted("SAME")
    with pytest.raises(AlreadyExists) as refused:
        await crops.minted("SAME")
    assert (refused.value.reason, refused.value.metadata) == ("LOT_CODE_TAKEN", {"lot_code": "SAME"})
    assert len(await crops.published("crop.minted")) == 1
    other = await crops.mint(user(BUYER), harvest(lot_code="SAME"))
    assert other.grower_id == BUYER


async def test_of_many_who_mint_one_code_at_once_exactly_one_succeeds(crops: Crops) -> None:
    outcomes = await asyncio.gather(*(crops.minted("RACE") for _ in range(12)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [AlreadyExists] * 11
    assert len(await crops.published("crop.minted")) == 1


async def test_text_that_cannot_be_stored_is_refused(crops: Crops) -> None:
    with pytest.raises(InvalidArgument):
        await crops.minted("NUL\0")


async def test_a_split_makes_lots_and_leaves_the_rest(crops: Crops) -> None:
    minted = await crops.minted()
    rest, parts = await crops.split(user(GROWER), minted.lot_id, [("A", kg(30)), ("B", kg(70))])
    assert (rest.quantity, rest.state) == (kg(0), LotState.EMPTY)
    assert [(part.lot_code, part.quantity, part.parent_lot_id) for part in parts] == [
        ("A", kg(30), minted.lot_id),
        ("B", kg(70), minted.lot_id),
    ]
    assert [await crops.read.get(part.lot_id) for part in parts] == parts
    assert await crops.read.get(minted.lot_id) == rest
    [event] = await crops.published("crop.split")
    payload = events_pb2.LotSplit()
    assert event.payload.Unpack(payload)
    assert list(payload.part_lot_ids) == [part.lot_id for part in parts]
    assert len(await crops.published("crop.minted")) == 3


async def test_a_split_with_a_code_in_use_leaves_no_trace(crops: Crops) -> None:
    minted = await crops.minted("A")
    with pytest.raises(AlreadyExists):
        await crops.split(user(GROWER), minted.lot_id, [("B", kg(1)), ("A", kg(1))])
    assert await crops.read.get(minted.lot_id) == minted
    assert await crops.published("crop.split") == []
    await crops.minted("B")


async def test_splits_that_race_never_hand_out_more_than_there_is(crops: Crops) -> None:
    minted = await crops.minted()
    tries = (crops.split(user(GROWER), minted.lot_id, [(f"P{n}", kg(60))]) for n in range(8))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(failures) == 7
    assert all(isinstance(failure, Aborted | FailedPrecondition) for failure in failures)
    assert (await crops.read.get(minted.lot_id)).quantity == kg(40)


async def test_a_recall_reaches_every_descendant_and_tells_of_each(crops: Crops) -> None:
    minted = await crops.minted()
    _, [child, other] = await crops.split(user(GROWER), minted.lot_id, [("A", kg(40)), ("B", kg(10))])
    _, [grandchild] = await crops.split(user(GROWER), child.lot_id, [("AA", kg(5))])
    bystander = await crops.minted("BYSTANDER")
    lot, recalled = await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    family = {minted.lot_id, child.lot_id, other.lot_id, grandchild.lot_id}
    assert (lot.state, lot.recall_reason, recalled[0]) == (LotState.RECALLED, "E. coli", minted.lot_id)
    assert set(recalled) == family
    events = [events_pb2.LotRecalled() for _ in await crops.published("crop.recalled")]
    for event, payload in zip(await crops.published("crop.recalled"), events, strict=True):
        assert event.payload.Unpack(payload)
    assert {payload.lot_id for payload in events} == family
    assert {(payload.root_lot_id, payload.recall_class) for payload in events} == {(minted.lot_id, 1)}
    for lot_id in family:
        assert (await crops.read.get(lot_id)).state is LotState.RECALLED
    assert (await crops.read.get(bystander.lot_id)).state is LotState.ACTIVE


async def test_a_part_recalled_before_is_not_recalled_twice(crops: Crops) -> None:
    minted = await crops.minted()
    _, [child] = await crops.split(user(GROWER), minted.lot_id, [("A", kg(40))])
    await crops.recall(user(GROWER), child.lot_id, "glass", RecallClass.II)
    _, recalled = await crops.recall(OPERATOR, minted.lot_id, "E. coli", RecallClass.I)
    assert recalled == [minted.lot_id, child.lot_id]
    assert (await crops.read.get(child.lot_id)).recall_reason == "glass"
    assert len(await crops.published("crop.recalled")) == 2
    with pytest.raises(FailedPrecondition) as refused:
        await crops.recall(OPERATOR, minted.lot_id, "again", RecallClass.I)
    assert refused.value.reason == "LOT_RECALLED"


async def test_a_recall_that_races_with_splits_leaves_no_part_out(crops: Crops) -> None:
    minted = await crops.minted()
    tries = [crops.split(user(GROWER), minted.lot_id, [(f"P{n}", kg(1))]) for n in range(6)]
    _, *_ = await asyncio.gather(
        crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I), *tries, return_exceptions=True
    )
    if (await crops.read.get(minted.lot_id)).state is not LotState.RECALLED:
        await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    rows = await crops.dump("lot_code")
    states = {(await crops.read.get(row["lot_id"])).state for row in rows}
    assert states == {LotState.RECALLED}


async def test_a_recall_wins_over_a_transfer_that_commits_first(crops: Crops) -> None:
    minted = await crops.minted()
    lot = await crops.lots.load(minted.lot_id)
    began = begin_transfer(
        lot, transfer_id="t", actor=GROWER, new_owner_id=BUYER, reference_document="", now=NOW
    )

    class Overtaken(type(crops.lots)):  # type: ignore[misc]
        """Lots of which one changes between being read and being recalled, once."""

        overtaken = False

        async def save(self, changes: list[Change]) -> None:
            if not self.overtaken:
                self.overtaken = True
                await asyncio.create_task(crops.lots.save([Change(lot.lot_id, lot.version, (began,))]))
            await super().save(changes)

    crops.recall_steps._lots = Overtaken(crops.database, crops.store, crops.lots._outbox)
    recalled, _ = await crops.recall(user(GROWER), minted.lot_id, "E. coli", RecallClass.I)
    assert (recalled.state, recalled.version) == (LotState.RECALLED, 3)


@pytest.mark.parametrize("use_case", ["split", "recall", "get", "events", "ownership"])
async def test_an_unknown_lot_is_not_found(crops: Crops, use_case: str) -> None:
    calls = {
        "split": lambda: crops.split(user(GROWER), LOT_ID, [("A", kg(1))]),
        "recall": lambda: crops.recall(user(STRANGER), LOT_ID, "?", RecallClass.I),
        "get": lambda: crops.read.get(LOT_ID),
        "events": lambda: crops.read.events(LOT_ID, 0, 10),
        "ownership": lambda: crops.read.ownership(LOT_ID, -1, 10),
    }
    with pytest.raises(NotFound) as refused:
        await calls[use_case]()
    assert refused.value.reason == "LOT_NOT_FOUND"
