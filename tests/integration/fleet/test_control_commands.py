"""`greenledger services`, `traffic`, `config` and `keys`, as a person runs them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import typer
import yaml

from fleet.commands import services
from fleet.settings import PROJECT_ROOT
from tests.integration.fleet.fake_control import START, FakeControl, fake_control

WHY = ("--why", "a test")


@dataclass
class CommandLine:
    """The command, as somebody at the fake control's edge."""

    control: FakeControl
    password: Path

    async def __call__(self, *arguments: str, succeeds: bool = True) -> str:
        edge = f"http://127.0.0.1:{self.control.port}"
        who = ("--edge-url", edge, "--email", "ada@example.com", "--password-file", str(self.password))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fleet.cli", *arguments, *who),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=PROJECT_ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), str(PROJECT_ROOT / "gen" / "python")]),
                "COLUMNS": "200",
            },
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        text = output.decode()
        assert (process.returncode == 0) is succeeds, text
        return text


@pytest_asyncio.fixture
async def greenledger(tmp_path: Path) -> AsyncIterator[CommandLine]:
    password = tmp_path / "password"
    password.write_text("secret")
    async with fake_control() as control:
        yield CommandLine(control, password)


async def test_instances_are_listed_over_all_pages_or_of_one_service(greenledger: CommandLine) -> None:
    everything = await greenledger("services")
    assert all(name in everything for name in ("crops-canary", "orders", "passing", "127.0.0.1:18102"))
    crops = json.loads(await greenledger("services", "crops", "--json"))
    assert [(entry["instanceId"], entry["version"]) for entry in crops] == [
        ("crops", "v1"),
        ("crops-canary", "v2"),
    ]
    unknown = await greenledger("services", "warehouse", succeeds=False)
    assert "No instance of 'warehouse' is registered: there are crops, orders." in unknown


async def test_a_watch_tells_each_change_and_how_it_ends(greenledger: CommandLine) -> None:
    lines = (await greenledger("services", "--watch", succeeds=False)).splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["crops", "crops"],
        ["crops", "crops-canary"],
        ["crops", "crops-canary"],
    ]
    assert lines[2].endswith("removed")
    assert "PERMISSION_DENIED" in lines[-1]


async def test_a_watch_goes_on_when_the_replica_behind_it_has_restarted(
    greenledger: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(services, "_AGAIN_AFTER_S", 0)
    # The second replica that answers is on its way out too, and at first nobody listens.
    greenledger.control.breaks = [2, 0, 0, 1]
    with pytest.raises(typer.Exit):
        await asyncio.to_thread(
            services.services,
            watch=True,
            edge_url=f"http://127.0.0.1:{greenledger.control.port}",
            email="ada@example.com",
            password_file=greenledger.password,
        )
    told = capsys.readouterr()
    lines = told.out.splitlines()
    crops, canary = ["crops", "crops"], ["crops", "crops-canary"]
    assert [line.split()[:2] for line in lines] == [crops, canary, crops, crops, canary, canary]
    assert lines[-1].endswith("removed")
    assert "PERMISSION_DENIED" in told.err
    assert greenledger.control.breaks == []


async def test_a_watch_that_nobody_begins_ends_with_the_reason(greenledger: CommandLine) -> None:
    greenledger.control.breaks = [0, 0]
    assert "It stops." in await greenledger("services", "--watch", succeeds=False)
    assert greenledger.control.breaks == [0]


async def test_shares_are_shifted_and_given_back_and_it_is_told_who_did_it_and_why(
    greenledger: CommandLine,
) -> None:
    shifted = await greenledger("traffic", "shift", "crops", "v1=80", "v2=20", *WHY)
    assert "crops: v1 90 %, v2 10 % -> v1 80 %, v2 20 % (version 1)." in shifted
    assert "v1 80 %, v2 20 %" in await greenledger("traffic", "show")
    reset = await greenledger("traffic", "reset", "crops", "--why", "enough")
    assert "# crops, version 2, by ada: enough" in reset
    history = await greenledger("traffic", "history", "crops")
    assert history.index("enough") < history.index("a test")
    even = await greenledger("traffic", "shift", "crops", "--even", *WHY)
    assert "-> all alike" in even


async def test_shares_that_are_wrong_are_refused_before_anything_is_asked(greenledger: CommandLine) -> None:
    assert "add up to 90" in await greenledger(
        "traffic", "shift", "crops", "v1=80", "v2=10", *WHY, succeeds=False
    )
    assert "--even" in await greenledger("traffic", "shift", "crops", *WHY, succeeds=False)
    assert greenledger.control.policies == [START]


async def test_a_policy_that_was_shown_can_be_changed_and_set_from_a_file(
    greenledger: CommandLine, tmp_path: Path
) -> None:
    changed = await greenledger("traffic", "set", "crops", "timeout=2s", "retries.attempts=2", *WHY)
    assert yaml.safe_load(changed)["retries"] == {"attempts": 2}
    shown = await greenledger("traffic", "show", "crops")
    file = tmp_path / "crops.yaml"
    file.write_text(shown.replace("2s", "1.500s"))
    await greenledger("traffic", "set", "crops", str(file), *WHY)
    newest = greenledger.control.policies[-1]
    assert newest.timeout.ToMilliseconds() == 1500
    assert newest.retries.attempts == 2
    assert newest.weights == START.weights


async def test_a_bad_change_is_seen_in_the_history_and_rolled_back(greenledger: CommandLine) -> None:
    await greenledger("traffic", "set", "crops", "timeout=30ms", "balancing.method=ring_hash", *WHY)
    await greenledger("traffic", "shift", "crops", "v1=80", "v2=20", *WHY)
    for told in ("timeout=0.030s", "balancing.method=ring_hash"):
        assert told in "".join((await greenledger("traffic", "history", "crops")).split(" "))
    # The last one shown is compared with the one before it too: the shift of the fake forgot all but shares.
    assert "timeout=" in await greenledger("traffic", "history", "crops", "--limit", "1")
    back = await greenledger("traffic", "rollback", "crops", "1", "--why", "enough")
    assert yaml.safe_load(back)["timeout"] == "0.030s"
    assert "# crops, version 3, by ada: enough" in back
    await greenledger("traffic", "rollback", "crops", "0", "--why", "enough")
    assert not greenledger.control.policies[-1].HasField("timeout")
    assert "POLICY_NOT_FOUND" in await greenledger(
        "traffic", "rollback", "warehouse", "0", *WHY, succeeds=False
    )


async def test_what_control_refuses_is_told_with_its_field(greenledger: CommandLine) -> None:
    told = await greenledger("traffic", "set", "crops", "retries.attempts=5", *WHY, succeeds=False)
    assert "POLICY_INVALID" in told
    assert "policy.retries.attempts: more than the budget allows" in told
    assert "POLICY_NOT_FOUND" in await greenledger("traffic", "show", "warehouse", succeeds=False)


async def test_a_file_that_does_not_fit_changes_nothing(greenledger: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    for text, complaint in (
        ("tmeout: 2s", "does not fit"),
        ("service: orders", "The file is of orders, not of crops."),
    ):
        file.write_text(text)
        assert complaint in await greenledger("traffic", "set", "crops", str(file), *WHY, succeeds=False)
    missing = str(tmp_path / "nothing.yaml")
    assert "cannot be read" in await greenledger("traffic", "set", "crops", missing, *WHY, succeeds=False)
    assert greenledger.control.policies == [START]


async def test_limits_of_the_edge_are_changed_and_given_back(greenledger: CommandLine) -> None:
    await greenledger("traffic", "set", "edge", "anonymous=200/15m", *WHY)
    assert "Edge: 200/15m an address without a token" in await greenledger("traffic", "show")
    await greenledger("traffic", "reset", "edge", "--why", "enough")
    assert not greenledger.control.limits[-1].HasField("anonymous")
    history = await greenledger("traffic", "history", "edge")
    assert history.index("enough") < history.index("200/15m") < history.index("a test")
    versions = json.loads(await greenledger("traffic", "history", "edge", "--json"))
    assert [(entry["version"], entry["why"]) for entry in versions] == [("2", "enough"), ("1", "a test")]
    await greenledger("traffic", "rollback", "edge", "1", "--why", "again")
    assert greenledger.control.limits[-1].anonymous.requests == 200


async def test_a_setting_is_changed_looked_up_and_rolled_back(greenledger: CommandLine) -> None:
    assert "log.level: INFO -> DEBUG (version 1)." in await greenledger(
        "config", "set", "log.level", "DEBUG", *WHY
    )
    assert (await greenledger("config", "get", "log.level")).strip() == "DEBUG"
    assert "DEBUG -> INFO" in await greenledger("config", "rollback", "log.level", "0", "--why", "enough")
    history = json.loads(await greenledger("config", "history", "log.level", "--json"))
    assert [(entry["value"], entry["why"]) for entry in history] == [("INFO", "enough"), ("DEBUG", "a test")]
    assert "log.level" in await greenledger("config", "list")
    assert "CONFIG_NOT_FOUND" in await greenledger("config", "get", "log.levle", succeeds=False)


async def test_keys_are_listed_with_the_one_that_signs_and_rotated(greenledger: CommandLine) -> None:
    keys = {key["kid"]: key["signs"] for key in json.loads(await greenledger("keys", "list", "--json"))}
    assert keys == {"old": False, "new": True}
    assert "signs and verifies" in await greenledger("keys", "list")
    assert "newest signs tokens since" in await greenledger("keys", "rotate", "--yes")
