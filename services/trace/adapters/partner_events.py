"""What partners reported (EPCIS), as facts of the graph.

An event that was later declared wrong stays in it: a recall must not lose goods by a word of withdrawal.
"""

from collections.abc import Iterable

from chassis.inbox import ReceivedEvent
from chassis.protobuf import timestamp_from_proto
from greenledger.crops.v1 import epcis_pb2
from greenledger.crops.v1 import events_pb2 as crops
from services.trace.domain import facts as f
from services.trace.domain import movements as m


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
            reported_by=payload.captured_by.rpartition(":")[2],  # what kind of caller it is stands before
        )
    return None


def _names(goods: Iterable[epcis_pb2.EpcisGoods]) -> tuple[str, ...]:
    """Each once: a lot of ours by its id, anything else by its URI."""
    return tuple(dict.fromkeys(good.lot_id or good.epc for good in goods if good.lot_id or good.epc))
