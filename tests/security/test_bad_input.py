"""Every RPC of the contract against bad requests and callers who must not get through.

Each is called at the edge over JSON (where it has a binding) and over gRPC, and at the service's own port,
because services trust nobody in front of them.
"""

import copy
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from fleet.services import SERVICES
from fleet.testing.running import RunningFleet
from tests.security.calls import (
    CONTRACTS,
    HTTP_STATUS,
    METHODS,
    Answer,
    Channels,
    Json,
    assert_nothing_internal,
    at_the_edge,
    binding_of,
    call_json,
    context_of,
    declared_reasons,
    json_request,
    path_fields,
    send,
)
from tests.security.rows import ROWS
from tests.security.table import ABSENT
from tests.security.world import PERMISSIONS, World

PROTECTED = [name for name, method in METHODS.items() if CONTRACTS.access(method).kind != "public"]  # type: ignore[union-attr]
PERMITTED = [name for name, method in METHODS.items() if CONTRACTS.access(method).permission]  # type: ignore[union-attr]
WITH_BODY = [name for name, method in METHODS.items() if (found := binding_of(method)) and found.body]
WITHOUT_BODY = [name for name, method in METHODS.items() if (found := binding_of(method)) and not found.body]
PAGED = [name for name, method in METHODS.items() if "page_token" in method.input_type.fields_by_name]
REFUSED = [
    pytest.param(name, row, id=f"{name}-{row.reason}-{row.caller}-{number}")
    for name, entry in ROWS.items()
    for number, row in enumerate(entry.refused)
]


def _text_field(method: MethodDescriptor) -> FieldDescriptor | None:
    """A field that can be made as long as one likes."""
    fields = (field for field in method.input_type.fields if field.type == field.TYPE_STRING)
    return next((field for field in fields if not field.is_repeated), None)


# These undo or forbid what may not have happened yet, so a thing that is not there is no error.
IDEMPOTENT_ON_NOTHING = {
    "AuthService/RevokeCredentials",
    "InventoryService/QuarantineLots",
    "InventoryService/ReleaseReservation",
}


@pytest.fixture
async def http(fleet: RunningFleet) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=fleet.edge_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def rpc() -> AsyncIterator[Channels]:
    channels = Channels()
    yield channels
    await channels.close()


def test_the_table_has_an_entry_for_every_method() -> None:
    assert set(ROWS) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_table_breaks_every_field_that_has_a_rule(name: str) -> None:
    entry, message = ROWS[name], METHODS[name].input_type
    ruled = {field.name for field in message.fields if CONTRACTS.rules(field) is not None}
    broken = {re.split(r"[.\[]", path)[0] for path in entry.bad}
    assert ruled <= broken
    names_a_thing = any(field.name.endswith("_id") and field.name != "request_id" for field in message.fields)
    if names_a_thing and not name.partition("/")[2].startswith("List"):
        assert entry.refused or name in IDEMPOTENT_ON_NOTHING, "what if it is not there, or someone else's?"


@pytest.mark.parametrize("name", PROTECTED)
async def test_a_bad_token_is_refused_everywhere(
    name: str, fleet: RunningFleet, world: World, rpc: Channels, http: httpx.AsyncClient
) -> None:
    request = world.fill(dict(ROWS[name].sound))
    for kind, (header, reason) in world.forge.bad_tokens().items():
        for where, answer in await _everywhere(name, request, header, fleet, rpc, http):
            said = (answer.code, answer.reason)
            assert said == ("UNAUTHENTICATED", reason), f"{kind}, {where}: {answer}"
            assert answer.http_status in (None, 401), f"{kind}, {where}: {answer}"
            assert_nothing_internal(answer)


@pytest.mark.parametrize("name", PERMITTED)
async def test_the_one_permission_that_the_contract_names_is_needed(
    name: str, fleet: RunningFleet, world: World, rpc: Channels, http: httpx.AsyncClient
) -> None:
    access = CONTRACTS.access(METHODS[name])
    assert access is not None
    request = world.fill(dict(ROWS[name].sound))
    all_others = f"Bearer {world.forge.user(PERMISSIONS - {access.permission})}"
    for where, answer in await _everywhere(name, request, all_others, fleet, rpc, http):
        assert (answer.code, answer.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED"), (
            f"{where}: {answer}"
        )
        assert answer.http_status in (None, 403)
        assert_nothing_internal(answer)


@pytest.mark.parametrize("name", PROTECTED)
async def test_a_services_token_passes_neither_the_edge_nor_a_method_for_people(
    name: str, fleet: RunningFleet, world: World, rpc: Channels, http: httpx.AsyncClient
) -> None:
    request = world.fill(dict(ROWS[name].sound))
    header = f"Bearer {world.forge.service(PERMISSIONS)}"
    for where, answer in await _everywhere(name, request, header, fleet, rpc, http):
        if where.startswith("edge"):
            assert (answer.code, answer.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID"), f"{where}: {answer}"
        elif binding_of(METHODS[name]) is not None:
            said = (answer.code, answer.reason)
            assert said == ("PERMISSION_DENIED", "PERSON_REQUIRED"), f"{where}: {answer}"


@pytest.mark.parametrize("name", [name for name, entry in ROWS.items() if entry.bad])
async def test_a_field_that_breaks_its_rule_is_named(
    name: str, fleet: RunningFleet, world: World, rpc: Channels, http: httpx.AsyncClient
) -> None:
    entry = ROWS[name]
    for path, values in entry.bad.items():
        for value in values:
            request = world.fill(_changed(dict(entry.sound), path, value))
            over_json = _fits_json(name, path, value)
            for where, answer in await _everywhere(
                name, request, world.tokens["anyone"], fleet, rpc, http, over_json=over_json
            ):
                what = f"{path} = {str(value)[:60]!r}, {where}: {answer}"
                assert answer.code == "INVALID_ARGUMENT", what
                if where == "edge JSON" and isinstance(value, int) and answer.reason == "MALFORMED_REQUEST":
                    # The edge itself knows the enums of query parameters.
                    assert path in answer.text, what
                else:
                    assert answer.reason == "VALIDATION_FAILED", what
                    named = (f"{path}.", f"{path}[")
                    assert any(field == path or field.startswith(named) for field in answer.fields), what
                assert answer.http_status in (None, 400), what
                assert_nothing_internal(answer)


@pytest.mark.parametrize(("name", "row"), REFUSED)
async def test_what_the_rules_of_the_domain_forbid_is_refused_with_its_reason(
    name: str, row: Any, fleet: RunningFleet, world: World, rpc: Channels, http: httpx.AsyncClient
) -> None:
    template = dict(ROWS[name].sound)
    for path, value in row.changes.items():
        template = _changed(template, path, value)
    header = world.tokens.get(row.caller)
    # Filled anew for each call: a request_id that is used again would be answered from the store.
    method = METHODS[name]
    own = fleet.address(row.service if context_of(method) == "operations" else context_of(method))
    answers = [("own port", await rpc.call(own, method, world.fill(template), header))]
    if row.at_edge and at_the_edge(method):
        answers.append(("edge gRPC", await rpc.call(_host(fleet), method, world.fill(template), header)))
    if row.at_edge and row.over_json and binding_of(method) is not None:
        answers.append(("edge JSON", await call_json(http, method, world.fill(template), header)))
    for where, answer in answers:
        assert (answer.code, answer.reason) == (row.code, row.reason), f"{where}: {answer}"
        assert answer.reason in declared_reasons(method), "the contract does not declare it"
        assert answer.http_status in (None, HTTP_STATUS[row.code])
        assert_nothing_internal(answer)


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_json_body_that_is_not_the_contracts_is_refused(
    name: str, world: World, http: httpx.AsyncClient
) -> None:
    method, header = METHODS[name], world.tokens["anyone"]
    binding = binding_of(method)
    assert binding is not None
    path, query, body = json_request(binding, world.fill(dict(ROWS[name].sound)))
    cases: dict[str, tuple[Any, str, int]] = {
        "unknown field": ({**(body or {}), "noSuchField": 1}, "UNKNOWN_FIELD", 400),
        "cut off": (b"{", "MALFORMED_REQUEST", 400),
        "no JSON": (b"hello", "MALFORMED_REQUEST", 400),
        "a list": (b"[]", "MALFORMED_REQUEST", 400),
        "no text": (b"\xff\xfe\x00", "MALFORMED_REQUEST", 400),
        "too large": (b'{"a": "' + b"x" * (2 << 20) + b'"}', "REQUEST_TOO_LARGE", 413),
    }
    for kind, (content, reason, status) in cases.items():
        answer = await send(http, binding.verb, path, query, content, header)
        assert (answer.reason, answer.http_status) == (reason, status), f"{kind}: {answer}"
        assert_nothing_internal(answer)
        if kind == "unknown field":
            assert "noSuchField" in answer.text, "the field is named"


@pytest.mark.parametrize("name", WITHOUT_BODY)
async def test_an_unknown_query_parameter_is_refused(
    name: str, world: World, http: httpx.AsyncClient
) -> None:
    binding = binding_of(METHODS[name])
    assert binding is not None
    path, query, _ = json_request(binding, world.fill(dict(ROWS[name].sound)))
    answer = await send(http, binding.verb, path, {**query, "noSuchField": "1"}, None, world.tokens["anyone"])
    assert (answer.code, answer.http_status) == ("INVALID_ARGUMENT", 400), answer
    assert answer.reason in ("MALFORMED_REQUEST", "UNKNOWN_FIELD")
    assert_nothing_internal(answer)


@pytest.mark.parametrize("name", PAGED)
async def test_a_page_token_that_was_not_given_out_is_refused(
    name: str, fleet: RunningFleet, world: World, rpc: Channels, http: httpx.AsyncClient
) -> None:
    for token in ("made-up", "AAAA", "x" * 5000):
        request = world.fill({**ROWS[name].sound, "pageToken": token})
        for where, answer in await _everywhere(name, request, world.tokens["anyone"], fleet, rpc, http):
            said = (answer.code, answer.reason)
            assert said == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), f"{where}: {answer}"
            assert_nothing_internal(answer)


async def test_a_page_token_of_another_list_is_refused(world: World, http: httpx.AsyncClient) -> None:
    header = world.tokens["operator"]
    first = await send(http, "GET", "/api/users", {"pageSize": 1}, None, header)
    assert first.body is not None
    token = first.body["nextPageToken"]
    for path, query in (("/api/crops", {}), ("/api/users", {"role": "guest"}), ("/api/venues", {})):
        answer = await send(http, "GET", path, {**query, "pageToken": token}, None, header)
        assert answer.reason == "PAGE_TOKEN_INVALID", f"{path} {query}: {answer}"


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if _text_field(method)])
async def test_a_message_of_five_megabytes_is_refused_on_the_services_own_port(
    name: str, fleet: RunningFleet, world: World, rpc: Channels
) -> None:
    method = METHODS[name]
    field = _text_field(method)
    assert field is not None
    padding = "x" * (5 << 20)
    request = world.fill(dict(ROWS[name].sound)) | {field.json_name: padding}
    answer = await rpc.call(_own_ports(name, fleet)[0], method, request, world.tokens["anyone"])
    assert answer.code == "RESOURCE_EXHAUSTED"
    assert_nothing_internal(answer)


async def test_a_method_that_does_not_exist_is_refused_in_the_same_shape(
    world: World, http: httpx.AsyncClient
) -> None:
    for verb, path in (
        ("GET", "/api/nothing"),
        ("PATCH", "/api/orders"),
        ("GET", "/etc"),
        ("GET", "/admin"),
    ):
        answer = await send(http, verb, path, {}, None, world.tokens["anyone"])
        assert answer.reason == "METHOD_UNKNOWN", f"{verb} {path}: {answer}"
        assert_nothing_internal(answer)


async def test_the_edge_does_not_serve_the_operators_service(
    fleet: RunningFleet, world: World, rpc: Channels
) -> None:
    method = METHODS["OperationsService/GetStatus"]
    answer = await rpc.call(_host(fleet), method, {}, world.tokens["operator"])
    assert (answer.code, answer.reason) == ("UNIMPLEMENTED", "METHOD_UNKNOWN")


async def test_a_request_id_that_was_used_for_something_else_is_refused(
    world: World, http: httpx.AsyncClient
) -> None:
    first = world.fill(dict(ROWS["CropCommandService/MintLot"].sound))
    header = world.tokens["grower"]
    made = await send(http, "POST", "/api/crops", {}, first, header)
    again = await send(http, "POST", "/api/crops", {}, first, header)
    assert made.body is not None
    assert again.body == made.body, "the stored answer"
    other = await send(http, "POST", "/api/crops", {}, first | {"variety": "another"}, header)
    assert (other.reason, other.http_status) == ("REQUEST_ID_REUSED", 409)


async def _everywhere(
    name: str,
    request: Json,
    header: str | None,
    fleet: RunningFleet,
    rpc: Channels,
    http: httpx.AsyncClient,
    *,
    over_json: bool = True,
) -> list[tuple[str, Answer]]:
    """The answers of the edge and of the service's own port; of every service for the operators' service."""
    method = METHODS[name]
    answers = [
        (f"own port {address}", await rpc.call(address, method, request, header))
        for address in _own_ports(name, fleet)
    ]
    if at_the_edge(method):
        answers.append(("edge gRPC", await rpc.call(_host(fleet), method, request, header)))
    if over_json and binding_of(method) is not None:
        answers.append(("edge JSON", await call_json(http, method, request, header)))
    return answers


def _own_ports(name: str, fleet: RunningFleet) -> list[str]:
    context = context_of(METHODS[name])
    if context == "operations":
        # `orders` first: it has sagas and consumers.
        return [fleet.address("orders"), *(fleet.address(s.name) for s in SERVICES if s.name != "orders")]
    return [fleet.address(context)]


def _host(fleet: RunningFleet) -> str:
    return fleet.edge_url.removeprefix("http://")


def _fits_json(name: str, path: str, value: Any) -> bool:
    """Whether the JSON form can say it: a field of the path cannot be absent or empty."""
    names = path_fields(METHODS[name])
    camel = ".".join(_camel(part) for part in path.split("."))
    inside = any(field == camel or field.startswith(f"{camel}.") for field in names)
    return not (inside and (value is ABSENT or value == ""))


def _changed(request: Json, path: str, value: Any) -> Json:
    """The request with one field set or, for ABSENT, taken away; the path is dotted, in proto names."""
    request = copy.deepcopy(request)
    *outer, last = [part for part in re.split(r"\.|(\[\d+\])", path) if part]
    holder: Any = request
    for part in outer:
        holder = holder[int(part[1:-1])] if part.startswith("[") else holder.setdefault(_camel(part), {})
    key: Any = int(last[1:-1]) if last.startswith("[") else _camel(last)
    if value is ABSENT:
        holder.pop(key, None)
    else:
        holder[key] = value
    return request


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
