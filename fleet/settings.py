"""Settings of the fleet on one machine: one edge port and one state folder decide everything else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fleet.errors import FleetError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
MINIMUM_PORT = 1024
# Internal ports stay below 32768, where Linux starts to hand out ephemeral ports.
MAXIMUM_EDGE_PORT = 32768 - 10000 - 100


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the fleet listens, where it keeps its state, and which servers it does not start itself.

    Args:
        state_dir: folder of all state (data, logs, secrets, mailbox); one folder to delete.
        edge_port: port of the public edge on 127.0.0.1, 1024..22668, default 8080; all internal ports follow.
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
    project_root: Path = PROJECT_ROOT

    def __post_init__(self) -> None:
        if not MINIMUM_PORT <= self.edge_port <= MAXIMUM_EDGE_PORT:
            raise FleetError(
                f"The edge port {self.edge_port} is out of range: set GREENLEDGER_EDGE_PORT (or --edge-port) "
                f"to a port from {MINIMUM_PORT} to {MAXIMUM_EDGE_PORT}."
            )

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], *, edge_port: int | None = None, state_dir: Path | None = None
    ) -> Self:
        """Read GREENLEDGER_* variables; explicit arguments win over them.

        Raises:
            FleetError: GREENLEDGER_EDGE_PORT is not a usable port.
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
            for folder in (self.logs_dir, self.run_dir, self.mailbox_dir, self.secrets_dir):
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


def _edge_port(environ: Mapping[str, str]) -> int:
    text = environ.get("GREENLEDGER_EDGE_PORT") or "8080"
    try:
        return int(text)
    except ValueError:
        raise FleetError(f"GREENLEDGER_EDGE_PORT is {text!r}: set it to a port such as 8080.") from None


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
