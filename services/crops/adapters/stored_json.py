"""Facts and states of lots as JSON types, both ways.

How a type is read is worked out from its annotations once: projections read by the thousand.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from chassis.quantity import Quantity

T = TypeVar("T")
Reader = Callable[[Any], Any]


def to_json(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """A value of the domain as JSON types: times and decimals as text, dataclasses by their fields' names."""
    if value is None or isinstance(value, str | int):
        return value
    match value:
        case datetime():
            return value.isoformat()
        case Quantity():
            return {"amount": value.text, "unit": value.unit}
        case Decimal():
            return format(value, "f")
        case tuple():
            return [to_json(each) for each in value]
        case Mapping():
            return {key: to_json(each) for key, each in value.items()}
    return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}


def read(kind: type[T], data: Mapping[str, Any], **known: Any) -> T:
    """The dataclass that `to_json` was given; a field that is not there has its default.

    Args:
        known: fields that are told apart from the data.
    """
    readers = _field_readers(kind)  # type: ignore[arg-type]
    return kind(**{name: reader(data[name]) for name, reader in readers if name in data}, **known)


@cache
def _field_readers(kind: type) -> tuple[tuple[str, Reader], ...]:
    return tuple((name, _reader(hint)) for name, hint in get_type_hints(kind).items())


def _reader(kind: Any) -> Reader:  # noqa: PLR0911 - one for each kind of value
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        [present] = [_reader(each) for each in parts if each is not NoneType]
        return lambda data: None if data is None else present(data)
    if origin is tuple:
        each_part = _reader(parts[0])
        return lambda data: tuple(each_part(each) for each in data)
    if origin is Mapping:
        each_value = _reader(parts[1])
        return lambda data: {key: each_value(each) for key, each in data.items()}
    if kind is datetime:
        return datetime.fromisoformat
    if kind is Quantity:
        return lambda data: Quantity.of(data["amount"], data["unit"])
    if is_dataclass(kind):
        return lambda data: read(kind, data)  # type: ignore[arg-type]
    return kind if issubclass(kind, Enum | Decimal) else _as_it_is


def _as_it_is(data: Any) -> Any:
    return data
