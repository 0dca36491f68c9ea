"""What our contracts promise beyond what buf can check: policies, idempotency, paging, topics, paths."""

import re
from collections.abc import Callable, Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from fleet.contracts import errors
from fleet.contracts.model import ContractError, Contracts

EVENTS_FILE = "/events.proto"
_PERMISSION = re.compile(r"[a-z]+(\.[a-z-]+)+")
_TOPIC = re.compile(r"[a-z]+\.[a-z]+(-[a-z]+)*")
_READS = re.compile(r"(Get|List|BatchGet|Search|Watch|Trace|Validate)(?=[A-Z]|$)")
_PATHS = ("/api/", "/.well-known/")


def check(contracts: Contracts) -> list[str]:
    """Returns one sentence for each convention that a contract breaks."""
    findings = []
    for method in contracts.methods():
        for rule in _METHOD_RULES:
            findings += [f"{method.full_name}: {text}" for text in rule(contracts, method)]
    return [*findings, *_reasons(contracts), *_events(contracts)]


def _policy(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    access = contracts.access(method)
    if access is None:
        yield "has no policy, so every server refuses it"
    elif access.kind == "public" and access.callers:
        yield "is public but names callers: anybody may call it"
    elif access.kind == "permission" and not _PERMISSION.fullmatch(access.permission):
        yield f"permission {access.permission!r} is not of the form context.thing.verb"


def _idempotency(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    """AIP-155: a request_id is a UUID, and somebody keeps its promise."""
    access = contracts.access(method)
    declared = access is not None and access.idempotency != ""
    field = method.input_type.fields_by_name.get("request_id")
    inherent = access is not None and access.idempotency == "INHERENT"
    if field is None and declared and not inherent:
        yield "declares idempotency but takes no request_id"
    if field is not None and inherent:
        yield "takes a request_id but declares that it needs none"
    if field is not None and not declared:
        yield "takes a request_id but declares no idempotency"
    if field is not None:
        rules = contracts.rules(field)
        if rules is None or not rules.string.uuid:
            yield "request_id is not checked to be a UUID"
    if field is None and method.name.startswith("Create"):
        yield "creates something but takes no request_id"


def _reading(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    """Whoever repeats a call must know whether it only reads; HTTP says it by GET, the rest by an option."""
    bindings = contracts.bindings(method)
    declared = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    if not bindings and not declared and _READS.match(method.name):
        yield "is named as a read but has no option idempotency_level = NO_SIDE_EFFECTS"
    if (
        any(binding.verb == "get" for binding in bindings)
        and "request_id" in method.input_type.fields_by_name
    ):
        yield "is bound to GET, which only reads, but takes a request_id"
    if declared and any(binding.verb != "get" for binding in bindings):
        yield "has no side effects but is bound to another verb than GET"


def _paging(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    """AIP-158: pages from day one."""
    if not method.name.startswith("List"):
        return
    yield from _lacks(method.input_type, "page_size", FieldDescriptor.TYPE_INT32)
    yield from _lacks(method.input_type, "page_token", FieldDescriptor.TYPE_STRING)
    yield from _lacks(method.output_type, "next_page_token", FieldDescriptor.TYPE_STRING)
    if "page_size" in method.input_type.fields_by_name:
        rules = contracts.rules(method.input_type.fields_by_name["page_size"])
        if rules is None or not rules.int32.HasField("gte"):
            yield "a negative page_size is not refused"


def _update(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    """AIP-134, AIP-161: an update is a PATCH with a mask."""
    if not method.name.startswith("Update"):
        return
    yield from _lacks(method.input_type, "update_mask", FieldDescriptor.TYPE_MESSAGE)
    if any(binding.verb != "patch" for binding in contracts.bindings(method)):
        yield "an update is bound to another verb than PATCH"


def _paths(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    for binding in contracts.bindings(method):
        if not binding.path.startswith(_PATHS):
            yield f"{binding.path} does not begin with {' or '.join(_PATHS)}"
        if binding.verb in {"get", "delete"} and binding.body:
            yield f"{binding.verb.upper()} {binding.path} has a body"


def _clients(contracts: Contracts, method: MethodDescriptor) -> Iterator[str]:
    """What a client does of its own: it needs a field to go by, and may repeat answers of reads only."""
    policy = contracts.option(method, "greenledger.options.v1.policy")
    if policy is None:
        return
    if policy.sticky_field not in ("", "@caller") and not _text(method.input_type, policy.sticky_field):
        yield f"sticky_field {policy.sticky_field!r} is no text of {method.input_type.name}"
    reads = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS or any(
        binding.verb == "get" for binding in contracts.bindings(method)
    )
    if policy.stale_seconds and (not reads or method.server_streaming):
        yield "has stale_seconds but is no read with one answer"


def _text(message: Descriptor | None, path: str) -> bool:
    field = None
    for name in path.split("."):
        field = message.fields_by_name.get(name) if message is not None else None
        message = field.message_type if field is not None else None
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


_METHOD_RULES: tuple[Callable[[Contracts, MethodDescriptor], Iterator[str]], ...] = (
    _policy,
    _idempotency,
    _reading,
    _paging,
    _update,
    _paths,
    _clients,
)


def _lacks(message: Descriptor, name: str, kind: int) -> Iterator[str]:
    field = message.fields_by_name.get(name)
    if field is None:
        yield f"{message.name} has no {name}"
    elif field.type != kind:
        yield f"{message.name}.{name} has the wrong type"


def _reasons(contracts: Contracts) -> Iterator[str]:
    for package in contracts.packages():
        try:
            errors.reasons(contracts, package)
        except ContractError as error:
            yield str(error)


def _events(contracts: Contracts) -> Iterator[str]:
    """Each message of an events.proto is the payload of one topic, and no other message is."""
    owners: dict[str, str] = {}
    for package in contracts.packages():
        for message in contracts.messages(package):
            topic, in_events = contracts.topic(message), message.file.name.endswith(EVENTS_FILE)
            if in_events and not topic:
                yield f"{message.full_name}: an event without a topic"
            if not topic:
                continue
            if not in_events:
                yield f"{message.full_name}: has a topic but does not stand in events.proto"
            if not _TOPIC.fullmatch(topic):
                yield f"{message.full_name}: topic {topic!r} is not of the form context.fact"
            if owners.setdefault(topic, message.full_name) != message.full_name:
                yield f"{message.full_name}: topic {topic} is already that of {owners[topic]}"
