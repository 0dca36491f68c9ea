"""Query parameters are read and judged as the official schema of queries does."""

import json
import random
from functools import lru_cache
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from chassis.testing.published import needs_published
from services.crops.domain.epcis.problems import Code, NotEpcis
from services.crops.domain.epcis.query import parse_query
from tests.unit.epcis import corpus
from tests.unit.epcis.mutation import damaged

QUERIES = corpus.EPCIS / "openepcis" / "Query" / "Queries"
FULL: dict[str, Any] = {
    "eventType": ["ObjectEvent", "ex:Audit"],
    "GE_eventTime": "2026-01-01T00:00:00+01:00",
    "EQ_action": ["ADD"],
    "EQ_bizStep": ["shipping"],
    "EQ_quantity": [1, 2.5],
    "GE_quantity": 1,
    "MATCH_anyEPC": ["urn:x:y"],
    "EQ_bizTransaction_po": ["urn:x:y"],
    "EQ_source_owning_party": ["urn:x:y"],
    "EXISTS_errorDeclaration": None,
    "EQ_type": ["Temperature"],
    "GE_maxValue_CEL": 4.5,
    "EQ_value_CEL": [1],
    "EQ_booleanValue": True,
    "orderBy": "eventTime",
    "orderDirection": "ASC",
    "maxEventCount": 10,
}


@lru_cache
def schema() -> Draft7Validator:
    folder = corpus.EPCIS / "gs1" / "json-schema"
    definitions = [json.loads(p.read_text(encoding="utf-8")) for p in (folder / "schemas").glob("*.json")]
    # The query schema refers to the others by "../JSON-Schema/schemas/", relative to its own id.
    registry: Registry[Any] = Registry().with_resources(
        (d["$id"], Resource.from_contents(d)) for d in definitions
    )
    text = (folder / "EPCIS-Query-JSON-Schema-root.json").read_text(encoding="utf-8")
    exists = json.loads(text)
    # `nullable` is OpenAPI's word, which JSON Schema does not know: a null is meant to be allowed.
    for table in ("properties", "patternProperties"):
        for rule in exists["definitions"]["EPCIS-Query"][table].values():
            if rule.pop("nullable", False):
                rule["type"] = ["integer", "null"]
    return Draft7Validator(exists, registry=registry, format_checker=Draft7Validator.FORMAT_CHECKER)


def accepted(query: Any) -> bool:
    try:
        parse_query(query)
    except NotEpcis:
        return False
    return True


@needs_published
@pytest.mark.parametrize(
    "name",
    [
        "SimpleEventQuery.json",
        "Invalid/Query_with_invalid_values.json",
        "Invalid/Query_with_unknown_parameter.json",
    ],
)
def test_an_official_query_is_judged_as_its_name_says(name: str) -> None:
    query = json.loads((QUERIES / name).read_text(encoding="utf-8"))
    assert accepted(query) == ("Invalid" not in name) == schema().is_valid(query)


@needs_published
def test_a_damaged_query_gets_the_same_verdict_from_us_and_from_the_official_schema() -> None:
    rng = random.Random(3)
    assert accepted(FULL)
    assert schema().is_valid(FULL)
    for _ in range(400):
        query = damaged(FULL, rng)
        if "9007199254740993" in json.dumps(query) or 1e300 in query.values():
            continue  # beyond 2^53, which we refuse everywhere
        assert accepted(query) == schema().is_valid(query), json.dumps(query)


def test_a_parameter_tells_its_operator_and_its_field() -> None:
    conditions = {c.name: c for c in parse_query(FULL)}
    assert (conditions["GE_maxValue_CEL"].operator, conditions["GE_maxValue_CEL"].field) == (
        "GE",
        "maxValue_CEL",
    )
    assert (conditions["orderBy"].operator, conditions["orderBy"].field) == ("", "orderBy")
    assert conditions["EQ_bizTransaction_po"].value == ("urn:x:y",)


@pytest.mark.parametrize(
    "name",
    [
        "EQ_ex:a",
        "EQ_ILMD_ex:a",
        "EQ_INNER_ILMD_ex:a",
        "EQ_SENSORREPORT_ex:a",
        "EQ_INNER_ex:a",
        "EQ_readPoint_ex:a",
    ],
)
def test_extension_fields_can_be_asked_for(name: str) -> None:
    (condition,) = parse_query({name: ["x"]})
    assert (condition.operator, condition.value) == ("EQ", ("x",))


def test_each_wrong_parameter_is_named() -> None:
    with pytest.raises(NotEpcis) as refusal:
        parse_query({"GE_eventTime": "soon", "EQ_nothing": 1, "orderDirection": "UP"})
    assert [(p.pointer, p.code) for p in refusal.value.problems] == [
        ("/GE_eventTime", Code.NOT_A_TIME),
        ("/EQ_nothing", Code.UNKNOWN_FIELD),
        ("/orderDirection", Code.WRONG_VALUE),
    ]
