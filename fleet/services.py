"""The services of the fleet as data, and the environment each process is started with."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleet.component import Component
from fleet.errors import FleetError
from fleet.health import check_serving
from fleet.process import Launch
from fleet.settings import LOOPBACK, FleetSettings, process_environment


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service.

    Args:
        name: folder under `services/`, also its database's and account's name.
        depends_on: services it calls; they are stopped after it. Starting needs no order.
        index: place in the list, which decides its ports; set by `numbered`.
        command: program and arguments; default `python -m services.<name>.main`.
        database: whether it owns a database; default yes.
    """

    name: str
    depends_on: tuple[str, ...] = ()
    index: int = 0
    command: tuple[str, ...] = ()
    database: bool = True

    @property
    def argv(self) -> tuple[str, ...]:
        return self.command or (sys.executable, "-m", f"services.{self.name}.main")


def numbered(specs: Iterable[ServiceSpec]) -> tuple[ServiceSpec, ...]:
    """Give each service its place in the list."""
    return tuple(replace(spec, index=index) for index, spec in enumerate(specs))


SERVICES = numbered(
    [
        ServiceSpec("auth"),
        ServiceSpec("users", depends_on=("auth", "notifications")),
        ServiceSpec("crops", depends_on=("auth", "users", "notifications", "inventory")),
        ServiceSpec("catalog", depends_on=("auth", "inventory")),
        ServiceSpec("inventory", depends_on=("auth", "crops")),
        ServiceSpec("orders", depends_on=("auth", "catalog", "inventory", "payments", "notifications")),
        ServiceSpec("payments", depends_on=("auth",)),
        ServiceSpec("notifications", depends_on=("auth",)),
        ServiceSpec("trace", depends_on=("auth",)),
        ServiceSpec("market", depends_on=("auth", "crops", "payments", "notifications")),
    ]
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the servers are, as the services are told.

    Args:
        database_urls: by service name.
        kafka_bootstrap: `host:port[,host:port]`.
        valkey_url: `redis://host:port/0`.
        smtp_url: `smtp://host:port`.
    """

    database_urls: dict[str, str]
    kafka_bootstrap: str
    valkey_url: str
    smtp_url: str


def select(specs: Sequence[ServiceSpec], only: Sequence[str]) -> tuple[ServiceSpec, ...]:
    """The services named in `only`, all of them when it is empty.

    Raises:
        FleetError: a name is unknown.
    """
    names = {spec.name for spec in specs}
    if unknown := [name for name in only if name not in names]:
        raise FleetError(f"There is no service {', '.join(unknown)}: choose from {', '.join(sorted(names))}.")
    return tuple(spec for spec in specs if not only or spec.name in only)


def service_environment(
    spec: ServiceSpec, all_specs: Sequence[ServiceSpec], settings: FleetSettings, endpoints: Endpoints
) -> dict[str, str]:
    """The settings of one service process, as environment variables."""
    peers = ",".join(f"{peer.name}={LOOPBACK}:{settings.service_port(peer.index)}" for peer in all_specs)
    environment = process_environment(settings)
    # What points the fleet itself at an external server must not reach a service under the same name.
    # The options of an external broker are not for the embedded one.
    foreign = _FLEET_ONLY if settings.kafka_bootstrap else (*_FLEET_ONLY, "GREENLEDGER_KAFKA_OPTIONS")
    environment = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    environment.update(
        GREENLEDGER_SERVICE=spec.name,
        GREENLEDGER_ENV=settings.environment,
        GREENLEDGER_LOG_LEVEL=settings.log_level,
        GREENLEDGER_LISTEN=f"{LOOPBACK}:{settings.service_port(spec.index)}",
        GREENLEDGER_METRICS_LISTEN=f"{LOOPBACK}:{settings.metrics_port(spec.index)}",
        GREENLEDGER_PEERS=peers,
        GREENLEDGER_KAFKA_BOOTSTRAP=endpoints.kafka_bootstrap,
        GREENLEDGER_VALKEY_URL=endpoints.valkey_url,
        GREENLEDGER_SMTP_URL=endpoints.smtp_url,
        GREENLEDGER_SECRETS_DIR=str(settings.secrets_dir),
        GREENLEDGER_MAILBOX_DIR=str(settings.mailbox_dir),
    )
    environment.setdefault("GREENLEDGER_WALLET_ORIGINS", settings.edge_url)
    if spec.database:
        environment["GREENLEDGER_DATABASE_URL"] = endpoints.database_urls[spec.name]
    if settings.otlp_endpoint:
        environment["GREENLEDGER_OTLP_ENDPOINT"] = settings.otlp_endpoint
    return environment


_FLEET_ONLY = (
    "GREENLEDGER_POSTGRES_",
    "GREENLEDGER_EDGE_PORT",
    "GREENLEDGER_STATE_DIR",
    "GREENLEDGER_ENVOY_BIN",
)


class ServiceProcess(Component):
    """One service as a process of its own; up when grpc.health.v1 says SERVING."""

    def __init__(
        self,
        spec: ServiceSpec,
        all_specs: Sequence[ServiceSpec],
        settings: FleetSettings,
        endpoints: Endpoints,
    ) -> None:
        port = settings.service_port(spec.index)
        super().__init__(
            spec.name,
            "service",
            f"{LOOPBACK}:{port}",
            start_timeout_s=60.0,
            stop_grace_s=15.0,
            ports={
                port: f"the service {spec.name}",
                settings.metrics_port(spec.index): f"the metrics of {spec.name}",
            },
        )
        self.spec = spec
        self._all_specs = all_specs
        self._settings = settings
        self._endpoints = endpoints

    def launch(self) -> Launch | None:
        return Launch(
            argv=self.spec.argv,
            log_path=self._settings.log_path(self.name),
            environment=service_environment(self.spec, self._all_specs, self._settings, self._endpoints),
            directory=self._settings.project_root,
        )

    async def probe(self) -> None:
        await check_serving(self.address)


def stop_waves(specs: Sequence[ServiceSpec]) -> list[list[str]]:
    """Names grouped so that each service stops before those it calls; a circle of calls stops together."""
    remaining = {spec.name: set(spec.depends_on) for spec in specs}
    waves: list[list[str]] = []
    while remaining:
        reached = {name: _reached(name, remaining) for name in remaining}
        # Whoever calls one of the wave is called by it in turn.
        wave = [
            name
            for name in remaining
            if all(caller in reached[name] for caller in remaining if name in reached[caller])
        ]
        waves.append(wave)
        for name in wave:
            del remaining[name]
    return waves


def _reached(name: str, calls: Mapping[str, set[str]]) -> set[str]:
    """All that a service calls, and what those call."""
    found: set[str] = set()
    left = set(calls[name])
    while left:
        callee = left.pop()
        if callee in calls and callee not in found:
            found.add(callee)
            left |= calls[callee]
    return found
