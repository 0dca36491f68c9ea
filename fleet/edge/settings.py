"""What the edge is rendered from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fleet.services import SERVICES
from fleet.settings import LOOPBACK, PROJECT_ROOT, FleetSettings


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
        requests_per_second: calls that each edge process lets through, with bursts of twice as many; default
            5000; 0 sets no limit.
        otlp: OpenTelemetry collector for traces (OTLP over gRPC); default none.
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

    @classmethod
    def of_fleet(cls, fleet: FleetSettings) -> Self:
        """The edge of a fleet on one machine."""
        return cls(
            listen=Address(LOOPBACK, fleet.edge_port),
            admin=Address(LOOPBACK, fleet.envoy_admin_port),
            services={spec.name: (Address(LOOPBACK, fleet.service_port(spec.index)),) for spec in SERVICES},
            output_dir=fleet.state_dir / "envoy",
            project_root=fleet.project_root,
            otlp=Address.parse(fleet.otlp_endpoint) if fleet.otlp_endpoint else None,
        )
