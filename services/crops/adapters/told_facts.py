"""Stored facts of lots for other services, under the ids by which the histories of the lots know them.

Whoever hears that a fact was declared wrong can so find what was heard of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from chassis.outbox import Publication
from greenledger.crops.v1 import events_pb2
from services.crops.adapters.kafka import publication, servings
from services.crops.domain.events import (
    LotEvent,
    LotMinted,
    LotSplit,
    LotTransformed,
)
from services.crops.domain.physical import LotPacked, LotUnpacked

Stored = tuple[str, LotEvent]
"""A fact and the id under which it is stored."""


class _Ids:
    """Under which ids one transaction stored what several lots have in common."""

    def __init__(self, stored: Iterable[Stored]) -> None:
        self.parted: dict[str, str] = {}
        self.minted: dict[str, str] = {}
        self.used: dict[tuple[str, str], str] = {}
        self.packed: dict[tuple[str, str], str] = {}
        for event_id, event in stored:
            match event:
                case LotMinted():
                    self.minted[event.lot_id] = event_id
                case LotSplit():
                    self.parted.update((part.lot_id, event_id) for part in event.parts)
                case LotTransformed():
                    self.used[event.transformation_id, event.lot_id] = event_id
                case LotPacked() | LotUnpacked():
                    self.packed[event.packing_id, event.lot_id] = event_id


def publications(stored: Iterable[Stored]) -> Iterator[Publication]:
    """What others are told of the facts of one transaction, in their order."""
    facts = list(stored)
    ids = _Ids(facts)
    for event_id, event in facts:
        told = publication(event)
        if told is None:
            continue
        _name(told, event, ids)
        yield replace(told, event_id=event_id)
    # One message for many facts has an id of its own.
    yield from servings([event for _, event in facts])


def _name(told: Publication, event: LotEvent, ids: _Ids) -> None:
    payload = told.payload
    match event:
        case LotMinted() if isinstance(payload, events_pb2.LotMinted):
            payload.parent_event_id = ids.parted.get(event.lot_id, "")
        case LotTransformed() if isinstance(payload, events_pb2.LotTransformed):
            payload.input_event_ids.extend(
                ids.used.get((event.transformation_id, each.lot_id), "") for each in event.inputs
            )
            payload.output_event_ids.extend(ids.minted.get(each.lot_id, "") for each in event.outputs)
        case LotPacked() | LotUnpacked() if isinstance(
            payload, events_pb2.UnitPacked | events_pb2.UnitUnpacked
        ):
            payload.event_ids.extend(
                ids.packed.get((event.packing_id, each.lot_id), "") for each in event.contents
            )
