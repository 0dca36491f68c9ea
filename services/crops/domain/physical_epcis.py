"""What physically happened to goods in the words of EPCIS 2.0 and CBV 2.0."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.epcis.uri import is_uri
from services.crops.domain.occasion import Document, DocumentType, Occasion
from services.crops.domain.physical import (
    LotArrived,
    LotObserved,
    LotPacked,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    LotUnpacked,
    PhysicalEvent,
    Reading,
    SensorType,
)
from services.crops.domain.telling import Telling, amount, goods, number, place, urn

OWN: Final = "https://greenledger.example"
_MEASURED: Final = {
    SensorType.TEMPERATURE: "Temperature",
    SensorType.RELATIVE_HUMIDITY: "RelativeHumidity",
}


def tell(event_id: str, recorded_at: datetime, event: PhysicalEvent) -> m.BusinessEvent:
    """A physical fact as a visibility event."""
    occasion = event.occasion
    if isinstance(event, LotPacked | LotUnpacked):
        # Each lot's history has the fact with an id of its own; to partners it is one event, of one id.
        event_id = event.packing_id
    telling = Telling(event_id, recorded_at, occasion.time, occasion.utc_offset)
    match event:
        case LotShipped():
            return telling.object(
                "OBSERVE",
                amount(event.lot_id, event.quantity),
                biz_step="shipping",
                disposition="in_transit",
                extensions={"greenledger:logisticUnit": event.unit_id} if event.unit_id else {},
                **_parties(event.from_id, event.to_id),
                **_where(occasion, event.shipment_id),
            )
        case LotShipmentVoided():
            return telling.object(
                "OBSERVE",
                goods(event.lot_id),
                biz_step="void_shipping",
                extensions={"greenledger:reason": event.reason},
                **_where(occasion, event.shipment_id),
            )
        case LotArrived():
            return telling.object(
                "OBSERVE",
                amount(event.lot_id, event.quantity),
                biz_step="receiving",
                disposition="in_progress",
                **_parties(event.from_id, event.receiver_id),
                **_where(occasion, event.shipment_id),
            )
        case LotTransportUpdated():
            return telling.object(
                "OBSERVE",
                goods(event.lot_id),
                biz_step=event.stage.value.lower(),
                disposition="in_transit",
                **_where(occasion, event.shipment_id),
            )
        case LotPacked() | LotUnpacked():
            packed = isinstance(event, LotPacked)
            return telling.aggregation(
                "ADD" if packed else "DELETE",
                event.unit_id,
                tuple(amount(each.lot_id, each.quantity) for each in event.contents),
                biz_step="packing" if packed else "unpacking",
                disposition="in_progress",
                **_where(occasion),
            )
        case LotObserved():
            return telling.object(
                "OBSERVE",
                goods(event.lot_id),
                # CBV 2.0 has no word for the step of cooling.
                biz_step=None if event.cooling else "sensor_reporting",
                sensor_elements=tuple(map(_sensed, event.readings)) or None,
                extensions={"greenledger:cooling": True} if event.cooling else {},
                **_where(occasion),
            )


def _parties(from_id: str, to_id: str) -> dict[str, Any]:
    return {
        "sources": (m.Source(type="possessing_party", source=urn(from_id)),),
        "destinations": (m.Destination(type="possessing_party", destination=urn(to_id)),),
    }


def _where(occasion: Occasion, shipment_id: str = "") -> dict[str, Any]:
    own = [m.BizTransaction(biz_transaction=urn(shipment_id))] if shipment_id else []
    papers = [
        m.BizTransaction(type=each.type.value.lower(), biz_transaction=_paper(each))
        for each in occasion.documents
    ]
    return {
        "read_point": place(occasion.read_point),
        "biz_location": place(occasion.biz_location),
        "biz_transactions": tuple(own + papers) or None,
    }


def bills_of_lading(occasion: Occasion) -> list[str]:
    """The URIs of its bills of lading."""
    return [_paper(each) for each in occasion.documents if each.type is DocumentType.BOL]


def _paper(document: Document) -> str:
    return _uri(document.document_id, f"{OWN}/documents/{document.type.value.lower()}")


def _uri(text: str, folder: str) -> str:
    """A text that may be a URI as one."""
    return text if is_uri(text) else f"{folder}/{quote(text, safe='')}"


def _sensed(reading: Reading) -> m.SensorElement:
    report = m.SensorReport(
        type=_MEASURED[reading.type],
        uom=reading.unit,
        exception="ALARM_CONDITION" if reading.alarm else None,
        value=_number(reading.value),
        min_value=_number(reading.min_value),
        max_value=_number(reading.max_value),
        mean_value=_number(reading.mean_value),
    )
    metadata = m.SensorMetadata(
        time=_time(reading.time),
        start_time=_time(reading.start_time),
        end_time=_time(reading.end_time),
        device_id=_uri(reading.device_id, f"{OWN}/devices") if reading.device_id else None,
    )
    return m.SensorElement(sensor_reports=(report,), sensor_metadata=metadata)


def _number(told: Decimal | None) -> Decimal | None:
    return None if told is None else number(told)


def _time(told: datetime | None) -> Timestamp | None:
    return None if told is None else Timestamp.of(told)
