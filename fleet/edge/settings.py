"""What the edge is rendered from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from chassis.members import EDGE
from fleet.services import SERVICES
from fleet.settings import ANONYMOUS, AUTHENTICATED, LOOPBACK, PROJECT_ROOT, FleetSettings, Limit


@dataclass(frozen=True, slots=True)
class Address:
    """Host name or IP address, and port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `host:port` or a URL such as `http://host:port`."""
        host, _, port = text.rpartition("//")[2].rstrip("/").rpartition(":")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Where the edge listens, whom it calls and what it allows.

    Args:
        listen: public address.
        admin: address of Envoy's administration; keep it on loopback.
        services: addresses of the instances by bounded context (`orders` serves `greenledger.orders.v1`).
        output_dir: folder for the rendered files; made if absent.
        project_root: folder that holds `envoy/` and `gen/`.
        issuer: `iss` of the tokens accepted; default that of our auth service.
        audiences: `aud` accepted. Service tokens have another one and stay inside the fleet.
        jwks_fresh_s: seconds for which the newest keys are trusted; they are read anew 5 s before that is
            over (below 6, when it is over), so the default 10 sees a new key within 5 s.
        jwks_lasting_s: seconds for which a key still verifies when the auth service does not answer, or after
            it withdrew the key; default 300.
        cors_origins: origins whose scripts may call the API, e.g. `https://app.example`; default none, which
            leaves the edge's own pages.
        body_limit_bytes: largest JSON request body; default 1 MiB.
        public_body_limit_bytes: the same for methods that need no token; default 16 KiB.
        response_limit_bytes: largest JSON response body of a unary call; default 16 MiB.
        request_timeout_s: time for a request to arrive with its whole body; default 30.
        deadline_s: time for a unary call when the caller names none; default 15.
        deadline_max_s: longest deadline a gRPC caller may name; default 60.
        anonymous_limit: requests of one address without a valid token; default 100 in 15 minutes, and 0 sets
            no limit. IPv6 addresses count by their /64 network. Each edge process counts for itself.
        authenticated_limit: the same of one person; default 6,000 in 15 minutes.
        requests_per_second: calls that each edge process lets through, with bursts of twice as many; default
            5000; 0 sets no limit.
        otlp: OpenTelemetry collector for traces (OTLP over gRPC); default none.
        tls_dir: folder with the edge's own certificate; it speaks mutual TLS to the services then, and each
            must show the certificate of its name. Default none: plain text.
        xds: addresses of control's discovery (ADS), from which routes, clusters and endpoints come then;
            default none: they follow from these settings.
        node: name of this edge process at control; default `edge-1`.
    """

    listen: Address
    admin: Address
    services: dict[str, tuple[Address, ...]]
    output_dir: Path
    project_root: Path = PROJECT_ROOT
    issuer: str = "greenledger-auth"
    audiences: tuple[str, ...] = ("greenledger",)
    jwks_fresh_s: int = 10
    jwks_lasting_s: int = 300
    cors_origins: tuple[str, ...] = field(default=())
    body_limit_bytes: int = 1024 * 1024
    public_body_limit_bytes: int = 16 * 1024
    response_limit_bytes: int = 16 * 1024 * 1024
    request_timeout_s: int = 30
    deadline_s: int = 15
    deadline_max_s: int = 60
    requests_per_second: int = 5000
    otlp: Address | None = None
    tls_dir: Path | None = None
    anonymous_limit: Limit = ANONYMOUS
    authenticated_limit: Limit = AUTHENTICATED
    xds: tuple[Address, ...] = ()
    node: str = "edge-1"

    @classmethod
    def of_fleet(cls, fleet: FleetSettings, xds: Sequence[str] = ()) -> Self:
        """The edge of a fleet on one machine.

        Args:
            xds: `host:port` of control's discovery.
        """
        return cls(
            listen=Address(LOOPBACK, fleet.edge_port),
            admin=Address(LOOPBACK, fleet.envoy_admin_port),
            services={spec.name: (Address(LOOPBACK, fleet.service_port(spec.index)),) for spec in SERVICES},
            output_dir=fleet.state_dir / "envoy",
            project_root=fleet.project_root,
            otlp=Address.parse(fleet.otlp_endpoint) if fleet.otlp_endpoint else None,
            tls_dir=fleet.tls_dir(EDGE),
            anonymous_limit=fleet.anonymous_limit or ANONYMOUS,
            authenticated_limit=fleet.authenticated_limit or AUTHENTICATED,
            xds=tuple(Address.parse(address) for address in xds),
        )
