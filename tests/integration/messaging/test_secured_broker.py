"""A broker that wants TLS and an account: every client of ours has both."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chassis.broker import Broker, BrokerSettings
from chassis.broker_options import BrokerOptions
from chassis.errors import Unavailable
from chassis.testing import eventually
from chassis.testing.broker import BrokerServer
from chassis.testing.messaging import MessagingWorld
from fleet.component import Runner, RunState
from fleet.errors import FleetError
from fleet.servers.broker import Broker as FleetBroker
from fleet.settings import FleetSettings
from tests.integration.messaging.gate import Gate, gate

pytestmark = pytest.mark.slow

PASSWORD = "hunter2, and a comma"


@pytest_asyncio.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Gate]:
    async with gate(tmp_path, user="greenledger", password=PASSWORD) as made:
        server = BrokerServer(advertised_port=made.port)
        await asyncio.to_thread(server.start)
        made.broker_port = server.port
        try:
            yield made
        finally:
            server.stop()


def options_file(secured: Gate, password: str = PASSWORD) -> Path:
    file = secured.certificate.with_name("kafka.properties")
    file.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.username=greenledger\n"
        f"sasl.password={password}\nssl.ca.location={secured.certificate}\n"
    )
    return file


def options(secured: Gate, password: str = PASSWORD) -> BrokerOptions:
    return BrokerOptions.read("", str(options_file(secured, password)))


async def test_events_go_through_relay_and_consumer(secured: Gate, database_dsn: str) -> None:
    world = MessagingWorld(database_dsn, secured.bootstrap)
    await world.open()
    await world.broker.close()
    world.broker = Broker(BrokerSettings(secured.bootstrap, fetch_wait_ms=10, options=options(secured)))
    try:
        world.relay()
        world.consumer()
        await world.publish("a", "1", "2", "3")

        async def applied() -> bool:
            return await world.effects() == {"a": ["1", "2", "3"]}

        await eventually(applied, 30)
    finally:
        await world.close()
    # Incarnation's reader and writer, topics, relay and consumer: all of them were let in, none refused.
    assert secured.passed >= 5
    assert secured.refused == 0


@pytest.mark.parametrize("wrong", ["no options", "wrong password"])
async def test_who_has_not_both_is_refused(
    secured: Gate, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = BrokerOptions() if wrong == "no options" else options(secured, "hunter3")
    broker = Broker(BrokerSettings(secured.bootstrap, options=given))
    with pytest.raises(Unavailable) as refused:
        await broker.incarnation()
    await broker.close()
    assert secured.passed == 0
    assert "hunter3" not in str(refused.value) + caplog.text


async def test_the_fleet_sees_that_its_external_broker_answers(secured: Gate, tmp_path: Path) -> None:
    settings = FleetSettings.from_environment(
        {
            "GREENLEDGER_KAFKA_BOOTSTRAP": secured.bootstrap,
            "GREENLEDGER_KAFKA_OPTIONS_FILE": str(options_file(secured)),
        },
        edge_port=20000,
        state_dir=tmp_path / "state",
    )
    runner = Runner(FleetBroker(settings))
    await runner.start()
    assert runner.state is RunState.SERVING
    assert secured.passed >= 1


async def test_the_fleet_says_which_setting_to_correct(secured: Gate, tmp_path: Path) -> None:
    environ = {"GREENLEDGER_KAFKA_BOOTSTRAP": secured.bootstrap, "GREENLEDGER_KAFKA_OPTIONS": "acks=1"}
    settings = FleetSettings.from_environment(environ, edge_port=20000, state_dir=tmp_path / "state")
    with pytest.raises(FleetError, match="acks must not be set"):
        await Runner(FleetBroker(settings)).start()
    environ["GREENLEDGER_KAFKA_OPTIONS"] = f"security.protocol=SSL,ssl.ca.location={secured.certificate}"
    settings = FleetSettings.from_environment(environ, edge_port=20000, state_dir=tmp_path / "state")
    broker = FleetBroker(settings)
    broker.start_timeout_s = 3.0
    with pytest.raises(FleetError, match="GREENLEDGER_KAFKA_OPTIONS"):
        await Runner(broker).start()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("no.such.property=hunter2", 'No such configuration property: "no.such.property"'),
        ("sasl.password=hunter2,isolation.level=read_uncommitted", "isolation.level must not be set"),
    ],
    ids=["unknown", "ours"],
)
async def test_a_service_with_options_that_cannot_be_used_ends_at_once_with_a_sentence(
    tmp_path: Path, options: str, expected: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.payments.main"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GREENLEDGER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "GREENLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "GREENLEDGER_KAFKA_OPTIONS": options,
            "GREENLEDGER_LISTEN": "127.0.0.1:0",
            "GREENLEDGER_SECRETS_DIR": str(tmp_path),
        },
    )
    output, _ = await process.communicate()
    assert process.returncode == 2
    assert output.decode().startswith(f"The options of Kafka cannot be used: {expected}")
    assert output.count(b"\n") == 1
    assert b"hunter2" not in output
