"""What a service process is told from outside, read once at start."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Self

from chassis.broker_options import BrokerOptions, BrokerOptionsError

PREFIX = "GREENLEDGER_"
ENVIRONMENTS = ("development", "test", "production")


class SettingsError(Exception):
    """A setting is missing or malformed; the message names the variable and what is expected."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls a second in the long run, 0 for no limit, and calls at once after a pause."""

    per_s: float
    burst: float


@dataclass(frozen=True)
class Settings:
    """Settings of one service process; each is the environment variable GREENLEDGER_<NAME>.

    Args:
        service: the service's name, e.g. "orders".
        database_url: postgresql:// URL of the service's own database.
        kafka_bootstrap: comma-separated host:port of brokers.
        kafka_options: further librdkafka properties, such as those of SASL and TLS, "name=value,name=value";
            with KAFKA_OPTIONS_FILE from a file. Default none.
        kafka_max_message_bytes: the largest event, 10,000 to 10,000,000; default 1,000,000. Raise the
            broker's message.max.bytes first.
        listen: host:port for gRPC.
        metrics_listen: host:port for Prometheus; empty means none. Default empty.
        peers: service name -> host:port, written "auth=127.0.0.1:18100,users=..."; further IP addresses of a
            service follow its first, "auth=127.0.0.1:18100,127.0.0.1:18210,users=...". Default none.
        secrets_dir: folder with this fleet's secrets.
        valkey_url, smtp_url: servers that some services use; empty when not given.
        mailbox_dir: Maildir of the development mail server; None where a real one is used.
        otlp_endpoint: host:port of an OpenTelemetry collector; empty means no export.
        environment: development, test or production. Default development.
        log_level: default INFO.
        database_pool_size: connections to PostgreSQL. Default 8; more is slower on few cores.
        drain_timeout: how long in-flight calls may take to finish on SIGTERM. Default 10 s.
        drain_notice: how long calls are still taken after health says NOT_SERVING, and then, as long again,
            refused as not begun; at least the interval of whoever checks health. Default 0, for a single
            instance that nobody can avoid; 300 ms with `control`, which tells others within that time.
        recovery_interval: how often expired leases and reservations are looked for. Default 1 s.
        saga_lease: a saga whose engine died is taken over after this long. Default 5 s.
        consumer_session: a consumer that has been silent for so long loses its partitions to others. Apache
            Kafka takes no less than 6 s unless group.min.session.timeout.ms says so. Default 6 s.
        version: what runs here, as traffic is split by it; default "v1".
        instance_id: name of this process in the registry; default the service's name and a random part.
        control: host:port of each replica of the control plane, where the process registers and learns of
            policies and settings; default none, which leaves `peers` as they are.
        advertise: host:port at which others reach the process; default `listen`.
        xds: host:port of each replica's aggregated discovery service; default none: channels go to `peers`.
        tls_dir: folder with certificate.pem, key.pem and authority.pem, read anew when they change: every
            connection inside the fleet is mutual TLS then. Default none.
        principal_limit: calls that one person may make of this process, "rate" or "rate:burst": a second in
            the long run, and at once after a pause (default the rate). Default "1000:2000", which stops a
            client that loops and nobody else; "0" for no limit.
    """

    service: str
    database_url: str = field(repr=False)
    kafka_bootstrap: str
    listen: str
    secrets_dir: Path
    metrics_listen: str = ""
    peers: Mapping[str, str] = field(default_factory=dict)
    valkey_url: str = field(default="", repr=False)
    smtp_url: str = field(default="", repr=False)
    mailbox_dir: Path | None = None
    otlp_endpoint: str = ""
    environment: str = "development"
    log_level: str = "INFO"
    database_pool_size: int = 8
    drain_timeout: timedelta = timedelta(seconds=10)
    drain_notice: timedelta = timedelta(0)
    recovery_interval: timedelta = timedelta(seconds=1)
    saga_lease: timedelta = timedelta(seconds=5)
    consumer_session: timedelta = timedelta(seconds=6)
    kafka_options: BrokerOptions = field(default_factory=BrokerOptions)
    kafka_max_message_bytes: int = 1_000_000
    principal_limit: Rate = Rate(1000.0, 2000.0)
    version: str = "v1"
    instance_id: str = ""
    control: tuple[str, ...] = ()
    advertise: str = ""
    xds: tuple[str, ...] = ()
    tls_dir: Path | None = None

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

        def milliseconds(name: str, default: str, least: int = 1) -> timedelta:
            return timedelta(milliseconds=_integer(name, optional(name, default), least=least))

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
            drain_notice=milliseconds("DRAIN_NOTICE_MS", "300" if optional("CONTROL") else "0", least=0),
            recovery_interval=milliseconds("RECOVERY_INTERVAL_MS", "1000"),
            saga_lease=milliseconds("SAGA_LEASE_MS", "5000"),
            consumer_session=milliseconds("CONSUMER_SESSION_MS", "6000", least=1000),
            kafka_options=_kafka_options(optional("KAFKA_OPTIONS"), optional("KAFKA_OPTIONS_FILE")),
            kafka_max_message_bytes=_integer(
                "KAFKA_MAX_MESSAGE_BYTES",
                optional("KAFKA_MAX_MESSAGE_BYTES", "1000000"),
                least=10_000,
                most=10_000_000,
            ),
            principal_limit=_rate("PRINCIPAL_LIMIT", optional("PRINCIPAL_LIMIT", "1000:2000")),
            version=optional("VERSION", "v1"),
            instance_id=optional("INSTANCE") or f"{service}-{secrets.token_hex(4)}",
            control=_addresses("CONTROL", optional("CONTROL")),
            advertise=optional("ADVERTISE"),
            xds=_addresses("XDS", optional("XDS")),
            tls_dir=Path(tls) if (tls := optional("TLS_DIR")) else None,
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
    name = ""
    for part in filter(None, (item.strip() for item in text.split(","))):
        named, equals, address = part.rpartition("=")
        name = named or name
        if not name or ":" not in address or (equals and not named):
            raise SettingsError(f"{PREFIX}PEERS has {part!r}; expected name=host:port")
        peers[name] = address if equals else f"{peers[name]},{address}"
    return peers


def _addresses(name: str, text: str) -> tuple[str, ...]:
    addresses = tuple(filter(None, (item.strip() for item in text.split(","))))
    if odd := [address for address in addresses if ":" not in address]:
        raise SettingsError(f"{PREFIX}{name} has {odd[0]!r}; expected host:port")
    return addresses


def _kafka_options(text: str, file: str) -> BrokerOptions:
    try:
        return BrokerOptions.read(text, file)
    except BrokerOptionsError as error:
        raise SettingsError(f"The options of Kafka cannot be used: {error}") from None


def _rate(name: str, text: str) -> Rate:
    rate, colon, burst = text.partition(":")
    try:
        per_s = float(rate)
        limit = Rate(per_s, float(burst) if colon else max(per_s, 1.0))
    except ValueError:
        raise SettingsError(
            f"{PREFIX}{name} is {text!r}; expected calls a second, as 50 or with a burst as 50:200"
        ) from None
    if not (0 <= limit.per_s < inf and 0 <= limit.burst < inf) or (limit.per_s and limit.burst < 1):
        raise SettingsError(f"{PREFIX}{name} is {text!r}; the rate must be 0 or more, the burst 1 or more")
    return limit


def _integer(name: str, text: str, least: int = 1, most: int | None = None) -> int:
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{PREFIX}{name} is {text!r}; expected a whole number") from None
    if value < least:
        raise SettingsError(f"{PREFIX}{name} is {value}; it must be at least {least}")
    if most is not None and value > most:
        raise SettingsError(f"{PREFIX}{name} is {value}; it must be at most {most}")
    return value
