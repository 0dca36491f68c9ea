"""The OpenAPI 3.1 document of what the edge serves, from google.api.http bindings."""

import json
import re
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from fleet.contracts import bindings, errors
from fleet.contracts.model import Access, Binding, ContractError, Contracts
from fleet.contracts.rules import Schema
from fleet.contracts.schemas import Schemas, describe, sent_messages

_TITLE = "GreenLedger"
_ABOUT = """\
The HTTP/JSON side of GreenLedger's gRPC services, generated from their contracts.

Bodies follow the JSON mapping of protocol buffers: names in lowerCamelCase, 64-bit integers as strings,
times as RFC 3339 strings, bytes as base64. Replies show fields that have their zero value; messages that are
absent are left out.
A body with an unknown field is refused. Every error, whoever makes it, has one shape: `Error`.

A call that takes a `requestId` may be repeated with the same one (a UUID of version 4) and the same
content: it has one effect and the same reply. With other content it is refused as `REQUEST_ID_REUSED`.

Lists come in pages: send `nextPageToken` of one reply as `pageToken` of the next call with the same
filter; an empty one means the end."""
_IDEMPOTENCY = {
    "STORED": "Repeating it with the same `requestId` gives the stored reply.",
    "OWN": "Repeating it with the same `requestId` joins the work already begun and gives its outcome.",
    "INHERENT": "It may be repeated: a second request does no harm.",
}
# Sent as it is, under a content type of its own.
_FILE = "google.api.HttpBody"
_STREAM = (
    "The reply is a stream: one JSON object per line, each sent as it happens, until the last one. "
    "An error after the first line ends the stream, since the status has been sent by then."
)


def render(contracts: Contracts) -> str:
    """Renders the document as indented JSON. Raises ContractError for bindings that HTTP cannot express."""
    return json.dumps(document(contracts), indent=2, ensure_ascii=False) + "\n"


def document(contracts: Contracts) -> Schema:
    """The document as a dictionary."""
    bound = [(m, binding) for m in contracts.methods() for binding in contracts.bindings(m)]
    bodies = [body for method, binding in bound if (body := bindings.body_type(method, binding)) is not None]
    schemas = Schemas(contracts, sent_messages(bodies))
    paths: dict[str, Schema] = {}
    for method, binding in bound:
        template, _ = bindings.path_template(method, binding)
        operations = paths.setdefault(template, {})
        if binding.verb in operations:
            raise ContractError(f"{method.full_name}: {binding.verb} {binding.path} is bound twice")
        operations[binding.verb] = _operation(contracts, schemas, method, binding)
    bindings.refuse_twins(paths)
    components = {
        "schemas": dict(sorted((schemas.components | errors.schemas()).items())),
        "responses": errors.responses(),
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": "v1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": _tags(contracts),
        "paths": dict(sorted(paths.items())),
        "components": components,
    }


def _operation(
    contracts: Contracts,
    schemas: Schemas,
    method: MethodDescriptor,
    binding: Binding,
) -> Schema:
    access = contracts.access(method)
    if access is None:
        raise ContractError(f"{method.full_name} has no policy")
    number = contracts.bindings(method).index(binding)
    operation: Schema = {
        "operationId": f"{method.containing_service.name}_{method.name}"
        + (f"_{number + 1}" if number else ""),
        "tags": [method.containing_service.name],
    }
    comment = " ".join(contracts.comment(method).split())
    operation["summary"] = (
        re.split(r"(?<=[.:;]) ", comment)[0].rstrip(".:;") if comment else _words(method.name)
    )
    stream = _STREAM if method.server_streaming and method.output_type.full_name != _FILE else ""
    notes = [comment, _IDEMPOTENCY.get(access.idempotency, ""), stream, _access_note(access)]
    operation["description"] = "\n\n".join(note for note in notes if note)
    parameters = bindings.parameters(contracts, schemas, method, binding)
    if parameters:
        operation["parameters"] = parameters
    if binding.body:
        schema = bindings.body_schema(schemas, method, binding)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    done = {"202": _accepted(schemas, method)} if access.accepted else {"200": _success(schemas, method)}
    operation["responses"] = done | errors.references(
        secured=access.kind != "public", found="{" in binding.path, writing=binding.verb != "get"
    )
    operation["security"] = _security(access)
    if access.permission:
        operation["x-permission"] = access.permission
    return operation


def _success(schemas: Schemas, method: MethodDescriptor) -> Schema:
    if method.output_type.full_name == _FILE:
        return {
            "description": "The file.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    media: Schema = {"schema": schemas.reference(method.output_type)}
    if method.server_streaming:
        return {
            "description": "A stream of JSON objects, one per line; the schema is that of a line.",
            "content": {"application/x-ndjson": media},
        }
    return {"description": "Done.", "content": {"application/json": media}}


def _accepted(schemas: Schemas, method: MethodDescriptor) -> Schema:
    where = {
        "description": "Where to ask how far it is.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
    return {
        **_success(schemas, method),
        "description": "Accepted; the work goes on.",
        "headers": {"location": where},
    }


def _security(access: Access) -> list[dict[str, list[str]]]:
    if access.kind == "public":
        return []
    # Since 3.1 the list may name what the token must carry, for any scheme.
    return [{"bearer": [access.permission] if access.permission else []}]


def _access_note(access: Access) -> str:
    if access.kind == "public":
        return "Needs no token."
    return f"Needs the permission `{access.permission}`." if access.permission else "Needs a token."


def _tags(contracts: Contracts) -> list[Schema]:
    tags = []
    for package in contracts.packages():
        for service in contracts.services(package):
            if not any(contracts.bindings(method) for method in service.methods):
                continue
            tag: Schema = {"name": service.name}
            describe(tag, contracts.comment(service))
            reasons = [f"`{reason.name}`" for reason in errors.reasons(contracts, package)]
            if reasons:
                describe(tag, f"Reasons of its own in errors: {', '.join(reasons)}.")
            tags.append(tag)
    return tags


def _words(name: str) -> str:
    words: list[Any] = re.findall(r"[A-Z][a-z0-9]*", name)
    return " ".join([words[0], *(word.lower() for word in words[1:])])
