"""How GreenLedger's own facts become visibility events: what they all have, said once.

Lots, users and venues are no keys of GS1, so they are named by `urn:uuid:`, the registered URI of a UUID.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from chassis.quantity import Quantity
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.facts import PIECES
from services.crops.domain.epcis.times import Timestamp

UTC: Final = "+00:00"


def urn(identifier: str) -> str:
    """The URI of one of GreenLedger's own things."""
    return f"urn:uuid:{identifier}"


def goods(lot_id: str) -> m.QuantityElement:
    """A lot, however much of it."""
    return m.QuantityElement(epc_class=urn(lot_id))


def amount(lot_id: str, quantity: Quantity) -> m.QuantityElement:
    """So much of a lot."""
    unit = None if quantity.unit in (PIECES, "EA") else quantity.unit
    return m.QuantityElement(epc_class=urn(lot_id), quantity=number(quantity.amount), uom=unit)


def number(value: Decimal) -> Decimal:
    """A number without trailing zeros."""
    return value.normalize()


def place(uri: str) -> m.Place | None:
    """A read point or business location; None for an empty one."""
    return m.Place(id=uri) if uri else None


@dataclass(frozen=True, slots=True)
class Telling:
    """What a visibility event has of the fact that it tells.

    Args:
        event_id: of the event, a UUID.
        recorded_at: when the fact was recorded, aware.
        at: when it happened, aware.
        offset: local offset from UTC where it happened.
    """

    event_id: str
    recorded_at: datetime
    at: datetime
    offset: str = UTC

    def object(self, action: str, element: m.QuantityElement, **fields: Any) -> m.ObjectEvent:
        """Something happened to goods."""
        return m.ObjectEvent(action=action, quantities=(element,), **self._head, **fields)

    def aggregation(
        self, action: str, parent_id: str, children: tuple[m.QuantityElement, ...], **fields: Any
    ) -> m.AggregationEvent:
        """Goods went into or out of a parent."""
        return m.AggregationEvent(
            action=action, parent_id=parent_id, child_quantities=children, **self._head, **fields
        )

    def handing_over(
        self, lot_id: str, party: str, parties: tuple[str, str], transaction: str, document: str
    ) -> m.TransactionEvent:
        """Goods went from one party to another.

        Args:
            party: kind of source and destination.
            parties: user ids, from and to.
            transaction: UUID of the business transaction.
            document: number of the reference document; may be empty.
        """
        source, destination = map(urn, parties)
        return m.TransactionEvent(
            action="ADD",
            quantities=(goods(lot_id),),
            biz_transactions=(m.BizTransaction(biz_transaction=urn(transaction)),),
            sources=(m.Source(type=party, source=source),),
            destinations=(m.Destination(type=party, destination=destination),),
            extensions={"greenledger:referenceDocument": document} if document else {},
            **self._head,
        )

    def transformation(
        self, inputs: tuple[m.QuantityElement, ...], outputs: tuple[m.QuantityElement, ...], **fields: Any
    ) -> m.TransformationEvent:
        """Goods became others."""
        return m.TransformationEvent(
            transformation_id=urn(self.event_id),
            input_quantities=inputs,
            output_quantities=outputs,
            disposition="active",
            **self._head,
            **fields,
        )

    @property
    def _head(self) -> dict[str, Any]:
        return {
            "event_time": Timestamp.of(self.at),
            "event_time_zone_offset": self.offset,
            "record_time": Timestamp.of(self.recorded_at),
            "event_id": urn(self.event_id),
        }
