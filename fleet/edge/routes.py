"""Routes rendered from the contract.

A JSON request is routed twice: by its HTTP path, which tells the body check what to expect, and, once the
transcoder has rewritten it, by the path of its gRPC method, which names the cluster. A path that is in
neither list is not served.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor

from fleet.contracts.model import Binding
from fleet.edge.contract import Method, binding_key
from fleet.edge.errors import EdgeError
from fleet.edge.settings import EdgeSettings
from fleet.edge.tokens import GRPC, required
from interceptors.status import NOT_BEGUN_KEY

Json = dict[str, Any]

_VARIABLE = re.compile(r"\{([A-Za-z0-9_.]+)(?:=\*)?\}")
_LUA_PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"
_PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
# The transcoder is off but here: it matches paths less strictly than routes do, and would serve
# what no route has checked.
_TRANSCODED = {
    "envoy.filters.http.grpc_json_transcoder": {
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
        "config": {},
    }
}
_JWKS_MAX_AGE_S = 30
# A route that only carries settings for filters: what stays on it is answered 404, because the header that
# would name a cluster is stripped from every request. (A direct response would do, but for CORS, which looks
# at routes to clusters only.)
_NOWHERE = {"cluster_header": "x-greenledger-nowhere", "cluster_not_found_response_code": "NOT_FOUND"}
# gRPC, and gRPC-Web in the spellings that Envoy's filter takes; the first filters see the latter.
_GRPC = rf"{GRPC}|application/grpc-web(-text)?(\+proto)?"


def json_routes(methods: Iterable[Method], settings: EdgeSettings) -> list[Json]:
    """Routes of the HTTP paths; what the transcoder understands is routed anew."""
    by_path: dict[str, list[tuple[Method, Binding]]] = {}
    for method in methods:
        for binding in method.bindings:
            by_path.setdefault(_VARIABLE.sub("*", binding.path), []).append((method, binding))
    preflight = [
        {"name": ":method", "string_match": {"exact": "OPTIONS"}},
        {"name": "access-control-request-method", "present_match": True},
    ]
    routes: list[Json] = [
        {"name": "preflight", "match": {"prefix": "/", "headers": preflight}, "route": _NOWHERE},
        {
            "name": "grpc-elsewhere",
            "match": {"prefix": "/", "headers": [_grpc_content()]},
            "direct_response": {"status": 404},
        },
    ]
    for path in sorted(by_path, key=_most_specific_first):
        routes.extend(_path_routes(path, by_path[path], settings))
    return routes


def grpc_routes(methods: Iterable[Method], settings: EdgeSettings) -> list[Json]:
    """Routes of the gRPC methods, one each: deadlines and retries are the method's own."""
    return [_grpc_route(method, settings) for method in methods]


def checked_message(method: Method, binding: Binding) -> Descriptor | None:
    """The message that a binding's JSON body holds, None when it takes no body."""
    if not binding.body:
        return None
    if binding.body == "*":
        return method.request
    return method.request.fields_by_name[binding.body].message_type


def _most_specific_first(path: str) -> tuple[bool, int, str]:
    # `/x/*:verb` before `/x/*`, and `/users/me` before `/users/*`: Envoy takes the first that matches.
    return (":" not in path.rpartition("/")[2], path.count("*"), path)


def _path_routes(path: str, bindings: list[tuple[Method, Binding]], settings: EdgeSettings) -> Iterator[Json]:
    match = _path_match(path)
    for method, binding in bindings:
        verb = {"name": ":method", "string_match": {"exact": binding.verb.upper()}}
        yield {
            "name": f"json:{method.path}",
            "match": {**match, "headers": [verb]},
            "route": _NOWHERE,
            "typed_per_filter_config": {
                "envoy.filters.http.lua": {
                    "@type": _LUA_PER_ROUTE,
                    "filter_context": _context(method, binding, settings),
                },
                **required(method),
                **_TRANSCODED,
            },
        }
    allowed = ", ".join(sorted(binding.verb.upper() for _, binding in bindings))
    yield {
        "name": f"verb:{path}",
        "match": match,
        "direct_response": {"status": 405},
        "response_headers_to_add": [_header("allow", allowed)],
    }


def _context(method: Method, binding: Binding, settings: EdgeSettings) -> Json:
    """What the body check is told."""
    context = _body_context(method, binding)
    context["query"] = binding_key(method, binding)
    # Of a public method nobody is known yet: what they may have checked is little.
    limit = settings.public_body_limit_bytes if method.public else settings.body_limit_bytes
    context["limit"] = str(limit)
    if method.lines:
        context["lines"] = "true"
    return context


def _body_context(method: Method, binding: Binding) -> Json:
    """The body's message, and those of its fields that the path gives too."""
    message = checked_message(method, binding)
    if message is None:
        return {"message": ""}
    names = [_name_in_body(match[1], binding, message) for match in _VARIABLE.finditer(binding.path)]
    if not any(name != "-" for name in names):
        return {"message": message.full_name}
    literals = _VARIABLE.sub("\0", binding.path).split("\0")
    # A Lua pattern: there, a percent sign takes the meaning from any sign after it.
    pattern = "([^/]+)".join(re.sub(r"[^A-Za-z0-9/]", r"%\g<0>", literal) for literal in literals)
    return {
        "message": message.full_name,
        "pattern": f"^{pattern}$",
        "bound": ",".join(names),
    }


def _name_in_body(variable: str, binding: Binding, message: Descriptor) -> str:
    # JSON name of a path variable that is a field of the body's message, "-" for any other variable.
    name = variable if binding.body == "*" else variable.removeprefix(f"{binding.body}.")
    field = message.fields_by_name.get(name)
    return field.json_name if field is not None else "-"


def _path_match(path: str) -> Json:
    if "{" in path:
        raise EdgeError(f"the HTTP path {path} has a variable of a kind that the edge cannot route")
    if "*" not in path:
        return {"path": path}
    return {"safe_regex": {"regex": "[^/]+".join(re.escape(part) for part in path.split("*"))}}


def _grpc_route(method: Method, settings: EdgeSettings) -> Json:
    route: Json = {
        "name": method.path,
        "match": {"path": method.path, "headers": [_grpc_content()]},
        "route": {"cluster": method.cluster, "timeout": "0s", **_time_limits(method, settings)},
        "typed_per_filter_config": required(method),
        "response_headers_to_add": [_header("cache-control", _cache_control(method), "ADD_IF_ABSENT")],
    }
    if not method.streaming:
        route["route"]["retry_policy"] = retry_policy(repeatable=method.repeatable)
        # A JSON caller names no deadline: the service is told the edge's, so that its answer comes first.
        limit = _header("grpc-timeout", f"{settings.deadline_s * 1000 - 500}m", "ADD_IF_ABSENT")
        route["request_headers_to_add"] = [limit]
    return route


def _grpc_content() -> Json:
    return {"name": "content-type", "string_match": {"safe_regex": {"regex": _GRPC}}}


def _time_limits(method: Method, settings: EdgeSettings) -> Json:
    if method.streaming:
        # A watch lasts as long as its caller wants; the service sends a heartbeat every 15 s.
        return {"max_stream_duration": {"max_stream_duration": "0s"}, "idle_timeout": "60s"}
    return {
        "max_stream_duration": {
            "max_stream_duration": f"{settings.deadline_s}s",
            "grpc_timeout_header_max": f"{settings.deadline_max_s}s",
        }
    }


def retry_policy(*, repeatable: bool) -> Json:
    """How Envoy tries a call again.

    Args:
        repeatable: whether it may also be tried again where an instance may have begun it.
    """
    # What no service has begun may always be tried again; the rest only where it cannot count twice.
    # CANCELLED is what gRPC in a service that shuts down says of calls not begun (lua/leaving.lua), too.
    causes = "connect-failure,refused-stream,retriable-headers"
    return {
        "retry_on": f"{causes},reset,unavailable,cancelled" if repeatable else causes,
        "retriable_headers": [{"name": NOT_BEGUN_KEY, "present_match": True}],
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": _PREVIOUS_HOSTS}}
        ],
        # On a ring of two, three more steps meet the instance that has just failed once in eight times.
        "host_selection_retry_max_attempts": "20",
    }


def _cache_control(method: Method) -> str:
    return f"public, max-age={_JWKS_MAX_AGE_S}" if method.name == "GetJwks" else "no-store"


def _header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Json:
    return {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": action}
