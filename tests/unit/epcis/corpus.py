"""The official documents and vectors, which are read where they are and never copied."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from chassis.testing.published import published

EPCIS = published("epcis")
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

_PLACES = (
    "event-hash/examples/*.jsonld",
    "gs1/json/**/*.jsonld",
    "gs1/json-schema/test/*.json",
    "openepcis/Capture/**/*.json",
    "openepcis/Query/*.json",
    "openepcis-profiles/*Event*.json",
)


def paths() -> list[Path]:
    """Every document and event among the official data."""
    found = [path for place in _PLACES for path in sorted(EPCIS.glob(place))]
    return [path for path in found if not path.name.endswith("Schema.json")]


def names() -> list[str]:
    """The paths as test ids."""
    return [str(path.relative_to(EPCIS)) for path in paths()]


def text(name: str) -> str:
    """A document by its id."""
    return (EPCIS / name).read_text(encoding="utf-8")


@lru_cache
def schema() -> Draft7Validator:
    """The official schema with every format that it uses checked."""
    checker = Draft7Validator.FORMAT_CHECKER
    assert {"uri", "date-time"} <= set(checker.checkers), "rfc3986-validator and rfc3339-validator are needed"
    path = EPCIS / "gs1/json-schema/EPCIS-JSON-Schema.json"
    return Draft7Validator(json.loads(path.read_text(encoding="utf-8")), format_checker=checker)


def accepts(document: Any) -> bool:
    """The official schema's verdict."""
    return bool(schema().is_valid(document))


def event(**fields: Any) -> dict[str, Any]:
    """A small valid event of its own; a field given as None is left out."""
    base: dict[str, Any] = {
        "@context": [CONTEXT, {"ex": "https://example.com/ns/"}],
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "eventTime": "2026-05-01T10:00:00Z",
        "eventTimeZoneOffset": "+02:00",
        "epcList": ["urn:epc:id:sscc:4012345.0000000333"],
    }
    return {name: value for name, value in (base | fields).items() if value is not None}


def document(*events: Any, **fields: Any) -> dict[str, Any]:
    """A small valid document; events lose their own context."""
    base: dict[str, Any] = {
        "@context": [CONTEXT, {"ex": "https://example.com/ns/"}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-01T10:00:00Z",
        "epcisBody": {"eventList": [{k: v for k, v in e.items() if k != "@context"} for e in events]},
    }
    return {name: value for name, value in (base | fields).items() if value is not None}
