"""What the log gives through the edge is kept as it came and checked with the command."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

from chassis.merklelog.verify import FAILS, HOLDS, UNCONFIRMED
from fleet.client import RpcEdge, Session
from fleet.client.json_edge import JsonEdge
from fleet.demo import data
from fleet.demo.requests import mint
from fleet.operator import operator_of
from fleet.testing.running import RunningFleet
from greenledger.crops.v1 import crops_pb2
from tests.e2e.people import newcomer

ROOT = Path(__file__).parents[2]


def written(folder: Path, content: bytes) -> Path:
    path = folder / "answer"
    path.write_bytes(content)
    return path


def verify(path: Path, *options: str) -> int:
    command = [sys.executable, "-m", "fleet.cli", "verify", str(path), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60).returncode


async def answer(http: httpx.AsyncClient, url: str, session: Session | None = None) -> bytes:
    """An answer, byte for byte."""
    headers = {"authorization": f"Bearer {await session.bearer()}"} if session else {}
    response = await http.get(url, headers=headers)
    assert response.status_code == httpx.codes.OK, response.text
    return response.content


async def test_an_outsider_holds_the_log_to_what_it_gave(fleet: RunningFleet, tmp_path: Path) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url) as edge:
        _, grower = await newcomer(rpc, "grower")
        auditor = await Session.open(rpc, operator_of(fleet.settings))
        first = await edge.get("/api/ledger/checkpoint")
        lot = await rpc.call(
            rpc.crops.MintLot, mint(data.CUCUMBER, data.FARM, "L-1", datetime.now(UTC)), grower
        )
        history = await rpc.call(
            rpc.lots.ListLotEvents, crops_pb2.ListLotEventsRequest(lot_id=lot.lot_id), grower
        )
        event_id = history.events[0].event_id

        receipt = await answer(edge.http, f"/api/ledger/receipts/{event_id}", grower)
        answers = [receipt, await answer(edge.http, "/api/ledger/export", auditor)]
        if int(first["size"]):
            url = f"/api/ledger/consistency-proof?firstSize={first['size']}"
            answers.append(await answer(edge.http, url))
    for given in answers:
        assert verify(written(tmp_path, given), "--key", first["key"]) == HOLDS
        assert verify(written(tmp_path, given)) == UNCONFIRMED
    altered = written(tmp_path, receipt.replace(b"L-1", b"L-2"))
    assert verify(altered, "--key", first["key"]) == FAILS


async def test_an_operator_exchanges_the_logs_key_and_outsiders_follow(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    async with JsonEdge(fleet.edge_url) as edge:
        before = await edge.get("/api/ledger/checkpoint")
        old = written(tmp_path, before["note"].encode())
        handover, history = tmp_path / "handover", tmp_path / "keys.json"
        ledger(fleet, "rotate-key", "--why", "a drill", "-o", str(handover))
        ledger(fleet, "keys", "-o", str(history))
        public = tmp_path / "ledger.pub"
        ledger(fleet, "checkpoint", "--key", "-o", str(public))
        after = await edge.get("/api/ledger/keys")
        assert after["key"] != before["key"]
        for path in (old, handover, history):
            assert verify(path, "--key", before["key"]) == HOLDS
            assert verify(path, "--key", str(public)) == HOLDS
        ledger(fleet, "audit")


def ledger(fleet: RunningFleet, *arguments: str) -> None:
    """A command of `greenledger ledger`, which has to succeed."""
    state = ["--state-dir", str(fleet.settings.state_dir)]
    command = [sys.executable, "-m", "fleet.cli", "ledger", *arguments, *state]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
