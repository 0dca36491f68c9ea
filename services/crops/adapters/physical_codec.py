"""Protobuf of what physically happens to goods to and from ours."""

from datetime import datetime
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.protobuf import quantity_to_proto, timestamp_from_proto, timestamp_to_proto
from greenledger.crops.v1 import crops_pb2 as pb
from services.crops.domain.lot import Shipment
from services.crops.domain.occasion import Document, DocumentType, Occasion
from services.crops.domain.physical import Reading, SensorType, TransportStage

_DOCUMENTS = {each: pb.DocumentType.Value(f"DOCUMENT_TYPE_{each.value}") for each in DocumentType}
_DOCUMENTS_FROM = {number: each for each, number in _DOCUMENTS.items()}
_STAGES = {each: pb.TransportStage.Value(f"TRANSPORT_STAGE_{each.value}") for each in TransportStage}
_STAGES_FROM = {number: each for each, number in _STAGES.items()}
_SENSORS = {each: pb.SensorType.Value(f"SENSOR_TYPE_{each.value}") for each in SensorType}
_SENSORS_FROM = {number: each for each, number in _SENSORS.items()}


def occasion_from_proto(proto: pb.Occasion, now: datetime) -> Occasion:
    """When and where something happened.

    Args:
        now: when it happened unless that was said.

    Raises:
        InvalidArgument: TIMES_INVALID.
    """
    return Occasion(
        time=_time(proto.event_time, there=proto.HasField("event_time")) or now,
        utc_offset=proto.utc_offset,
        read_point=proto.read_point,
        biz_location=proto.biz_location,
        documents=tuple(Document(_DOCUMENTS_FROM[each.type], each.document_id) for each in proto.documents),
    )


def occasion_to_proto(occasion: Occasion) -> pb.Occasion:
    """When and where something happened."""
    return pb.Occasion(
        event_time=timestamp_to_proto(occasion.time),
        utc_offset=occasion.utc_offset,
        read_point=occasion.read_point,
        biz_location=occasion.biz_location,
        documents=[
            pb.BusinessDocument(type=_DOCUMENTS[each.type], document_id=each.document_id)
            for each in occasion.documents
        ],
    )


def stage_from_proto(number: pb.TransportStage.ValueType) -> TransportStage:
    """Where goods under way are; the contract has refused UNSPECIFIED."""
    return _STAGES_FROM[number]


def stage_to_proto(stage: TransportStage) -> pb.TransportStage.ValueType:
    """Where goods under way are."""
    return _STAGES[stage]


def shipment_to_proto(shipment: Shipment) -> pb.Shipment:
    """Goods under way."""
    return pb.Shipment(
        shipment_id=shipment.shipment_id,
        from_id=shipment.from_id,
        to_id=shipment.to_id,
        quantity=quantity_to_proto(shipment.quantity),
        ship_time=timestamp_to_proto(shipment.ship_time),
        stage=stage_to_proto(shipment.stage) if shipment.stage else pb.TRANSPORT_STAGE_UNSPECIFIED,
    )


def reading_from_proto(proto: pb.SensorReading) -> Reading:
    """What was measured; the contract has refused what is no decimal number.

    Raises:
        InvalidArgument: TIMES_INVALID.
    """
    return Reading(
        type=_SENSORS_FROM[proto.type],
        unit=proto.unit_code,
        time=_time(proto.time, there=proto.HasField("time")),
        value=_number(proto.value),
        start_time=_time(proto.start_time, there=proto.HasField("start_time")),
        end_time=_time(proto.end_time, there=proto.HasField("end_time")),
        min_value=_number(proto.min_value),
        max_value=_number(proto.max_value),
        mean_value=_number(proto.mean_value),
        device_id=proto.device_id,
        alarm=proto.alarm,
    )


def reading_to_proto(reading: Reading) -> pb.SensorReading:
    """What was measured."""
    return pb.SensorReading(
        type=_SENSORS[reading.type],
        unit_code=reading.unit,
        time=_timestamp(reading.time),
        value=_text(reading.value),
        start_time=_timestamp(reading.start_time),
        end_time=_timestamp(reading.end_time),
        min_value=_text(reading.min_value),
        max_value=_text(reading.max_value),
        mean_value=_text(reading.mean_value),
        device_id=reading.device_id,
        alarm=reading.alarm,
    )


def _time(told: Timestamp, *, there: bool) -> datetime | None:
    return timestamp_from_proto(told) if there else None


def _timestamp(time: datetime | None) -> Timestamp | None:
    return timestamp_to_proto(time) if time else None


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _text(number: Decimal | None) -> str:
    return "" if number is None else format(number, "f")
