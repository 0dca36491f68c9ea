"""A small edge for the fleet's tests: `/` answers by itself, `/slow` goes to a given upstream."""

import json
from collections.abc import Iterable
from pathlib import Path

from fleet.settings import FleetSettings

_EDGE = """
node: {{id: edge, cluster: tests}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  clusters:
  - name: upstream
    load_assignment:
      cluster_name: upstream
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address:
        {{address: 127.0.0.1, port_value: {upstream}}}}}}}}}]}}]
  - name: services
    type: EDS
    eds_cluster_config:
      eds_config: {{path_config_source: {{path: "{endpoints}"}}}}
  listeners:
  - name: edge
    address: {{socket_address: {{address: 127.0.0.1, port_value: {edge}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{match: {{path: /slow}}, route: {{cluster: upstream}}}}
              - {{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: here}}}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"""  # noqa: E501


def render(settings: FleetSettings, upstream: int = 9) -> Path:
    """Write the configuration and return its path, as the project's own renderer does."""
    endpoints = settings.run_dir / "endpoints.json"
    if not endpoints.exists():
        tell(settings, ())
    path = settings.run_dir / "edge.yaml"
    ports = {"admin": settings.envoy_admin_port, "edge": settings.edge_port, "upstream": upstream}
    path.write_text(_EDGE.format(endpoints=endpoints, **ports))
    return path


def tell(settings: FleetSettings, ports: Iterable[int]) -> None:
    """Let the edge hear of processes on these ports, and of no others."""
    hosts = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        for port in ports
    ]
    kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    told = {"@type": kind, "cluster_name": "services", "endpoints": [{"lb_endpoints": hosts}]}
    new = settings.run_dir / "endpoints.new"
    new.write_text(json.dumps({"resources": [told]}))
    # Envoy looks when a file is moved to the place.
    new.replace(settings.run_dir / "endpoints.json")
