"""What is accepted and what is refused is what the official JSON schema, formats checked, says."""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chassis.testing.published import needs_published
from services.crops.domain.epcis.jsontext import dumps, loads
from services.crops.domain.epcis.parse import parse, parse_text
from services.crops.domain.epcis.problems import Code, NotEpcis, Problem
from tests.unit.epcis import corpus
from tests.unit.epcis.mutation import damaged

pytestmark = needs_published

STRICTER: dict[str, Callable[[Problem, Any], bool]] = {
    # Nothing keeps these exactly, or they mean nothing; the schema has no rule for them.
    "a number beyond 2^53": lambda problem, _: problem.code is Code.NUMBER_OUT_OF_RANGE,
    "a negative quantity": lambda problem, _: problem.code is Code.NEGATIVE_QUANTITY,
    # The library's patterns end in `$`, which in Python also matches before a last line feed; in the
    # regular expressions that JSON Schema prescribes (ECMA 262) it does not.
    "a line feed at the end": lambda problem, document: ends_in_line_feed(problem.pointer, document),
}
"""Where we refuse what the library accepts, each with its reason; the other way round there is nothing."""


def ends_in_line_feed(pointer: str, document: Any) -> bool:
    if pointer.endswith("\n"):
        return True
    value = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value.get(name)
    return isinstance(value, str) and value.endswith("\n")


def verdict(text: str) -> tuple[Problem, ...]:
    try:
        parse_text(text)
    except NotEpcis as error:
        return error.problems
    return ()


def assert_same_verdict(text: str) -> bool:
    """Whether both accept it; fails when they differ for no reason that STRICTER names."""
    document = json.loads(text)
    problems = verdict(text)
    accepted = corpus.accepts(document)
    if accepted:
        strict = [p for p in problems if not any(holds(p, document) for holds in STRICTER.values())]
        assert strict == [], text
    else:
        assert problems, text
    return accepted


@pytest.mark.parametrize("name", corpus.names())
def test_an_official_document_is_accepted_or_refused_as_the_official_schema_says(name: str) -> None:
    assert_same_verdict(corpus.text(name))


@pytest.mark.parametrize("name", [name for name in corpus.names() if "/Invalid/" in name])
def test_an_invalid_example_is_refused_with_the_field_and_the_reason(name: str) -> None:
    with pytest.raises(NotEpcis) as refusal:
        parse_text(corpus.text(name))
    assert all(problem.detail for problem in refusal.value.problems)
    assert refusal.value.reason == "EPCIS_INVALID"
    assert [v.field for v in refusal.value.violations] == [p.pointer for p in refusal.value.problems]


def _seeds() -> list[object]:
    """One small document and one event alone for every shape of event among the valid examples."""
    found: dict[str, object] = {}
    for name in corpus.names():
        document = json.loads(corpus.text(name))
        if not corpus.accepts(document):
            continue
        path = document.get("epcisBody", {})
        holder = path.get("queryResults", {}).get("resultsBody", path)
        for event in holder.get("eventList", []):
            small = json.loads(json.dumps(document))
            inner = small["epcisBody"].get("queryResults", {}).get("resultsBody", small["epcisBody"])
            inner["eventList"] = [event]
            shape = f"{document['type']} {sorted(event)}"
            found.setdefault(shape, small)
            alone = {"@context": document["@context"], **event}
            found.setdefault(f"alone {sorted(event)}", alone)
    return list(found.values())


@pytest.mark.parametrize("part", range(4))
def test_a_damaged_document_gets_the_same_verdict_from_us_and_from_the_official_schema(part: int) -> None:
    rng = random.Random(part)
    seeds = _seeds()
    verdicts: Counter[bool] = Counter()
    for _ in range(750):
        document = damaged(rng.choice(seeds), rng, rng.choice((1, 1, 1, 2, 3)))
        verdicts[assert_same_verdict(json.dumps(document))] += 1
    assert min(verdicts.values()) > 50, f"the damage is one-sided: {verdicts}"


HEADER = {
    "epcisMasterData": {
        "vocabularyList": [
            {
                "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
                "vocabularyElementList": [
                    {
                        "id": "urn:epc:id:sgln:4012345.00001.0",
                        "attributes": [
                            {"id": "cbvmda:site", "attribute": "North"},
                            {"id": "ex:n", "attribute": 1},
                        ],
                        "children": ["urn:epc:id:sgln:4012345.00001.1"],
                    }
                ],
            }
        ]
    },
    "ex:note": "kept",
}


def test_damaged_master_data_gets_the_same_verdict() -> None:
    rng = random.Random(7)
    whole = corpus.document(
        corpus.event(), epcisHeader=HEADER, id="urn:x:y", sender="me", instanceIdentifier="1"
    )
    assert assert_same_verdict(json.dumps(whole))
    assert not verdict(json.dumps(whole))
    verdicts = {assert_same_verdict(json.dumps(damaged(whole, rng))) for _ in range(300)}
    assert verdicts == {True, False}


def test_a_problem_names_the_field_by_its_json_pointer() -> None:
    bad = corpus.document(
        corpus.event(),
        corpus.event(
            eventTime="yesterday",
            quantityList=[{"epcClass": "urn:x:y"}, {"epcClass": "no uri", "quantity": "3"}],
            **{"a/b~c": 1},
        ),
    )
    with pytest.raises(NotEpcis) as refusal:
        parse(bad)
    at = "/epcisBody/eventList/1"
    assert [(p.pointer, p.code) for p in refusal.value.problems] == [
        (f"{at}/eventTime", Code.NOT_A_TIME),
        (f"{at}/quantityList/1/epcClass", Code.NOT_A_URI),
        (f"{at}/quantityList/1/quantity", Code.WRONG_TYPE),
        (f"{at}/a~1b~0c", Code.UNKNOWN_FIELD),
    ]


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        ("9007199254740993", Code.NUMBER_OUT_OF_RANGE),
        ("-0.001", Code.NEGATIVE_QUANTITY),
        ("NaN", Code.NUMBER_OUT_OF_RANGE),
        ("Infinity", Code.NUMBER_OUT_OF_RANGE),
        ("1e999", Code.NUMBER_OUT_OF_RANGE),
        ("1" * 5000, Code.NUMBER_OUT_OF_RANGE),
        ('"NaN"', Code.WRONG_TYPE),
    ],
    ids=["beyond 2^53", "negative", "NaN", "infinite", "huge exponent", "5000 digits", "text"],
)
def test_a_quantity_that_nobody_can_keep_is_refused_with_the_reason(quantity: str, code: Code) -> None:
    text = dumps(corpus.event(quantityList=[{"epcClass": "urn:x:y", "quantity": 777777, "uom": "KGM"}]))
    with pytest.raises(NotEpcis) as refusal:
        parse_text(text.replace("777777", quantity))
    assert refusal.value.problems[0].code is code


@pytest.mark.parametrize(
    ("value", "code"),
    [("a\x00b", Code.NOT_STORABLE), ("\ud800", Code.NOT_STORABLE), (float("nan"), Code.NUMBER_OUT_OF_RANGE)],
    ids=["NUL", "half a surrogate pair", "NaN"],
)
def test_an_extension_that_cannot_be_stored_is_refused_where_it_stands(value: object, code: Code) -> None:
    with pytest.raises(NotEpcis) as refusal:
        parse(corpus.event(**{"ex:a": {"ex:b": [1, value]}}))
    assert [(p.pointer, p.code) for p in refusal.value.problems] == [("/ex:a/ex:b/1", code)]


def test_nesting_is_bounded_for_the_decoder_and_for_the_event() -> None:
    deep: object = 1
    for _ in range(80):
        deep = [deep]
    for text in (dumps(corpus.event(**{"ex:deep": deep})), "[" * 100_000):
        with pytest.raises(NotEpcis) as refusal:
            parse_text(text)
        assert refusal.value.problems[0].code is Code.TOO_DEEP


def test_a_flood_of_problems_is_counted_and_not_listed() -> None:
    with pytest.raises(NotEpcis) as refusal:
        parse(corpus.event(epcList=[f"no uri {i}" for i in range(10_000)]))
    assert refusal.value.metadata["problems"] == "10000"
    assert len(refusal.value.problems) == 50


def test_text_that_is_no_json_is_refused() -> None:
    for text in ("", "{", b"\xff{}", '{"a":1,}', "{'a':1}"):
        with pytest.raises(NotEpcis) as refusal:
            loads(text)
        assert refusal.value.problems[0].code is Code.NOT_JSON
