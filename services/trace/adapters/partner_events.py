"""What partners reported (EPCIS), as facts of the graph.

Descent and logistic units of an event that was later declared wrong stay in it: a recall must not lose goods
by a word of withdrawal. Ways and temperatures do not: they make no scope, and to declare the event wrong is
how partners put them right.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from chassis.inbox import ReceivedEvent
from chassis.protobuf import quantity_from_proto, timestamp_from_proto
from greenledger.crops.v1 import epcis_pb2
from greenledger.crops.v1 import events_pb2 as crops
from services.trace.adapters.reading_events import temperatures
from services.trace.domain import facts as f
from services.trace.domain import movements as m
from services.trace.domain import reports as r

_STEPS: Final = {step.value: step for step in r.Step}
_MOVES: Final = ("ObjectEvent", "TransactionEvent")
# Who has the goods goes before whose they are, and either before a place.
_SIDES: Final = ("possessing_party", "owning_party", "location")


def captured(event: ReceivedEvent[crops.EpcisEventCaptured]) -> f.Fact | None:
    """What was made of what, and what was put on a logistic unit or taken off it; None for all else."""
    payload = event.payload
    if payload.type == "TransformationEvent":
        return m.GoodsTransformed(
            transformation_id=payload.transformation_id or payload.event_id,
            inputs=_names(payload.inputs),
            outputs=_names(payload.outputs),
            at=timestamp_from_proto(payload.event_time),
        )
    packed = {"ADD": True, "DELETE": False}.get(payload.action)
    if payload.type == "AggregationEvent" and payload.parent_id and packed is not None:
        return m.UnitChanged(
            unit_id=payload.parent_id,
            lot_ids=_names(payload.goods),
            packed=packed,
            at=timestamp_from_proto(payload.event_time),
            recorded=event.recorded_time,
            reported_by=_partner(payload),
        )
    return None


def reported(event: ReceivedEvent[crops.EpcisEventCaptured]) -> Iterator[r.Report]:
    """Which goods left or arrived, how warm they were, and what of that is said no more."""
    payload, partner = event.payload, _partner(event.payload)
    step = _STEPS.get(payload.biz_step) if payload.type in _MOVES else None
    if payload.declared_wrong:
        if step or payload.readings:
            yield r.ReportWithdrawn(event_id=payload.event_id, reported_by=partner)
        return
    if step and payload.goods:
        yield r.GoodsMoved(
            event_id=payload.event_id,
            step=step,
            goods=tuple(_moved(payload.goods)),
            at=timestamp_from_proto(payload.event_time),
            reported_by=partner,
            from_id=_side(payload.sources),
            to_id=_side(payload.destinations),
            documents=tuple(payload.documents),
        )
    goods = _names([*payload.goods, *payload.inputs, *payload.outputs])
    goods += (payload.parent_id,) if payload.parent_id else ()
    measured = tuple(temperatures(payload.readings, "", payload.event_id, payload.first_reading))
    if goods and measured:
        yield r.GoodsMeasured(event_id=payload.event_id, goods=goods, reported_by=partner, readings=measured)


def _partner(payload: crops.EpcisEventCaptured) -> str:
    return payload.captured_by.rpartition(":")[2]  # what kind of caller it is stands before


def _moved(goods: Sequence[epcis_pb2.EpcisGoods]) -> Iterator[r.ReportedGood]:
    """What is named more than once has no quantity: the two may not be measured alike."""
    same: dict[str, list[epcis_pb2.EpcisGoods]] = {}
    for good in goods:
        if name := good.lot_id or good.epc:
            same.setdefault(name, []).append(good)
    for name, named in same.items():
        told = len(named) == 1 and named[0].HasField("quantity")
        yield r.ReportedGood(name, quantity_from_proto(named[0].quantity) if told else None)


def _side(sides: Iterable[epcis_pb2.EpcisSide]) -> str:
    named = {side.type: side.id for side in sides}
    return next((named[kind] for kind in _SIDES if kind in named), next(iter(named.values()), ""))


def _names(goods: Iterable[epcis_pb2.EpcisGoods]) -> tuple[str, ...]:
    """Each once: a lot of ours by its id, anything else by its URI."""
    return tuple(dict.fromkeys(good.lot_id or good.epc for good in goods if good.lot_id or good.epc))
