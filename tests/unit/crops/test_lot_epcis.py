"""What happened to lots, in the words of EPCIS."""

import json
from pathlib import Path

import pytest

from chassis.testing.published import needs_published
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.jsontext import dumps
from services.crops.domain.epcis.parse import parse_text
from services.crops.domain.epcis.render import render
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.events import LotCorrected
from services.crops.domain.lot_epcis import CONTEXT, declared_wrong, visibility_event
from tests.unit.crops.lots import NOW
from tests.unit.crops.test_stored_events import RECORDINGS, read
from tests.unit.epcis import corpus

EVENT_ID = "01a1fe00-0000-7000-8000-000000000001"
UNSEEN = {
    *("LotCorrected", "LotQuantityDelivered", "LotDeliveryRefused"),
    "LotOffered",
    "LotOfferEnded",
    "LotQuantityReleased",
    "LotTransferBegun",
    "LotTransferCancelled",
}
"""What is between the parties and says nothing of the goods; a correction is told with what it corrects."""


def told(path: Path) -> m.BusinessEvent | None:
    return visibility_event(EVENT_ID, NOW, read(path)[1])


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_what_happened_to_goods_is_told_to_partners(path: Path) -> None:
    kind, (recorded, _) = path.name.partition(".")[0], read(path)
    part = kind == "LotMinted" and bool(recorded["data"].get("parent_lot_id"))
    assert (told(path) is None) == (kind in UNSEEN or part)


@needs_published
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_whatever_is_told_is_accepted_by_the_official_schema_and_read_again(path: Path) -> None:
    event = told(path)
    events = () if event is None else (event,)
    head = m.DocumentHead(context=CONTEXT, schema_version="2.0", creation_date=Timestamp.of(NOW))
    text = dumps(render(m.Document(head, events)))
    assert corpus.accepts(json.loads(text)), list(corpus.schema().iter_errors(json.loads(text)))
    again = parse_text(text)
    assert isinstance(again, m.Document)
    assert [render(each) for each in again.events] == [render(each) for each in events]


@needs_published
def test_a_correction_tells_the_wrong_event_again_with_the_declaration() -> None:
    stored = {path.name.partition(".")[0]: path for path in RECORDINGS}
    wrong, (_, correction) = told(stored["LotArrived"]), read(stored["LotCorrected"])
    assert isinstance(correction, LotCorrected)
    assert wrong is not None
    corrective = visibility_event("01a1fe00-0000-7000-8000-0000000000c2", NOW, read(stored["LotShipped"])[1])
    assert corrective is not None
    again = declared_wrong(wrong, correction, [corrective], NOW)
    head = m.DocumentHead(context=CONTEXT, schema_version="2.0", creation_date=Timestamp.of(NOW))
    document = json.loads(dumps(render(m.Document(head, (wrong, again)))))
    assert corpus.accepts(document), list(corpus.schema().iter_errors(document))
    first, second = document["epcisBody"]["eventList"]
    declaration = second.pop("errorDeclaration")
    assert (first["eventID"], first["bizStep"]) == (second["eventID"], second["bizStep"])
    assert declaration["correctiveEventIDs"] == [corrective.event_id]
    assert declaration["greenledger:correctedQuantity"] == "38 KGM"


def test_a_packing_is_one_event_whichever_lot_tells_it() -> None:
    path = next(path for path in RECORDINGS if path.stem.startswith("LotPacked"))
    event = told(path)
    assert isinstance(event, m.AggregationEvent)
    assert event == visibility_event("another", NOW, read(path)[1])
    assert (event.action, event.parent_id) == ("ADD", "https://id.gs1.org/00/106141412345678908")


def test_a_transformation_is_one_event_whichever_input_tells_it() -> None:
    path = next(path for path in RECORDINGS if path.stem.startswith("LotTransformed"))
    event, other = told(path), visibility_event("another", NOW, read(path)[1])
    assert isinstance(event, m.TransformationEvent)
    assert event == other
    assert event.event_id == event.transformation_id
