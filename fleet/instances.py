"""The processes of the fleet: which there are of each service, where they listen and what they are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.component import Component
from fleet.errors import FleetError
from fleet.health import check_serving
from fleet.membership import peer_of
from fleet.process import Launch
from fleet.services import CONTROL, MAIN_VERSION, ServiceSpec
from fleet.settings import LOOPBACK, FleetSettings, process_environment

# How long a service still takes calls after it was taken from the registry, for those who have not heard yet.
_DRAIN_NOTICE_MS = "250"


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service.

    Args:
        spec: its service.
        name: unique in the fleet: its component, its log, its id in the registry.
        version: as traffic is split by it.
        port, metrics_port: where it listens for gRPC and for Prometheus.
        xds_port: where a process of control serves discovery; None for the rest.
    """

    spec: ServiceSpec
    name: str
    version: str
    port: int
    metrics_port: int
    xds_port: int | None = None

    @property
    def address(self) -> str:
        """`host:port` of its gRPC server."""
        return f"{LOOPBACK}:{self.port}"


@dataclass(frozen=True, slots=True)
class Layout:
    """All processes of services in one fleet, and where control's are among them.

    Args:
        specs: every service there is, also those of which no process runs.
        instances: the processes.
    """

    specs: tuple[ServiceSpec, ...]
    instances: tuple[Instance, ...]

    @property
    def control(self) -> tuple[str, ...]:
        """`host:port` of each process of control; none without it."""
        return tuple(entry.address for entry in self.instances if entry.spec.name == CONTROL)

    @property
    def xds(self) -> tuple[str, ...]:
        """`host:port` of the discovery that each of them serves."""
        return tuple(f"{LOOPBACK}:{entry.xds_port}" for entry in self.instances if entry.xds_port)

    def addresses(self, spec: ServiceSpec, settings: FleetSettings) -> tuple[str, ...]:
        """`host:port` of each process of a service, for those who must find it without control."""
        first = f"{LOOPBACK}:{settings.service_port(spec.index)}"
        found = [entry.address for entry in self.instances if entry.spec.name == spec.name]
        return tuple(dict.fromkeys([first, *found]))


def lay_out(specs: Sequence[ServiceSpec], chosen: Sequence[ServiceSpec], settings: FleetSettings) -> Layout:
    """The processes of the chosen services: as many as their specification says, or as the settings say.

    Without control nobody would hear of a second process, so there is one of each then.

    Raises:
        FleetError: there are more than there are ports for.
    """
    steered = any(spec.name == CONTROL for spec in chosen)
    instances = [_first(spec, settings) for spec in chosen]
    extra = 0
    for spec in chosen if steered else ():
        for number in range(2, (settings.replicas or spec.replicas) + 1):
            instances.append(further(spec, settings, number, extra))
            extra += 1
        if spec.canary is not None and settings.replicas != 1:
            instances.append(
                _placed(spec, settings, f"{spec.name}-canary", extra, version=spec.canary.version)
            )
            extra += 1
    return Layout(tuple(specs), tuple(instances))


def further(
    spec: ServiceSpec, settings: FleetSettings, number: int, extra: int, version: str = MAIN_VERSION
) -> Instance:
    """A replica beside the first.

    Args:
        number: 2 for the second process of its service, and so on.
        extra: how many further replicas and canaries the whole fleet had before.

    Raises:
        FleetError: there is no port for it.
    """
    return _placed(spec, settings, f"{spec.name}-{number}", extra, version=version, replica=number - 1)


def _first(spec: ServiceSpec, settings: FleetSettings) -> Instance:
    return Instance(
        spec=spec,
        name=spec.name,
        version=MAIN_VERSION,
        port=settings.service_port(spec.index),
        metrics_port=settings.metrics_port(spec.index),
        xds_port=settings.xds_port(0) if spec.name == CONTROL else None,
    )


def _placed(
    spec: ServiceSpec, settings: FleetSettings, name: str, extra: int, *, version: str, replica: int = 0
) -> Instance:
    if extra >= settings.extra_ports:
        raise FleetError(
            f"There are no ports for more than {settings.extra_ports} further replicas: set "
            "GREENLEDGER_REPLICAS (or --replicas) to a smaller number."
        )
    return Instance(
        spec=spec,
        name=name,
        version=version,
        port=settings.extra_port(extra),
        metrics_port=settings.extra_metrics_port(extra),
        xds_port=settings.xds_port(replica) if spec.name == CONTROL else None,
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


def traffic_path(settings: FleetSettings) -> Path:
    """The file with the policies that control starts with."""
    return settings.control_dir / "traffic.yaml"


def service_environment(
    instance: Instance, layout: Layout, settings: FleetSettings, endpoints: Endpoints
) -> dict[str, str]:
    """The settings of one process, as environment variables."""
    spec = instance.spec
    peers = ",".join(f"{peer.name}={','.join(layout.addresses(peer, settings))}" for peer in layout.specs)
    environment = process_environment(settings)
    # What points the fleet itself at an external server must not reach a service under the same name.
    # The options of an external broker are not for the embedded one.
    foreign = _FLEET_ONLY if settings.kafka_bootstrap else (*_FLEET_ONLY, "GREENLEDGER_KAFKA_OPTIONS")
    environment = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    environment.update(
        GREENLEDGER_SERVICE=spec.name,
        GREENLEDGER_ENV=settings.environment,
        GREENLEDGER_LOG_LEVEL=settings.log_level,
        GREENLEDGER_INSTANCE=instance.name,
        GREENLEDGER_VERSION=instance.version,
        GREENLEDGER_LISTEN=instance.address,
        GREENLEDGER_METRICS_LISTEN=f"{LOOPBACK}:{instance.metrics_port}",
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
    if (tls_dir := settings.tls_dir(spec.name)) is not None:
        environment["GREENLEDGER_TLS_DIR"] = str(tls_dir)
    if settings.otlp_endpoint:
        environment["GREENLEDGER_OTLP_ENDPOINT"] = settings.otlp_endpoint
    if layout.control:
        environment.setdefault("GREENLEDGER_DRAIN_NOTICE_MS", _DRAIN_NOTICE_MS)
        environment.update(_discovery(instance, layout, settings))
    return environment


def _discovery(instance: Instance, layout: Layout, settings: FleetSettings) -> dict[str, str]:
    told = {"GREENLEDGER_CONTROL": ",".join(layout.control)}
    if instance.xds_port is None:
        return {**told, "GREENLEDGER_XDS": ",".join(layout.xds)}
    # Whoever tells the others where everything is does not ask itself: its own calls go to peers.
    return {
        **told,
        "GREENLEDGER_XDS_LISTEN": f"{LOOPBACK}:{instance.xds_port}",
        "GREENLEDGER_TRAFFIC_FILE": str(traffic_path(settings)),
        "GREENLEDGER_EDGE_ROUTES": str(settings.edge_routes),
        "GREENLEDGER_SNAPSHOT": str(settings.control_dir / f"{instance.name}.snapshot"),
    }


_FLEET_ONLY = (
    "GREENLEDGER_POSTGRES_",
    "GREENLEDGER_EDGE_PORT",
    "GREENLEDGER_STATE_DIR",
    "GREENLEDGER_ENVOY_BIN",
    "GREENLEDGER_REPLICAS",
    "GREENLEDGER_ANONYMOUS_LIMIT",
    "GREENLEDGER_AUTHENTICATED_LIMIT",
    "GREENLEDGER_CONTROL",
    "GREENLEDGER_XDS",
    "GREENLEDGER_MTLS",
    "GREENLEDGER_CERTIFICATE_",
    "GREENLEDGER_TLS_DIR",
)


class ServiceProcess(Component):
    """One process of a service; up when grpc.health.v1 says SERVING."""

    def __init__(
        self, instance: Instance, layout: Layout, settings: FleetSettings, endpoints: Endpoints
    ) -> None:
        ports = {
            instance.port: f"the service {instance.name}",
            instance.metrics_port: f"the metrics of {instance.name}",
        }
        if instance.xds_port is not None:
            ports[instance.xds_port] = f"the discovery of {instance.name}"
        super().__init__(
            instance.name,
            "service",
            instance.address,
            service=instance.spec.name,
            start_timeout_s=60.0,
            stop_grace_s=15.0,
            ports=ports,
        )
        self._instance = instance
        self._layout = layout
        self._settings = settings
        self._endpoints = endpoints

    def launch(self) -> Launch | None:
        return Launch(
            argv=self._instance.spec.argv,
            log_path=self._settings.log_path(self.name),
            environment=service_environment(self._instance, self._layout, self._settings, self._endpoints),
            directory=self._settings.project_root,
        )

    async def probe(self) -> None:
        await check_serving(self.address, peer=peer_of(self._settings, self._instance.spec.name))
