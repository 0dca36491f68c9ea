"""EPCISDocument and EPCISQueryDocument without their events.

Source: EPCIS 2.0 section 9.3 and 10, JSON schema of the document.
"""

from typing import Any, Final

from services.crops.domain.epcis import codecs as c
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.codecs import Codec, Problems
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.problems import Code, Problem
from services.crops.domain.epcis.shapes import URIS, Field, Others, Shape


def _read_attribute_value(value: Json, at: str, problems: Problems) -> Any:
    if isinstance(value, bool | list) or value is None:
        return c.wrong_type(value, "a number, a string or an object", at, problems)
    return value


def _checked(shape: Shape) -> Codec:
    def read(value: Json, at: str, problems: Problems) -> Json:
        shape.read(value, at, problems)
        return value

    return Codec(read)


def _nothing(**_: Any) -> None:
    """Master data is checked and then kept as it is."""


_ATTRIBUTE: Final = Shape(
    _nothing,
    (
        Field("id", "id", c.URI, required=True),
        Field("attribute", "attribute", Codec(_read_attribute_value)),
    ),
    Others.ANY,
)
_ELEMENT: Final = Shape(
    _nothing,
    (
        Field("id", "id", c.URI, required=True),
        Field("attributes", "attributes", c.list_of(_ATTRIBUTE.codec)),
        Field("children", "children", URIS),
    ),
    Others.ANY,
)
_VOCABULARY: Final = Shape(
    _nothing,
    (
        Field("type", "type", c.URI, required=True),
        Field("vocabularyElementList", "elements", c.list_of(_ELEMENT.codec)),
    ),
    Others.ANY,
)


def _read_vocabularies(value: Json, at: str, problems: Problems) -> Json:
    c.list_of(_VOCABULARY.codec).read(value, at, problems)
    return value


VOCABULARIES: Final = Codec(_read_vocabularies)
_MASTER_DATA: Final = Shape(_nothing, (Field("vocabularyList", "vocabularies", VOCABULARIES),), Others.ANY)
_HEADER: Final = Shape(
    _nothing, (Field("epcisMasterData", "master_data", _checked(_MASTER_DATA)),), Others.NAMESPACED
)
_VERSION: Final = c.matching(r"\d+(\.\d+)*", "a version such as 2.0")


def _body(value: Any) -> Json:
    return value


_DOCUMENT_BODY: Final = Shape(dict, (), Others.ANY)
_RESULTS_BODY: Final = Shape(
    dict, (Field("vocabularyList", "vocabularies", VOCABULARIES),), Others.NAMESPACED
)
_RESULTS: Final = Shape(
    dict,
    (
        Field("queryName", "query_name", c.TEXT, required=True),
        Field("subscriptionID", "subscription_id", c.TEXT),
        Field("resultsBody", "body", Codec(_RESULTS_BODY.read, _body), required=True),
    ),
    Others.NAMESPACED,
)
_QUERY_BODY: Final = Shape(
    dict, (Field("queryResults", "results", Codec(_RESULTS.read, _body), required=True),), Others.NAMESPACED
)


def _make_document(**values: Any) -> m.DocumentHead:
    body = values.pop("body")
    return m.DocumentHead(**values, body_extensions=body["extensions"])


def _make_query_document(**values: Any) -> m.QueryDocumentHead:
    body = values.pop("body")
    results = body["results"]
    results_body = results["body"]
    return m.QueryDocumentHead(
        **values,
        query_name=results["query_name"],
        subscription_id=results.get("subscription_id"),
        vocabularies=results_body.get("vocabularies"),
        results_body_extensions=results_body["extensions"],
        results_extensions=results["extensions"],
        body_extensions=body["extensions"],
    )


_TYPE: Final = frozenset({"type"})
DOCUMENT: Final = Shape(
    _make_document,
    (
        Field("@context", "context", c.CONTEXT, required=True),
        Field("id", "id", c.URI),
        Field("schemaVersion", "schema_version", _VERSION, required=True),
        Field("creationDate", "creation_date", c.TIME, required=True),
        Field("instanceIdentifier", "instance_identifier", c.TEXT),
        Field("sender", "sender", c.TEXT),
        Field("receiver", "receiver", c.TEXT),
        Field("epcisHeader", "header", _checked(_HEADER)),
        Field("epcisBody", "body", Codec(_DOCUMENT_BODY.read, _body), required=True),
    ),
    Others.NAMESPACED,
    silent=_TYPE,
)
QUERY_DOCUMENT: Final = Shape(
    _make_query_document,
    (
        Field("@context", "context", c.CONTEXT, required=True),
        Field("id", "id", c.URI),
        Field("schemaVersion", "schema_version", _VERSION),
        Field("creationDate", "creation_date", c.TIME),
        Field("epcisBody", "body", Codec(_QUERY_BODY.read, _body), required=True),
    ),
    Others.NAMESPACED,
    silent=_TYPE,
)
PATHS: Final = {
    "EPCISDocument": ("epcisBody", "eventList"),
    "EPCISQueryDocument": ("epcisBody", "queryResults", "resultsBody", "eventList"),
}
"""Where each kind of document keeps its events."""


def missing_events(kind: str) -> Problem:
    """The problem of a document without a list of events."""
    path = PATHS[kind]
    return Problem("/" + "/".join(path[:-1]), Code.MISSING, "eventList is missing")
