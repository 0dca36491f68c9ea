"""The messages that JSON bodies hold, as a Lua table for the body check (`envoy/lua/check.lua`)."""

from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from fleet.contracts.model import is_map, real_oneofs
from fleet.edge.contract import Method
from fleet.edge.routes import checked_message

# How the JSON form of a type looks, by the names that check.lua knows.
_KINDS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_DOUBLE: "float",
}
# Messages with a JSON form of their own (https://protobuf.dev/programming-guides/json/).
WELL_KNOWN = {
    "google.protobuf.Timestamp": "string",
    "google.protobuf.Duration": "string",
    "google.protobuf.FieldMask": "string",
    "google.protobuf.StringValue": "string",
    "google.protobuf.BytesValue": "string",
    "google.protobuf.BoolValue": "bool",
    "google.protobuf.Int32Value": "integer",
    "google.protobuf.UInt32Value": "integer",
    "google.protobuf.Int64Value": "integer",
    "google.protobuf.UInt64Value": "integer",
    "google.protobuf.FloatValue": "float",
    "google.protobuf.DoubleValue": "float",
    "google.protobuf.Any": "any",
    "google.protobuf.Struct": "any",
    "google.protobuf.Value": "any",
    "google.protobuf.ListValue": "any",
}


def body_messages(methods: Iterable[Method]) -> list[Descriptor]:
    """The messages that are JSON bodies of these methods."""
    bodies = (checked_message(method, binding) for method in methods for binding in method.bindings)
    return [message for message in bodies if message is not None]


def lua_tables(bodies: Iterable[Descriptor]) -> str:
    """Lua source that defines MESSAGES and ENUMS for these messages and all that they contain."""
    messages: dict[str, Descriptor] = {}
    for body in bodies:
        _reach(body, messages)
    values = [_value(field) for message in messages.values() for field in message.fields]
    enums = {value.enum_type.full_name: value.enum_type for value in values if value.enum_type is not None}
    lines = ["local MESSAGES = {"]
    lines += [_message(messages[name]) for name in sorted(messages)]
    lines += ["}", "local ENUMS = {"]
    lines += [_enum(enums[name]) for name in sorted(enums)]
    lines += ["}"]
    return "\n".join(lines) + "\n"


def _reach(message: Descriptor | None, found: dict[str, Descriptor]) -> None:
    # One that has a JSON form of its own is checked by that, not by its fields.
    if message is None or message.full_name in found or message.full_name in WELL_KNOWN:
        return
    found[message.full_name] = message
    for field in message.fields:
        _reach(_value(field).message_type, found)


def _value(field: FieldDescriptor) -> FieldDescriptor:
    """The field itself, or the value field of a map."""
    if field.message_type is not None and is_map(field):
        return field.message_type.fields_by_name["value"]
    return field


def _message(message: Descriptor) -> str:
    lines = [f"  [{quoted(message.full_name)}] = {{"]
    oneofs = {field.name: one.name for one in real_oneofs(message) for field in one.fields}
    for field in message.fields:
        entry = _field(field, oneofs.get(field.name))
        # Both spellings are read (proto3 JSON) and are one field: giving both is giving it twice.
        names = dict.fromkeys((field.json_name, field.name))
        lines += [f"    [{quoted(name)}] = {entry}," for name in names]
    return "\n".join([*lines, "  },"])


def _field(field: FieldDescriptor, oneof: str | None) -> str:
    value = _value(field)
    parts = {"name": field.json_name, "kind": _kind(value)}
    if value.message_type is not None and parts["kind"] == "message":
        parts["message"] = value.message_type.full_name
    if value.enum_type is not None and parts["kind"] == "enum":
        parts["enum"] = value.enum_type.full_name
    if oneof:
        parts["oneof"] = oneof
    if field.is_repeated:
        parts["container"] = "map" if is_map(field) else "list"
    return "{ " + ", ".join(f"{key} = {quoted(text)}" for key, text in parts.items()) + " }"


def _kind(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return WELL_KNOWN.get(field.message_type.full_name, "message")
    if field.enum_type is not None:
        return "any" if field.enum_type.full_name == "google.protobuf.NullValue" else "enum"
    return _KINDS.get(field.type, "integer")


def _enum(enum: EnumDescriptor) -> str:
    names = ", ".join(f"[{quoted(value.name)}] = true" for value in enum.values)
    return f"  [{quoted(enum.full_name)}] = {{ {names} }},"


def quoted(text: str) -> str:
    """A name of the contract as a Lua string."""
    # Names of the contract are ASCII identifiers with dots.
    return f'"{text}"'
