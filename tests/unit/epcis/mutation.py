"""Seeded damage to valid documents."""

import copy
import random
from collections.abc import Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2.5, 1e300, 2**53, 2**53 + 1, "", " ", "x", "x:y", "no uri", "urn:",
    "a b:c", "http://", "http://[::1]/x", "http://[1::2::3]/", "http://a/%2", "http://a/%2F", "//a/b",
    "urn:epcglobal:cbv:bizstep:shipping", "https://ns.gs1.org/cbv/BizStep-shipping",
    "https://ref.gs1.org/cbv/BizStep-shipping", "gs1:Temperature", "https://gs1.org/voc/Temperature",
    "shipping", "active", "po", "location", "Temperature", "ALARM_CONDITION", "x", "latitude",
    "did_not_occur", "ADD", "OBSERVE", "DELETE", "KGM", "kgm", "KGMX", "+02:00", "+14:00", "+14:30",
    "-13:59", "02:00", "2020-02-30T00:00:00Z", "2020-02-29T23:59:59.123456789-13:59",
    "2020-02-29T24:00:00Z", "2020-02-29t10:00:00z", "2020-02-29 10:00:00Z", "2020-02-29T10:00:00",
    "2020-02-29T10:00Z", "2020-02-29T10:00:60Z", "0000-01-01T00:00:00Z", "20200229T100000Z", "f0F0", "f0g0",
    "2.0", "2", "2.", "v2", "ObjectEvent", "TransformationEvent", "EPCISDocument", "ex:Custom", "é:x",
    "ex:é", [], {}, [None], ["x"], ["urn:x:y"], ["urn:x:y", "urn:x:y"], [{}], [1, True], {"id": "urn:x:y"},
    {"id": "x"}, {"set": []}, {"unset": ["active"]}, {"ex:a": None}, {"a": 1},
    [{"epcClass": "urn:x:y", "quantity": 1}], [{"type": "po", "bizTransaction": "urn:x:y"}],
    [{"type": "location", "source": "urn:x:y"}],
)  # fmt: skip
KEYS = (
    "foo", "ex:foo", "@context", "type", "id", "eventID", "recordTime", "ilmd", "epcList", "quantityList",
    "childEPCs", "childQuantityList", "parentID", "inputEPCList", "outputEPCList", "inputQuantityList",
    "transformationID", "persistentDisposition", "bizTransactionList", "sourceList", "errorDeclaration",
    "sensorElementList", "readPoint", "bizLocation", "certificationInfo", "action", "disposition",
    "bizStep", "epcisHeader", "sender", "schemaVersion", "vocabularyList", "queryName", "eventList",
    "rdfs:comment", "uom", "quantity", "value", "time", "rea son", "ex:ü",
)  # fmt: skip


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield value, key
        yield from _places(child)


def damaged(document: Any, rng: random.Random, times: int = 1) -> Any:
    """A copy with so many random changes; some of them leave it valid."""
    result = copy.deepcopy(document)
    for _ in range(times):
        _change(result, rng)
    return result


def _change(document: Any, rng: random.Random) -> None:
    parent, key = rng.choice(list(_places(document)))
    match rng.randrange(6):
        case 0:
            del parent[key]
        case 1 | 2:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
        case 3 if isinstance(parent[key], dict):
            parent[key][rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))
        case 3 if isinstance(parent, dict):
            parent[rng.choice(KEYS)] = parent.pop(key)
        case 4 if isinstance(parent[key], list) and parent[key]:
            parent[key].append(copy.deepcopy(rng.choice(parent[key])))
        case 5 if isinstance(parent[key], str) and parent[key]:
            at = rng.randrange(len(parent[key]))
            parent[key] = parent[key][:at] + rng.choice(' é%<:/\\\n"{}#[]x0') + parent[key][at + 1 :]
        case _:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
