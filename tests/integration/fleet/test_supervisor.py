"""A whole fleet with real servers and small real gRPC services, in a process of its own."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography import x509

from chassis.testing.eventually import eventually
from chassis.tls import read
from fleet.health import health_of
from fleet.settings import PROJECT_ROOT, FleetSettings
from fleet.state import FleetRecord, read_record
from fleet.status import gather_status
from fleet.testing.ports import free_edge_port
from tests.integration.fleet.edge import tell

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("fleet_driver.py")


@dataclass
class Driver:
    """The process that supervises, and where its fleet is."""

    process: asyncio.subprocess.Process
    settings: FleetSettings
    output: Path

    def record(self) -> FleetRecord | None:
        """The record of this very process, not of one before it."""
        record = read_record(self.settings)
        return record if record and record.supervisor_pid == self.process.pid else None

    async def serving(self) -> FleetRecord:
        def look() -> FleetRecord | None:
            assert self.process.returncode is None, self.output.read_text()
            record = self.record()
            return record if record and record.phase == "serving" else None

        return await eventually(look, 60, ignore=())

    def pid_of(self, name: str) -> int:
        record = self.record()
        assert record is not None
        (pid,) = [entry.pid for entry in record.components if entry.name == name]
        assert pid is not None
        return pid

    def state_of(self, name: str) -> str:
        record = self.record()
        return next((entry.state for entry in record.components if entry.name == name), "") if record else ""

    async def ended(self) -> str:
        await asyncio.wait_for(self.process.wait(), 60)
        return self.output.read_text()


@contextlib.asynccontextmanager
async def driving(
    settings: FleetSettings, names: str = "grower,venue", **environment: str
) -> AsyncIterator[Driver]:
    output = settings.state_dir / f"driver-{os.urandom(4).hex()}.out"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(DRIVER), str(settings.state_dir), str(settings.edge_port), names),
            stdout=file,
            stderr=file,
            cwd=PROJECT_ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(PROJECT_ROOT / "gen" / "python")]),
                **environment,
            },
        )
    driver = Driver(process, settings, output)
    try:
        yield driver
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 60)


async def test_everything_serves_and_is_drained_in_reverse_order(settings: FleetSettings) -> None:
    async with driving(settings) as driver:
        record = await driver.serving()
        kinds = {entry.name: (entry.kind, entry.state) for entry in record.components}
        assert kinds == {
            **dict.fromkeys(("postgres", "broker", "valkey", "mailbox"), ("server", "serving")),
            **dict.fromkeys(("grower", "venue"), ("service", "serving")),
            "envoy": ("edge", "serving"),
        }
        async with httpx.AsyncClient() as client:
            assert (await client.get(settings.edge_url)).text == "here"
        driver.process.send_signal(signal.SIGINT)
        output = await driver.ended()
    assert driver.process.returncode == 0
    stops = [line.split()[2] for line in output.splitlines() if line.endswith(" stopped")]
    assert stops[:3] == ["envoy", "venue", "grower"]
    assert stops[-1] == "postgres"
    assert "drained" in settings.log_path("venue").read_text()
    stopped = driver.record()
    assert stopped is not None
    assert stopped.phase == "stopped"


async def test_replicas_and_a_canary_run_under_names_of_their_own_and_control_is_drained_last(
    make_settings: Callable[..., FleetSettings],
) -> None:
    settings = make_settings(edge_port=free_edge_port(replicas=True))
    ports = [settings.service_port(index) for index in range(3)]
    extra = [settings.extra_port(index) for index in range(3)]
    tell(settings, [*ports, *extra[:2]])
    async with driving(settings, "grower,venue,control") as driver:
        await eventually(lambda: driver.state_of("envoy") == "serving", 60)
        assert driver.record().phase == "starting", "the edge has yet to hear of a process of control"
        tell(settings, [*ports, *extra])
        record = await driver.serving()
        processes = {entry.name: entry.service for entry in record.components if entry.kind == "service"}
        assert processes == {
            "grower": "grower",
            **dict.fromkeys(("venue", "venue-2", "venue-canary"), "venue"),
            **dict.fromkeys(("control", "control-2"), "control"),
        }
        assert record.services.keys() == {"grower", "venue", "control"}
        assert {row.health for row in await gather_status(record) if row.record.kind == "service"} == {
            "SERVING"
        }
        policies = (settings.control_dir / "traffic.yaml").read_text()
        assert "service: venue" in policies
        first = driver.pid_of("venue-2")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: driver.pid_of("venue-2") != first, 20, ignore=(AssertionError,))
        await driver.serving()
        driver.process.send_signal(signal.SIGINT)
        output = await driver.ended()
    stops = [line.split()[2] for line in output.splitlines() if line.endswith(" stopped")]
    assert stops[0] == "envoy"
    assert set(stops[1:4]) == {"venue", "venue-2", "venue-canary"}
    assert stops[4] == "grower"
    assert set(stops[5:7]) == {"control", "control-2"}
    drained = settings.log_path("venue-canary").read_text()
    control = f"127.0.0.1:{settings.service_port(2)},127.0.0.1:{settings.extra_port(2)}"
    assert f"venue venue-canary v2 {control} drained" in drained


async def test_a_supervisor_killed_with_sigkill_leaves_no_process_behind(settings: FleetSettings) -> None:
    async with driving(settings) as driver:
        await driver.serving()
        family = psutil.Process(driver.process.pid).children(recursive=True)
        assert len(family) > 7, "PostgreSQL's helpers belong to it"
        driver.process.kill()
        await eventually(lambda: not any(process.is_running() for process in family), 20)
    async with driving(settings) as driver:
        await driver.serving()
    assert "not properly shut down" not in settings.log_path("postgres").read_text()


async def test_a_service_that_dies_is_started_again_and_said_so_in_one_line(settings: FleetSettings) -> None:
    async with driving(settings) as driver:
        await driver.serving()
        first = driver.pid_of("venue")
        os.kill(first, signal.SIGKILL)

        def back() -> bool:
            record = driver.record()
            assert record is not None
            (venue,) = [entry for entry in record.components if entry.name == "venue"]
            # The last of it is the notice, which is written after the state.
            told = record.notices[-2:]
            return (venue.state, venue.restarts, told) == ("serving", 1, notices)

        notices = ["venue died with SIGKILL; restart 1 in 0.2 s.", "venue answers again."]
        await eventually(back, 20)
        assert driver.pid_of("venue") != first


async def test_postgres_is_started_again_when_it_dies(settings: FleetSettings) -> None:
    async with driving(settings) as driver:
        await driver.serving()
        first = driver.pid_of("postgres")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: driver.pid_of("postgres") != first, 20)
        await eventually(
            lambda: [e.state for e in driver.record().components if e.name == "postgres"] == ["serving"], 20
        )


async def test_with_mutual_tls_services_are_reached_by_members_and_certificates_are_renewed_while_it_runs(
    settings: FleetSettings,
) -> None:
    mutual = {"GREENLEDGER_MTLS": "on", "GREENLEDGER_CERTIFICATE_LIFE_S": "10"}
    async with driving(settings, **mutual) as driver:
        record = await driver.serving()
        address = f"127.0.0.1:{settings.service_port(1)}"
        assert await health_of(address) == "UNAVAILABLE"
        assert await health_of(address, record.peer("venue")) == "SERVING"
        assert await health_of(address, record.peer("grower")) == "UNAVAILABLE"
        before = read(settings.tls_root / "venue")
        # After a whole life nobody could connect with what they were started with.
        expired = x509.load_pem_x509_certificate(before.certificate).not_valid_after_utc
        await eventually(lambda: datetime.now(UTC) > expired, 20)
        assert read(settings.tls_root / "venue").key != before.key
        statuses = await gather_status(record)
        assert {entry.health for entry in statuses if entry.record.kind == "service"} == {"SERVING"}
        assert driver.process.returncode is None
    assert "PRIVATE" not in driver.output.read_text()


async def test_two_fleets_run_side_by_side(make_settings: Callable[..., FleetSettings]) -> None:
    one, two = make_settings(), make_settings()
    async with driving(one) as first, driving(two) as second:
        await first.serving()
        await second.serving()
        for settings in (one, two):
            assert await health_of(f"127.0.0.1:{settings.service_port(1)}") == "SERVING"
        first.process.terminate()
        await first.ended()
        assert await health_of(f"127.0.0.1:{two.service_port(1)}") == "SERVING"


async def test_a_second_fleet_on_one_state_folder_is_refused(settings: FleetSettings) -> None:
    async with driving(settings) as first:
        await first.serving()
        async with driving(settings) as second:
            output = await second.ended()
        assert second.process.returncode == 1
        assert f"A fleet already runs on {settings.state_dir} (pid {first.process.pid}" in output
        assert first.record() is not None, "the refused one must not touch the record"


async def test_a_busy_port_is_named_with_its_holder_and_the_setting_to_change(
    settings: FleetSettings,
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", settings.service_port(1)))
        holder.listen()
        async with driving(settings) as driver:
            output = await driver.ended()
    assert driver.process.returncode == 1
    assert f"Port {settings.service_port(1)} for the service venue is already in use by" in output
    assert f"(pid {os.getpid()})" in output
    assert "set GREENLEDGER_EDGE_PORT (or --edge-port)" in output
    assert not (settings.state_dir / "postgres").exists(), "nothing was started"


async def test_a_service_that_ends_while_starting_stops_the_fleet_with_its_last_words(
    settings: FleetSettings,
) -> None:
    async with driving(settings, ECHO_MODE="crash") as driver:
        output = await driver.ended()
        record = driver.record()
    assert driver.process.returncode == 1
    assert "the ledger is upside down" in output
    assert "ended with exit code 1 while starting" in output
    assert record is not None
    assert record.phase == "failed"
    assert {entry.state for entry in record.components if entry.kind == "server"} == {"stopped"}


async def test_a_second_interrupt_kills_what_does_not_end(settings: FleetSettings) -> None:
    async with driving(settings, ECHO_MODE="stubborn") as driver:
        await driver.serving()
        family = psutil.Process(driver.process.pid).children(recursive=True)
        driver.process.send_signal(signal.SIGINT)
        await eventually(lambda: (record := driver.record()) and record.phase == "stopping")
        driver.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(driver.process.wait(), 10)
    await eventually(lambda: not any(process.is_running() for process in family))


async def test_an_interrupt_while_starting_stops_what_has_started(settings: FleetSettings) -> None:
    async with driving(settings, ECHO_MODE="never") as driver:
        await eventually(
            lambda: (record := driver.record()) and record.components[-2].state == "starting", 30
        )
        driver.process.send_signal(signal.SIGINT)
        await driver.ended()
    assert driver.process.returncode == 0
    record = driver.record()
    assert record is not None
    assert record.phase == "stopped"


async def test_status_knows_health_process_and_memory_of_every_part(settings: FleetSettings) -> None:
    async with driving(settings) as driver:
        rows = {row.record.name: row for row in await gather_status(await driver.serving())}
        assert rows["venue"].health == "SERVING"
        assert all(row.healthy for row in rows.values())
        assert all(row.memory_bytes and row.memory_bytes > 1_000_000 for row in rows.values())
        os.kill(rows["venue"].record.pid, signal.SIGSTOP)
        try:
            (venue,) = [row for row in await gather_status(driver.record()) if row.record.name == "venue"]
            assert not venue.healthy
        finally:
            os.kill(rows["venue"].record.pid, signal.SIGCONT)


async def test_no_secret_is_written_anywhere_but_in_the_secrets_folder(settings: FleetSettings) -> None:
    async with driving(settings) as driver:
        await driver.serving()
    secrets = [path.read_text() for path in settings.secrets_dir.iterdir()]
    password = (settings.secrets_dir / "postgres.password").read_text()
    assert password in secrets
    for folder in (settings.logs_dir, settings.run_dir, settings.state_dir):
        for path in folder.iterdir():
            if path.is_file():
                assert password not in path.read_text()
