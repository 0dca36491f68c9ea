"""Captured visibility events as domain events for other services."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from chassis.errors import InvalidArgument
from chassis.outbox import Publication
from chassis.protobuf import timestamp_to_proto
from chassis.quantity import Quantity
from greenledger.common.v1 import quantity_pb2
from greenledger.crops.v1 import epcis_pb2, events_pb2
from services.crops.adapters.epcis_schema import key_of
from services.crops.adapters.physical_codec import reading_to_proto
from services.crops.application.epcis_ports import Recording
from services.crops.domain.epcis.facts import PIECES, EventFacts, Good, Role
from services.crops.domain.telling import urn

TOPIC: Final = "crop.epcis-captured"
PART_BYTES: Final = 400_000
"""Goods beyond this go into a further event: a broker takes a million bytes, envelope included."""
READING_BYTES: Final = 200_000
"""Readings beyond this do so, too."""
MOST_NAMED: Final = 50
"""Of sources, destinations and business documents, which each part repeats, so many are told."""

_FIELDS: Final = {Role.INPUT: "inputs", Role.OUTPUT: "outputs", Role.SUBJECT: "goods", Role.CHILD: "goods"}
_URN: Final = urn("")


def lot_ids(recordings: Iterable[Recording]) -> set[str]:
    """Ids of lots that the events name in GreenLedger's own form; whether there are such lots is not said."""
    named = (_lot_id(good.id) for each in recordings for good in each.candidate.facts.goods)
    return {lot_id for lot_id in named if lot_id}


def publications(recording: Recording, captured_by: str, lots: Set[str]) -> list[Publication]:
    """What others are told of a captured event.

    Args:
        recording: the event.
        captured_by: who captured it, "user:<id>".
        lots: those of `lot_ids` that there are.
    """
    facts = recording.candidate.facts
    common = _common(facts, captured_by)
    common.findings.extend(sorted({finding.code.value for finding in recording.findings}))
    parts = [_together(goods, measured) for goods in _parts(facts, lots) for measured in _measured(facts)]
    for number, payload in enumerate(parts, 1):
        payload.MergeFrom(common)
        payload.part, payload.parts = number, len(parts)
    key = key_of(facts.event_id)
    return [Publication(TOPIC, key, each, "epcis-event", occurred_time=facts.event_time) for each in parts]


def _common(facts: EventFacts, captured_by: str) -> events_pb2.EpcisEventCaptured:
    return events_pb2.EpcisEventCaptured(
        event_id=key_of(facts.event_id),
        type=key_of(facts.type),
        action=facts.action or "",
        biz_step=key_of(facts.biz_step or ""),
        disposition=key_of(facts.disposition or ""),
        event_time=timestamp_to_proto(facts.event_time),
        utc_offset=facts.zone_offset,
        read_point=key_of(facts.read_point or ""),
        biz_location=key_of(facts.biz_location or ""),
        transformation_id=key_of(facts.transformation_id or ""),
        parent_id=key_of(facts.parent or ""),
        captured_by=captured_by,
        declared_wrong=facts.declares_error,
        sources=_sides(facts.sources),
        destinations=_sides(facts.destinations),
        documents=[key_of(document) for _, document in facts.transactions[:MOST_NAMED]],
    )


def _sides(sides: Sequence[tuple[str, str]]) -> Iterator[epcis_pb2.EpcisSide]:
    for kind, side in sides[:MOST_NAMED]:
        yield epcis_pb2.EpcisSide(type=key_of(kind), id=key_of(side))


def _together(*parts: events_pb2.EpcisEventCaptured) -> events_pb2.EpcisEventCaptured:
    whole = events_pb2.EpcisEventCaptured()
    for part in parts:
        whole.MergeFrom(part)
    return whole


def _measured(facts: EventFacts) -> Iterator[events_pb2.EpcisEventCaptured]:
    part, size = events_pb2.EpcisEventCaptured(), 0
    for number, reading in enumerate(facts.readings):
        told = reading_to_proto(replace(reading, device_id=key_of(reading.device_id)))
        size += told.ByteSize()
        if size > READING_BYTES:
            yield part
            part, size = events_pb2.EpcisEventCaptured(first_reading=number), told.ByteSize()
        part.readings.append(told)
    yield part


def _parts(facts: EventFacts, lots: Set[str]) -> Iterator[events_pb2.EpcisEventCaptured]:
    part, size = events_pb2.EpcisEventCaptured(), 0
    for good in facts.goods:
        if good.role not in _FIELDS:
            continue
        told = _goods(good, lots)
        size += told.ByteSize()
        if size > PART_BYTES:
            yield part
            part, size = events_pb2.EpcisEventCaptured(), told.ByteSize()
        getattr(part, _FIELDS[good.role]).append(told)
    yield part


def _goods(good: Good, lots: Set[str]) -> epcis_pb2.EpcisGoods:
    lot_id = _lot_id(good.id)
    told = epcis_pb2.EpcisGoods(epc=key_of(good.id), lot_id=lot_id if lot_id in lots else "")
    amount = "" if good.instance or good.quantity is None else _amount(good.quantity)
    if amount:
        told.quantity.CopyFrom(quantity_pb2.Quantity(amount=amount, unit_code=good.unit))
    return told


def _amount(number: Decimal) -> str:
    """The number as a quantity has it; "" for one that is larger or finer than those."""
    try:
        return Quantity(number, PIECES).text
    except InvalidArgument:
        return ""


def _lot_id(identifier: str) -> str:
    """The UUID in `urn:uuid:...`, in the form in which lots have it; "" for another identifier."""
    if identifier[: len(_URN)].lower() != _URN:
        return ""
    try:
        return str(UUID(identifier[len(_URN) :]))
    except ValueError:
        return ""
