"""Where the objects of control meet."""

from dataclasses import dataclass
from datetime import timedelta

from chassis.background import Every
from chassis.members import EDGE
from chassis.runtime import Runtime
from chassis.service import Background, Service, Servicer
from chassis.tls import server_credentials
from greenledger.control.v1 import config_pb2_grpc, control_pb2_grpc, traffic_pb2_grpc
from services.control.adapters.config_grpc import ConfigServicer
from services.control.adapters.db import PostgresHistory, PostgresMemories, PostgresRevisions
from services.control.adapters.health import GrpcProbe, channels_by
from services.control.adapters.kafka import ControlEvents
from services.control.adapters.memory import (
    SnapshotFile,
    edge_json,
    edge_of_json,
    policy_json,
    policy_of_json,
)
from services.control.adapters.metrics import RegistryMetrics
from services.control.adapters.registry_grpc import RegistryServicer
from services.control.adapters.resolver import SystemResolver
from services.control.adapters.settings import ControlSettings
from services.control.adapters.traffic_file import read_traffic_file
from services.control.adapters.traffic_grpc import TrafficServicer
from services.control.adapters.xds.counters import Counters, MemoryCounters, ValkeyCounters
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy import EnvoyRenderer
from services.control.adapters.xds.grpc_clients import GrpcRenderer
from services.control.adapters.xds.rate_limits import RateLimitService
from services.control.adapters.xds.server import XdsServer
from services.control.adapters.xds.snapshots import Renderer
from services.control.application.book import Book
from services.control.application.config import ChangeConfig, ConfigQueries
from services.control.application.config_watch import WatchConfig
from services.control.application.fleet import Fleet
from services.control.application.health import WatchHealth
from services.control.application.instance_queries import InstanceQueries
from services.control.application.instances import InstanceCommands
from services.control.application.policies import ChangeEdge, ChangePolicy
from services.control.application.policy_queries import PolicyQueries
from services.control.application.refresh import Refresh
from services.control.application.remember import Recall, Remember
from services.control.application.watching import WatchTimes
from services.control.domain.policy import EdgePolicy, TrafficPolicy

_SWEEP = timedelta(milliseconds=250)
_SAVE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What operators change, each with all its versions."""

    policies: PostgresHistory[TrafficPolicy]
    edge: PostgresHistory[EdgePolicy]
    config: PostgresHistory[str]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the parts of control share."""

    runtime: Runtime
    times: WatchTimes
    fleet: Fleet
    stored: _Stored
    refresh: Refresh
    events: ControlEvents


def wire(
    runtime: Runtime, settings: ControlSettings | None = None, times: WatchTimes | None = None
) -> Service:
    """The service on a runtime.

    Args:
        runtime: the process.
        settings: default from the environment.
        times: of watches; default those of `WatchTimes`.
    """
    settings = settings or ControlSettings.from_environment()
    parts = _parts(runtime, settings, times or WatchTimes())
    fleet, refresh = parts.fleet, parts.refresh
    remember, recall = _memory(parts, settings)
    return Service(
        servicers=[_registry(parts), _config(parts), _traffic(parts)],
        background=[
            WatchHealth(fleet, GrpcProbe(channels_by(runtime.settings.tls_dir)), runtime.clock),
            _sweep(fleet),
            Every("control.refresh", refresh.poll, settings.poll),
            Every("control.remember", remember, _SAVE),
            *_discovery(runtime, settings, fleet),
        ],
        on_start=recall,
    )


def _parts(runtime: Runtime, settings: ControlSettings, times: WatchTimes) -> _Parts:
    database, file = runtime.database, read_traffic_file(settings.traffic_file)
    fleet = Fleet(file.policies, file.edge, runtime.clock)
    stored = _Stored(
        PostgresHistory(database, "traffic", policy_json, policy_of_json),
        PostgresHistory(database, "edge", edge_json, edge_of_json),
        PostgresHistory(database, "config", str, lambda _, value: str(value)),
    )
    refresh = Refresh(fleet, PostgresRevisions(database), stored.policies, stored.edge, stored.config)
    return _Parts(runtime, times, fleet, stored, refresh, ControlEvents(database, runtime.outbox))


def _memory(parts: _Parts, settings: ControlSettings) -> tuple[Remember, Recall]:
    """What keeps a replica's knowledge for its next life, and what begins with it."""
    runtime, fleet = parts.runtime, parts.fleet
    snapshot = SnapshotFile(settings.snapshot) if settings.snapshot else None
    shared = PostgresMemories(runtime.database, runtime.settings.instance_id or "control", runtime.clock)
    remember = Remember(fleet, [shared, *([snapshot] if snapshot else [])], runtime.clock)
    return remember, Recall(fleet, parts.refresh, shared, snapshot)


def _sweep(fleet: Fleet) -> Every:
    """Lets time pass, and shows who is there."""
    gauges = RegistryMetrics()

    async def sweep() -> None:
        fleet.sweep()
        gauges.show(fleet.registry.instances.values(), fleet.current().revision)

    return Every("control.sweep", sweep, _SWEEP)


def _registry(parts: _Parts) -> Servicer:
    """Who is there."""
    runtime, fleet = parts.runtime, parts.fleet
    commands = InstanceCommands(fleet, SystemResolver(), runtime.clock)
    queries = InstanceQueries(fleet, runtime.clock, parts.times)
    return Servicer(
        "greenledger.control.v1.RegistryService",
        control_pb2_grpc.add_RegistryServiceServicer_to_server,
        RegistryServicer(commands, queries, runtime.page_tokens),
    )


def _config(parts: _Parts) -> Servicer:
    """Settings that may change while services run."""
    runtime, fleet, stored, events = parts.runtime, parts.fleet, parts.stored.config, parts.events
    reading = ConfigQueries(fleet, stored)
    book = Book(
        runtime.database,
        stored,
        lambda name, change: events.config_changed(name, reading.shown(name, change).value, change),
        parts.refresh,
        runtime.clock,
    )
    changing = ChangeConfig(book, fleet, reading)
    watching = WatchConfig(fleet, reading, runtime.clock, parts.times)
    return Servicer(
        "greenledger.control.v1.ConfigService",
        config_pb2_grpc.add_ConfigServiceServicer_to_server,
        ConfigServicer(changing, reading, watching, runtime.page_tokens),
    )


def _traffic(parts: _Parts) -> Servicer:
    """How calls travel."""
    runtime, fleet, stored, told = parts.runtime, parts.fleet, parts.stored, parts.events.traffic_changed
    database, clock = runtime.database, runtime.clock
    policies = Book(database, stored.policies, told, parts.refresh, clock)
    edge = Book(database, stored.edge, told, parts.refresh, clock)
    queries = PolicyQueries(fleet, stored.policies, stored.edge, clock, parts.times)
    return Servicer(
        "greenledger.control.v1.TrafficService",
        traffic_pb2_grpc.add_TrafficServiceServicer_to_server,
        TrafficServicer(ChangePolicy(policies, fleet), ChangeEdge(edge), queries, runtime.page_tokens),
    )


def _discovery(runtime: Runtime, settings: ControlSettings, fleet: Fleet) -> list[Background]:
    """What tells proxy and clients; nothing where nobody listens."""
    if not settings.xds_listen:
        return []
    tls_dir = runtime.settings.tls_dir
    renderers: list[Renderer] = [
        GrpcRenderer(tls=tls_dir is not None),
        # As the edge sees it: the folders of all identities stand side by side.
        EnvoyRenderer(EdgeTable(settings.edge_routes), tls_dir=tls_dir.parent / EDGE if tls_dir else None),
    ]
    shared_at = runtime.settings.valkey_url
    counters: Counters = ValkeyCounters(shared_at) if shared_at else MemoryCounters()
    limits = RateLimitService(fleet, counters, caller=EDGE if tls_dir else None)
    return [
        XdsServer(
            settings.xds_listen,
            fleet,
            renderers,
            credentials=server_credentials(tls_dir) if tls_dir else None,
            servicers=[limits.servicer()],
        )
    ]
