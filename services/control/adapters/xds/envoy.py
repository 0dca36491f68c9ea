"""What the edge is told."""

from collections.abc import Hashable, Iterator
from pathlib import Path

from google.protobuf.message import Message

from services.control.adapters.xds.edge_limits import local_limit
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy_clusters import secrets, service_clusters
from services.control.adapters.xds.envoy_routes import overlaid
from services.control.domain.view import FleetView


class EnvoyRenderer:
    """Renders clusters, endpoints, routes, limits and secrets for Envoy.

    Args:
        table: the edge's own routes.
        tls_dir: folder of the edge's certificate, as the edge sees it: connections to services are mutual TLS
            then. Default none.
    """

    kind = "envoy"

    def __init__(self, table: EdgeTable, *, tls_dir: Path | None = None) -> None:
        self._table = table
        self._tls_dir = tls_dir

    def service(self, view: FleetView, service: str) -> Iterator[Message]:
        """Clusters of one service and their endpoints; none as long as it has no instance."""
        return service_clusters(view, service, self._tls_dir is not None)

    def shared(self, view: FleetView) -> Iterator[Message]:
        """The limits, the routes as soon as their file is there, and the certificates' names."""
        yield local_limit(view.edge)
        if (table := self._table.routes()) is not None:
            yield overlaid(table, view)
        if self._tls_dir is not None:
            yield from secrets(self._tls_dir)

    def shared_key(self, view: FleetView) -> Hashable:
        """Policies, limits, and which routes were read last."""
        policies = tuple(sorted(view.policies.items(), key=lambda entry: entry[0]))
        self._table.routes()
        return self._table.version, view.services, policies, view.edge
