"""Renders the edge: the reviewed `envoy/edge.yaml`, filled in from contract and settings."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor

from fleet.contracts.model import Contracts
from fleet.edge import clusters, fields, limits, queries, replies
from fleet.edge.contract import Method, edge_methods
from fleet.edge.errors import EdgeError
from fleet.edge.settings import EdgeSettings
from fleet.edge.table import dynamic_resources, route_source, route_table
from fleet.edge.tokens import gate, jwt_authn
from fleet.services import CONTROL
from fleet.settings import PROJECT_ROOT, FleetSettings

# One chunk for Envoy; each part uses the locals of those before it.
_LUA = ("scan", "check", "target", "answer", "filter")
_PLACEHOLDER = re.compile(r"<<([a-z_]+)>>")


def render(settings: EdgeSettings) -> Path:
    """Write Envoy's configuration and the files it reads; gives the path of the configuration.

    With `settings.xds`, `routes.json` beside it holds the route table for control.

    Args:
        settings: see EdgeSettings. Needs `gen/greenledger.binpb` and `gen/openapi/greenledger.json`.

    Raises:
        EdgeError: a generated file is missing, or a service of the contract has no address.
    """
    descriptor = settings.project_root / "gen" / "greenledger.binpb"
    methods = edge_methods(Contracts(_read(descriptor)))
    _require_addresses(methods, settings)
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    for path, secret in clusters.secrets(settings).items():
        path.write_text(json.dumps(secret, indent=2))
    lua = body_check(fields.body_messages(methods), methods, settings.project_root)
    check = _write(settings, "body_check.lua", lua)
    template = _read(settings.project_root / "envoy" / "edge.yaml").decode()
    files = {
        "descriptor": str(descriptor),
        "body_check": str(check),
        "identity": str(settings.project_root / "envoy" / "lua" / "identity.lua"),
        "outermost": "\n".join(
            [replies.lua_limited(), *(_lua(settings.project_root, name) for name in ("limits", "status"))]
        ),
        "leaving": "\n".join([replies.lua_leaving(), _lua(settings.project_root, "leaving")]),
    }
    table = route_table(methods, settings)
    if settings.xds:
        _write(settings, "routes.json", json.dumps(table, indent=1))
    values = _values(settings, methods, table) | files
    return _write(settings, "edge.yaml", fill(template, values))


def render_fleet(fleet: FleetSettings, xds: Sequence[str] = ()) -> Path:
    """Write the configuration for the edge of a fleet on one machine.

    Args:
        xds: `host:port` of control's discovery; default none.
    """
    return render(EdgeSettings.of_fleet(fleet, xds))


def fill(template: str, values: dict[str, Any]) -> str:
    """Put each value, as JSON (which is YAML), in the place of `<<its name>>`.

    Raises:
        EdgeError: a name has no value, or a value has no place.
    """
    if odd := set(_PLACEHOLDER.findall(template)) ^ values.keys():
        raise EdgeError(f"envoy/edge.yaml and its renderer disagree about {', '.join(sorted(odd))}")
    return _PLACEHOLDER.sub(lambda found: json.dumps(values[found[1]]), template)


def _values(settings: EdgeSettings, methods: list[Method], table: dict[str, Any]) -> dict[str, Any]:
    services = sorted({method.service for method in methods})
    names = {name: [method.name for method in methods if method.service == name] for name in services}
    field, source = route_source(table, settings)
    return {
        "node": settings.node,
        "dynamic": dynamic_resources(settings),
        "route_field": field,
        "route_source": source,
        "listen_host": settings.listen.host,
        "listen_port": settings.listen.port,
        "admin_host": settings.admin.host,
        "admin_port": settings.admin.port,
        "keys_socket": clusters.keys_socket(settings),
        "body_limit": settings.body_limit_bytes,
        "request_timeout": f"{settings.request_timeout_s}s",
        "response_limit": settings.response_limit_bytes,
        "transcoded_services": services,
        "counted_methods": [{"name": name, "method_names": names[name]} for name in services],
        "healthy_clusters": {
            # Without control everything goes on as it was.
            name: {"value": 1}
            for name in sorted(settings.services)
            if name != CONTROL
        },
        "jwt_authn": jwt_authn(settings),
        "gate": gate(methods),
        "whole_limit": limits.whole_filter(settings),
        "local_limit": limits.local_filter(settings),
        "shared_limit": limits.shared_filter(),
        "mappers": replies.mappers(),
        "clusters": clusters.clusters(settings),
        "tracing": _tracing(settings),
    }


def _tracing(settings: EdgeSettings) -> dict[str, Any] | None:
    if settings.otlp is None:
        return None
    return {
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "grpc_service": {"envoy_grpc": {"cluster_name": "otlp"}, "timeout": "1s"},
                "service_name": "edge",
            },
        },
    }


def body_check(
    bodies: list[Descriptor], methods: Iterable[Method] = (), project_root: Path = PROJECT_ROOT
) -> str:
    """The Lua filter that checks JSON bodies against these messages, and queries against these methods."""
    parts = [_lua(project_root, name) for name in _LUA]
    return "\n".join([fields.lua_tables(bodies), queries.lua_queries(methods), *parts])


def _lua(project_root: Path, name: str) -> str:
    return _read(project_root / "envoy" / "lua" / f"{name}.lua").decode()


def _require_addresses(methods: list[Method], settings: EdgeSettings) -> None:
    if missing := {method.cluster for method in methods} - settings.services.keys():
        raise EdgeError(f"no address is given for {', '.join(sorted(missing))}, which the contract names")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise EdgeError(f"{path} is missing: run `make gen`") from None


def _write(settings: EdgeSettings, name: str, text: str) -> Path:
    path = settings.output_dir / name
    path.write_text(text)
    return path
