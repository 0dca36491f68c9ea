"""The commands of an operator, as typed, against the services of a running fleet."""

import asyncio
import json
import sys
import uuid

import pytest
from confluent_kafka import Producer

from chassis.outbox.outbox import EVENT_ID, KEY_SEQUENCE, PRODUCER
from chassis.testing import eventually
from fleet.client import RpcEdge
from fleet.settings import process_environment
from fleet.testing.running import RunningFleet
from tests.e2e.people import newcomer, open_shop

pytestmark = pytest.mark.slow

TOPIC, CONSUMER = "catalog.menu-item-changed", "trace"


class Operator:
    """Types commands; `fails` says that status 1 and nothing else is right."""

    def __init__(self, fleet: RunningFleet) -> None:
        self._fleet = fleet

    async def __call__(self, *words: str, fails: bool = False, answer: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fleet.cli", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **process_environment(self._fleet.settings),
                "GREENLEDGER_STATE_DIR": str(self._fleet.settings.state_dir),
                "COLUMNS": "250",
            },
        )
        output, _ = await process.communicate(answer.encode())
        text = output.decode()
        assert process.returncode == (1 if fails else 0), text
        assert "Traceback" not in text
        return text


@pytest.fixture
def greenledger(fleet: RunningFleet) -> Operator:
    return Operator(fleet)


async def park(fleet: RunningFleet, greenledger: Operator) -> str:
    """A key of which the first event cannot be read."""
    key = str(uuid.uuid4())

    def produce() -> None:
        producer = Producer({"bootstrap.servers": fleet.component("broker").address})
        headers = {EVENT_ID: str(uuid.uuid4()), KEY_SEQUENCE: "1", PRODUCER: "catalog"}
        producer.produce(
            TOPIC, key=key, value=b"\xff", headers={name: text.encode() for name, text in headers.items()}
        )
        assert producer.flush(10) == 0

    async def parked() -> bool:
        return key in await greenledger("parked", "list", "--service", CONSUMER)

    await asyncio.to_thread(produce)
    await eventually(parked, 30)
    return key


async def test_a_parked_key_is_shown_replayed_in_vain_and_skipped(
    fleet: RunningFleet, greenledger: Operator
) -> None:
    key = await park(fleet, greenledger)
    of_key = (CONSUMER, TOPIC, key)
    listed = json.loads(await greenledger("parked", "list", "--json"))
    (event,) = [event for event in listed if event["key"] == key]
    assert (event["consumer"], event["source"], event["keySequence"]) == (CONSUMER, "catalog", "1")
    shown = await greenledger("parked", "show", *of_key)
    assert "content  cannot be decoded" in shown
    assert "not an event envelope" in shown

    assert "EVENT_STILL_FAILS" in await greenledger("parked", "replay", *of_key, "--why", "hope", fails=True)
    skip = ("parked", "skip", *of_key, "--to", "2", "--why", "made by a test")
    assert "Aborted" in await greenledger(*skip, answer="n\n", fails=True)
    assert key in await greenledger("parked", "list")
    assert "applies is 2" in await greenledger(*skip, answer="y\n")
    assert key not in await greenledger("parked", "list")
    assert "KEY_CANNOT_SKIP" in await greenledger(*skip, "--yes", fails=True)
    assert "PARKED_KEY_NOT_FOUND" in await greenledger("parked", "show", *of_key, fails=True)

    audit = await greenledger("audit", "--service", CONSUMER, "--subject", f"inbox/{CONSUMER}/{TOPIC}/{key}")
    assert "skip to 2, giving up 1 parked events" in audit
    assert "made by a test" in audit


async def test_a_parked_event_is_discarded(fleet: RunningFleet, greenledger: Operator) -> None:
    key = await park(fleet, greenledger)
    shown = json.loads(await greenledger("parked", "show", CONSUMER, TOPIC, key, "--json"))
    (event,) = shown["events"]
    discard = (
        "parked",
        "discard",
        CONSUMER,
        TOPIC,
        key,
        event["eventId"],
        "--why",
        "made by a test",
        "--yes",
    )
    assert "is given up" in await greenledger(*discard)
    assert key not in await greenledger("parked", "list")


async def test_an_outbox_is_sent_again(fleet: RunningFleet, greenledger: Operator) -> None:
    async with RpcEdge(fleet.edge_url) as edge:
        await newcomer(edge, "guest")

    async def sent() -> str:
        found = json.loads(await greenledger("outbox", "status", "--service", "users", "--json"))["users"]
        assert int(found["position"]) == int(found["headPosition"]) > 0
        return str(found["position"])

    position = await eventually(sent, 30)
    assert f"up to position {position}" in await greenledger(
        "outbox", "resend", "users", "--why", "a test", answer="n\n", fails=True
    )
    told = await greenledger("outbox", "resend", "users", "--why", "a test", "--yes")
    assert "users has sent everything up to position" in told
    refused = await greenledger("outbox", "cancel", "users", "--why", "a test", fails=True)
    assert "RESEND_NOT_RUNNING" in refused
    unknown = ("outbox", "resend", "users", "--topic", "no.such", "--why", "a test", "--yes")
    assert "NOTHING_TO_RESEND" in await greenledger(*unknown, fails=True)
    assert "resend all topics" in await greenledger("audit", "--service", "users")
    table = await greenledger("outbox", "status")
    assert all(name in table for name in ("auth", "catalog", "payments", "trace"))
    assert not json.loads(await greenledger("parked", "list", "--json"))


async def test_a_projection_is_rebuilt_beside_the_live_one(
    fleet: RunningFleet, greenledger: Operator
) -> None:
    async with RpcEdge(fleet.edge_url) as edge:
        await open_shop(edge, portions=1)
    lots = ("crops", "lots")
    before = json.loads(await greenledger("projections", "show", *lots, "--json"))
    version = before["live"]["version"]
    told = await greenledger("projections", "rebuild", *lots, "--why", "a test")
    assert f"version {version + 1} serves" in told

    await greenledger("projections", "rebuild", *lots, "--why", "a test", "--no-swap")
    assert "building" in await greenledger("projections", "list")
    shown = await greenledger("projections", "show", *lots, "--checksums")
    assert f"Version {version + 2}: lot_history has" in shown
    assert "cancelled" in await greenledger("projections", "cancel", *lots, "--why", "a test")
    refused = await greenledger("projections", "swap", *lots, "--why", "a test", fails=True)
    assert "REBUILD_NOT_RUNNING" in refused
    refused = await greenledger("projections", "show", "crops", "fields", fails=True)
    assert "it has lots" in refused
    assert "There is no projection" in await greenledger("projections", "list", "--service", "auth")


async def test_sagas_are_listed_and_shown(fleet: RunningFleet, greenledger: Operator) -> None:
    async with RpcEdge(fleet.edge_url) as edge:
        await newcomer(edge, "guest")
    found = json.loads(
        await greenledger("sagas", "list", "--name", "register_user", "--limit", "1", "--json")
    )
    (saga,) = found["users"]
    assert set(found) == {"users"}
    shown = await greenledger("sagas", "show", "users", saga["sagaId"])
    assert "register_user" in shown
    assert "activate" in shown
    refused = await greenledger("sagas", "retry", "users", saga["sagaId"], "--why", "a test", fails=True)
    assert "SAGA_NOT_WAITING" in refused
    skip = ("sagas", "skip", "users", saga["sagaId"], "activate", "--why", "a test")
    assert "Aborted" in await greenledger(*skip, answer="n\n", fails=True)
    assert "There is no such saga" in await greenledger("sagas", "list", "--state", "stuck")
    assert "NO_SAGAS" in await greenledger("sagas", "list", "--service", "trace", fails=True)


async def test_what_cannot_be_done_is_one_sentence(greenledger: Operator) -> None:
    assert "No service 'warehouse' runs: choose from auth" in await greenledger(
        "outbox", "status", "--service", "warehouse", fails=True
    )
    nowhere = ("--state-dir", "/nowhere")
    assert "No fleet runs on /nowhere" in await greenledger("parked", "list", *nowhere, fails=True)
    assert "both --email and --password-file" in await greenledger(
        "sagas", "list", "--email", "ann@example.com", fails=True
    )


async def test_a_policy_is_changed_while_the_fleet_runs(fleet: RunningFleet, greenledger: Operator) -> None:
    known = json.loads(await greenledger("services", "orders", "--json"))
    assert [(entry["version"], entry["health"]) for entry in known] == [("v1", "INSTANCE_HEALTH_PASSING")]
    why = ("--why", "made by a test")
    assert "all alike -> v1 100 %" in await greenledger("traffic", "shift", "orders", "v1=100", *why)
    nobody_there = await greenledger("traffic", "shift", "orders", "v1=90", "v9=10", *why, fails=True)
    assert "'v9' is run by no registered instance" in nobody_there
    assert "timeout: 2s" in await greenledger("traffic", "set", "orders", "timeout=2s", *why)
    async with RpcEdge(fleet.edge_url) as edge:
        shop = await open_shop(edge, portions=1)
        assert shop.menu_item_id, "and calls go on"
    assert "timeout: 3s" in await greenledger("traffic", "reset", "orders", *why)
    history = json.loads(await greenledger("traffic", "history", "orders", "--json"))
    assert [entry.get("weights", []) for entry in history][:3] == [
        [],
        [{"version": "v1", "weight": 100}],
        [{"version": "v1", "weight": 100}],
    ]


async def test_a_setting_reaches_the_services_that_it_is_for(
    fleet: RunningFleet, greenledger: Operator
) -> None:
    why = ("--why", "made by a test")

    def applied(value: str) -> bool:
        told = [line for line in fleet.log("orders").splitlines() if "configuration.applied" in line]
        return json.loads(told[-1])["value"] == value if told else False

    changed = await greenledger("config", "set", "orders~log.level", "DEBUG", *why)
    assert "INFO -> DEBUG" in changed
    await eventually(lambda: applied("DEBUG"))
    assert "CONFIG_INVALID" in await greenledger("config", "set", "log.level", "loud", *why, fails=True)
    assert "DEBUG -> INFO" in await greenledger("config", "rollback", "orders~log.level", "0", *why)
    await eventually(lambda: applied("as started"))
