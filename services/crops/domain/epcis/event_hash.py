"""The CBV 2.0 event hash: what an event is, independent of the form it was written in.

Two descriptions of one event have one hash, whether identifiers are URNs or Digital Links, vocabulary
is bare or a URI, times are in this zone or that, lists in this order or that. It identifies an event
that has no `eventID` and finds duplicates. `recordTime`, `eventID`, `errorDeclaration`, contexts and
comments do not count.

Source: CBV 2.0 section 8.9 and its reference vectors. Where the vectors go further than the text, they
win: within bizTransactionList, sourceList and destinationList the type stands before the identifier, and
these three lists are sorted by name together with ilmd and the extensions behind all other fields.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.context import NO_CONTEXT, Context
from services.crops.domain.epcis.identifiers import canonical
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.model import Document, Event
from services.crops.domain.epcis.render import render_event
from services.crops.domain.epcis.times import parse_time
from services.crops.domain.epcis.vocabulary import Vocabulary

_REPOSITORY: Final = "https://repository-x.example.com/"
_COMMENTS: Final = ("http://www.w3.org/2000/01/rdf-schema#", "comment")
_NOT_HASHED: Final = frozenset(
    {"@context", "type", "recordTime", "eventID", "errorDeclaration", "comment", "rdfs:comment"}
)
_TIMES: Final = frozenset({"eventTime", "time", "startTime", "endTime"})
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_EPC_LISTS: Final = frozenset({"epcList", "childEPCs", "inputEPCList", "outputEPCList"})
_QUANTITY_LISTS: Final = frozenset(
    {"quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"}
)

_ORDER: Final = [
    "eventTime",
    "eventTimeZoneOffset",
    "certificationInfo",
    "parentID",
    "epcList",
    "inputEPCList",
    "childEPCs",
    "quantityList",
    "childQuantityList",
    "inputQuantityList",
    "outputEPCList",
    "outputQuantityList",
    "action",
    "transformationID",
    "bizStep",
    "disposition",
    "persistentDisposition",
    "readPoint",
    "bizLocation",
    "sensorElementList",
]
_QUANTITY_ORDER: Final = ("epcClass", "quantity", "uom")
_METADATA_ORDER: Final = [
    "time",
    "startTime",
    "endTime",
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "bizRules",
]
_REPORT_ORDER: Final = [
    "type",
    "exception",
    "deviceID",
    "deviceMetadata",
    "rawData",
    "dataProcessingMethod",
    "time",
    "microorganism",
    "chemicalSubstance",
    "value",
    "component",
    "stringValue",
    "booleanValue",
    "hexBinaryValue",
    "uriValue",
    "minValue",
    "maxValue",
    "meanValue",
    "sDev",
    "percRank",
    "percValue",
    "uom",
    "coordinateReferenceSystem",
]
_TERMS: Final[Mapping[str, Vocabulary]] = {
    "bizStep": v.BIZ_STEP,
    "disposition": v.DISPOSITION,
    "set": v.DISPOSITION,
    "unset": v.DISPOSITION,
    "exception": v.SENSOR_ALERT,
    "component": v.COMPONENT,
}
_TYPED_LISTS: Final = {
    "bizTransactionList": ("bizTransaction", v.BIZ_TRANSACTION_TYPE),
    "sourceList": ("source", v.SOURCE_DEST_TYPE),
    "destinationList": ("destination", v.SOURCE_DEST_TYPE),
}


def event_hash(event: Event, context: Context = NO_CONTEXT, ignored: Collection[str] = ()) -> str:
    """The event's hash id, e.g. "ni:///sha-256;...?ver=CBV2.0".

    Args:
        event: the event.
        context: prefixes of its document; the event's own are added.
        ignored: fields of the event to leave out, as `ignored_fields` of the document gives them.

    Source: CBV 2.0 section 8.9, RFC 6920.
    """
    digest = hashlib.sha256(prehash(event, context, ignored).encode("utf-8")).hexdigest()
    return f"ni:///sha-256;{digest}?ver=CBV2.0"


def prehash(event: Event, context: Context = NO_CONTEXT, ignored: Collection[str] = ()) -> str:
    """The text that is hashed."""
    written = render_event(event)
    hashing = _Hashing(context.and_of(event.context))
    fields = {
        name: value
        for name, value in written.items()
        if name not in _NOT_HASHED and name not in ignored and value is not None
    }
    parts = [f"eventType={hashing.context.expand(str(written['type']))}"]
    parts += [hashing.standard(name, fields.pop(name)) for name in _ORDER if name in fields]
    rest = [hashing.typed_list(name, fields.pop(name)) for name in _TYPED_LISTS if name in fields]
    rest += [text for name, value in fields.items() for text in hashing.free(name, value)]
    return "".join(parts + sorted(rest))


def document_context(document: Document) -> Context:
    """The prefixes that hold for all events of a document."""
    return NO_CONTEXT.and_of(document.head.context)


def ignored_fields(extensions: Mapping[str, Json], context: Context) -> frozenset[str]:
    """The fields that a repository added and that its document excludes from the hash (`ignoreFields`)."""
    for name, value in extensions.items():
        if context.split(name) == (_REPOSITORY, "ignoreFields") and isinstance(value, list):
            return frozenset(item for item in value if isinstance(item, str))
    return frozenset()


class _Hashing:
    """Renders the fields of one event under one context."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def standard(self, name: str, value: Json) -> str:
        """A field that the canonical order names."""
        if name in _EPC_LISTS:
            return self._list(name, [f"epc={canonical(epc)}" for epc in value])
        if name in _QUANTITY_LISTS:
            items = ["quantityElement" + self._ordered(item, _QUANTITY_ORDER) for item in value]
            return self._list(name, items)
        if name == "sensorElementList":
            return self._list(name, ["sensorElement" + self._sensor_element(item) for item in value])
        if name in ("readPoint", "bizLocation"):
            return name + self._ordered(value, ("id",))
        if name == "persistentDisposition":
            return name + self._ordered(value, ("set", "unset"))
        return self._plain(name, value)

    def typed_list(self, name: str, value: Json) -> str:
        """Business transactions, sources or destinations."""
        key, vocabulary = _TYPED_LISTS[name]
        items = []
        for item in value:
            kind = f"type={vocabulary.uri(item['type'], self.context)}" if "type" in item else ""
            items.append(f"{kind}{key}={self._value(item[key])}")
        return self._list(name, items)

    def free(self, name: str, value: Json) -> list[str]:
        """A field of another namespace, ilmd, or anything inside: one text for each value under the name."""
        namespace, local = self.context.split(name)
        if value is None or (namespace, local) == _COMMENTS or name in ("comment", "rdfs:comment"):
            return []
        key = f"{{{namespace}}}{local}" if namespace else local
        if isinstance(value, list):
            return [text for item in value for text in self.free(name, item)]
        if isinstance(value, dict):
            inside = [text for child, item in value.items() for text in self.free(child, item)]
            return [key + "".join(sorted(inside))]
        text = self._value(value)
        return [f"{key}={text}" if text else key]

    def _list(self, name: str, items: list[str]) -> str:
        return name + "".join(sorted(items)) if items else ""

    def _ordered(self, value: Mapping[str, Json], order: Collection[str]) -> str:
        parts = [self._plain(name, value[name]) for name in order if value.get(name) is not None]
        rest = [text for name, item in value.items() if name not in order for text in self.free(name, item)]
        return "".join(parts + sorted(rest))

    def _plain(self, name: str, value: Json) -> str:
        if isinstance(value, list):
            return "".join(sorted(self._plain(name, item) for item in value))
        vocabulary = _TERMS.get(name)
        if vocabulary is not None:
            return f"{name}={vocabulary.uri(value, self.context)}"
        time = parse_time(value) if name in _TIMES else None
        text = time.rounded if time is not None else self._value(value)
        return f"{name}={text}" if text else ""

    def _sensor_element(self, value: Mapping[str, Json]) -> str:
        parts = []
        if "sensorMetadata" in value:
            parts.append("sensorMetadata" + self._ordered(value["sensorMetadata"], _METADATA_ORDER))
        parts += sorted("sensorReport" + self._report(report) for report in value["sensorReport"])
        standard = ("sensorMetadata", "sensorReport")
        rest = [
            text for name, item in value.items() if name not in standard for text in self.free(name, item)
        ]
        return "".join(parts + sorted(rest))

    def _report(self, report: Mapping[str, Json]) -> str:
        full = v.MEASUREMENT_TYPE.uri(report["type"], self.context)
        return self._ordered({**report, "type": full}, _REPORT_ORDER)

    def _value(self, value: Any) -> str:
        """One value: numbers without superfluous digits, CURIEs and identifiers in full.

        A text that reads as a number is written like one, since XML does not tell the two apart.
        """
        if isinstance(value, bool):
            return "true" if value else "false"
        text = str(value).strip()
        if _NUMBER.fullmatch(text):
            return _number(Decimal(text))
        return canonical(self.context.expand(text))


def _number(number: Decimal) -> str:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    sign = "-" if text.startswith("-") else ""
    digits = text.lstrip("+-").lstrip("0")
    digits = f"0{digits}" if not digits or digits.startswith(".") else digits
    return digits if digits == "0" else sign + digits
