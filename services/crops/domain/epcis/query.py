"""The parameters of EPCIS SimpleEventQuery.

Source: EPCIS 2.0 section 8.2.7.1 and its JSON schema of queries. For parameters over extension fields the
published schema's patterns escape the colon twice and so fit nothing; the form that the text gives,
e.g. `EQ_ex:field`, is accepted.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from services.crops.domain.epcis import codecs as c
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.codecs import Codec, Problems
from services.crops.domain.epcis.event_shapes import EVENTS
from services.crops.domain.epcis.jsontext import Json, check_bounds
from services.crops.domain.epcis.problems import Code, NotEpcis, Problem, one, shown, step
from services.crops.domain.epcis.uri import is_uri


@dataclass(frozen=True, slots=True)
class Condition:
    """One parameter.

    Args:
        name: as given, e.g. "EQ_bizStep".
        operator: EQ, GT, GE, LT, LE, MATCH, WD, EXISTS or HASATTR; "" for parameters that only steer.
        field: what it compares, e.g. "bizStep", "eventTime", "ILMD_ex:grade".
        value: a tuple for list parameters, a `Timestamp` for times, a Decimal for numbers.
    """

    name: str
    operator: str
    field: str
    value: Any


def _read_event_type(value: Json, at: str, problems: Problems) -> Any:
    if not isinstance(value, str):
        return c.wrong_type(value, "an event type", at, problems)
    if value not in EVENTS and not is_uri(value):
        problems.append(Problem(at, Code.WRONG_VALUE, f"{shown(value)} is no event type"))
    return value


def _read_count(value: Json, at: str, problems: Problems) -> Any:
    number = c.NUMBER.read(value, at, problems)
    if number is not None and number.is_finite() and number != number.to_integral_value():
        problems.append(Problem(at, Code.WRONG_TYPE, f"a whole number expected, not {shown(value)}"))
    return int(number) if number is not None and number.is_finite() else None


def _read_exists(value: Json, at: str, problems: Problems) -> Any:
    return None if value is None else _read_count(value, at, problems)


def _read_number_or_time(value: Json, at: str, problems: Problems) -> Any:
    return (c.TIME if isinstance(value, str) else c.NUMBER).read(value, at, problems)


def _read_free(value: Json, at: str, problems: Problems) -> Any:
    return (_TEXTS if isinstance(value, list) else _NUMBER_OR_TIME).read(value, at, problems)


_URIS: Final = c.list_of(c.URI)
_TEXTS: Final = c.list_of(c.TEXT)
_NUMBERS: Final = c.list_of(c.NUMBER)
_COUNT: Final = Codec(_read_count)
_EXISTS: Final = Codec(_read_exists)
_NUMBER_OR_TIME: Final = Codec(_read_number_or_time)
_FREE: Final = Codec(_read_free)


def _named() -> dict[str, Codec]:
    times = ("eventTime", "recordTime", "errorDeclaration_Time", "time", "startTime", "endTime")
    uris = [
        "EQ_readPoint",
        "WD_readPoint",
        "EQ_bizLocation",
        "WD_bizLocation",
        "EQ_transformationID",
        "MATCH_epc",
        "MATCH_parentID",
        "MATCH_inputEPC",
        "MATCH_outputEPC",
        "MATCH_anyEPC",
        "MATCH_epcClass",
        "MATCH_inputEPCClass",
        "MATCH_outputEPCClass",
        "MATCH_anyEPCClass",
        "EQ_eventID",
        "EQ_correctiveEventID",
        "EQ_deviceID",
        "EQ_dataProcessingMethod",
        "EQ_microorganism",
        "EQ_chemicalSubstance",
        "EQ_bizRules",
        "EQ_uriValue",
    ]
    named = {f"{operator}_{time}": c.TIME for operator in ("GE", "LT") for time in times}
    named |= dict.fromkeys(uris, _URIS)
    named |= dict.fromkeys(("GT_quantity", "GE_quantity", "LT_quantity", "LE_quantity"), c.NUMBER)
    named |= dict.fromkeys(("GE_percRank", "LT_percRank", "GT_percRank", "LE_percRank"), c.NUMBER)
    named |= dict.fromkeys(("eventCountLimit", "maxEventCount"), _COUNT)
    named |= dict.fromkeys(("EXISTS_errorDeclaration", "EXISTS_sensorElementList"), _EXISTS)
    named |= dict.fromkeys(("EQ_stringValue", "EQ_hexBinaryValue"), _TEXTS)
    return named | {
        "@context": c.CONTEXT,
        "eventType": c.list_of(Codec(_read_event_type)),
        "EQ_action": c.list_of(c.one_of("OBSERVE", "ADD", "DELETE")),
        "EQ_bizStep": c.list_of(c.term(v.BIZ_STEP)),
        "EQ_disposition": c.list_of(c.term(v.DISPOSITION)),
        "EQ_persistentDisposition_set": c.list_of(c.term(v.DISPOSITION)),
        "EQ_persistentDisposition_unset": c.list_of(c.term(v.DISPOSITION)),
        "EQ_errorReason": c.list_of(c.term(v.ERROR_REASON)),
        "EQ_type": c.list_of(c.term(v.MEASUREMENT_TYPE)),
        "EQ_quantity": _NUMBERS,
        "EQ_booleanValue": c.BOOLEAN,
        "orderBy": c.TEXT,
        "orderDirection": c.one_of("ASC", "DESC"),
    }


_NAMED: Final = _named()
_WHERE: Final = r"(?:INNER_)?(?:(?:ILMD|ERROR_DECLARATION|SENSORELEMENT|SENSORMETADATA|SENSORREPORT)_)?"
_EXTENSION: Final = r"[a-z][a-zA-Z0-9]*:\w+"
_MEASURED: Final = r"(?:minValue|maxValue|meanValue|sDev|value|percValue|quantity)"
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.ASCII), codec)
    for pattern, codec in (
        (r"EQ_(?:bizTransaction|source|destination)_[a-z][a-zA-Z0-9_]+", _URIS),
        (r"EQ_(?:value|quantity)_[A-Z0-9]{2,4}", _NUMBERS),
        (rf"(?:GE|LT|GT|LE)_{_MEASURED}_[A-Z0-9]{{2,4}}", c.NUMBER),
        (rf"EQ_(?:INNER_)?(?:readPoint|bizLocation)_{_EXTENSION}", _FREE),
        (rf"EQ_{_WHERE}{_EXTENSION}", _FREE),
        (rf"(?:GT|GE|LT|LE)_{_WHERE}{_EXTENSION}", _NUMBER_OR_TIME),
        (rf"EXISTS_{_WHERE}{_EXTENSION}", _EXISTS),
        (rf"HASATTR_{_EXTENSION}", _TEXTS),
        (r"EQ_ATTR_\w+_\w+", _FREE),
    )
)
_OPERATOR: Final = re.compile(r"(EQ|GT|GE|LT|LE|MATCH|WD|EXISTS|HASATTR)_(.+)")


def parse_query(value: Json) -> tuple[Condition, ...]:
    """Read the parameters of a query.

    Raises:
        NotEpcis: with each unknown parameter and each wrong value by JSON pointer.
    """
    check_bounds(value)
    if not isinstance(value, dict):
        raise one("", Code.WRONG_TYPE, f"an object expected, not {shown(value)}")
    problems: Problems = []
    conditions: list[Condition] = []
    for name, given in value.items():
        at = step(name)
        codec = _codec(name)
        if codec is None:
            problems.append(Problem(at, Code.UNKNOWN_FIELD, f"{shown(name)} is no parameter of a query"))
            continue
        read = codec.read(given, at, problems)
        found = _OPERATOR.fullmatch(name)
        conditions.append(Condition(name, found[1] if found else "", found[2] if found else name, read))
    if problems:
        raise NotEpcis(problems)
    return tuple(conditions)


def _codec(name: str) -> Codec | None:
    fitting = (codec for pattern, codec in _PATTERNS if pattern.fullmatch(name))
    return _NAMED.get(name) or next(fitting, None)
