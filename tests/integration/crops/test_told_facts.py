"""What others hear of a lot goes by the ids that its history has, so that a correction names it."""

from typing import TypeVar
from uuid import uuid4

from google.protobuf.message import Message

from greenledger.crops.v1 import events_pb2
from services.crops.domain.delivery import Delivery
from services.crops.domain.events import Purpose
from services.crops.domain.lot import Commitment
from tests.integration.crops.conftest import Crops, user
from tests.integration.crops.test_deliveries import kg
from tests.integration.crops.test_physical import now
from tests.integration.crops.test_transformations import cooked
from tests.integration.crops.test_units import UNIT, several
from tests.unit.crops.lots import BUYER, GROWER, MAKER

P = TypeVar("P", bound=Message)


async def told(crops: Crops, topic: str, kind: type[P]) -> list[tuple[str, P]]:
    """What was published: the envelope's id and the payload, oldest first."""
    return [(each.event_id, kind.FromString(each.payload.value)) for each in await crops.published(topic)]


async def history(crops: Crops, lot_id: str) -> dict[str, str]:
    """The ids of a lot's events by their types."""
    return {line.type: line.event_id for line in await crops.read.events(lot_id, 0, 20)}


async def test_what_is_of_one_lot_has_the_id_of_its_history(crops: Crops) -> None:
    [lot] = await several(crops, 1)
    await crops.physical.ship(user(GROWER), lot.lot_id, BUYER, now())
    known = await history(crops, lot.lot_id)
    [(minted, _)] = await told(crops, "crop.minted", events_pb2.LotMinted)
    [(shipped, _)] = await told(crops, "crop.shipped", events_pb2.LotShipped)
    assert (minted, shipped) == (known["LotMinted"], known["LotShipped"])


async def test_a_part_names_the_event_of_the_lot_that_it_was_taken_from(crops: Crops) -> None:
    lot = await crops.minted()
    _, [part] = await crops.split(user(GROWER), lot.lot_id, [("P", kg(10))])
    commitment = str(uuid4())
    await crops.commit(lot.lot_id, commitment, GROWER, Commitment(kg(30), Purpose.LISTING, "", MAKER))
    await crops.deliver(lot.lot_id, Delivery(str(uuid4()), commitment, kg(10), BUYER, "D", MAKER))
    splits = [event_id for event_id, _ in await told(crops, "crop.split", events_pb2.LotSplit)]
    _, *parts = await told(crops, "crop.minted", events_pb2.LotMinted)
    assert [minted.parent_event_id for _, minted in parts] == splits
    assert parts[0][0] == (await history(crops, part.lot_id))["LotMinted"]
    assert splits[-1] == (await history(crops, lot.lot_id))["LotSplit"]


async def test_what_is_in_several_histories_names_the_event_of_each(crops: Crops) -> None:
    lots = await several(crops, 2)
    ids = [lot.lot_id for lot in lots]
    await crops.physical.pack(user(GROWER), UNIT, ids, now())
    await crops.physical.unpack(user(GROWER), UNIT, [], now())
    known = [await history(crops, lot_id) for lot_id in ids]
    [(event_id, packed)] = await told(crops, "crop.unit-packed", events_pb2.UnitPacked)
    assert event_id in packed.event_ids
    assert dict(zip(packed.lot_ids, packed.event_ids, strict=True)) == {
        lot_id: each["LotPacked"] for lot_id, each in zip(ids, known, strict=True)
    }
    [(_, unpacked)] = await told(crops, "crop.unit-unpacked", events_pb2.UnitUnpacked)
    assert set(unpacked.event_ids) == {each["LotUnpacked"] for each in known}


async def test_a_transformation_names_the_events_of_its_inputs_and_its_outputs(crops: Crops) -> None:
    first, second = await several(crops, 2)
    done = await crops.merge(user(GROWER), [(first.lot_id, None), (second.lot_id, kg(30))], "M")
    await cooked(crops, done.outputs[0].lot_id, 8)
    merged, soup = [each for _, each in await told(crops, "crop.transformed", events_pb2.LotTransformed)]
    inputs = [await history(crops, lot_id) for lot_id in (first.lot_id, second.lot_id)]
    assert list(merged.input_event_ids) == [each["LotTransformed"] for each in inputs]
    made = await history(crops, done.outputs[0].lot_id)
    assert list(merged.output_event_ids) == [made["LotMinted"]]
    assert list(soup.input_event_ids) == [made["LotTransformed"]]
    [minted] = [
        each for _, each in await told(crops, "crop.minted", events_pb2.LotMinted) if each.transformation_id
    ][:1]
    assert minted.parent_event_id == ""
