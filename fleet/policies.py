"""Traffic policies as people write and read them, such as `retries.attempts=2` or `v1=80 v2=20`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from fleet.errors import FleetError
from fleet.settings import Limit
from fleet.traffic_file import rate_limit
from greenledger.control.v1 import traffic_pb2

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_HEADER_ROUTE = re.compile(r"([a-z-]+):([^=]+)=(.+)")
# Written by control; a file that was shown may hold them.
_OUTPUT_ONLY = ("version", "etag", "update_time", "updated_by", "why")


def weights_of(words: Sequence[str]) -> list[traffic_pb2.VersionWeight]:
    """Weights from words such as `v1=80`.

    Raises:
        FleetError: they cannot be read, name a version twice or do not add up to 100.
    """
    found: dict[str, int] = {}
    for word in words:
        version, equals, weight = word.partition("=")
        if not (version and equals and weight.isdecimal()) or version in found:
            raise FleetError(f"{word!r} is no share: give each version once, such as v1=90 v2=10.")
        found[version] = int(weight)
    if found and sum(found.values()) != 100:
        raise FleetError(f"The shares add up to {sum(found.values())}: they must be 100 percent together.")
    return [traffic_pb2.VersionWeight(version=version, weight=weight) for version, weight in found.items()]


def change(message: Message, words: Iterable[str]) -> None:
    """Change fields of a policy in place, by words such as `timeout=2s` or `balancing.method=ring_hash`.

    Header routes are `header_routes=x-version:v2=v2,x-user-role:grower=v2`, limits `anonymous=200/15m`; an
    empty value gives a field its default back.

    Raises:
        FleetError: there is no such field, or the value is not of its kind.
    """
    for word in words:
        path, equals, text = word.partition("=")
        if not equals:
            raise FleetError(f"{word!r} is neither a file nor field=value, such as timeout=2s.")
        _set(message, path, text)


def without_output(message: Message) -> dict[str, Any]:
    """A policy as `traffic set` takes it from a file."""
    content: dict[str, Any] = json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        # Of a limit, 0 is a value like others: no limit.
        always_print_fields_with_no_presence=isinstance(message, traffic_pb2.EdgePolicy),
    )
    return {name: value for name, value in content.items() if name not in _OUTPUT_ONLY}


def shares(policy: traffic_pb2.TrafficPolicy) -> str:
    """`v1 90 %, v2 10 %`."""
    return ", ".join(f"{entry.version} {entry.weight} %" for entry in policy.weights) or "all alike"


def header_routes(policy: traffic_pb2.TrafficPolicy) -> str:
    """`x-version: v2 -> v2`."""
    return "; ".join(f"{entry.header}: {entry.value} -> {entry.version}" for entry in policy.header_routes)


def limit_words(limit: traffic_pb2.RateLimit) -> str:
    """`100/15m`."""
    return str(Limit(limit.requests, limit.per.ToTimedelta())) if limit.requests else "no limit"


SERVICE_FACTS = ("shares", "header routes", "changed beside them")
EDGE_FACTS = ("an address", "a person", "counted by")
"""What `facts` tells."""


def facts(
    policy: traffic_pb2.TrafficPolicy | traffic_pb2.EdgePolicy,
    before: traffic_pb2.TrafficPolicy | traffic_pb2.EdgePolicy,
) -> tuple[str, ...]:
    """A policy in a few words, one for each of `SERVICE_FACTS` or `EDGE_FACTS`.

    Args:
        before: the version before it.
    """
    if isinstance(policy, traffic_pb2.TrafficPolicy):
        return shares(policy), header_routes(policy) or "-", changes(before, policy)
    each = limit_words(policy.anonymous), limit_words(policy.authenticated)
    return (*each, "all together" if policy.shared else "each process")


def changes(before: Message, after: Message) -> str:
    """What is different, but for shares and header routes, in the words of `traffic set`; `-` for nothing."""
    old, new = dict(_flat(without_output(before))), dict(_flat(without_output(after)))
    words = (f"{path}={new.get(path, '')}" for path in {**old, **new} if old.get(path) != new.get(path))
    return " ".join(words) or "-"


def _flat(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if name in ("service", "weights", "header_routes"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            # In JSON names of choices carry their kind's.
            yield f"{path}{name}", str(value).removeprefix("BALANCING_METHOD_").lower()


def _set(message: Message, path: str, text: str) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        field = _field(message, parent, path)
        if field.message_type is None or field.is_repeated:
            raise FleetError(f"{path}: {parent} has no fields.")
        message = getattr(message, parent)
    field = _field(message, name, path)
    message.ClearField(name)
    if text == "":
        return
    try:
        json_format.ParseDict({name: _value(field, text)}, message)
    except (json_format.ParseError, ValueError) as error:
        raise FleetError(f"{path}={text}: {error}") from None


def _field(message: Any, name: str, path: str) -> Any:
    fields = message.DESCRIPTOR.fields_by_name
    settable = [known for known in fields if known not in (*_OUTPUT_ONLY, "service", "weights")]
    if name not in settable:
        raise FleetError(f"There is no field {path}: choose from {', '.join(settable)}.")
    return fields[name]


def _value(field: Any, text: str) -> Any:
    """The value in proto JSON."""
    kind = field.message_type.full_name if field.message_type is not None else ""
    if kind == Duration.DESCRIPTOR.full_name:
        return _seconds(text)
    if kind == traffic_pb2.RateLimit.DESCRIPTOR.full_name:
        return json_format.MessageToDict(rate_limit(Limit.parse(text)))
    if kind == traffic_pb2.HeaderRoute.DESCRIPTOR.full_name:
        return [_header_route(part) for part in text.split(",")]
    if kind:
        raise ValueError(f"name one of its fields: {', '.join(field.message_type.fields_by_name)}")
    if field.enum_type is not None:
        return _choice(field.enum_type, text)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text not in ("true", "false"):
            raise ValueError("expected true or false")
        return text == "true"
    if not text.isdecimal():
        raise ValueError("expected a whole number")
    return int(text)


def _choice(kind: Any, text: str) -> str:
    nothing, *names = (str(value.name) for value in kind.values)
    short = {name.removeprefix(nothing.removesuffix("UNSPECIFIED")).lower(): name for name in names}
    if text.lower() not in short:
        raise ValueError(f"expected one of {', '.join(short)}")
    return short[text.lower()]


def _seconds(text: str) -> str:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("expected a time such as 250ms, 3s or 15m")
    return f"{float(found[1]) * _UNITS_S[found[2]]:.9f}".rstrip("0").rstrip(".") + "s"


def _header_route(text: str) -> dict[str, str]:
    found = _HEADER_ROUTE.fullmatch(text)
    if found is None:
        raise ValueError("expected header:value=version, such as x-version:v2=v2")
    return {"header": found[1], "value": found[2], "version": found[3]}
