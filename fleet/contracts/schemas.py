"""Messages as JSON schema (OpenAPI 3.1), by protobuf's JSON mapping and the validation rules."""

from collections.abc import Iterable
from typing import Any

import protovalidate
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from fleet.contracts import rules
from fleet.contracts.model import ContractError, Contracts, is_map, map_entry, real_oneofs
from fleet.contracts.rules import Schema

_INTEGER = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    # JSON numbers are doubles, so the mapping writes 64-bit integers as strings.
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_SINT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_SFIXED64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"},
    FieldDescriptor.TYPE_FIXED64: {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"},
} | {
    kind: {"type": "integer", "format": "int32" if low else "uint32", "minimum": low, "maximum": high}
    for kind, (low, high) in _INTEGER.items()
}
# Messages that the JSON mapping writes as something else than an object of their fields.
WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "examples": ["1.5s"],
    },
    "google.protobuf.FieldMask": {"type": "string", "examples": ["displayName,preferences"]},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BytesValue": {"type": "string", "contentEncoding": "base64"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.Int32Value": _SCALARS[FieldDescriptor.TYPE_INT32],
    "google.protobuf.UInt32Value": _SCALARS[FieldDescriptor.TYPE_UINT32],
    "google.protobuf.Int64Value": _SCALARS[FieldDescriptor.TYPE_INT64],
    "google.protobuf.UInt64Value": _SCALARS[FieldDescriptor.TYPE_UINT64],
    "google.protobuf.FloatValue": _SCALARS[FieldDescriptor.TYPE_FLOAT],
    "google.protobuf.DoubleValue": _SCALARS[FieldDescriptor.TYPE_DOUBLE],
}


def component_name(message: Descriptor | EnumDescriptor) -> str:
    """The name under which a type stands in the document, e.g. "users.v1.User"."""
    return str(message.full_name).removeprefix("greenledger.")


class Schemas:
    """Renders types on demand and keeps each as a component once.

    `closed` are the full names of messages that callers send: the server refuses unknown fields in
    them, so their schemas do, too.
    """

    def __init__(self, contracts: Contracts, closed: Iterable[str] = ()) -> None:
        self._contracts = contracts
        self._closed = frozenset(closed)
        self._validator = protovalidate.Validator()
        self.components: dict[str, Schema] = {}

    def reference(self, kind: Descriptor | EnumDescriptor) -> Schema:
        """A schema that stands for the type: inline if well known, else a reference to its component."""
        if kind.full_name in WELL_KNOWN:
            return dict(WELL_KNOWN[kind.full_name])
        name = component_name(kind)
        if name not in self.components:
            self.components[name] = {}  # first, so that a recursive type ends
            self.components[name] = self.message(kind) if isinstance(kind, Descriptor) else self._enum(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def message(self, message: Descriptor, omit: frozenset[str] = frozenset()) -> Schema:
        """An object schema of the message without the fields named in `omit`."""
        fields = [field for field in message.fields if field.name not in omit]
        schema: Schema = {"type": "object"}
        describe(schema, self._contracts.comment(message))
        schema["properties"] = {field.json_name: self.field(field) for field in fields}
        needed = self.required(message)
        if required := [field.json_name for field in fields if field.name in needed]:
            schema["required"] = required
        oneofs = [self._oneof(one) for one in real_oneofs(message)]
        if oneofs:
            schema |= oneofs[0] if len(oneofs) == 1 else {"allOf": oneofs}
        if message.full_name in self._closed:
            schema["additionalProperties"] = False
        return schema

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of one field with its rules, comment and behaviour."""
        rule = self._contracts.rules(field)
        if is_map(field):
            schema = self._map(field, rule)
        elif field.is_repeated:
            items = rule.repeated.items if rule is not None else None
            schema = {"type": "array", "items": self._element(field, items)}
            if rule is not None:
                _merge(schema, rules.render(rule))
        else:
            schema = self._element(field, rule)
        describe(schema, self._contracts.comment(field), first=True)
        behaviors = self._contracts.behaviors(field)
        if "OUTPUT_ONLY" in behaviors:
            schema["readOnly"] = True
        if "INPUT_ONLY" in behaviors:
            schema["writeOnly"] = True
        return schema

    def required(self, message: Descriptor) -> set[str]:
        """The names of the fields without which a message is refused.

        They are asked of the validator itself, with an empty message: whatever it then finds missing.
        """
        try:
            violations = self._validator.collect_violations(self._contracts.new(message))
        except protovalidate.CompilationError as error:
            raise ContractError(f"{message.full_name}: {error}") from error
        paths = [
            violation.proto.field.elements for violation in violations if violation.proto.field is not None
        ]
        found = {path[0].field_name for path in paths if len(path) == 1}
        marked = {field.name for field in message.fields if "REQUIRED" in self._contracts.behaviors(field)}
        return {field.name for field in message.fields if field.name in found | marked}

    def _element(self, field: FieldDescriptor, rule: Any) -> Schema:
        enum = field.enum_type
        if enum is not None:
            names = {value.number: value.name for value in enum.values}
            rendered = rules.render(rule, names) if rule is not None else rules.Rendered()
            # A narrowed enum says its values itself.
            schema = {"type": "string"} if "enum" in rendered.schema else self.reference(enum)
        else:
            rendered = rules.render(rule) if rule is not None else rules.Rendered()
            kind = field.message_type
            schema = dict(_SCALARS[field.type]) if kind is None else self.reference(kind)
        _merge(schema, rendered)
        return schema

    def _map(self, field: FieldDescriptor, rule: Any) -> Schema:
        key, value = map_entry(field)
        has = rule is not None and rule.WhichOneof("type") == "map"
        schema: Schema = {
            "type": "object",
            "additionalProperties": self._element(value, rule.map.values if has else None),
        }
        if has:
            # Keys are strings in JSON whatever their type.
            if key.type == FieldDescriptor.TYPE_STRING and (keys := rules.render(rule.map.keys).schema):
                schema["propertyNames"] = keys
            _merge(schema, rules.render(rule))
        return schema

    def _oneof(self, oneof: Any) -> Schema:
        names = [field.json_name for field in oneof.fields]
        rule = self._contracts.option(oneof, "buf.validate.oneof")
        alternatives: list[Schema] = [{"required": [name]} for name in names]
        if rule is None or not rule.required:
            alternatives.append({"not": {"anyOf": [{"required": [name]} for name in names]}})
        return {"oneOf": alternatives}

    def _enum(self, enum: EnumDescriptor) -> Schema:
        schema: Schema = {"type": "string", "enum": [value.name for value in enum.values]}
        lines = [self._contracts.comment(enum)]
        for value in enum.values:
            if text := self._contracts.comment(value):
                lines.append(f"- `{value.name}`: {' '.join(text.split())}")
        describe(schema, "\n".join(line for line in lines if line))
        return schema


def describe(schema: Schema, text: str, *, first: bool = False) -> None:
    """Adds a text to a schema's description, `first` before what is there, else behind it."""
    parts = [schema.get("description", ""), text]
    joined = "\n\n".join(part for part in (reversed(parts) if first else parts) if part)
    if joined:
        schema["description"] = joined


def sent_messages(roots: Iterable[Descriptor]) -> set[str]:
    """The full names of `roots` and of all messages inside them."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        message = waiting.pop()
        if message.full_name in found or message.full_name in WELL_KNOWN:
            continue
        found.add(message.full_name)
        waiting += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def _merge(schema: Schema, rendered: rules.Rendered) -> None:
    schema |= rendered.schema
    describe(schema, " ".join(rendered.notes))
