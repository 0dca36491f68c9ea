"""Common protobuf values to and from ours, for the services' codecs."""

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money as MoneyProto

from chassis.errors import InvalidArgument, Violation
from chassis.money import Money, decimals
from chassis.quantity import Quantity
from greenledger.common.v1.quantity_pb2 import Quantity as QuantityProto

_NANOS = 1_000_000_000


def money_to_proto(money: Money) -> MoneyProto:
    """Minor units as units and nanos."""
    scale = 10 ** decimals(money.currency)
    units, minor = divmod(money.minor, scale)
    return MoneyProto(currency_code=money.currency, units=units, nanos=minor * (_NANOS // scale))


def money_from_proto(proto: MoneyProto, *, reason: str = "AMOUNT_INVALID") -> Money:
    """Units and nanos as minor units.

    Args:
        reason: by which the context that asks names an amount that does not fit.

    Raises:
        InvalidArgument: `reason` when it is negative or finer than the currency's minor unit.
    """
    scale = 10 ** decimals(proto.currency_code)
    minor, rest = divmod(proto.nanos, _NANOS // scale)
    if rest or proto.nanos < 0 or proto.nanos >= _NANOS:
        raise InvalidArgument(
            reason, f"{proto.currency_code} has no unit smaller than 1/{scale}; nanos do not fit"
        )
    return Money(proto.units * scale + minor, proto.currency_code)


def id_from_proto(text: str, field: str) -> str:
    """A UUID in the one spelling that we compare and lock by: 36 lower-case characters; "" stays "".

    Args:
        field: its path in the request, for the error.

    Raises:
        InvalidArgument: VALIDATION_FAILED, it is no UUID.
    """
    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        raise InvalidArgument(
            "VALIDATION_FAILED", f"{field} is not a UUID", violations=(Violation(field, "must be a UUID"),)
        ) from None


def quantity_to_proto(quantity: Quantity) -> QuantityProto:
    """A quantity as decimal text and unit."""
    return QuantityProto(amount=quantity.text, unit_code=quantity.unit)


def quantity_from_proto(proto: QuantityProto) -> Quantity:
    """Decimal text and unit as a quantity.

    Raises:
        InvalidArgument: UNIT_UNKNOWN or QUANTITY_INVALID.
    """
    return Quantity.of(proto.amount, proto.unit_code)


def timestamp_to_proto(time: datetime) -> Timestamp:
    """An aware datetime as a Timestamp."""
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def timestamp_from_proto(proto: Timestamp) -> datetime:
    """A Timestamp as an aware UTC datetime.

    Raises:
        InvalidArgument: TIMES_INVALID when it lies outside the years 1 to 9999.
    """
    try:
        return proto.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("TIMES_INVALID", "a timestamp lies outside the years 1 to 9999") from None
