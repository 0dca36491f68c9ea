"""Starts the whole fleet, keeps it running, and drains it in order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from fleet.component import Component, Runner, RunState
from fleet.databases import prepare_databases
from fleet.errors import FleetError
from fleet.instances import Endpoints, ServiceProcess, lay_out
from fleet.membership import members
from fleet.ports import require_free_ports
from fleet.progress import Progress
from fleet.roster import Roster
from fleet.secrets import FleetSecrets, ensure_secrets
from fleet.servers.broker import Broker
from fleet.servers.envoy import Envoy, RenderEdge, render_edge
from fleet.servers.mailbox import Mailbox
from fleet.servers.postgres import Postgres
from fleet.servers.valkey import Valkey
from fleet.services import SERVICES, ServiceSpec, select, stop_waves
from fleet.settings import FleetSettings
from fleet.state import FleetRecord, end_leftovers, exclusive
from fleet.trust import Authority, Renewal

STOP_LIMIT_S = 30.0


class Supervisor:
    """One fleet on one state folder.

    Args:
        settings: ports, folders and external servers.
        progress: where the person looks.
        services: every service there is; default the project's list.
        only: start these services only; empty means all.
        render: renders the edge's configuration; default the project's renderer, with the fleet's control.
        edge: whether to start the edge; default yes.
    """

    def __init__(
        self,
        settings: FleetSettings,
        progress: Progress,
        *,
        services: Sequence[ServiceSpec] = SERVICES,
        only: Sequence[str] = (),
        render: RenderEdge | None = None,
        edge: bool = True,
    ) -> None:
        self._settings = settings
        self._all_services = services
        self._chosen = select(services, only)
        self._layout = lay_out(services, self._chosen, settings)
        self._render = render or partial(render_edge, xds=self._layout.xds)
        self._edge = edge
        self._progress = progress
        self._roster = Roster(settings, progress, os.getpid())
        self._stop_asked = asyncio.Event()
        self._kill_asked = asyncio.Event()
        self._renewal: asyncio.Task[None] | None = None

    @property
    def record(self) -> FleetRecord:
        """The fleet as it is now."""
        return self._roster.record()

    async def run(self, *, on_serving: Callable[[FleetRecord], None] = lambda _: None) -> None:
        """Run the fleet until it is asked to stop; call it on the main thread.

        Args:
            on_serving: called once when every part answers.

        Raises:
            FleetError: the fleet did not come up; what had started is stopped again.
        """
        self._settings.make_folders()
        with exclusive(self._settings), self._signals():
            try:
                await self._until_asked(self._start())
                if not self._stop_asked.is_set():
                    self._roster.enter("serving")
                    self._progress.settle()
                    on_serving(self._roster.record())
                    await self._stop_asked.wait()
            except FleetError as error:
                self._roster.fail(error)
                raise
            except Exception as error:
                # Whoever waits for a detached fleet reads the record, not this process's traceback.
                self._roster.fail(
                    FleetError(f"The fleet met a defect of its own ({type(error).__name__}: {error}).")
                )
                raise
            finally:
                await self._stop()

    def ask_to_stop(self) -> None:
        """Drain the fleet; asked a second time, kill it."""
        if self._stop_asked.is_set():
            self._kill_asked.set()
        self._stop_asked.set()

    @contextlib.contextmanager
    def _signals(self) -> Any:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.ask_to_stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def _until_asked(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, dropped as soon as the fleet is asked to stop."""
        working = asyncio.create_task(work)
        asked = asyncio.create_task(self._stop_asked.wait())
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if working.done():
            working.result()
            return
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    async def _start(self) -> None:
        for name in end_leftovers(self._settings):
            self._roster.say(f"{name} was left over from a fleet that was killed and has been ended.")
        await self._trust()
        secrets = ensure_secrets(self._settings.secrets_dir, [spec.name for spec in self._all_services])
        postgres, servers, services, edge = self._components(secrets)
        require_free_ports([*servers, *services, *edge], self._settings)
        runners = {runner.name: runner for runner in self._roster.add([*servers, *services, *edge])}
        self._roster.publish()
        ready_with_databases = self._databases(runners["postgres"], postgres)
        others = [runners[server.name].start() for server in servers if server is not postgres]
        await _all([ready_with_databases, *others, self._steering(edge)])
        await _all([runners[service.name].start() for service in services])
        await _all([runners[entry.name].start() for entry in edge])
        if self._layout.xds:
            # Each process registers with control by itself, and some may not have come to it yet.
            processes = {entry.address: entry.name for entry in self._layout.instances}
            await _all([entry.hear_of(processes) for entry in edge])

    async def _trust(self) -> None:
        """Certificates for everybody before anybody starts, renewed for as long as the fleet runs."""
        settings = self._settings
        if not settings.mtls:
            return
        authority = Authority(settings.tls_root, leaf_life=settings.certificate_life)
        named = members((spec.name for spec in self._all_services), self._layout.xds)
        await asyncio.to_thread(authority.ensure, named)
        renewal = Renewal(authority, settings.certificate_life, self._roster.say)
        self._renewal = asyncio.create_task(renewal.run())

    def _components(
        self, secrets: FleetSecrets
    ) -> tuple[Postgres, list[Component], list[Component], list[Envoy]]:
        settings = self._settings
        postgres = Postgres(settings, secrets.postgres_password)
        broker, valkey, mailbox = Broker(settings), Valkey(settings), Mailbox(settings)
        endpoints = Endpoints(
            database_urls={spec.name: postgres.service_dsn(spec.name) for spec in self._all_services},
            kafka_bootstrap=broker.bootstrap,
            valkey_url=valkey.url,
            smtp_url=mailbox.url,
        )
        services: list[Component] = [
            ServiceProcess(entry, self._layout, settings, endpoints) for entry in self._layout.instances
        ]
        edge = [Envoy(settings, self._render)] if self._edge else []
        return postgres, [postgres, broker, valkey, mailbox], services, edge

    async def _databases(self, runner: Runner, postgres: Postgres) -> None:
        await runner.start()
        await prepare_databases(postgres, self._chosen, self._settings.project_root, say=self._roster.say)

    async def _steering(self, edge: Sequence[Component]) -> None:
        """Write what control reads at its start: the policies, and the edge's route table."""
        if self._layout.control:
            from fleet.traffic_file import write_traffic_file  # noqa: PLC0415  (stubs that few need)

            await asyncio.to_thread(write_traffic_file, self._settings, self._layout)
            await asyncio.gather(*(entry.prepare() for entry in edge))

    async def _stop(self) -> None:
        if not self._roster.all:
            self._finish()
            return
        self._roster.enter("stopping")
        draining = asyncio.create_task(self._drain())
        killing = asyncio.create_task(self._kill_asked.wait())
        await asyncio.wait({draining, killing}, timeout=STOP_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        killing.cancel()
        if not draining.done():
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            await asyncio.gather(*(runner.kill() for runner in self._roster.all))
        self._finish()

    async def _drain(self) -> None:
        """Edge first, then services before those they call, control, then the servers, PostgreSQL last."""
        await _stop_together(self._roster.runners("edge"))
        for wave in stop_waves(self._chosen):
            processes = self._roster.runners("service")
            await _stop_together([runner for runner in processes if runner.component.service in wave])
        servers = self._roster.runners("server")
        await _stop_together([runner for runner in servers if runner.name != "postgres"])
        await _stop_together([runner for runner in servers if runner.name == "postgres"])

    def _finish(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        self._progress.settle()
        self._roster.enter("failed" if self._roster.record().message else "stopped")
        self._progress.settle()


async def _stop_together(runners: Sequence[Runner]) -> None:
    active = [runner for runner in runners if runner.state is not RunState.WAITING]
    await asyncio.gather(*(runner.stop(runner.component.stop_grace_s) for runner in active))


async def _all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do everything at once; the first failure cancels the rest and is raised alone."""
    tasks = [asyncio.create_task(entry) for entry in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
