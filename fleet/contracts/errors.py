"""How errors look over HTTP (AIP-193), and the reasons that each context adds."""

from dataclasses import dataclass

from fleet.contracts.model import ContractError, Contracts
from fleet.contracts.rules import Schema

REASON_ENUM = "ErrorReason"
REASON_PREFIX = "ERROR_REASON_"
_STRING = {"type": "string"}
_RESPONSES = {
    "400": ("BadRequest", "The request breaks the contract, or the state of things does not allow it."),
    "401": ("Unauthenticated", "No token, or one that is not valid."),
    "403": ("PermissionDenied", "The token does not permit this, or the thing belongs to someone else."),
    "404": ("NotFound", "There is no such thing."),
    "409": (
        "Conflict",
        "It exists already, was changed meanwhile, or the requestId was used for something else.",
    ),
    "429": ("TooManyRequests", "Too many requests; RetryInfo says when to try again."),
    "503": ("Unavailable", "Something needed does not answer; try again."),
    "default": ("OtherError", "Any other error."),
}


@dataclass(frozen=True)
class Reason:
    """One value of ErrorInfo.reason and what it means."""

    name: str
    meaning: str


def reasons(contracts: Contracts, package: str) -> list[Reason]:
    """The reasons that the package's ErrorReason enum declares, none if it has no such enum."""
    found = []
    for enum in contracts.enums(package):
        if enum.name != REASON_ENUM:
            continue
        for value in enum.values:
            if not value.name.startswith(REASON_PREFIX):
                raise ContractError(f"{enum.full_name}: {value.name} does not begin with {REASON_PREFIX}")
            if value.number:
                meaning = " ".join(contracts.comment(value).split())
                found.append(Reason(value.name.removeprefix(REASON_PREFIX), meaning))
    return found


def references(*, secured: bool, found: bool, writing: bool) -> Schema:
    """The error responses of an operation.

    `secured`: it needs a token; `found`: it names a thing that may not exist; `writing`: it may conflict.
    """
    codes = ["400", "401", *(["403"] if secured else []), *(["404"] if found else [])]
    codes += [*(["409"] if writing else []), "429", "503", "default"]
    return {code: {"$ref": f"#/components/responses/{_RESPONSES[code][0]}"} for code in codes}


def responses() -> Schema:
    """The components that `references` point to."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {name: {"description": text, "content": content} for name, text in _RESPONSES.values()}


def schemas() -> Schema:
    """The one error shape: google.rpc.Status with its details as JSON."""
    details = [
        _detail(
            "ErrorInfo",
            "Why, for programs. Every error has exactly one.",
            reason={"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
            domain={"type": "string", "examples": ["greenledger"]},
            metadata={"type": "object", "additionalProperties": _STRING},
        ),
        _detail(
            "BadRequest", "Which fields are wrong.", fieldViolations=_list("field", "description", "reason")
        ),
        _detail(
            "PreconditionFailure", "What must change.", violations=_list("type", "subject", "description")
        ),
        _detail(
            "ResourceInfo",
            "Which thing it is about.",
            resourceType=_STRING,
            resourceName=_STRING,
            owner=_STRING,
        ),
        _detail("RetryInfo", "When to try again.", retryDelay=_STRING | {"examples": ["2s"]}),
        _detail("QuotaFailure", "Which limit was reached.", violations=_list("subject", "description")),
    ]
    return {
        "Error": {
            "type": "object",
            "description": "The one shape of every error (google.rpc.Status, AIP-193).",
            "properties": {
                "code": {"type": "integer", "description": "The gRPC status code (google.rpc.Code)."},
                "message": {"type": "string", "description": "For developers, in English; not for parsing."},
                "details": {"type": "array", "items": {"anyOf": details}},
            },
            "required": ["code", "message", "details"],
        }
    }


def _detail(name: str, text: str, **properties: Schema) -> Schema:
    kind = {"const": f"type.googleapis.com/google.rpc.{name}"}
    schema = {
        "type": "object",
        "title": name,
        "description": text,
        "properties": {"@type": kind, **properties},
    }
    return schema | {"required": ["@type"]}


def _list(*names: str) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": dict.fromkeys(names, _STRING)}}
