"""The five event types and events of other namespaces, declared as tables.

Source: EPCIS 2.0 section 7.4 and its JSON schema.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.crops.domain.epcis import codecs as c
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.codecs import Problems
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.problems import Code, Problem
from services.crops.domain.epcis.shapes import (
    BIZ_TRANSACTION,
    DESTINATION,
    ERROR_DECLARATION,
    ILMD,
    PERSISTENT_DISPOSITION,
    PLACE,
    QUANTITY_ELEMENT,
    SENSOR_ELEMENT,
    SOURCE,
    UNIQUE_URIS,
    URIS,
    Field,
    Others,
    Shape,
)

_QUANTITIES: Final = c.list_of(QUANTITY_ELEMENT.codec)
_ACTION: Final = Field("action", "action", c.one_of("OBSERVE", "ADD", "DELETE"), required=True)
_PERSISTENT: Final = Field("persistentDisposition", "persistent_disposition", PERSISTENT_DISPOSITION.codec)
_ILMD: Final = Field("ilmd", "ilmd", ILMD)

_COMMON: Final = (
    Field("@context", "context", c.CONTEXT),
    Field("eventID", "event_id", c.URI),
    Field("eventTime", "event_time", c.TIME, required=True),
    Field("recordTime", "record_time", c.TIME),
    Field("eventTimeZoneOffset", "event_time_zone_offset", c.ZONE_OFFSET, required=True),
    Field("certificationInfo", "certification_info", c.one_or_list(c.URI)),
    Field("errorDeclaration", "error_declaration", ERROR_DECLARATION.codec),
)


def _business(transactions_required: bool = False) -> tuple[Field, ...]:
    transactions = c.list_of(BIZ_TRANSACTION.codec, least=1 if transactions_required else 0)
    return (
        Field("bizStep", "biz_step", c.term(v.BIZ_STEP)),
        Field("disposition", "disposition", c.term(v.DISPOSITION)),
        Field("readPoint", "read_point", PLACE.codec),
        Field("bizLocation", "biz_location", PLACE.codec),
        Field("bizTransactionList", "biz_transactions", transactions, transactions_required),
        Field("sourceList", "sources", c.list_of(SOURCE.codec)),
        Field("destinationList", "destinations", c.list_of(DESTINATION.codec)),
        Field("sensorElementList", "sensor_elements", c.list_of(SENSOR_ELEMENT.codec)),
    )


def _filled(event: dict[str, Json], *names: str) -> bool:
    return any(isinstance(event.get(name), list) and bool(event[name]) for name in names)


def _rule(holds: bool, detail: str, at: str, problems: Problems) -> None:
    if not holds:
        problems.append(Problem(at, Code.RULE, detail))


def _check_object(event: dict[str, Json], at: str, problems: Problems) -> None:
    names_something = "epcList" in event or _filled(event, "quantityList")
    senses = _filled(event, "sensorElementList") and "readPoint" in event
    detail = "epcList, quantityList, or sensorElementList with readPoint is needed"
    _rule(names_something or senses, detail, at, problems)
    _rule(
        "ilmd" not in event or event.get("action") == "ADD", "ilmd needs action ADD", f"{at}/ilmd", problems
    )


def _check_children(event: dict[str, Json], at: str, problems: Problems) -> None:
    holds = event.get("action") == "DELETE" or _filled(event, "childEPCs", "childQuantityList")
    _rule(holds, "childEPCs or childQuantityList is needed unless action is DELETE", at, problems)


def _check_transaction(event: dict[str, Json], at: str, problems: Problems) -> None:
    holds = event.get("action") == "DELETE" or "epcList" in event or _filled(event, "quantityList")
    _rule(holds, "epcList or quantityList is needed unless action is DELETE", at, problems)


def _check_transformation(event: dict[str, Json], at: str, problems: Problems) -> None:
    inputs = _filled(event, "inputEPCList", "inputQuantityList")
    outputs = _filled(event, "outputEPCList", "outputQuantityList")
    holds = (inputs and outputs) or ("transformationID" in event and (inputs or outputs))
    _rule(holds, "inputs and outputs are needed, or one of them with transformationID", at, problems)


_TYPE: Final = frozenset({"type"})
_CHILDREN: Final = (
    Field("childEPCs", "child_epcs", URIS),
    Field("childQuantityList", "child_quantities", _QUANTITIES),
    _ACTION,
)

EVENTS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "ObjectEvent": Shape(
            m.ObjectEvent,
            (
                *_COMMON,
                Field("epcList", "epcs", UNIQUE_URIS),
                Field("quantityList", "quantities", _QUANTITIES),
                _ACTION,
                *_business(),
                _PERSISTENT,
                _ILMD,
            ),
            Others.NAMESPACED,
            _check_object,
            _TYPE,
        ),
        "AggregationEvent": Shape(
            m.AggregationEvent,
            (*_COMMON, Field("parentID", "parent_id", c.URI), *_CHILDREN, *_business()),
            Others.NAMESPACED,
            _check_children,
            _TYPE,
        ),
        "AssociationEvent": Shape(
            m.AssociationEvent,
            (*_COMMON, Field("parentID", "parent_id", c.URI, required=True), *_CHILDREN, *_business()),
            Others.NAMESPACED,
            _check_children,
            _TYPE,
        ),
        "TransactionEvent": Shape(
            m.TransactionEvent,
            (
                *_COMMON,
                Field("parentID", "parent_id", c.URI),
                Field("epcList", "epcs", URIS),
                Field("quantityList", "quantities", _QUANTITIES),
                _ACTION,
                *_business(transactions_required=True),
            ),
            Others.NAMESPACED,
            _check_transaction,
            _TYPE,
        ),
        "TransformationEvent": Shape(
            m.TransformationEvent,
            (
                *_COMMON,
                Field("inputEPCList", "input_epcs", UNIQUE_URIS),
                Field("inputQuantityList", "input_quantities", _QUANTITIES),
                Field("outputEPCList", "output_epcs", UNIQUE_URIS),
                Field("outputQuantityList", "output_quantities", _QUANTITIES),
                Field("transformationID", "transformation_id", c.URI),
                *_business(),
                _PERSISTENT,
                _ILMD,
            ),
            Others.NAMESPACED,
            _check_transformation,
            _TYPE,
        ),
    }
)
"""The event types of the standard by their JSON `type`."""

EXTENDED: Final = Shape(m.ExtendedEvent, (Field("type", "type", c.URI, required=True), *_COMMON), Others.ANY)
"""Any other type: a URI or CURIE, the fields of every event, and whatever else it has."""
