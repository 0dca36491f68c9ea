"""The objects of EPCIS JSON, each declared once: reading and writing are rendered from these tables.

Source: EPCIS 2.0 JSON schema (https://ref.gs1.org/standards/epcis/2.0.0/epcis-json-schema.json).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from services.crops.domain.epcis import codecs as c
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.codecs import Codec, Problems
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.problems import Code, Problem, shown, step
from services.crops.domain.epcis.uri import is_uri


class Others(Enum):
    """Which fields an object may have besides the ones of the standard."""

    NONE = "none"
    NAMESPACED = "namespaced"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its JSON name, the model's attribute, how it is read and written."""

    name: str
    attribute: str
    codec: Codec
    required: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of object.

    Args:
        make: the model's class.
        fields: the standard's fields in the order in which they are written.
        others: which further fields are allowed; they become `extensions`.
        check: rule over several fields, run on the JSON object.
        silent: fields that `make` does not get, since they say which shape it is.
    """

    make: Callable[..., Any]
    fields: tuple[Field, ...]
    others: Others = Others.NONE
    check: Callable[[dict[str, Json], str, Problems], None] | None = None
    silent: frozenset[str] = frozenset()
    by_name: dict[str, Field] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.by_name.update({f.name: f for f in self.fields})

    def read(self, value: Json, at: str, problems: Problems) -> Any:
        """The model of a JSON object; None when there are problems, which are then noted."""
        if not isinstance(value, dict):
            return c.wrong_type(value, "an object", at, problems)
        before = len(problems)
        values: dict[str, Any] = {}
        extensions: dict[str, Json] = {}
        for name, item in value.items():
            known = self.by_name.get(name)
            if known is not None:
                values[known.attribute] = known.codec.read(item, f"{at}/{name}", problems)
            elif name not in self.silent:
                self._check_other(name, at, problems)
                extensions[name] = item
        for known in self.fields:
            if known.required and known.name not in value:
                problems.append(Problem(at, Code.MISSING, f"{known.name} is missing"))
        if self.check is not None:
            self.check(value, at, problems)
        if len(problems) > before:
            return None
        return (
            self.make(**values, extensions=extensions)
            if self.others is not Others.NONE
            else self.make(**values)
        )

    def write(self, value: Any) -> dict[str, Json]:
        """The JSON object of a model."""
        written: dict[str, Json] = {}
        for known in self.fields:
            item = getattr(value, known.attribute)
            if item is not None:
                written[known.name] = known.codec.write(item)
        if self.others is not Others.NONE:
            written.update(value.extensions)
        return written

    def _check_other(self, name: str, at: str, problems: Problems) -> None:
        if self.others is Others.ANY or (self.others is Others.NAMESPACED and is_uri(name)):
            return
        hint = "" if self.others is Others.NONE else "; a field of your own needs a namespace prefix"
        detail = f"{shown(name)} is not a field here{hint}"
        problems.append(Problem(at + step(name), Code.UNKNOWN_FIELD, detail))

    @property
    def codec(self) -> Codec:
        """This shape as the value of a field."""
        return Codec(self.read, self.write)


def _read_ilmd(value: Json, at: str, problems: Problems) -> Any:
    if not isinstance(value, dict):
        return c.wrong_type(value, "an object", at, problems)
    for name in value:
        if not is_uri(name):
            problems.append(
                Problem(at + step(name), Code.UNKNOWN_FIELD, f"{shown(name)} needs a namespace prefix")
            )
    return value


ILMD: Final = Codec(_read_ilmd, dict)
URIS: Final = c.list_of(c.URI)
UNIQUE_URIS: Final = c.list_of(c.URI, unique=True)
DISPOSITIONS: Final = c.list_of(c.term(v.DISPOSITION), unique=True, least=1)


def _needs_set_or_unset(value: dict[str, Json], at: str, problems: Problems) -> None:
    if "set" not in value and "unset" not in value:
        problems.append(Problem(at, Code.RULE, "set or unset is needed"))


PERSISTENT_DISPOSITION: Final = Shape(
    m.PersistentDisposition,
    (Field("set", "set", DISPOSITIONS), Field("unset", "unset", DISPOSITIONS)),
    check=_needs_set_or_unset,
)
QUANTITY_ELEMENT: Final = Shape(
    m.QuantityElement,
    (
        Field("epcClass", "epc_class", c.URI, required=True),
        Field("quantity", "quantity", c.QUANTITY),
        Field("uom", "uom", c.matching("[A-Z0-9]{2,3}", "a UN/ECE unit code")),
    ),
)
BIZ_TRANSACTION: Final = Shape(
    m.BizTransaction,
    (
        Field("type", "type", c.term(v.BIZ_TRANSACTION_TYPE)),
        Field("bizTransaction", "biz_transaction", c.URI, required=True),
    ),
)
SOURCE: Final = Shape(
    m.Source,
    (
        Field("type", "type", c.term(v.SOURCE_DEST_TYPE), required=True),
        Field("source", "source", c.URI, required=True),
    ),
)
DESTINATION: Final = Shape(
    m.Destination,
    (
        Field("type", "type", c.term(v.SOURCE_DEST_TYPE), required=True),
        Field("destination", "destination", c.URI, required=True),
    ),
)
PLACE: Final = Shape(m.Place, (Field("id", "id", c.URI, required=True),), Others.ANY)
ERROR_DECLARATION: Final = Shape(
    m.ErrorDeclaration,
    (
        Field("declarationTime", "declaration_time", c.TIME, required=True),
        Field("reason", "reason", c.term(v.ERROR_REASON)),
        Field("correctiveEventIDs", "corrective_event_ids", URIS),
    ),
    Others.NAMESPACED,
)
_DEVICE: Final = (
    Field("deviceID", "device_id", c.URI),
    Field("deviceMetadata", "device_metadata", c.URI),
    Field("rawData", "raw_data", c.URI),
    Field("dataProcessingMethod", "data_processing_method", c.URI),
    Field("bizRules", "biz_rules", c.URI),
)
SENSOR_METADATA: Final = Shape(
    m.SensorMetadata,
    (
        Field("time", "time", c.TIME),
        Field("startTime", "start_time", c.TIME),
        Field("endTime", "end_time", c.TIME),
        *_DEVICE,
    ),
    Others.NAMESPACED,
)
SENSOR_REPORT: Final = Shape(
    m.SensorReport,
    (
        Field("type", "type", c.term(v.MEASUREMENT_TYPE), required=True),
        Field("exception", "exception", c.term(v.SENSOR_ALERT)),
        *_DEVICE,
        Field("time", "time", c.TIME),
        Field("microorganism", "microorganism", c.URI),
        Field("chemicalSubstance", "chemical_substance", c.URI),
        Field("coordinateReferenceSystem", "coordinate_reference_system", c.URI),
        Field("value", "value", c.NUMBER),
        Field("component", "component", c.term(v.COMPONENT)),
        Field("stringValue", "string_value", c.TEXT),
        Field("booleanValue", "boolean_value", c.BOOLEAN),
        Field("hexBinaryValue", "hex_binary_value", c.matching("[A-Fa-f0-9]+", "hexadecimal text")),
        Field("uriValue", "uri_value", c.URI),
        Field("minValue", "min_value", c.NUMBER),
        Field("maxValue", "max_value", c.NUMBER),
        Field("meanValue", "mean_value", c.NUMBER),
        Field("sDev", "s_dev", c.NUMBER),
        Field("percRank", "perc_rank", c.NUMBER),
        Field("percValue", "perc_value", c.NUMBER),
        Field("uom", "uom", c.TEXT),
    ),
    Others.NAMESPACED,
)
SENSOR_ELEMENT: Final = Shape(
    m.SensorElement,
    (
        Field("sensorMetadata", "sensor_metadata", SENSOR_METADATA.codec),
        Field("sensorReport", "sensor_reports", c.list_of(SENSOR_REPORT.codec, least=1), required=True),
    ),
    Others.NAMESPACED,
)
