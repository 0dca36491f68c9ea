"""Facts and states of lots as JSON types, both ways."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from chassis.quantity import Quantity

T = TypeVar("T")


def to_json(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """A value of the domain as JSON types: times and decimals as text, dataclasses by their fields' names."""
    match value:
        case datetime():
            return value.isoformat()
        case Quantity():
            return {"amount": value.text, "unit": value.unit}
        case Decimal():
            return format(value, "f")
        case Mapping():
            return {key: to_json(each) for key, each in value.items()}
        case tuple():
            return [to_json(each) for each in value]
    if is_dataclass(value):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    return value


def quantity_from_json(data: Mapping[str, str]) -> Quantity:
    """A quantity that `to_json` was given."""
    return Quantity.of(data["amount"], data["unit"])


def read(kind: type[T], data: Mapping[str, Any], **known: Any) -> T:
    """The dataclass that `to_json` was given; a field that is not there has its default.

    Args:
        known: fields that are told apart from the data.
    """
    hints = _hints(kind)  # type: ignore[arg-type]
    told = {name: from_json(hint, data[name]) for name, hint in hints.items() if name in data}
    return kind(**told, **known)


def from_json(kind: Any, data: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """A value of a type as its annotation has it."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        [present] = [each for each in parts if each is not NoneType]
        return None if data is None else from_json(present, data)
    if origin is tuple:
        return tuple(from_json(parts[0], each) for each in data)
    if origin is Mapping:
        return {key: from_json(parts[1], each) for key, each in data.items()}
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is Quantity:
        return quantity_from_json(data)
    if is_dataclass(kind):
        return read(kind, data)  # type: ignore[arg-type]
    return kind(data) if kind is Decimal or issubclass(kind, Enum) else data


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
