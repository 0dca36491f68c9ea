"""Documents of any size are read event by event."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.testing.published import needs_published
from services.crops.domain.epcis.jsontext import Limits, dumps
from services.crops.domain.epcis.model import Document, Event
from services.crops.domain.epcis.parse import parse, parse_text
from services.crops.domain.epcis.problems import Code, NotEpcis
from services.crops.domain.epcis.reading import EventReader, ReadEvent, read_events, read_events_async
from tests.unit.epcis import corpus


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def read(document: Any, size: int = 64, limits: Limits | None = None) -> tuple[list[ReadEvent], EventReader]:
    text = document if isinstance(document, bytes) else dumps(document).encode()
    reader = EventReader(limits or Limits())
    return list(read_events(cut(text, size), reader)), reader


def events_of(results: Iterable[ReadEvent]) -> list[Event]:
    assert [result.error for result in results if result.error] == []
    return [result.event for result in results if result.event]


@needs_published
@pytest.mark.parametrize("name", corpus.names())
def test_a_document_read_in_pieces_is_the_document_read_at_once(name: str) -> None:
    text = corpus.text(name).encode()
    try:
        whole = parse_text(text)
    except NotEpcis:
        refused = []
        try:
            refused = [r for r in read(text, 50)[0] if r.error]
        except NotEpcis as error:
            refused = [error]
        assert refused
        return
    for size in (1, 13, 1_000_000):
        results, reader = read(text, size)
        if isinstance(whole, Document):
            assert (reader.head, tuple(events_of(results))) == (whole.head, whole.events)
        else:
            assert (reader.head, events_of(results)) == (None, [whole])


def shuffled(document: dict[str, Any], order: list[str]) -> dict[str, Any]:
    return {name: document[name] for name in order}


@given(
    order=st.permutations(["@context", "type", "schemaVersion", "creationDate", "epcisBody"]),
    size=st.integers(1, 400),
)
@settings(max_examples=40)
def test_the_order_of_the_documents_fields_and_the_cuts_do_not_matter(order: list[str], size: int) -> None:
    events = [corpus.event(eventID=f"urn:x:{i}", **{"ex:text": 'a"]}\\é'}) for i in range(5)]
    document = corpus.document(*events)
    results, reader = read(shuffled(document, order), size)
    whole = parse(document)
    assert isinstance(whole, Document)
    assert tuple(events_of(results)) == whole.events
    assert reader.head == whole.head
    assert reader.context.expand("ex:a") == "https://example.com/ns/a"


def test_events_come_out_as_soon_as_they_are_complete_when_the_context_stands_before_them() -> None:
    text = dumps(corpus.document(corpus.event(), corpus.event())).encode()
    reader = EventReader()
    first_end = text.index(b"},{") + 1
    assert len(list(reader.feed(text[:first_end]))) == 1
    assert reader.context.prefixes == {"ex": "https://example.com/ns/"}
    assert len(list(reader.feed(text[first_end:]))) == 1
    assert list(reader.close()) == []


def test_a_bad_event_does_not_lose_the_others_and_names_its_field() -> None:
    document = corpus.document(corpus.event(), corpus.event(action="BUY"), corpus.event())
    document["epcisBody"]["eventList"][3:] = [5, None, corpus.event(), "text"]
    results, _ = read(document)
    assert [(r.index, r.error is None) for r in results] == [
        (0, True), (1, False), (2, True), (3, False), (4, False), (5, True), (6, False),
    ]  # fmt: skip
    assert results[1].error is not None
    assert results[1].error.problems[0].pointer == "/epcisBody/eventList/1/action"


@pytest.mark.parametrize("context_first", [True, False])
def test_an_event_larger_than_allowed_is_skipped_without_being_held(context_first: bool) -> None:
    big = corpus.event(**{"ex:big": ["x" * 1000] * 50})
    document = corpus.document(corpus.event(), big, corpus.event())
    order = list(document) if context_first else list(reversed(document))
    results, _ = read(shuffled(document, order), 100, Limits(event_bytes=5_000))
    assert [r.error.problems[0].code if r.error else None for r in results] == [None, Code.TOO_LARGE, None]


def test_a_document_too_large_besides_its_events_is_refused() -> None:
    document = corpus.document(corpus.event(), **{"ex:big": "x" * 5_000})
    with pytest.raises(NotEpcis) as refusal:
        read(document, 100, Limits(head_bytes=1_000))
    assert refusal.value.problems[0].code is Code.TOO_LARGE


def test_what_is_wrong_with_the_document_is_refused_before_the_events_where_it_stands_before() -> None:
    document = corpus.document(corpus.event(), creationDate="yesterday")
    reader = EventReader()
    with pytest.raises(NotEpcis) as refusal:
        list(reader.feed(dumps(document).encode()))
    assert refusal.value.problems[0].pointer == "/creationDate"


@pytest.mark.parametrize("missing", ["@context", "type", "schemaVersion", "creationDate", "epcisBody"])
def test_a_document_that_lacks_a_field_is_refused_at_its_end(missing: str) -> None:
    with pytest.raises(NotEpcis):
        read(corpus.document(corpus.event(), **{missing: None}))


BROKEN = {
    "cut off": lambda text: text[:-1],
    "cut in an event": lambda text: text[: text.index(b"epcList") + 12],
    "something behind": lambda text: text + b"{}",
    "comma missing": lambda text: text.replace(b"},{", b"}{"),
    "comma too many": lambda text: text.replace(b"}]", b"},]"),
    "bracket of the wrong kind": lambda text: text.replace(b'"]}', b'"}}', 1),
    "bad event": lambda text: text.replace(b'"action":', b'"action"', 1),
    "no object": lambda _: b"[]",
    "nothing": lambda _: b"  ",
    "bare word": lambda _: b"null",
    "not UTF-8": lambda text: text.replace(b"OBSERVE", b"\xff", 1),
    "two lists": lambda text: text.replace(b'{"eventList":', b'{"eventList":[],"eventList":'),
    "no list": lambda text: text.replace(b"eventList", b"ex:list"),
    "list of another kind of document": lambda text: text.replace(b"EPCISDocument", b"EPCISQueryDocument"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_is_refused(name: str) -> None:
    text = dumps(corpus.document(corpus.event(), corpus.event())).encode()
    broken = BROKEN[name](text)
    assert broken != text
    for size in (1, 9, 10_000):
        with pytest.raises(NotEpcis):
            read(broken, size)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes, size: int) -> None:
    try:
        results, _ = read(data, size)
    except NotEpcis:
        return
    assert results


@given(cut_at=st.integers(0, 400), noise=st.binary(max_size=6))
@settings(max_examples=60)
def test_a_document_with_noise_in_it_is_read_as_the_json_decoder_reads_it(cut_at: int, noise: bytes) -> None:
    text = dumps(corpus.document(corpus.event(), corpus.event())).encode()
    noisy = text[:cut_at] + noise + text[cut_at:]
    try:
        whole = parse_text(noisy)
    except NotEpcis:
        whole = None
    try:
        results, reader = read(noisy, 7)
        failed = any(result.error for result in results)
    except NotEpcis:
        failed = True
    assert failed == (whole is None)
    if isinstance(whole, Document):
        assert (reader.head, tuple(events_of(results))) == (whole.head, whole.events)


def generated(count: int, context_first: bool) -> Iterator[bytes]:
    outside = dumps({k: v for k, v in corpus.document().items() if k != "epcisBody"}).encode()[1:-1]
    event = json.dumps({k: v for k, v in corpus.event().items() if k != "@context"}).encode()
    yield b"{" + (outside + b"," if context_first else b"") + b'"epcisBody":{"eventList":['
    for index in range(count):
        yield (b"," if index else b"") + event
    yield b"]}" + (b"" if context_first else b"," + outside) + b"}"


def peak_bytes(count: int, context_first: bool) -> int:
    tracemalloc.start()
    try:
        found = sum(
            item.event is not None for item in read_events(generated(count, context_first), EventReader())
        )
        assert found == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_events() -> None:
    peak_bytes(300, True)  # fills the caches that are bounded by themselves
    assert peak_bytes(4_000, True) < peak_bytes(300, True) * 1.5 + 50_000


def test_a_value_fed_byte_by_byte_costs_no_more_than_its_length() -> None:
    # With a rescan from the value's beginning on each byte this would be 10^11 steps.
    text = dumps(corpus.document(corpus.event(**{"ex:long": "x\\" * 200_000}))).encode()
    results, _ = read(text, 1)
    assert len(events_of(results)) == 1


async def test_chunks_may_arrive_over_time() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in generated(3, True):
            yield chunk

    results = [item async for item in read_events_async(chunks(), EventReader())]
    assert len(events_of(results)) == 3


@pytest.mark.parametrize("context_first", [True, False])
@pytest.mark.parametrize("skip", [0, 1, 3, 4])
def test_events_that_are_done_with_are_passed_over(context_first: bool, skip: int) -> None:
    whole = list(read_events(generated(4, context_first), EventReader()))
    reader = EventReader(skip=skip)
    assert list(read_events(generated(4, context_first), reader)) == whole[skip:]
    assert reader.head is not None


def test_the_fields_that_a_repository_excludes_from_the_hash_are_known() -> None:
    context = [corpus.CONTEXT, {"repo": "https://repository-x.example.com/"}]
    document = corpus.document(corpus.event(), **{"repo:ignoreFields": ["ex:hash"]}) | {"@context": context}
    _, reader = read(document)
    assert reader.ignored == {"ex:hash"}
