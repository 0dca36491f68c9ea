"""Every RPC of the contract, called by its descriptor: over gRPC at any address, over JSON at the edge."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio
import httpx
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2

from fleet.contracts.model import Binding, Contracts, package_of
from fleet.settings import PROJECT_ROOT

CONTRACTS = Contracts((PROJECT_ROOT / "gen" / "greenledger.binpb").read_bytes())
METHODS: dict[str, MethodDescriptor] = {
    f"{method.containing_service.name}/{method.name}": method for method in CONTRACTS.methods()
}
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
}
_VARIABLE = re.compile(r"\{([A-Za-z0-9_.]+)(?:=\*)?\}")
_INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|asyncpg|psycopg|sqlalchemy|SELECT |INSERT |UPDATE |relation \"|grpc\.aio|"
    r"confluent|librdkafka|\b127\.0\.0\.1\b|localhost|ipv4:|/home/|/work/|/root/|/tmp/|site-packages|0x[0-9a-f]{6,}|"
    r"upstream connect|KeyError|ValueError|TypeError|AssertionError",
)
_REALM = re.compile(r'realm="[^"]*"')
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        code: canonical code, `OK` for success.
        reason: of the ErrorInfo.
        fields: that a BadRequest names.
        text: everything that the caller can read of an error.
        http_status: of a JSON reply.
        body: of a good JSON reply.
    """

    code: str
    reason: str = ""
    fields: tuple[str, ...] = ()
    text: str = ""
    http_status: int | None = None
    body: Json | None = None


def context_of(method: MethodDescriptor) -> str:
    """The bounded context whose service serves it; `operations` is served by all."""
    return str(method.containing_service.full_name).split(".")[1]


def at_the_edge(method: MethodDescriptor) -> bool:
    """Whether the edge serves it at all."""
    return context_of(method) != "operations"


def binding_of(method: MethodDescriptor) -> Binding | None:
    """Its main HTTP rule."""
    return next(iter(CONTRACTS.bindings(method)), None)


def declared_reasons(method: MethodDescriptor) -> set[str]:
    """Reasons that the contract declares for a method: its context's and the common ones, without prefix."""
    found: set[str] = set()
    for package in (package_of(method), "greenledger.common.v1"):
        for enum in CONTRACTS.enums(package):
            if enum.name == "ErrorReason":
                found |= {value.name.removeprefix("ERROR_REASON_") for value in enum.values}
    return found


def assert_nothing_internal(answer: Answer) -> None:
    """No part of an error tells how the fleet is built or where it runs."""
    # Envoy's realm repeats the address that the caller itself used.
    found = _INSIDE.search(_REALM.sub("", answer.text))
    assert found is None, f"the error lets {found[0]!r} out: {answer.text}"


class Channels:
    """gRPC channels of one test, opened at first use."""

    def __init__(self) -> None:
        self._open: dict[str, grpc.aio.Channel] = {}

    async def call(
        self, address: str, method: MethodDescriptor, request: Json, authorization: str | None = None
    ) -> Answer:
        """Call it over gRPC; of a stream the first message counts."""
        kind: Any = message_factory.GetMessageClass(method.input_type)
        path = f"/{method.containing_service.full_name}/{method.name}"
        metadata = (("authorization", authorization),) if authorization else ()
        channel = self._to(address)
        arrange = channel.unary_stream if method.server_streaming else channel.unary_unary
        stub = arrange(path, request_serializer=kind.SerializeToString, response_deserializer=bytes)
        call = stub(ParseDict(request, kind()), metadata=metadata, timeout=20)
        try:
            await (call.read() if method.server_streaming else call)
        except grpc.aio.AioRpcError as error:
            return _of_rpc(error)
        call.cancel()
        return Answer("OK")

    async def close(self) -> None:
        """Close them."""
        for channel in self._open.values():
            await channel.close()

    def _to(self, address: str) -> grpc.aio.Channel:
        if address not in self._open:
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
            self._open[address] = grpc.aio.insecure_channel(address, options)
        return self._open[address]


async def call_json(
    http: httpx.AsyncClient, method: MethodDescriptor, request: Json, authorization: str | None = None
) -> Answer:
    """Call it over HTTP/JSON by its binding."""
    binding = binding_of(method)
    assert binding is not None
    path, query, body = json_request(binding, request)
    return await send(http, binding.verb, path, query, body, authorization)


async def send(
    http: httpx.AsyncClient,
    verb: str,
    path: str,
    query: Mapping[str, Any],
    body: Json | bytes | None,
    authorization: str | None = None,
) -> Answer:
    """Send an HTTP request as it is."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if authorization:
        headers["authorization"] = authorization
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    response = await http.request(verb.upper(), path, params=query, content=content, headers=headers)
    return _of_json(response)


def json_request(binding: Binding, request: Json) -> tuple[str, dict[str, Any], Json | None]:
    """Path, query and body of a request by an HTTP rule (google.api.http)."""
    rest = copy.deepcopy(request)

    def fill(match: re.Match[str]) -> str:
        holder: Any = rest
        *outer, last = [_camel(name) for name in match[1].split(".")]
        for name in outer:
            holder = holder[name]
        return quote(str(holder.pop(last)), safe="")

    path = _VARIABLE.sub(fill, binding.path)
    if binding.body == "*":
        return path, {}, rest
    body = rest.pop(_camel(binding.body), {}) if binding.body else None
    return path, {name: _query(value) for name, value in rest.items()}, body


def path_fields(method: MethodDescriptor) -> set[str]:
    """Dotted JSON names of the fields that its path gives."""
    binding = binding_of(method)
    names = [match[1] for match in _VARIABLE.finditer(binding.path)] if binding else []
    return {".".join(map(_camel, name.split("."))) for name in names}


def _query(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _of_rpc(error: grpc.aio.AioRpcError) -> Answer:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    text = error.details() or ""
    for key, value in error.trailing_metadata() or ():
        text += f"\n{key}: {value!r}"
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                for known in (info, bad):
                    if detail.Is(known.DESCRIPTOR):
                        detail.Unpack(known)
    fields = tuple(violation.field for violation in bad.field_violations)
    return Answer(error.code().name, info.reason, fields, text)


def _of_json(response: httpx.Response) -> Answer:
    text = response.text + "\n" + "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    if response.status_code == httpx.codes.OK:
        return Answer("OK", http_status=200, body=_body(response))
    body = response.json()
    assert set(body) <= {"code", "message", "details"}, f"not our error shape: {response.text}"
    code = next(code.name for code in grpc.StatusCode if code.value[0] == body["code"])
    reason, fields = "", []
    for detail in body["details"]:
        kind = detail["@type"].rpartition(".")[2]
        if kind == "ErrorInfo":
            reason = detail["reason"]
            assert detail["domain"] == "greenledger"
        if kind == "BadRequest":
            fields = [violation["field"] for violation in detail["fieldViolations"]]
    return Answer(code, reason, tuple(fields), text, response.status_code)


def _body(response: httpx.Response) -> Json | None:
    lines = response.text.splitlines()
    return dict(json.loads(lines[0])) if lines else None
