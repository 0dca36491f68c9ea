"""Whether a resource keeps the rules of its own contract, before a client must refuse it."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from services.control.adapters.xds import stubs

_ANY = "google.protobuf.Any"
_ROUTE = "envoy.config.route.v3.Route"
_MOST_REMEMBERED = 8192
_DEFAULT_TYPE_URL = "type.googleapis.com/"
_COMPARISONS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("gt", operator.gt),
    ("gte", operator.ge),
    ("lt", operator.lt),
    ("lte", operator.le),
)
_PRESENCE = frozenset({"any", "duration"})
_LEAST = {"string": ("min_len", "min_bytes"), "repeated": ("min_items",)}
_NUMBERS = frozenset({"uint32", "uint64", "int32", "int64", "double", "float"})


def violations(message: Any, path: str = "") -> Iterator[str]:
    """What is wrong with a message and those inside it, also inside an Any; nothing when it is right.

    Source: the `validate.rules` of Envoy's API, as far as they are about presence, ranges, lengths and enums;
    Envoy checks all of them itself, but refuses everything that came along.
    """
    shape = _shape(message.DESCRIPTOR)
    for name in shape.oneofs:
        if message.WhichOneof(name) is None:
            yield f"{path}: one of {name} is required"
    for field in shape.required:
        if not message.HasField(field.name):
            yield f"{path}.{field.name} is required"
    if message.DESCRIPTOR.full_name == _ANY:
        yield from _inside(message, path)
        return
    for field, value in message.ListFields():
        yield from _field(field, value, f"{path}.{field.name}")
    for field in shape.least:
        if not getattr(message, field.name):
            yield f"{path}.{field.name} is empty"
    if message.DESCRIPTOR is stubs.ClusterLoadAssignment.DESCRIPTOR and not any(
        locality.lb_endpoints for locality in message.endpoints
    ):
        # The API allows it; it would make errors of calls that may succeed.
        yield f"{path} {message.cluster_name} has no endpoint"


@dataclass(frozen=True)
class _Shape:
    oneofs: tuple[str, ...]
    required: tuple[FieldDescriptor, ...]
    least: tuple[FieldDescriptor, ...]


@cache
def _shape(descriptor: Descriptor) -> _Shape:
    oneofs = [
        oneof.name for oneof in descriptor.oneofs if oneof.GetOptions().Extensions[stubs.rules.required]
    ]
    required, least = [], []
    for field in descriptor.fields:
        if field.containing_oneof is not None:
            continue  # only the chosen one is there
        rules = _rules(field)
        kind = rules.WhichOneof("type") or "message"
        of_kind: Any = getattr(rules, kind)
        if rules.message.required or (kind in _PRESENCE and of_kind.required):
            required.append(field)
        if any(getattr(of_kind, name) for name in _LEAST.get(kind, ())) or _never_zero(field, kind, of_kind):
            least.append(field)
    return _Shape(tuple(oneofs), tuple(required), tuple(least))


def _never_zero(field: FieldDescriptor, kind: str, rules: Any) -> bool:
    # A plain number that is 0 is not among the fields that are set.
    return kind in _NUMBERS and field.message_type is None and any(_compared(rules, 0, ""))


@cache
def _rules(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[stubs.rules.rules]


def _field(field: FieldDescriptor, value: Any, path: str) -> Iterator[str]:
    if field.is_repeated:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entries = value.values() if field.message_type.fields_by_name["value"].message_type else ()
        else:
            entries = value if field.message_type is not None else ()
        for entry in entries:
            if field.message_type is stubs.Route.DESCRIPTOR:
                content = entry.SerializeToString(deterministic=True)
                yield from (path + found for found in _remembered(_ROUTE, content))
            else:
                yield from violations(entry, path)
        return
    rules = _rules(field)
    kind = rules.WhichOneof("type")
    if kind == "enum" and rules.enum.defined_only:
        if field.enum_type is not None and value not in field.enum_type.values_by_number:
            yield f"{path} is {value}, which has no name"
    elif kind in _NUMBERS:
        # A number in a wrapper is ruled like the number.
        yield from _compared(getattr(rules, kind), getattr(value, "value", value), path)
    elif kind == "duration":
        yield from _lasting(rules.duration, value, path)
    if field.message_type is not None:
        yield from violations(value, path)


def _compared(rules: Any, value: Any, path: str) -> Iterator[str]:
    for name, holds in _COMPARISONS:
        if rules.HasField(name) and not holds(value, getattr(rules, name)):
            yield f"{path} is {value}; it must be {name} {getattr(rules, name)}"


def _lasting(rules: Any, value: Any, path: str) -> Iterator[str]:
    lasting: timedelta = value.ToTimedelta()
    for name, holds in _COMPARISONS:
        if rules.HasField(name) and not holds(lasting, getattr(rules, name).ToTimedelta()):
            yield f"{path} is {lasting}; it must be {name} {getattr(rules, name).ToTimedelta()}"


def _inside(packed: Any, path: str) -> Iterator[str]:
    if packed.type_url:
        name = packed.type_url.removeprefix(_DEFAULT_TYPE_URL)
        inside = f"{path}[{name.rpartition('.')[2]}]"
        yield from (inside + found for found in _remembered(name, packed.value))


@lru_cache(_MOST_REMEMBERED)
def _remembered(name: str, content: bytes) -> tuple[str, ...]:
    """What is wrong with a message; of hundreds of routes a change of policy touches a few."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(name)
        message = message_factory.GetMessageClass(descriptor)()
        message.ParseFromString(content)
    except KeyError:
        return (f" holds a {name}, which is not known here",)
    except DecodeError:
        return (f" does not hold a {name}",)
    return tuple(violations(message))
