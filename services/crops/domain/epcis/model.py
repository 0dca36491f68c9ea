"""Events and documents of EPCIS 2.0.

Texts are kept as they came (vocabulary, identifiers, times, numbers) so that a document is given back with
its meaning and its form; `vocabulary` and `identifiers` tell what they mean. `extensions` holds the
fields that the standard does not define, verbatim. An absent list is None, an empty one is ().

Source: EPCIS 2.0 section 7 and 10 (JSON binding).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.times import Timestamp

Extensions = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityElement:
    """An amount of a class of goods; no `uom` means pieces, no `quantity` means that it is not known."""

    epc_class: str
    quantity: Decimal | None = None
    uom: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BizTransaction:
    """A business document that the event belongs to."""

    biz_transaction: str
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who or where the goods come from."""

    type: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Who or where the goods go to."""

    type: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A read point or business location."""

    id: str
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistentDisposition:
    """Conditions that hold until another event takes them away."""

    set: tuple[str, ...] | None = None
    unset: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDeclaration:
    """Says that the event with the same id was wrong and which events correct it."""

    declaration_time: Timestamp
    reason: str | None = None
    corrective_event_ids: tuple[str, ...] | None = None
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorMetadata:
    """What holds for all reports of one sensor element."""

    time: Timestamp | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    device_id: str | None = None
    device_metadata: str | None = None
    raw_data: str | None = None
    data_processing_method: str | None = None
    biz_rules: str | None = None
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorReport:
    """One observed property."""

    type: str
    exception: str | None = None
    device_id: str | None = None
    device_metadata: str | None = None
    raw_data: str | None = None
    data_processing_method: str | None = None
    biz_rules: str | None = None
    time: Timestamp | None = None
    microorganism: str | None = None
    chemical_substance: str | None = None
    coordinate_reference_system: str | None = None
    value: Decimal | None = None
    component: str | None = None
    string_value: str | None = None
    boolean_value: bool | None = None
    hex_binary_value: str | None = None
    uri_value: str | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    mean_value: Decimal | None = None
    s_dev: Decimal | None = None
    perc_rank: Decimal | None = None
    perc_value: Decimal | None = None
    uom: str | None = None
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorElement:
    """Reports of sensors with what they share."""

    sensor_reports: tuple[SensorReport, ...]
    sensor_metadata: SensorMetadata | None = None
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event has.

    Args:
        event_time: when it happened.
        event_time_zone_offset: local offset at that place, "+hh:mm" or "-hh:mm".
        record_time: when a repository recorded it.
        event_id: its URI, None when the capturer gave none (then `event_hash` identifies it).
        certification_info: URIs of certificates.
        error_declaration: present in an event that withdraws an earlier one.
        context: the event's own `@context`, verbatim.
        extensions: fields of other namespaces, verbatim.
    """

    TYPE: ClassVar[str] = ""

    event_time: Timestamp
    event_time_zone_offset: str
    record_time: Timestamp | None = None
    event_id: str | None = None
    certification_info: tuple[str, ...] | None = None
    error_declaration: ErrorDeclaration | None = None
    context: Json = None
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessEvent(Event):
    """What the five event types of the standard share."""

    biz_step: str | None = None
    disposition: str | None = None
    read_point: Place | None = None
    biz_location: Place | None = None
    biz_transactions: tuple[BizTransaction, ...] | None = None
    sources: tuple[Source, ...] | None = None
    destinations: tuple[Destination, ...] | None = None
    sensor_elements: tuple[SensorElement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent(BusinessEvent):
    """Something happened to the objects; `ilmd` only where action is ADD."""

    TYPE: ClassVar[str] = "ObjectEvent"

    action: str
    epcs: tuple[str, ...] | None = None
    quantities: tuple[QuantityElement, ...] | None = None
    persistent_disposition: PersistentDisposition | None = None
    ilmd: Extensions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregationEvent(BusinessEvent):
    """Children are put into or taken out of a parent."""

    TYPE: ClassVar[str] = "AggregationEvent"

    action: str
    parent_id: str | None = None
    child_epcs: tuple[str, ...] | None = None
    child_quantities: tuple[QuantityElement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationEvent(BusinessEvent):
    """Children are attached to a parent and stay what they are, e.g. a sensor to a container."""

    TYPE: ClassVar[str] = "AssociationEvent"

    action: str
    parent_id: str
    child_epcs: tuple[str, ...] | None = None
    child_quantities: tuple[QuantityElement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEvent(BusinessEvent):
    """Objects are tied to business documents."""

    TYPE: ClassVar[str] = "TransactionEvent"

    action: str
    parent_id: str | None = None
    epcs: tuple[str, ...] | None = None
    quantities: tuple[QuantityElement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformationEvent(BusinessEvent):
    """Inputs are used up and outputs come into being; parts of one are joined by `transformation_id`."""

    TYPE: ClassVar[str] = "TransformationEvent"

    input_epcs: tuple[str, ...] | None = None
    input_quantities: tuple[QuantityElement, ...] | None = None
    output_epcs: tuple[str, ...] | None = None
    output_quantities: tuple[QuantityElement, ...] | None = None
    transformation_id: str | None = None
    persistent_disposition: PersistentDisposition | None = None
    ilmd: Extensions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedEvent(Event):
    """An event type of somebody else's namespace; all its own fields are extensions."""

    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentHead:
    """An EPCISDocument without its events."""

    TYPE: ClassVar[str] = "EPCISDocument"

    context: Json
    schema_version: str
    creation_date: Timestamp
    id: str | None = None
    instance_identifier: str | None = None
    sender: str | None = None
    receiver: str | None = None
    header: Json = None
    body_extensions: Extensions = field(default_factory=dict)
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDocumentHead:
    """An EPCISQueryDocument without its events."""

    TYPE: ClassVar[str] = "EPCISQueryDocument"

    context: Json
    query_name: str
    subscription_id: str | None = None
    id: str | None = None
    schema_version: str | None = None
    creation_date: Timestamp | None = None
    vocabularies: Json = None
    results_body_extensions: Extensions = field(default_factory=dict)
    results_extensions: Extensions = field(default_factory=dict)
    body_extensions: Extensions = field(default_factory=dict)
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A document with its events, for documents that fit in memory."""

    head: DocumentHead | QueryDocumentHead
    events: tuple[Event, ...]
