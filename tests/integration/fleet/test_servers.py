"""Each embedded server really starts, answers in its own protocol, stops, and keeps what it should."""

import asyncio
import contextlib
import mailbox
import os
import smtplib
import stat
from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import httpx
import pytest
from confluent_kafka.admin import AdminClient

from chassis.testing.eventually import eventually
from fleet.component import Component, Runner, RunState
from fleet.errors import FleetError
from fleet.servers.broker import Broker
from fleet.servers.envoy import Envoy
from fleet.servers.mailbox import Mailbox
from fleet.servers.postgres import Postgres
from fleet.servers.valkey import Valkey
from fleet.settings import FleetSettings
from tests.integration.fleet.edge import render, tell

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def running(component: Component) -> AsyncIterator[Runner]:
    runner = Runner(component)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop(component.stop_grace_s)
        assert runner.state is RunState.STOPPED


async def test_postgres_keeps_its_data_over_a_restart(settings: FleetSettings) -> None:
    postgres = Postgres(settings, "first-password")
    async with running(postgres):
        connection = await asyncpg.connect(postgres.admin_dsn)
        await connection.execute("CREATE TABLE lot (code text)")
        await connection.execute("INSERT INTO lot VALUES ('tomatoes')")
        await connection.close()
    async with running(postgres):
        connection = await asyncpg.connect(postgres.admin_dsn)
        assert await connection.fetchval("SELECT code FROM lot") == "tomatoes"
        await connection.close()


async def test_postgres_stops_in_order_so_that_the_next_start_needs_no_recovery(
    settings: FleetSettings,
) -> None:
    postgres = Postgres(settings, "password")
    async with running(postgres):
        idle = await asyncpg.connect(postgres.admin_dsn)
    assert idle.is_closed() or not (postgres.data_dir / "postmaster.pid").exists()
    idle.terminate()
    async with running(postgres):
        pass
    assert "not properly shut down" not in settings.log_path("postgres").read_text()


async def test_postgres_refuses_a_wrong_password_with_one_sentence(settings: FleetSettings) -> None:
    async with running(Postgres(settings, "right")):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(Postgres(settings, "wrong").admin_dsn)
        with pytest.raises(FleetError, match="refuses the password"):
            await Postgres(settings, "wrong").probe()


async def test_postgres_removes_a_pid_file_whose_number_belongs_to_another_program(
    settings: FleetSettings,
) -> None:
    postgres = Postgres(settings, "password")
    async with running(postgres):
        pass
    (postgres.data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.data_dir}\n")
    async with running(postgres) as runner:
        assert runner.state is RunState.SERVING


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change to another user")
async def test_postgres_runs_for_root_in_a_project_closed_to_others(settings: FleetSettings) -> None:
    settings.state_dir.chmod(0o700)
    async with running(Postgres(settings, "password")) as runner:
        assert runner.child is not None
        assert os.stat(f"/proc/{runner.child.pid}").st_uid != 0
    assert stat.S_IMODE(settings.state_dir.stat().st_mode) == 0o700


async def test_postgres_passes_its_password_neither_in_arguments_nor_in_the_log(
    settings: FleetSettings,
) -> None:
    postgres = Postgres(settings, "very-secret-word")
    async with running(postgres):
        launch = postgres.launch()
        assert launch is not None
        assert not any("very-secret-word" in argument for argument in launch.argv)
    for log in settings.logs_dir.iterdir():
        assert "very-secret-word" not in log.read_text()


async def test_the_broker_answers_a_real_kafka_client(settings: FleetSettings) -> None:
    broker = Broker(settings)
    async with running(broker):
        client = AdminClient({"bootstrap.servers": broker.bootstrap})
        metadata = await asyncio.to_thread(client.list_topics, timeout=5)
        assert [f"{entry.host}:{entry.port}" for entry in metadata.brokers.values()] == [broker.address]


async def test_valkey_answers_and_forgets_on_restart(settings: FleetSettings) -> None:
    valkey = Valkey(settings)
    async with running(valkey):
        assert await _redis(settings, "SET lot tomatoes") == "+OK"
        assert await _redis(settings, "GET lot") == "$8"
    async with running(valkey):
        assert await _redis(settings, "GET lot") == "$-1"


async def test_the_mailbox_keeps_each_accepted_message(settings: FleetSettings) -> None:
    async with running(Mailbox(settings)):
        await asyncio.to_thread(_send, settings.smtp_port, "Subject: Welcome\r\n\r\nGood tomatoes.\r\n")
        (message,) = mailbox.Maildir(settings.mailbox_dir)
    assert message["Subject"] == "Welcome"
    assert message["Delivered-To"] == "guest@example.org"
    assert message.get_payload().strip() == "Good tomatoes."


async def test_the_mailbox_does_not_accept_what_it_cannot_store(settings: FleetSettings) -> None:
    async with running(Mailbox(settings)):
        (settings.mailbox_dir / "tmp").rmdir()
        (settings.mailbox_dir / "tmp").write_text("in the way")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await asyncio.to_thread(_send, settings.smtp_port, "Subject: Lost\r\n\r\n")
        assert refused.value.smtp_code == 451


async def test_envoy_lets_a_request_in_flight_finish_before_it_stops(settings: FleetSettings) -> None:
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    envoy = Envoy(settings, partial(render, upstream=port))
    runner = Runner(envoy)
    await runner.start()
    async with httpx.AsyncClient(base_url=settings.edge_url) as client:
        assert (await client.get("/")).text == "here"
        slow = asyncio.create_task(client.get("/slow"))
        await arrived.wait()
        stopping = asyncio.create_task(runner.stop(envoy.stop_grace_s))
        await eventually(lambda: _refuses(settings.edge_port))
        answer.set()
        assert (await slow).text == "late"
    await stopping
    server.close()


async def test_envoy_is_waited_for_until_it_has_heard_of_every_process(settings: FleetSettings) -> None:
    envoy = Envoy(settings, render)
    processes = {"127.0.0.1:18101": "grower", "127.0.0.1:18102": "venue"}
    tell(settings, [18101])
    async with running(envoy):
        with pytest.raises(FleetError, match="has not heard of venue within"):
            await envoy.hear_of(processes, within_s=0.3)
        hearing = asyncio.create_task(envoy.hear_of(processes))
        tell(settings, [18102, 18101])
        await hearing


async def test_a_broken_edge_configuration_is_said_with_envoys_own_words(settings: FleetSettings) -> None:
    def broken(_: FleetSettings):
        path = settings.run_dir / "broken.yaml"
        path.write_text("static_resources: {listenerz: []}\n")
        return path

    with pytest.raises(FleetError, match="envoy ended with exit code 1 while starting") as failure:
        await Runner(Envoy(settings, broken)).start()
    assert "listenerz" in failure.value.log_tail


async def test_a_missing_envoy_says_how_to_get_one(make_settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FleetError, match=r"Envoy is not installed: run `make env`.*GREENLEDGER_ENVOY_BIN"):
        await Runner(Envoy(make_settings(), render)).start()


@pytest.mark.parametrize(
    ("component", "change", "setting"),
    [
        (
            lambda s: Postgres(s, ""),
            {"postgres_url": "postgresql://u:p@127.0.0.1:9/postgres"},
            "POSTGRES_URL",
        ),
        (Broker, {"kafka_bootstrap": "127.0.0.1:9"}, "KAFKA_BOOTSTRAP"),
        (Valkey, {"valkey_url": "redis://127.0.0.1:9/0"}, "VALKEY_URL"),
        (Mailbox, {"smtp_url": "smtp://127.0.0.1:9"}, "SMTP_URL"),
    ],
)
async def test_an_external_server_that_is_away_is_named_with_its_setting(
    make_settings, component, change, setting
) -> None:
    external = component(make_settings(**change))
    external.start_timeout_s = 0.3
    with pytest.raises(FleetError, match=f"does not answer.*GREENLEDGER_{setting}"):
        await Runner(external).start()


async def test_external_servers_are_used_and_left_alone(make_settings) -> None:
    own = make_settings()
    valkey, postgres = Valkey(own), Postgres(own, "password")
    async with running(valkey), running(postgres):
        guest = make_settings(valkey_url=valkey.url, postgres_url=postgres.admin_dsn)
        for external in (Valkey(guest), Postgres(guest, "unused")):
            async with running(external) as runner:
                assert runner.child is None
        assert await _redis(own, "PING") == "+PONG"
        assert Postgres(guest, "unused").service_dsn("orders").endswith("/greenledger_orders")


async def _redis(settings: FleetSettings, command: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.valkey_port)
    writer.write(command.encode() + b"\r\n")
    line = (await reader.readline()).decode().strip()
    writer.close()
    return line


def _send(port: int, message: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.sendmail("fleet@example.org", ["guest@example.org"], message)


async def _refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
