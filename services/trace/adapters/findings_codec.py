"""Balances, findings and breaches as protobuf."""

from decimal import Decimal

from google.protobuf.duration_pb2 import Duration

from chassis.protobuf import timestamp_to_proto
from greenledger.trace.v1 import findings_pb2 as pb
from services.trace.domain.balance import BalanceLine
from services.trace.domain.cold_chain import Breach, Limits
from services.trace.domain.findings import Finding


def tolerance_from_proto(request: pb.GetMassBalanceRequest) -> Decimal | None:
    """A share of one; None when none was asked for."""
    if not request.HasField("tolerance_percent"):
        return None
    return Decimal(str(request.tolerance_percent)) / 100


def limits_from_proto(request: pb.ListColdChainBreachesRequest) -> Limits:
    """What was asked for; the rest as by default."""
    usual = Limits()
    return Limits(
        max_celsius=(
            Decimal(str(request.max_celsius)) if request.HasField("max_celsius") else usual.max_celsius
        ),
        min_duration=(
            Duration.ToTimedelta(request.min_duration)
            if request.HasField("min_duration")
            else usual.min_duration
        ),
        hysteresis=(
            Decimal(str(request.hysteresis_kelvin))
            if request.HasField("hysteresis_kelvin")
            else usual.hysteresis
        ),
    )


def line_to_proto(line: BalanceLine) -> pb.MassBalanceLine:
    """A lot in one holder's hands."""
    return pb.MassBalanceLine(
        lot_id=line.lot_id,
        holder_id=line.holder_id,
        unit_code=line.unit,
        minted=_moved(line.minted),
        received=_moved(line.received),
        split_off=_moved(line.split_off),
        transformed=_moved(line.transformed),
        lost=_moved(line.lost),
        transferred=_moved(line.transferred),
        committed=_moved(line.committed),
        consumed=_moved(line.consumed),
        destroyed=_moved(line.destroyed),
        sold=_moved(line.sold),
        corrected=_moved(line.corrected),
        remaining_by_movement=_digits(line.by_movement),
        remaining_by_ledger="" if line.by_ledger is None else _digits(line.by_ledger),
    )


def finding_to_proto(finding: Finding) -> pb.Finding:
    """One thing that is not as it should be."""
    return pb.Finding(
        code=pb.FindingCode.ValueType(finding.code),
        lot_id=finding.lot_id,
        party_id=finding.party_id,
        reference=finding.reference,
        message=finding.message,
        difference="" if finding.difference is None else _digits(finding.difference),
        unit_code=finding.unit,
        time=timestamp_to_proto(finding.at) if finding.at else None,
        by_partners_only=finding.by_partners_only,
    )


def breach_to_proto(breach: Breach) -> pb.ColdChainBreach:
    """A time that was too warm."""
    return pb.ColdChainBreach(
        lot_id=breach.lot_id,
        device_id=breach.device_id,
        start_time=timestamp_to_proto(breach.start),
        end_time=timestamp_to_proto(breach.end) if breach.end else None,
        last_time=timestamp_to_proto(breach.last),
        highest_celsius=_digits(breach.highest),
        reading_count=breach.readings,
        by_partners_only=bool(breach.reported_by),
    )


def _moved(amount: Decimal) -> str:
    return _digits(amount) if amount else ""


def _digits(amount: Decimal) -> str:
    if not amount:
        return "0"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
