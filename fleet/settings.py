"""Settings of the fleet on one machine: one edge port and one state folder decide everything else."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

from fleet.errors import FleetError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
MINIMUM_PORT = 1024
# Internal ports stay below 32768, where Linux starts to hand out ephemeral ports.
MAXIMUM_EDGE_PORT = 32768 - 10000 - 200
MINIMUM_CERTIFICATE_LIFE = timedelta(seconds=10)  # readers take a second to see a new one


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests in a time, 0 for no limit."""

    requests: int
    per: timedelta

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `100/15m`, with s, m, h or d; `0` is no limit.

        Raises:
            ValueError: it cannot be read; says what is expected.
        """
        found = re.fullmatch(r"([0-9]{1,8})/([1-9][0-9]{0,4})([smhd])", text.strip())
        if found is None:
            if text.strip() == "0":
                return cls(0, timedelta(minutes=15))
            raise ValueError("expected requests in a time, such as 100/15m, or 0 for no limit")
        return cls(int(found[1]), timedelta(seconds=int(found[2]) * _UNITS_S[found[3]]))

    def __str__(self) -> str:
        seconds = int(self.per.total_seconds())
        unit = next(unit for unit in "dhms" if seconds % _UNITS_S[unit] == 0)
        return f"{self.requests}/{seconds // _UNITS_S[unit]}{unit}" if self.requests else "0"


# Of the edge, as in EdgePolicy of the contract of control.
ANONYMOUS = Limit.parse("100/15m")
AUTHENTICATED = Limit.parse("6000/15m")


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the fleet listens, where it keeps its state, and which servers it does not start itself.

    Args:
        state_dir: folder of all state (data, logs, secrets, mailbox); one folder to delete.
        edge_port: port of the public edge on 127.0.0.1, 1024..22568, default 8080; all internal ports follow.
        environment: `development` (default), `test` or `production`, passed on to the services.
        log_level: level of the services' logs, default `INFO`.
        postgres_url: external PostgreSQL, `postgresql://user:password@host:port/postgres`; the user may
            create databases. None starts the embedded server; the same holds for the three below.
        kafka_bootstrap: external Kafka, `host:port`.
        kafka_options: librdkafka properties for it, `name=value,name=value`; they may be secrets.
        kafka_options_file: file with such properties, one a line.
        valkey_url: external Valkey or Redis, `redis://host:port/0`.
        smtp_url: external mail server, `smtp://host:port`.
        otlp_endpoint: OpenTelemetry collector for the services' traces; None exports nothing.
        envoy_bin: Envoy binary to use instead of the one installed beside the environment.
        postgres_user: system user that owns the embedded PostgreSQL when the fleet runs as root, which
            PostgreSQL refuses to be; default `nobody`.
        mtls: whether every connection inside the fleet is mutual TLS; GREENLEDGER_MTLS is on or off; default
            off, with which plain grpcurl reaches a service.
        certificate_life: of each certificate then, GREENLEDGER_CERTIFICATE_LIFE_S; default a day. They are
            renewed at half of it.
        replicas: processes of each service, 1 without any canary; default what `fleet/services.py` says.
        anonymous_limit: requests of one address without a valid token, `100/15m`, or 0 for no limit; default
            what `deploy/traffic.yaml` says.
        authenticated_limit: the same of one person.
        project_root: folder that holds `services/`, `envoy/` and `gen/`; default the one of this package,
            GREENLEDGER_PROJECT_ROOT when the package is installed elsewhere.
    """

    state_dir: Path
    edge_port: int = 8080
    environment: str = "development"
    log_level: str = "INFO"
    postgres_url: str | None = None
    kafka_bootstrap: str | None = None
    kafka_options: str = field(default="", repr=False)
    kafka_options_file: Path | None = None
    valkey_url: str | None = None
    smtp_url: str | None = None
    otlp_endpoint: str | None = None
    envoy_bin: str | None = None
    postgres_user: str = "nobody"
    mtls: bool = False
    certificate_life: timedelta = timedelta(days=1)
    replicas: int | None = None
    anonymous_limit: Limit | None = None
    authenticated_limit: Limit | None = None
    project_root: Path = PROJECT_ROOT

    def __post_init__(self) -> None:
        if not MINIMUM_PORT <= self.edge_port <= MAXIMUM_EDGE_PORT:
            raise FleetError(
                f"The edge port {self.edge_port} is out of range: set GREENLEDGER_EDGE_PORT (or --edge-port) "
                f"to a port from {MINIMUM_PORT} to {MAXIMUM_EDGE_PORT}."
            )
        if self.certificate_life < MINIMUM_CERTIFICATE_LIFE:
            raise FleetError(
                f"Certificates cannot live {self.certificate_life.total_seconds():g} s: set "
                "GREENLEDGER_CERTIFICATE_LIFE_S to "
                f"{MINIMUM_CERTIFICATE_LIFE.total_seconds():g} or more."
            )

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        *,
        edge_port: int | None = None,
        state_dir: Path | None = None,
        replicas: int | None = None,
    ) -> Self:
        """Read GREENLEDGER_* variables; explicit arguments win over them.

        Raises:
            FleetError: GREENLEDGER_EDGE_PORT is not a usable port, or another variable cannot be read.
        """
        directory = state_dir or Path(environ.get("GREENLEDGER_STATE_DIR") or PROJECT_ROOT / ".greenledger")
        return cls(
            state_dir=directory.expanduser().resolve(),
            edge_port=edge_port if edge_port is not None else _edge_port(environ),
            environment=environ.get("GREENLEDGER_ENV") or "development",
            log_level=environ.get("GREENLEDGER_LOG_LEVEL") or "INFO",
            postgres_url=environ.get("GREENLEDGER_POSTGRES_URL") or None,
            kafka_bootstrap=environ.get("GREENLEDGER_KAFKA_BOOTSTRAP") or None,
            kafka_options=environ.get("GREENLEDGER_KAFKA_OPTIONS") or "",
            kafka_options_file=_path(environ.get("GREENLEDGER_KAFKA_OPTIONS_FILE")),
            valkey_url=environ.get("GREENLEDGER_VALKEY_URL") or None,
            smtp_url=environ.get("GREENLEDGER_SMTP_URL") or None,
            otlp_endpoint=environ.get("GREENLEDGER_OTLP_ENDPOINT") or None,
            envoy_bin=environ.get("GREENLEDGER_ENVOY_BIN") or None,
            postgres_user=environ.get("GREENLEDGER_POSTGRES_USER") or "nobody",
            mtls=_switch(environ, "GREENLEDGER_MTLS"),
            certificate_life=_seconds(environ, "GREENLEDGER_CERTIFICATE_LIFE_S", default=86_400),
            replicas=replicas if replicas is not None else _replicas(environ),
            anonymous_limit=_limit(environ, "GREENLEDGER_ANONYMOUS_LIMIT"),
            authenticated_limit=_limit(environ, "GREENLEDGER_AUTHENTICATED_LIMIT"),
            project_root=Path(environ.get("GREENLEDGER_PROJECT_ROOT") or PROJECT_ROOT).resolve(),
        )

    @property
    def base_port(self) -> int:
        """Start of the internal ports: 18080 for the default edge."""
        return self.edge_port + 10000

    @property
    def postgres_port(self) -> int:
        return self.base_port + 1

    @property
    def broker_port(self) -> int:
        return self.base_port + 2

    @property
    def valkey_port(self) -> int:
        return self.base_port + 3

    @property
    def smtp_port(self) -> int:
        return self.base_port + 4

    @property
    def envoy_admin_port(self) -> int:
        return self.base_port + 5

    @property
    def otlp_port(self) -> int:
        return self.base_port + 6

    def service_port(self, index: int) -> int:
        """gRPC port of the service at this place in the list of services."""
        return self.base_port + 20 + index

    def metrics_port(self, index: int) -> int:
        """HTTP port of that service's metrics."""
        return self.base_port + 50 + index

    def xds_port(self, replica: int) -> int:
        """Discovery port of the process of control with this number, from 0."""
        return self.base_port + 100 + replica

    def extra_port(self, extra: int) -> int:
        """gRPC port of a further replica or canary, counted over the whole fleet from 0."""
        return self.base_port + 110 + extra

    def extra_metrics_port(self, extra: int) -> int:
        """HTTP port of its metrics."""
        return self.base_port + 150 + extra

    @property
    def extra_ports(self) -> int:
        """How many of them there can be."""
        return 30

    @property
    def edge_url(self) -> str:
        return f"http://{LOOPBACK}:{self.edge_port}"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def secrets_dir(self) -> Path:
        return self.state_dir / "secrets"

    @property
    def run_dir(self) -> Path:
        return self.state_dir / "run"

    @property
    def tls_root(self) -> Path:
        """Where the authority and everybody's certificates are; nothing is there while `mtls` is off."""
        return self.state_dir / "tls"

    def tls_dir(self, name: str) -> Path | None:
        """The folder with the certificate of a member of the fleet; None while `mtls` is off."""
        return self.tls_root / name if self.mtls else None

    @property
    def control_dir(self) -> Path:
        return self.state_dir / "control"

    @property
    def edge_routes(self) -> Path:
        """The edge's route table, for control."""
        return self.state_dir / "envoy" / "routes.json"

    @property
    def mailbox_dir(self) -> Path:
        return self.state_dir / "mailbox"

    def log_path(self, component: str) -> Path:
        return self.logs_dir / f"{component}.log"

    def make_folders(self) -> None:
        """Create the folders of the state; an existing one is kept as it is.

        Raises:
            FleetError: the state folder cannot be written.
        """
        try:
            for folder in (self.logs_dir, self.run_dir, self.mailbox_dir, self.secrets_dir, self.control_dir):
                folder.mkdir(parents=True, exist_ok=True)
            self.secrets_dir.chmod(0o700)
            self.mailbox_dir.chmod(0o700)
        except OSError as error:
            raise FleetError(
                f"The state folder {self.state_dir} cannot be written ({error.strerror}): make it writable "
                "or set GREENLEDGER_STATE_DIR (or --state-dir) to another folder."
            ) from error


def _path(text: str | None) -> Path | None:
    # The processes of the fleet run in another folder than the person who wrote this.
    return Path(text).expanduser().resolve() if text else None


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name)
    if text not in (None, "", "on", "off"):
        raise FleetError(f"{name} is {text!r}: set it to on or off.")
    return text == "on"


def _seconds(environ: Mapping[str, str], name: str, *, default: int) -> timedelta:
    text = environ.get(name)
    try:
        return timedelta(seconds=int(text or default))
    except (ValueError, OverflowError):
        raise FleetError(f"{name} is {text!r}: set it to a whole number of seconds.") from None


def _edge_port(environ: Mapping[str, str]) -> int:
    text = environ.get("GREENLEDGER_EDGE_PORT") or "8080"
    try:
        return int(text)
    except ValueError:
        raise FleetError(f"GREENLEDGER_EDGE_PORT is {text!r}: set it to a port such as 8080.") from None


def _replicas(environ: Mapping[str, str]) -> int | None:
    text = environ.get("GREENLEDGER_REPLICAS")
    if not text:
        return None
    if not text.isdecimal() or not int(text):
        raise FleetError(f"GREENLEDGER_REPLICAS is {text!r}: set it to a number of processes such as 1 or 2.")
    return int(text)


def _limit(environ: Mapping[str, str], name: str) -> Limit | None:
    text = environ.get(name)
    try:
        return Limit.parse(text) if text else None
    except ValueError as error:
        raise FleetError(f"{name} is {text!r}: {error}.") from None


def process_environment(settings: FleetSettings) -> dict[str, str]:
    """Environment that every Python process of the fleet starts from: ours, plus the import path."""
    root = settings.project_root
    path = [str(root), str(root / "gen" / "python"), os.environ.get("PYTHONPATH", "")]
    options = settings.kafka_options_file
    return {
        **os.environ,
        **({"GREENLEDGER_KAFKA_OPTIONS_FILE": str(options)} if options else {}),
        "PYTHONPATH": os.pathsep.join(entry for entry in path if entry),
        "PYTHONUNBUFFERED": "1",
    }
