"""One service as a process: what it is given, how it starts, how it drains.

Start: settings -> database -> wiring -> server and loops -> SERVING -> registered with control. Stop, on
SIGTERM or SIGINT: NOT_SERVING -> out of the registry -> notice to those who call -> no new calls, streams end
-> calls in flight finish, or are told to ask again -> consumers, sagas, own loops -> relay (last, so that
what the others wrote still leaves) -> connections. A loop that fails ends the process, so that who supervises
it starts it anew.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, cast

import grpc.aio
import structlog
import uvloop
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis import crashpoints
from chassis.background import Every
from chassis.broker import Broker, BrokerSettings
from chassis.broker_options import BrokerOptionsError
from chassis.channels import SERVER_OPTIONS, Channels
from chassis.clock import Clock, SystemClock
from chassis.database import Database
from chassis.discovery import BreakerNews, Discovery, LiveConfiguration
from chassis.discovery import configure as configure_xds
from chassis.errors import Unavailable
from chassis.health import NOT_SERVING, OVERALL, SERVICE_NAME, SERVING, HealthServicer
from chassis.idempotency import IdempotencyStore
from chassis.ids import IdSource, SystemIds
from chassis.inbox import Consumer, ConsumerSettings
from chassis.logging import configure, set_level
from chassis.operations import Mechanisms, OperationsServicer, servicer
from chassis.outbox import Outbox, Relay
from chassis.paging import PageTokens
from chassis.saga import Saga, SagaEngine
from chassis.service import Background, Service
from chassis.settings import Settings, SettingsError
from chassis.telemetry.metrics import MetricsServer
from chassis.telemetry.tracing import Tracing
from chassis.tls import TlsError, read, server_credentials

_log = structlog.get_logger(__name__)
_DATABASE_PATIENCE_S = 30.0
_SHORT_PATIENCE_S = 2.0  # of a service that can do without
_LAST_ANSWERS_S = 2.0  # for calls whose grace is over to hear that they may ask again
_PURGE_INTERVAL = timedelta(hours=1)
_PURGE_BATCH = 1000
_GARBAGE = 20_000  # container objects made and not freed until the collector looks
_SAGAS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the wiring of a service is given."""

    settings: Settings
    clock: Clock
    ids: IdSource
    database: Database
    outbox: Outbox
    channels: Channels
    page_tokens: PageTokens
    tracing: Tracing
    idempotency: IdempotencyStore
    configuration: LiveConfiguration = field(default_factory=LiveConfiguration)

    def saga_engine(self, sagas: Iterable[Saga]) -> SagaEngine:
        """An engine for these definitions on the service's database; the process runs it."""
        return SagaEngine(
            self.database,
            sagas,
            clock=self.clock,
            ids=self.ids,
            lease=self.settings.saga_lease,
            poll=self.settings.recovery_interval,
        )


class Admission(Protocol):
    """The part of the server chain that takes part in draining."""

    def drain(self) -> None:
        """Refuse new calls."""
        ...

    def end_streams(self) -> None:
        """End open response streams."""
        ...

    def end_calls(self) -> None:
        """End the other calls with an answer that says to ask again."""
        ...


class Chain(Protocol):
    """The interceptors of a process; `interceptors.process` has ours."""

    def channels(self, settings: Settings, tracing: Tracing, clock: Clock, ids: IdSource) -> Channels:
        """Channels to the peers, with the client chain."""
        ...

    def server(
        self, runtime: Runtime, service: Service
    ) -> tuple[Sequence[grpc.aio.ServerInterceptor], Admission]:
        """The server chain."""
        ...


Wire = Callable[[Runtime], Service]


def run(name: str, wire: Wire, chain: Chain, *, needs_database: bool = True) -> None:
    """Be the process of service `name` until SIGTERM; settings come from the environment.

    A service that has something to tell without its database starts without it, too, when it says so.

    Exits with status 2 and one sentence when a setting is wrong, 1 when a loop failed.
    """
    try:
        settings = Settings.from_environment(name)
        crashpoints.arm_from_environment()
        if settings.tls_dir is not None:
            read(settings.tls_dir)
    except (SettingsError, TlsError, ValueError) as error:
        sys.exit(_complain(str(error)))
    configure(name, settings.log_level)
    configure_xds(settings)
    sys.exit(uvloop.run(_Process(settings, wire, chain, needs_database=needs_database).main()))


def _complain(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


@dataclass(frozen=True, slots=True)
class _Served:
    """What answers calls: the server, what it says of its health, and what refuses calls when it drains."""

    server: grpc.aio.Server
    health: HealthServicer
    admission: Admission


class _Process:
    """The life of one process."""

    def __init__(self, settings: Settings, wire: Wire, chain: Chain, *, needs_database: bool) -> None:
        self._settings = settings
        self._needs_database = needs_database
        self._wire = wire
        self._chain = chain
        self._clock = SystemClock()
        self._ids = SystemIds()
        self._stop = asyncio.Event()
        self._failed = False
        self._tasks: list[asyncio.Task[None]] = []

    async def main(self) -> int:
        """Start, serve, drain; returns the exit status."""
        self._stop_on_signals()
        tracing = Tracing.to_endpoint(self._settings.service, self._settings.otlp_endpoint)
        try:
            broker = self._broker()
        except BrokerOptionsError as error:
            return _complain(f"The options of Kafka cannot be used: {error}")
        database = await self._connect()
        relay = Relay(database, broker, self._settings.service)
        runtime = self._runtime(database, relay, tracing)
        self._follow_configuration(runtime)
        try:
            service = self._wire(runtime)
            discovery = Discovery(self._settings, runtime.channels, runtime.configuration)
        except SettingsError as error:
            return _complain(str(error))
        consumers = self._consumers(runtime, broker, service)
        loops = self._loops(runtime, service, consumers)
        if service.on_start is not None:
            await service.on_start()
        operated = Mechanisms.of(
            runtime, relay, consumers=consumers, sagas=service.sagas, projections=service.projections
        )
        served = self._server(runtime, service, OperationsServicer(operated))
        await self._serve(served, discovery, loops, relay)
        await _close(runtime, broker)
        _log.info("service.stopped")
        return 1 if self._failed else 0

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _runtime(self, database: Database, relay: Relay, tracing: Tracing) -> Runtime:
        settings = self._settings
        return Runtime(
            settings=settings,
            clock=self._clock,
            ids=self._ids,
            database=database,
            outbox=Outbox(
                settings.service,
                self._ids,
                self._clock,
                on_commit=relay.wake,
                max_event_bytes=settings.kafka_max_message_bytes,
            ),
            channels=self._chain.channels(settings, tracing, self._clock, self._ids),
            page_tokens=PageTokens(settings.secret("page-token.key").encode()),
            tracing=tracing,
            idempotency=IdempotencyStore(database, self._clock),
        )

    def _consumers(self, runtime: Runtime, broker: Broker, service: Service) -> list[Consumer]:
        if not service.subscriptions:
            return []
        settings = ConsumerSettings(session_timeout_s=self._settings.consumer_session.total_seconds())
        return [Consumer(runtime.database, broker, self._settings.service, service.subscriptions, settings)]

    def _loops(self, runtime: Runtime, service: Service, consumers: Sequence[Consumer]) -> list[Background]:
        """Everything that runs beside the calls, but the relay and what keeps in touch with control."""
        news = BreakerNews(self._settings, runtime.database, runtime.outbox)
        runtime.channels.callees.on_breaker_change(news.tell)
        return [
            *consumers,
            *([service.sagas] if service.sagas else []),
            *service.projections,
            *service.background,
            news,
            Every("runtime.purge", lambda: _purge(runtime, service.sagas), _PURGE_INTERVAL),
        ]

    async def _serve(
        self, served: _Served, discovery: Discovery, loops: Sequence[Background], relay: Relay
    ) -> None:
        """Serve until told to stop, then drain."""
        listen = self._settings.metrics_listen
        metrics = MetricsServer(listen) if listen else None
        await served.server.start()
        for background in (relay, *loops):
            self._spawn(background)
        _settle_garbage()
        served.health.set_all(SERVING)
        _log.info("service.serving", listen=self._settings.listen)
        for background in discovery.loops:
            self._spawn(background)
        await self._stop.wait()
        await self._drain(served, discovery, [*discovery.loops, *loops, relay])
        if metrics is not None:
            metrics.close()

    def _follow_configuration(self, runtime: Runtime) -> None:
        live, tracing = runtime.configuration, runtime.tracing
        live.on("log.level", str, set_level, self._settings.log_level)
        live.on("trace.sampling", float, tracing.resample, tracing.sample_ratio)

    def _broker(self) -> Broker:
        broker = Broker(
            BrokerSettings(
                self._settings.kafka_bootstrap,
                max_message_bytes=self._settings.kafka_max_message_bytes,
                options=self._settings.kafka_options,
            )
        )
        broker.check_options()
        return broker

    async def _connect(self) -> Database:
        url, size = self._settings.database_url, self._settings.database_pool_size
        name = f"greenledger-{self._settings.service}"
        patience_s = _DATABASE_PATIENCE_S if self._needs_database else _SHORT_PATIENCE_S
        patience = self._clock.monotonic() + patience_s
        while True:
            try:
                return await Database.connect(url, size, application_name=name)
            except Unavailable:
                if self._clock.monotonic() > patience or self._stop.is_set():
                    if not self._needs_database:
                        return Database.later(url, size, application_name=name)
                    raise
                _log.warning("database.unavailable")
                await asyncio.sleep(0.25)

    def _server(self, runtime: Runtime, service: Service, operations: OperationsServicer) -> _Served:
        interceptors, admission = self._chain.server(runtime, service)
        server = grpc.aio.server(interceptors=list(interceptors), options=SERVER_OPTIONS)
        health = HealthServicer()
        served = [*service.servicers, servicer(operations)]
        for entry in served:
            entry.add(entry.implementation, server)
            health.set(entry.name, NOT_SERVING)
        # The generated base class is synchronous; ours is not derived from it.
        health_pb2_grpc.add_HealthServicer_to_server(cast("Any", health), server)
        names = [*(entry.name for entry in served), SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, server)
        health.set(OVERALL, NOT_SERVING)
        if self._settings.tls_dir is not None:
            server.add_secure_port(self._settings.listen, server_credentials(self._settings.tls_dir))
        else:
            server.add_insecure_port(self._settings.listen)
        return _Served(server, health, admission)

    def _spawn(self, background: Background) -> None:
        task = asyncio.create_task(background.run(), name=type(background).__name__)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._stop.is_set() or task.cancelled():
            return
        _log.critical("loop.failed", loop=task.get_name(), exc_info=task.exception())
        self._failed = True
        self._stop.set()

    async def _drain(self, served: _Served, discovery: Discovery, loops: Sequence[Background]) -> None:
        grace_s = self._settings.drain_timeout.total_seconds()
        _log.info("service.draining", grace_s=grace_s)
        served.health.set_all(NOT_SERVING)
        await discovery.deregister()
        # Until others have heard of it, calls still come here.
        await asyncio.sleep(self._settings.drain_notice.total_seconds())
        served.admission.drain()
        served.admission.end_streams()
        served.health.end_watches()
        # Callers who have not heard yet are told that nothing was begun, so that any call may go elsewhere.
        # Of what comes to a server that stops, gRPC says only that it was cancelled.
        await asyncio.sleep(self._settings.drain_notice.total_seconds())
        stopping = asyncio.ensure_future(served.server.stop(grace_s + _LAST_ANSWERS_S))
        await asyncio.wait({stopping}, timeout=grace_s)
        served.admission.end_calls()
        await stopping
        for background in loops:
            await _bounded(background.stop(), grace_s, type(background).__name__)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _settle_garbage() -> None:
    # What was made by now stays: the collector need not look at it again at every full pass.
    # Calls and events leave next to no cycles behind, so it looks more seldom, too.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)


async def _close(runtime: Runtime, broker: Broker) -> None:
    await runtime.channels.close()
    await broker.close()
    await runtime.database.close()
    await asyncio.to_thread(runtime.tracing.close)


async def _purge(runtime: Runtime, sagas: SagaEngine | None) -> bool:
    """Forget what has served its time; whether there may be more."""
    if await runtime.database.fetchval("SELECT to_regclass('idempotency') IS NOT NULL"):
        await runtime.idempotency.purge()
    return sagas is not None and await sagas.purge(_SAGAS_KEPT, _PURGE_BATCH) == _PURGE_BATCH


async def _bounded(work: Awaitable[Any], limit_s: float, name: str) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError:
        # What is left is repeated after the next start: every loop's work is idempotent.
        _log.warning("loop.not_drained", loop=name, limit_s=limit_s)
