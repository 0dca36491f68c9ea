"""Where each part of a request travels over HTTP: path, query or body (google/api/http.proto)."""

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from fleet.contracts.model import Binding, ContractError, Contracts, is_map
from fleet.contracts.rules import Schema
from fleet.contracts.schemas import WELL_KNOWN, Schemas, component_name

_VARIABLE = re.compile(r"\{([^}=]+)(?:=([^}]+))?\}")
_DEEPEST = 3  # levels of messages in a query; more is a contract that should have a body


def path_template(method: MethodDescriptor, binding: Binding) -> tuple[str, dict[str, str]]:
    """Turns a google.api.http template into an OpenAPI one; maps field paths to parameter names."""
    variables: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        if match[2] not in {None, "*"}:
            raise ContractError(
                f"{method.full_name}: {match[0]} matches several segments, which is not supported"
            )
        name = _field_at(method.input_type, match[1], method).json_name
        variables[match[1]] = name
        return f"{{{name}}}"

    template = _VARIABLE.sub(replace, binding.path)
    if len(set(variables.values())) != len(variables):
        raise ContractError(f"{method.full_name}: two variables of {binding.path} have one name")
    return template, variables


def refuse_twins(paths: dict[str, Schema]) -> None:
    """Two templates that differ only in a variable's name are one path (OpenAPI 3.1, Paths Object)."""
    seen: dict[str, str] = {}
    for path in paths:
        shape = _VARIABLE.sub("{}", path)
        if seen.setdefault(shape, path) != path:
            raise ContractError(f"{path} and {seen[shape]} differ only in the name of a variable")


def parameters(
    contracts: Contracts, schemas: Schemas, method: MethodDescriptor, binding: Binding
) -> list[Schema]:
    """The path and query parameters of a binding, in the order of the path and of the message."""
    _, variables = path_template(method, binding)
    found = [_path_parameter(schemas, method, path, name) for path, name in variables.items()]
    return found + _query_parameters(contracts, schemas, method, binding, variables)


def body_type(method: MethodDescriptor, binding: Binding) -> Descriptor | None:
    """The message that the body holds, None if the binding has no body."""
    if not binding.body:
        return None
    if binding.body == "*":
        return method.input_type
    return _message_at(method.input_type, binding.body, method)


def body_schema(schemas: Schemas, method: MethodDescriptor, binding: Binding) -> Schema:
    """The schema of the body, without the fields that the path sets."""
    _, variables = path_template(method, binding)
    kind = body_type(method, binding)
    assert kind is not None
    # What the path says is not said again in the body.
    prefix = "" if binding.body == "*" else f"{binding.body}."
    omit = {path.removeprefix(prefix) for path in variables if path.startswith(prefix)}
    omit = {path for path in omit if "." not in path}
    if not omit:
        return schemas.reference(kind)
    name = f"{component_name(kind)}.{method.name}Body" if prefix else f"{component_name(kind)}.Body"
    schemas.components[name] = schemas.message(kind, frozenset(omit))
    return {"$ref": f"#/components/schemas/{name}"}


def _field_at(message: Descriptor, path: str, method: MethodDescriptor) -> FieldDescriptor:
    *parents, last = path.split(".")
    for name in parents:
        message = _message_at(message, name, method)
    if last not in message.fields_by_name:
        raise ContractError(f"{method.full_name}: {message.full_name} has no field {last}")
    return message.fields_by_name[last]


def _message_at(message: Descriptor, name: str, method: MethodDescriptor) -> Descriptor:
    field = message.fields_by_name.get(name)
    if field is None or field.message_type is None:
        raise ContractError(f"{method.full_name}: {message.full_name}.{name} is not a message")
    return field.message_type


def _path_parameter(schemas: Schemas, method: MethodDescriptor, path: str, name: str) -> Schema:
    schema = schemas.field(_field_at(method.input_type, path, method))
    schema.pop("readOnly", None)
    if schema.get("type") == "string" and "format" not in schema:
        schema.setdefault("minLength", 1)
    return _parameter(name, "path", schema, required=True)


def _query_parameters(
    contracts: Contracts,
    schemas: Schemas,
    method: MethodDescriptor,
    binding: Binding,
    variables: dict[str, str],
) -> list[Schema]:
    if binding.body == "*":
        return []
    found = []
    elsewhere = {binding.body, *variables}
    for path, field, required in _leaves(schemas, method, elsewhere):
        if "OUTPUT_ONLY" in contracts.behaviors(field):
            continue
        name = ".".join(_field_at(method.input_type, part, method).json_name for part in _prefixes(path))
        found.append(_parameter(name, "query", schemas.field(field), required=required))
    return found


def _leaves(
    schemas: Schemas,
    method: MethodDescriptor,
    elsewhere: set[str],
    message: Descriptor | None = None,
    above: tuple[str, ...] = (),
) -> Iterator[tuple[str, FieldDescriptor, bool]]:
    """Yields the path of each field that a query parameter can set, without those in `elsewhere`."""
    message = message or method.input_type
    if len(above) > _DEEPEST:
        raise ContractError(
            f"{method.full_name}: {'.'.join(above)} is too deep for the query, it needs a body"
        )
    needed = schemas.required(message)
    for field in message.fields:
        path = ".".join((*above, field.name))
        kind = field.message_type
        if path in elsewhere:
            continue
        if kind is None or kind.full_name in WELL_KNOWN:
            yield path, field, field.name in needed and not above
        elif field.is_repeated or is_map(field):
            raise ContractError(f"{method.full_name}: {path} cannot be a query parameter, it needs a body")
        else:
            yield from _leaves(schemas, method, elsewhere, kind, (*above, field.name))


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    parameter: Schema = {"name": name, "in": place}
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    if required:
        parameter["required"] = True
    return parameter | {"schema": schema}
