"""EPCIS JSON into the model.

What the official JSON schema accepts is accepted and what it refuses is refused, with its formats
checked. Refused beyond the schema, because nobody can keep it exactly: numbers beyond 2^53, NaN,
negative quantities, times outside the years 1 to 9999, NUL and half surrogates in texts, and what
exceeds `Limits`.
"""

from typing import Any, Final

from services.crops.domain.epcis.codecs import Problems
from services.crops.domain.epcis.document_shapes import DOCUMENT, PATHS, QUERY_DOCUMENT, missing_events
from services.crops.domain.epcis.event_shapes import EVENTS, EXTENDED
from services.crops.domain.epcis.jsontext import DEFAULT_LIMITS, Json, Limits, check_bounds, loads
from services.crops.domain.epcis.model import Document, DocumentHead, Event, QueryDocumentHead
from services.crops.domain.epcis.problems import Code, NotEpcis, Problem, one, shown

_HEADS: Final = {"EPCISDocument": DOCUMENT, "EPCISQueryDocument": QUERY_DOCUMENT}


def parse(value: Json, limits: Limits = DEFAULT_LIMITS) -> Document | Event:
    """Read a document, a query document or a single event, whichever it is.

    Raises:
        NotEpcis: with each problem by JSON pointer.
    """
    return (
        parse_document(value, limits)
        if _kind(value) in _HEADS
        else parse_event(value, limits=limits, alone=True)
    )


def parse_text(text: str | bytes, limits: Limits = DEFAULT_LIMITS) -> Document | Event:
    """`parse` of JSON text with exact numbers.

    Raises:
        NotEpcis: the text is no JSON, or as `parse`.
    """
    return parse(loads(text), limits)


def parse_event(value: Json, at: str = "", *, limits: Limits = DEFAULT_LIMITS, alone: bool = False) -> Event:
    """Read one event.

    Args:
        value: JSON object.
        at: JSON pointer of the event in its document, for the errors.
        limits: bounds; default `DEFAULT_LIMITS`.
        alone: the event is not part of a document, so it needs its own `@context`.

    Raises:
        NotEpcis: with each problem by JSON pointer.
    """
    check_bounds(value, at, limits)
    problems: Problems = []
    event = _read_event(value, at, problems)
    if alone and isinstance(value, dict) and "@context" not in value:
        problems.append(Problem(at, Code.MISSING, "@context is missing"))
    if problems:
        raise NotEpcis(problems)
    found: Event = event
    return found


def parse_document(value: Json, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read a whole document; for large ones `reading` goes event by event.

    Raises:
        NotEpcis: with each problem by JSON pointer, over all events.
    """
    kind = _kind(value)
    problems: Problems = []
    events = _events(value, kind)
    head = _read_head(value, kind, limits, problems)
    read: list[Any] = []
    at = "/" + "/".join(PATHS.get(kind, ()))
    if events is None:
        problems.append(missing_events(kind))
    elif not isinstance(events, list):
        problems.append(Problem(at, Code.WRONG_TYPE, f"an array expected, not {shown(events)}"))
    else:
        for place, event in enumerate(events):
            check_bounds(event, f"{at}/{place}", limits)
            read.append(_read_event(event, f"{at}/{place}", problems))
    if problems or head is None:
        raise NotEpcis(problems)
    return Document(head, tuple(read))


def parse_head(value: Json, limits: Limits = DEFAULT_LIMITS) -> DocumentHead | QueryDocumentHead:
    """Read a document's own fields; events in it are not looked at.

    Raises:
        NotEpcis: with each problem by JSON pointer.
    """
    problems: Problems = []
    head: DocumentHead | QueryDocumentHead | None = _read_head(value, _kind(value), limits, problems)
    if problems or head is None:
        raise NotEpcis(problems)
    return head


def check_head_so_far(value: dict[str, Json]) -> None:
    """Refuse early what is wrong in the part of a head that has been read; what is missing may still come.

    Raises:
        NotEpcis: with each problem by JSON pointer.
    """
    problems: Problems = []
    _read_head(value, _kind(value), DEFAULT_LIMITS, problems)
    found = [problem for problem in problems if problem.code is not Code.MISSING]
    if found:
        raise NotEpcis(found)


def _kind(value: Json) -> str:
    if not isinstance(value, dict):
        raise one("", Code.WRONG_TYPE, f"an object expected, not {shown(value)}")
    if "type" not in value:
        raise one("", Code.MISSING, "type is missing")
    if not isinstance(value["type"], str):
        raise one("/type", Code.WRONG_TYPE, f"a string expected, not {shown(value['type'])}")
    return value["type"]


def _read_event(value: Json, at: str, problems: Problems) -> Any:
    if not isinstance(value, dict):
        problems.append(Problem(at, Code.WRONG_TYPE, f"an object expected, not {shown(value)}"))
        return None
    if "type" not in value:
        problems.append(Problem(at, Code.MISSING, "type is missing"))
        return None
    kind = value["type"]
    shape = EVENTS.get(kind, EXTENDED) if isinstance(kind, str) else EXTENDED
    return shape.read(value, at, problems)


def _read_head(value: Json, kind: str, limits: Limits, problems: Problems) -> Any:
    shape = _HEADS.get(kind)
    if shape is None:
        raise one("/type", Code.WRONG_VALUE, f"{shown(kind)} is neither EPCISDocument nor EPCISQueryDocument")
    bare = _without_events(value, PATHS[kind])
    check_bounds(bare, limits=limits)
    return shape.read(bare, "", problems)


def _events(value: Json, kind: str) -> Json:
    for name in PATHS.get(kind, ()):
        if not isinstance(value, dict):
            return []  # the head's own reading says what is wrong on the way
        if name not in value and name != "eventList":
            return []
        value = value.get(name)
        if name == "eventList" and value is None:
            return None
    return value


def _without_events(value: Json, path: tuple[str, ...]) -> Json:
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {name: item for name, item in value.items() if name != path[0]}
    return {**value, path[0]: _without_events(value[path[0]], path[1:])}
