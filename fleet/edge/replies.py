"""The replies that Envoy makes by itself, in our error shape (AIP-193).

A gRPC caller gets status, message and details as gRPC carries them; everyone else gets the same
google.rpc.Status as a JSON body. The first rule whose condition holds decides.
"""

import base64
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

Json = dict[str, Any]

STATUS_HEADER = "x-greenledger-grpc-status"
_CEL_FILTER = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
# The transcoder turns a JSON request into a gRPC one and leaves this header; from outside it is stripped.
_GRPC_CALLER = (
    "(request.headers['content-type'] == 'application/grpc' "
    "|| request.headers['content-type'].startsWith('application/grpc+')) "
    "&& !('x-envoy-original-path' in request.headers)"
)
_GATE = "response.code_details.startsWith('rbac_access_denied')"
_JWT = "response.code_details.startsWith('jwt_authn_access_denied')"


@dataclass(frozen=True, slots=True)
class Reply:
    """One kind of reply.

    Args:
        when: CEL condition over Envoy's attributes.
        code: canonical code of the error.
        reason: of greenledger.common.v1.ErrorReason, without the prefix.
        message: for people; None passes Envoy's own words on, which quote only what the caller sent.
        status: HTTP status, when it is not the one that Envoy chose.
        retry_after_s: seconds after which another attempt makes sense.
        marker: header by which the outermost filter knows it.
    """

    when: str
    code: StatusCode
    reason: str
    message: str | None
    status: int | None = None
    retry_after_s: int | None = None
    marker: str | None = None


def _jwt(failure: str) -> str:
    return f"{_JWT} && response.code_details.contains('{failure}')"


_AWAY = Reply(
    "response.code == 502 || response.code == 503",
    StatusCode.UNAVAILABLE,
    "UNAVAILABLE",
    "The service does not answer at the moment; try again.",
    status=503,
    retry_after_s=1,
)

# After how long is put right by lua/limits.lua.
_LIMITED = Reply(
    "response.code == 429",
    StatusCode.RESOURCE_EXHAUSTED,
    "RATE_LIMITED",
    "Too many requests; try again later.",
    retry_after_s=1,
    marker="x-greenledger-limited",
)

REPLIES = (
    Reply(
        f"{_GATE} && response.code_details.contains('[te]')",
        StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
        "This is not gRPC: it needs HTTP/2 and the header te: trailers.",
        status=400,
    ),
    Reply(
        _GATE,
        StatusCode.UNAUTHENTICATED,
        "TOKEN_MISSING",
        "This method needs a token.",
        status=401,
    ),
    Reply(_jwt("Jwt_is_missing"), StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "This method needs a token."),
    Reply(_jwt("Jwt_is_expired"), StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", "The token has expired."),
    Reply(
        _jwt("Jwks_remote_fetch"),
        StatusCode.UNAVAILABLE,
        "UNAVAILABLE",
        "Tokens cannot be verified at the moment; try again.",
        status=503,
        retry_after_s=1,
    ),
    # Envoy says 403 of a foreign audience; to the caller it is one more token that is not valid here.
    Reply(_JWT, StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "The token is not valid.", status=401),
    Reply(
        "response.code == 404",
        StatusCode.UNIMPLEMENTED,
        "METHOD_UNKNOWN",
        "There is no such path or method; /docs lists them.",
    ),
    Reply(
        "response.code == 405",
        StatusCode.UNIMPLEMENTED,
        "METHOD_UNKNOWN",
        "The path does not take this HTTP method; the allow header lists those it takes.",
    ),
    Reply(
        "response.code == 413 || response.code == 431",
        StatusCode.RESOURCE_EXHAUSTED,
        "REQUEST_TOO_LARGE",
        "The request is larger than the limit.",
    ),
    _LIMITED,
    Reply(
        "response.code == 504 || response.code_details == 'max_duration_timeout'",
        StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXPIRED",
        "The time for this call ran out before it was answered.",
        status=504,
    ),
    Reply(
        "response.code == 408",
        StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXPIRED",
        "The request did not arrive completely in time.",
    ),
    _AWAY,
    Reply(
        "response.code == 501",
        StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
        "The request is coded in a way that is not supported.",
        status=400,
    ),
    Reply("response.code == 401", StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "The token is not valid."),
    Reply("response.code == 403", StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", "Not permitted."),
    Reply(
        "response.code_details.contains('grpc_json_transcode_failure') && response.code < 500",
        StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
        None,
    ),
    Reply(
        "response.code >= 400 && response.code < 500",
        StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
        "The request cannot be read.",
    ),
    Reply("response.code >= 500", StatusCode.INTERNAL, "INTERNAL", "The edge could not answer."),
)


def mappers() -> list[Json]:
    """`local_reply_config.mappers`."""
    rendered = [_healthy(), _checked_body()]
    for reply in REPLIES:
        rendered.append(_grpc(reply))
        rendered.append(_json(reply))
    return rendered


def lua_leaving() -> str:
    """Lua source that defines MESSAGE and DETAILS: what a caller is told of a service that shuts down."""
    status = _status(_AWAY)
    return f'local MESSAGE = "{status.message}"\nlocal DETAILS = "{_details(status)}"'


def lua_limited() -> str:
    """Lua source that defines LIMITED_STATUS: what a client beyond its limit is told, but for the time."""
    status = _status(replace(_LIMITED, retry_after_s=None))
    escaped = "".join(f"\\{byte:03d}" for byte in status.SerializeToString())
    return f'local LIMITED_STATUS = "{escaped}"'


def _healthy() -> Json:
    return {
        "filter": _filter("response.code == 200 && request.path == '/healthz'"),
        "body_format_override": {"json_format": {"status": "SERVING"}},
    }


def _checked_body() -> Json:
    # The body check has written its reply in the shape already.
    return {
        "filter": _filter("response.code_details == 'lua_response'"),
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
    }


def _grpc(reply: Reply) -> Json:
    status = _status(reply)
    mapper: Json = {
        "filter": _filter(f"({_GRPC_CALLER}) && ({reply.when})"),
        "headers_to_add": [
            _header("grpc-status", str(status.code)),
            # For gRPC-Web: its filter would make another status of the HTTP one.
            _header(STATUS_HEADER, str(status.code)),
            _header("grpc-status-details-bin", _details(status)),
        ],
        "body_format_override": {"text_format_source": {"inline_string": status.message}},
    }
    return _with_status(mapper, reply)


def _json(reply: Reply) -> Json:
    body = json_format.MessageToDict(_status(reply))
    body["details"][0]["metadata"] = {}
    if reply.message is None:
        body["message"] = "%LOCAL_REPLY_BODY%"
    headers = [_header("x-content-type-options", "nosniff"), _header("cache-control", "no-store")]
    if reply.retry_after_s is not None:
        headers.append(_header("retry-after", str(reply.retry_after_s)))
    mapper: Json = {
        "filter": _filter(reply.when),
        "headers_to_add": headers,
        "body_format_override": {"json_format": body},
    }
    return _with_status(mapper, reply)


def _with_status(mapper: Json, reply: Reply) -> Json:
    if reply.marker is not None:
        mapper["headers_to_add"].append(_header(reply.marker, "1"))
    return mapper if reply.status is None else {**mapper, "status_code": reply.status}


def _status(reply: Reply) -> status_pb2.Status:
    message = reply.message if reply.message is not None else "The request cannot be read."
    status = status_pb2.Status(code=reply.code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reply.reason, domain="greenledger"))
    if reply.retry_after_s is not None:
        delay = Duration(seconds=reply.retry_after_s)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _details(status: status_pb2.Status) -> str:
    return base64.b64encode(status.SerializeToString()).decode().rstrip("=")


def _filter(expression: str) -> Json:
    config = {"@type": _CEL_FILTER, "expression": expression}
    name = "envoy.access_loggers.extension_filters.cel"
    return {"extension_filter": {"name": name, "typed_config": config}}


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
