"""The read models: lots, their owners and their histories, all from the event store."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from chassis.database import Transaction
from chassis.eventstore import RecordedEvent
from chassis.projection import Projection, Tables
from services.crops.adapters.events import STREAM_PREFIX, decode
from services.crops.adapters.read_tables import CUSTODY, HISTORY, LOT, OWNERSHIP
from services.crops.adapters.stored_json import to_json
from services.crops.adapters.summaries import summary_of
from services.crops.domain.events import (
    LotCorrected,
    LotCustodyChanged,
    LotDeliveryRefused,
    LotDestroyed,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotMinted,
    LotOffered,
    LotOfferEnded,
    LotQuantityCommitted,
    LotQuantityDelivered,
    LotQuantityReleased,
    LotRecalled,
    LotRecallReleased,
    LotServed,
    LotSold,
    LotSplit,
    LotTransferBegun,
    LotTransferCancelled,
    LotTransferred,
    LotTransformed,
)
from services.crops.domain.lot import Shipment
from services.crops.domain.physical import (
    LotArrived,
    LotObserved,
    LotPacked,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    LotUnpacked,
    PhysicalEvent,
)

_Row = tuple[Any, ...]
_INSERT_LOT = """
INSERT INTO {lot_view} (
    lot_id, version, lot_code, product_code, description, variety, amount, committed, unit, grower_id,
    owner_id, origin, harvest_time, expire_time, parent_lot_id, transfer_count, last_transfer_time,
    recall_reason, create_time, update_time, parent_lot_ids, custodian_id
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11, $12, $13, $14, 0, NULL, '', $15, $15, $16, $17
)
"""
_TOUCH_LOT = "UPDATE {lot_view} SET version = $2, update_time = $3 WHERE lot_id = $1"
_TRANSFER_LOT = """
UPDATE {lot_view}
SET version = $2, update_time = $3, owner_id = $4, transfer_count = $5, last_transfer_time = $3,
    custodian_id = $6
WHERE lot_id = $1
"""
_USE_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, amount = $4, unit = $5 WHERE lot_id = $1
"""
_COMMIT_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, committed = committed + $4 WHERE lot_id = $1
"""
_SERVE_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, amount = $4, committed = committed - $5
WHERE lot_id = $1
"""
_RECALL_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, recalled = $4, recall_reason = $5 WHERE lot_id = $1
"""
_HOLD_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, held = $4, hold_reason = $5 WHERE lot_id = $1
"""
_OFFER_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, offer = $4, offer_expire_time = $5 WHERE lot_id = $1
"""
_CUSTODY_LOT = "UPDATE {lot_view} SET version = $2, update_time = $3, custodian_id = $4 WHERE lot_id = $1"
_SHIP_LOT = "UPDATE {lot_view} SET version = $2, update_time = $3, shipment = $4 WHERE lot_id = $1"
_STAGE_LOT = """
UPDATE {lot_view}
SET version = $2, update_time = $3, shipment = jsonb_set(shipment, '{{stage}}', to_jsonb($4::text))
WHERE lot_id = $1
"""
_ARRIVE_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, custodian_id = $4, shipment = NULL WHERE lot_id = $1
"""
_UNIT_LOT = "UPDATE {lot_view} SET version = $2, update_time = $3, unit_id = $4 WHERE lot_id = $1"
_CORRECT_LOT = """
UPDATE {lot_view}
SET version = $2, update_time = $3, amount = $4::numeric, destroyed = destroyed AND $4::numeric = 0
WHERE lot_id = $1
"""
_CORRECT_HISTORY = "UPDATE {lot_history} SET corrected_by = $3 WHERE lot_id = $1 AND event_id = $2"
_DESTROY_LOT = """
UPDATE {lot_view} SET version = $2, update_time = $3, amount = $4, destroyed = $5 WHERE lot_id = $1
"""
_END_OWNERSHIP = "UPDATE {lot_ownership} SET until_time = $3 WHERE lot_id = $1 AND number = $2"
_BEGIN_OWNERSHIP = """
INSERT INTO {lot_ownership} (lot_id, number, owner_id, from_time) VALUES ($1, $2, $3, $4)
"""
# Nothing where the custodian stays who they are, as with a lot that was sold to who had it.
_BEGIN_CUSTODY = """
INSERT INTO {lot_custody} (lot_id, version, custodian_id, from_time)
SELECT $1::text, $2::integer, $3::text, $4::timestamptz
WHERE $3::text IS DISTINCT FROM (
    SELECT custodian_id FROM {lot_custody} WHERE lot_id = $1 ORDER BY version DESC LIMIT 1
)
"""
_ADD_HISTORY = """
INSERT INTO {lot_history} (
    lot_id, version, event_id, type, recorded_time, actor, summary, amount, unit, owner_id, reference_document
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


async def apply(events: Sequence[RecordedEvent], tables: Tables, tx: Transaction) -> None:
    """Write what events say. Neighbours of one type share their statements, which then travel together."""
    lots = [event for event in events if event.stream_id.startswith(STREAM_PREFIX)]
    for _, run in groupby(lots, key=lambda event: event.type):
        batches: dict[str, list[_Row]] = {}
        for recorded in run:
            for statement, row in _writes(recorded, decode(recorded)):
                batches.setdefault(statement, []).append(row)
        for statement, rows in batches.items():
            named = statement.format(**{table.name: tables[table.name] for table in LOTS.tables})
            await tx.executemany(named, rows)


def _writes(  # noqa: PLR0912, PLR0915 - one for each kind of event
    recorded: RecordedEvent, event: LotEvent
) -> Iterator[tuple[str, _Row]]:
    at = (event.lot_id, recorded.version, event.at)
    # First, because a correction may be about another one of the same batch.
    yield _ADD_HISTORY, _history_row(recorded, event)
    match event:
        case LotMinted():
            yield _INSERT_LOT, _lot_row(event)
            yield _BEGIN_OWNERSHIP, (event.lot_id, 0, event.owner_id, event.at)
            yield _BEGIN_CUSTODY, (event.lot_id, 1, event.custodian_id, event.at)
        case LotTransferred():
            number = event.transfer_number
            yield _TRANSFER_LOT, (*at, event.new_owner_id, number, event.custodian_id)
            yield _END_OWNERSHIP, (event.lot_id, number - 1, event.at)
            yield _BEGIN_OWNERSHIP, (event.lot_id, number, event.new_owner_id, event.at)
            yield _BEGIN_CUSTODY, (event.lot_id, recorded.version, event.custodian_id, event.at)
        case LotSplit(remaining=remaining) | LotSold(remaining=remaining):
            yield _USE_LOT, (*at, remaining.amount, remaining.unit)
        case LotTransformed(own=own):
            yield _USE_LOT, (*at, own.remaining.amount, own.remaining.unit)
        case LotQuantityCommitted():
            yield _COMMIT_LOT, (*at, event.quantity.amount)
        case LotQuantityReleased() | LotQuantityDelivered():
            yield _COMMIT_LOT, (*at, -event.quantity.amount)
        case LotServed():
            taken = sum((each.quantity.amount for each in event.taken), start=Decimal(0))
            yield _SERVE_LOT, (*at, event.remaining.amount, taken)
        case LotRecalled():
            yield _RECALL_LOT, (*at, True, event.reason)
            yield _OFFER_LOT, (*at, None, None)
        case LotRecallReleased():
            yield _RECALL_LOT, (*at, False, "")
        case LotHeld():
            yield _HOLD_LOT, (*at, True, event.reason)
            yield _OFFER_LOT, (*at, None, None)
        case LotHoldReleased():
            yield _HOLD_LOT, (*at, False, "")
        case LotOffered():
            yield _OFFER_LOT, (*at, _offer(event), event.expire_time)
        case LotOfferEnded():
            yield _OFFER_LOT, (*at, None, None)
        case LotCustodyChanged():
            yield _CUSTODY_LOT, (*at, event.custodian_id)
            yield _BEGIN_CUSTODY, (event.lot_id, recorded.version, event.custodian_id, event.at)
        case LotDestroyed():
            yield _DESTROY_LOT, (*at, event.remaining.amount, event.remaining.is_zero)
        case LotCorrected():
            yield (_CORRECT_LOT, (*at, event.quantity.amount)) if event.quantity else (_TOUCH_LOT, at)
            yield _CORRECT_HISTORY, (event.lot_id, event.event_id, recorded.event_id)
        case LotTransferBegun() | LotTransferCancelled() | LotDeliveryRefused():
            yield _TOUCH_LOT, at
        case _:
            yield _moved(at, event)
            if isinstance(event, LotArrived):
                yield _BEGIN_CUSTODY, (event.lot_id, recorded.version, event.receiver_id, event.at)


def _moved(  # noqa: PLR0911 - one for each kind of event
    at: _Row, event: PhysicalEvent
) -> tuple[str, _Row]:
    match event:
        case LotShipped():
            shipment = Shipment(
                event.shipment_id, event.from_id, event.to_id, event.quantity, event.occasion.time
            )
            return _SHIP_LOT, (*at, json.dumps(to_json(shipment)))
        case LotShipmentVoided():
            return _SHIP_LOT, (*at, None)
        case LotArrived():
            return _ARRIVE_LOT, (*at, event.receiver_id)
        case LotTransportUpdated():
            return _STAGE_LOT, (*at, event.stage.value)
        case LotPacked():
            return _UNIT_LOT, (*at, event.unit_id)
        case LotUnpacked():
            return _UNIT_LOT, (*at, "")
        case LotObserved():
            return _TOUCH_LOT, at


def _offer(event: LotOffered) -> str:
    names = ("offer_id", "kind", "offered_by", "to_id", "reference_document")
    return json.dumps({name: getattr(event, name) for name in names})


def _lot_row(event: LotMinted) -> _Row:
    origin = {name: getattr(event.origin, name) for name in event.origin.__dataclass_fields__}
    return (
        event.lot_id,
        1,
        event.lot_code,
        event.product_code,
        event.description,
        event.variety,
        event.quantity.amount,
        event.quantity.unit,
        event.grower_id,
        event.owner_id,
        json.dumps(origin),
        event.harvest_time,
        event.expire_time,
        event.parent_lot_id,
        event.at,
        list(event.parent_lot_ids),
        event.custodian_id,
    )


def _history_row(recorded: RecordedEvent, event: LotEvent) -> _Row:
    quantity, owner_id, document = None, "", ""
    match event:
        case LotMinted():
            quantity, owner_id = event.quantity, event.owner_id
        case LotTransferBegun() | LotOffered() | LotCustodyChanged():
            document = event.reference_document
        case LotTransferred():
            owner_id, document = event.new_owner_id, event.reference_document
        case LotSplit():
            quantity = event.remaining
        case LotTransformed():
            quantity, document = event.own.remaining, event.transformation_id
        case LotQuantityCommitted() | LotQuantityReleased() | LotQuantityDelivered():
            quantity = event.quantity
        case LotDestroyed() | LotServed():
            quantity = event.quantity
        case LotSold():
            quantity, document = event.quantity, event.reference_document
        case LotRecalled():
            owner_id = event.owner_id
        case LotCorrected():
            quantity = event.quantity
        case LotShipped() | LotArrived():
            quantity, document = event.quantity, event.occasion.papers
        case LotShipmentVoided() | LotTransportUpdated() | LotObserved() | LotPacked() | LotUnpacked():
            document = event.occasion.papers
    return (
        event.lot_id,
        recorded.version,
        recorded.event_id,
        recorded.type,
        recorded.recorded_at,
        recorded.meta.get("actor", "").partition(":")[2],
        summary_of(event),
        quantity.amount if quantity else None,
        quantity.unit if quantity else None,
        owner_id,
        document,
    )


LOTS = Projection("lots", (LOT, OWNERSHIP, CUSTODY, HISTORY), apply, logic_version=6)
"""All in one, so that no query sees a transfer in one table and not yet in another."""
