"""What a service process is told from outside, read once at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

PREFIX = "GREENLEDGER_"
ENVIRONMENTS = ("development", "test", "production")


class SettingsError(Exception):
    """A setting is missing or malformed; the message names the variable and what is expected."""


@dataclass(frozen=True)
class Settings:
    """Settings of one service process; each is the environment variable GREENLEDGER_<NAME>.

    Args:
        service: the service's name, e.g. "orders".
        database_url: postgresql:// URL of the service's own database.
        kafka_bootstrap: comma-separated host:port of brokers.
        listen: host:port for gRPC.
        metrics_listen: host:port for Prometheus; empty means none. Default empty.
        peers: service name -> host:port, written "auth=127.0.0.1:18100,users=...". Default none.
        secrets_dir: folder with this fleet's secrets.
        valkey_url, smtp_url: servers that some services use; empty when not given.
        mailbox_dir: Maildir of the development mail server; None where a real one is used.
        otlp_endpoint: host:port of an OpenTelemetry collector; empty means no export.
        environment: development, test or production. Default development.
        log_level: default INFO.
        database_pool_size: connections to PostgreSQL. Default 8; more is slower on few cores.
        drain_timeout: how long in-flight calls may take to finish on SIGTERM. Default 10 s.
        drain_notice: how long calls are still taken after health says NOT_SERVING; at least the interval of
            whoever checks health. Default 0, for a single instance that nobody can avoid.
        recovery_interval: how often expired leases and reservations are looked for. Default 1 s.
        saga_lease: a saga whose engine died is taken over after this long. Default 5 s.
    """

    service: str
    database_url: str
    kafka_bootstrap: str
    listen: str
    secrets_dir: Path
    metrics_listen: str = ""
    peers: Mapping[str, str] = field(default_factory=dict)
    valkey_url: str = ""
    smtp_url: str = ""
    mailbox_dir: Path | None = None
    otlp_endpoint: str = ""
    environment: str = "development"
    log_level: str = "INFO"
    database_pool_size: int = 8
    drain_timeout: timedelta = timedelta(seconds=10)
    drain_notice: timedelta = timedelta(0)
    recovery_interval: timedelta = timedelta(seconds=1)
    saga_lease: timedelta = timedelta(seconds=5)

    @classmethod
    def from_environment(cls, service: str, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings of `service`.

        Raises:
            SettingsError: a required variable is missing, or one cannot be read.
        """

        def required(name: str) -> str:
            if value := environ.get(PREFIX + name):
                return value
            raise SettingsError(f"{PREFIX}{name} is not set; service {service} cannot start without it")

        def optional(name: str, default: str = "") -> str:
            return environ.get(PREFIX + name) or default

        environment = optional("ENV", "development")
        if environment not in ENVIRONMENTS:
            raise SettingsError(
                f"{PREFIX}ENV is {environment!r}; it must be one of {', '.join(ENVIRONMENTS)}"
            )
        mailbox = optional("MAILBOX_DIR")
        return cls(
            service=service,
            database_url=required("DATABASE_URL"),
            kafka_bootstrap=required("KAFKA_BOOTSTRAP"),
            listen=required("LISTEN"),
            secrets_dir=Path(required("SECRETS_DIR")),
            metrics_listen=optional("METRICS_LISTEN"),
            peers=_peers(optional("PEERS")),
            valkey_url=optional("VALKEY_URL"),
            smtp_url=optional("SMTP_URL"),
            mailbox_dir=Path(mailbox) if mailbox else None,
            otlp_endpoint=optional("OTLP_ENDPOINT"),
            environment=environment,
            log_level=optional("LOG_LEVEL", "INFO"),
            database_pool_size=_integer("DATABASE_POOL_SIZE", optional("DATABASE_POOL_SIZE", "8")),
            drain_timeout=timedelta(seconds=_integer("DRAIN_TIMEOUT_S", optional("DRAIN_TIMEOUT_S", "10"))),
            drain_notice=timedelta(
                milliseconds=_integer("DRAIN_NOTICE_MS", optional("DRAIN_NOTICE_MS", "0"), least=0)
            ),
            recovery_interval=timedelta(
                milliseconds=_integer("RECOVERY_INTERVAL_MS", optional("RECOVERY_INTERVAL_MS", "1000"))
            ),
            saga_lease=timedelta(milliseconds=_integer("SAGA_LEASE_MS", optional("SAGA_LEASE_MS", "5000"))),
        )

    def secret(self, name: str) -> str:
        """The text of a file in the secrets folder.

        Raises:
            SettingsError: there is no such file.
        """
        try:
            return (self.secrets_dir / name).read_text().strip()
        except FileNotFoundError as missing:
            raise SettingsError(
                f"{missing.filename} is missing; {PREFIX}SECRETS_DIR names its folder"
            ) from missing


def _peers(text: str) -> dict[str, str]:
    peers: dict[str, str] = {}
    for part in filter(None, (item.strip() for item in text.split(","))):
        name, equals, address = part.partition("=")
        if not equals or ":" not in address:
            raise SettingsError(f"{PREFIX}PEERS has {part!r}; expected name=host:port")
        peers[name] = address
    return peers


def _integer(name: str, text: str, least: int = 1) -> int:
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{PREFIX}{name} is {text!r}; expected a whole number") from None
    if value < least:
        raise SettingsError(f"{PREFIX}{name} is {value}; it must be at least {least}")
    return value
