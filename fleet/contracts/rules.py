"""Validation rules (buf.validate) of a field as JSON schema; what JSON schema cannot say becomes a note."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

Schema = dict[str, Any]

_LONG = {"int64", "uint64", "sint64", "fixed64", "sfixed64"}  # strings in JSON
_NUMBERS = {"float", "double", "int32", "uint32", "sint32", "fixed32", "sfixed32"} | _LONG
_BOUNDS = {"lt": "exclusiveMaximum", "lte": "maximum", "gt": "exclusiveMinimum", "gte": "minimum"}
_STRING_LENGTHS = {"min_len": "minLength", "max_len": "maxLength"}
_FORMATS = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
    "uuid": "uuid",
}
_WORDS = {
    "lt": "less than",
    "lte": "at most",
    "gt": "greater than",
    "gte": "at least",
    "const": "exactly",
    "in": "one of",
    "not_in": "none of",
    "within": "within this time of now:",
    "lt_now": "in the past:",
    "gt_now": "in the future:",
}


@dataclass
class Rendered:
    """Keywords to merge into a schema, and sentences for its description."""

    schema: Schema = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def render(rules: Any, enum_names: dict[int, str] | None = None) -> Rendered:
    """Renders `rules`, a buf.validate.FieldRules; `enum_names` are the names of an enum field's values."""
    out = Rendered()
    out.notes += [_sentence(rule.message or rule.expression) for rule in rules.cel]
    out.notes += [_sentence(expression) for expression in rules.cel_expression]
    kind = rules.WhichOneof("type")
    if kind is None:
        return out
    typed = getattr(rules, kind)
    for descriptor, value in typed.ListFields():
        name = descriptor.name
        if name == "example":
            continue
        plain = _plain(value)
        if kind == "string":
            handled = _string(out, name, plain)
        elif kind == "enum":
            handled = _enum(out, name, plain, enum_names or {})
        elif kind in _NUMBERS:
            handled = _number(out, name, plain, long=kind in _LONG)
        elif kind in _CONTAINERS:
            handled = _CONTAINERS[kind](out, name, value)
        else:
            handled = False
        if not handled:
            out.notes.append(f"Must be {_WORDS.get(name, name.replace('_', ' '))} {_text(plain)}.")
    return out


def _string(out: Rendered, name: str, value: Any) -> bool:
    if name in _STRING_LENGTHS:
        out.schema[_STRING_LENGTHS[name]] = value
    elif name == "len":
        out.schema |= {"minLength": value, "maxLength": value}
    elif name == "pattern":
        out.schema["pattern"] = value
    elif name in _FORMATS:
        out.schema["format"] = _FORMATS[name]
    else:
        return _choice(out, name, value)
    return True


def _number(out: Rendered, name: str, value: Any, *, long: bool) -> bool:
    if long:
        if (name, int(value) if name in _BOUNDS else None) in {("gte", 0), ("gt", 0)}:
            out.schema["pattern"] = "^[0-9]+$" if name == "gte" else "^[1-9][0-9]*$"
        if name in {"const", "in", "not_in"}:
            value = [str(item) for item in value] if isinstance(value, list) else str(value)
            return _choice(out, name, value)
        return False
    if name in _BOUNDS:
        out.schema[_BOUNDS[name]] = value
        return True
    # JSON has no NaN and no infinity.
    return name == "finite" or _choice(out, name, value)


def _enum(out: Rendered, name: str, value: Any, names: dict[int, str]) -> bool:
    if name == "defined_only":
        return True
    if name == "const":
        out.schema["enum"] = [names[value]]
    elif name == "in":
        out.schema["enum"] = [names[number] for number in value if number in names]
    elif name == "not_in":
        out.schema["enum"] = [text for number, text in names.items() if number not in value]
    return True


def _choice(out: Rendered, name: str, value: Any) -> bool:
    if name == "const":
        out.schema["const"] = value
    elif name == "in":
        out.schema["enum"] = value
    elif name == "not_in":
        out.schema["not"] = {"enum": value}
    else:
        return False
    return True


def _bytes(out: Rendered, name: str, value: Any) -> bool:
    # Base64 makes four characters of three bytes, the last group padded.
    if name in {"min_len", "len"}:
        out.schema["minLength"] = -(-value // 3) * 4
    if name in {"max_len", "len"}:
        out.schema["maxLength"] = -(-value // 3) * 4
    return name in {"min_len", "len", "max_len"}


def _repeated(out: Rendered, name: str, value: Any) -> bool:
    if name == "min_items":
        out.schema["minItems"] = value
    elif name == "max_items":
        out.schema["maxItems"] = value
    elif name == "unique":
        out.schema["uniqueItems"] = value
    # "items" is rendered with the element, by whoever knows its type.
    return name in {"min_items", "max_items", "unique", "items"}


def _map(out: Rendered, name: str, value: Any) -> bool:
    if name == "min_pairs":
        out.schema["minProperties"] = value
    elif name == "max_pairs":
        out.schema["maxProperties"] = value
    return name in {"min_pairs", "max_pairs", "keys", "values"}


_CONTAINERS: dict[str, Callable[[Rendered, str, Any], bool]] = {
    "bytes": _bytes,
    "repeated": _repeated,
    "map": _map,
}


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return json_format.MessageToDict(value)
    if isinstance(value, str | bytes | bool | int | float):
        return value
    return [_plain(item) for item in value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return ""
    return ", ".join(f"`{item}`" for item in (value if isinstance(value, list) else [value]))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
