"""What strangers may send to exhaust us or to lie to us: refused by field or flagged, and always bounded."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.crops.domain.epcis.facts import EventFacts, facts
from services.crops.domain.epcis.findings import FindingCode, findings
from services.crops.domain.epcis.jsontext import Limits, dumps, loads
from services.crops.domain.epcis.knowledge import MOST_LOOKED_AT, Knowledge
from services.crops.domain.epcis.model import Event
from services.crops.domain.epcis.parse import parse, parse_text
from services.crops.domain.epcis.problems import Code, NotEpcis
from services.crops.domain.epcis.reading import EventReader, ReadEvent, read_events
from tests.unit.epcis import corpus

NOW = datetime(2026, 5, 2, tzinfo=UTC)
LOT = "urn:epc:class:lgtin:4012345.012345.A"


def refused(text: str) -> NotEpcis:
    with pytest.raises(NotEpcis) as refusal:
        parse_text(text)
    return refusal.value


def quantity(written: str) -> str:
    element = {"epcClass": LOT, "quantity": 777777, "uom": "KGM"}
    return dumps(corpus.event(epcList=None, quantityList=[element])).replace("777777", written)


def in_document(event: str) -> list[ReadEvent]:
    document = dumps(corpus.document(corpus.event())).replace(dumps(_bare(corpus.event())), event)
    return list(read_events([document.encode()], EventReader()))


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "@context"}


@pytest.mark.parametrize(
    "written",
    ["9007199254740993", "-1", "NaN", "Infinity", "-Infinity", "1e999", "1" * 5000],
    ids=["beyond 2^53", "negative", "NaN", "infinite", "minus infinite", "huge exponent", "5000 digits"],
)
def test_a_quantity_that_is_none_is_refused_with_its_field_alone_and_in_a_document(written: str) -> None:
    text = quantity(written)
    assert refused(text).problems[0].pointer == "/quantityList/0/quantity"
    [item] = in_document(text)
    assert item.error is not None
    assert item.error.problems[0].pointer == "/epcisBody/eventList/0/quantityList/0/quantity"


def test_a_quantity_of_two_to_the_53_is_taken() -> None:
    assert isinstance(parse_text(quantity("9007199254740992")), Event)


def test_a_number_that_is_none_is_named_also_in_an_extension() -> None:
    text = dumps(corpus.event(**{"ex:a": {"ex:b": [1, 777777]}})).replace("777777", "NaN")
    [problem] = refused(text).problems
    assert (problem.pointer, problem.code) == ("/ex:a/ex:b/1", Code.NUMBER_OUT_OF_RANGE)


def test_a_context_that_would_be_kept_with_each_event_is_bounded() -> None:
    huge = [corpus.CONTEXT, {f"p{number}": "https://example.com/" for number in range(1000)}]
    for text, at in (
        (dumps(corpus.event() | {"@context": huge}), "/@context"),
        (
            dumps(corpus.event() | {"@context": [corpus.CONTEXT, {"ex": "https://x/" + "y" * 300}]}),
            "/@context/1/ex",
        ),
    ):
        [problem] = refused(text).problems
        assert (problem.pointer, problem.code) == (at, Code.TOO_LARGE)
    document = dumps(corpus.document(corpus.event()) | {"@context": huge}).encode()
    with pytest.raises(NotEpcis, match="context"):
        list(read_events([document], EventReader()))


def test_a_list_of_ignored_fields_that_would_be_kept_with_each_event_is_bounded() -> None:
    context = [corpus.CONTEXT, {"repo": "https://repository-x.example.com/"}]
    ignored = {"repo:ignoreFields": [f"ex:field{number}" for number in range(1000)]}
    reader = EventReader()
    document = dumps(corpus.document(corpus.event(), **ignored) | {"@context": context}).encode()
    assert [item.error for item in read_events([document], reader)] == [None]
    with pytest.raises(NotEpcis, match="ignored"):
        _ = reader.ignored


@pytest.mark.parametrize("bomb", ["[" * 300 + "]" * 300, "[" + "[]," * 600_000 + "[]]"], ids=["deep", "wide"])
def test_a_value_that_is_much_larger_read_than_written_is_refused_before_it_is_read(bomb: str) -> None:
    with pytest.raises(NotEpcis) as refusal:
        loads(bomb)
    assert refusal.value.problems[0].code in (Code.TOO_DEEP, Code.TOO_LARGE)
    event = dumps(corpus.event(**{"ex:bomb": 777777})).replace("777777", bomb)
    [item] = in_document(event)
    assert item.error is not None
    assert item.error.problems[0].pointer == "/epcisBody/eventList/0"


def test_a_bracket_in_a_text_is_no_nesting() -> None:
    assert isinstance(parse(corpus.event(**{"ex:text": '["' * 100_000})), Event)


def test_ten_megabytes_of_one_event_are_refused_and_the_next_event_is_read() -> None:
    large = dumps(_bare(corpus.event(**{"ex:long": "x" * (10 << 20)}))).encode()
    document = dumps(corpus.document(corpus.event(), corpus.event())).encode()
    small = dumps(_bare(corpus.event())).encode()
    document = document.replace(small, large, 1)
    pieces = (document[at : at + 65_536] for at in range(0, len(document), 65_536))
    first, second = read_events(pieces, EventReader())
    assert first.error is not None
    assert first.error.problems[0].code is Code.TOO_LARGE
    assert second.event is not None


def test_events_that_wait_for_their_context_are_bounded() -> None:
    def endless() -> Iterator[bytes]:
        yield b'{"epcisBody":{"eventList":['
        event = dumps(_bare(corpus.event())).encode()
        for _ in range(1000):
            yield event + b","
        raise AssertionError("nobody stopped reading")

    with pytest.raises(NotEpcis, match="before @context"):
        list(read_events(endless(), EventReader(Limits(spool_bytes=50_000))))


def test_events_that_wait_for_their_context_are_bounded_in_number_too() -> None:
    zeros = [b'{"epcisBody":{"eventList":[', *[b"0,"] * 10]
    with pytest.raises(NotEpcis, match="more than 9 events before @context"):
        list(read_events(zeros, EventReader(Limits(spool_events=9))))


def mixing(event_id: str, inputs: list[str], outputs: list[str]) -> EventFacts:
    event = parse(
        corpus.event(
            type="TransformationEvent",
            action=None,
            epcList=None,
            eventID=event_id,
            inputEPCList=inputs,
            outputEPCList=outputs,
        )
    )
    assert isinstance(event, Event)
    return facts(event)


def judged(*events: EventFacts) -> list[set[FindingCode]]:
    knowledge, codes = Knowledge(), []
    for event in events:
        before = knowledge.about(event)
        codes.append({each.code for each in findings(event, before, NOW)})
        knowledge.learn(event, before)
    return codes


def lot(name: str) -> str:
    return f"https://example.com/lot/{name}"


def test_goods_made_of_themselves_are_flagged_at_once_and_over_any_number_of_steps() -> None:
    cycle = FindingCode.TRANSFORMATION_CYCLE
    assert cycle in judged(mixing("urn:x:1", [lot("a")], [lot("a"), lot("b")]))[0]
    names = [f"n{number}" for number in range(40)]
    chain = [
        mixing(f"urn:x:{number}", [lot(one)], [lot(other)])
        for number, (one, other) in enumerate(zip(names, [*names[1:], names[0]], strict=True))
    ]
    assert [cycle in codes for codes in judged(*chain)] == [False] * 39 + [True]


def test_what_is_known_of_a_transformation_grows_with_its_goods_not_with_their_product() -> None:
    inputs = [lot(f"in{number}") for number in range(3_000)]
    outputs = [lot(f"out{number}") for number in range(3_000)]
    knowledge = Knowledge()
    forth = mixing("urn:x:1", inputs, outputs)
    knowledge.learn(forth, knowledge.about(forth))
    assert len(knowledge.made_of) == 6_000
    back = mixing("urn:x:2", outputs, inputs)
    before = knowledge.about(back)
    assert sum(map(len, before.ancestors.values())) <= MOST_LOOKED_AT
    assert FindingCode.TRANSFORMATION_CYCLE in {each.code for each in findings(back, before, NOW)}


def test_quantities_that_add_up_to_more_than_a_quantity_can_be_are_recorded() -> None:
    harvest = corpus.event(
        action="ADD",
        bizStep="commissioning",
        epcList=None,
        quantityList=[
            {"epcClass": LOT, "quantity": 900_000_000_000_000, "uom": uom} for uom in ("TNE", "GRM")
        ],
    )
    shipped = corpus.event(
        bizStep="shipping", epcList=None, quantityList=[{"epcClass": LOT, "quantity": 1, "uom": "GRM"}]
    )
    events = [parse(each) for each in (harvest, harvest, shipped)]
    stated = [facts(event) for event in events if isinstance(event, Event)]
    assert FindingCode.QUANTITY_EXCEEDED not in judged(*stated)[2]


def test_a_history_of_many_parents_does_not_grow_the_explanation() -> None:
    def packed(number: int) -> EventFacts:
        event = corpus.event(
            type="AggregationEvent",
            action="ADD",
            eventID=f"urn:x:{number}",
            epcList=None,
            parentID=f"https://example.com/pallet/{number}",
            childEPCs=["urn:epc:id:sgtin:4012345.011122.25"],
        )
        read = parse(json.loads(json.dumps(event)))
        assert isinstance(read, Event)
        return facts(read)

    knowledge = Knowledge()
    for number in range(200):
        event = packed(number)
        before = knowledge.about(event)
        for found in findings(event, before, NOW):
            assert len(found.explanation) < 500
        knowledge.learn(event, before)
