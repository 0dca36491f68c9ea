"""The process of control starts and serves while everything else is away."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from chassis.testing.eventually import eventually
from fleet.health import health_of
from fleet.testing.ports import free_port
from services.control.adapters.memory import SnapshotFile, memory_from_json
from services.control.application.ports import Memory
from services.control.domain.registration import Announcement
from services.control.domain.registry import Registry

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def process(folder: Path, **settings: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Control as a process; the body gets it and its address."""
    (folder / "page-token.key").write_text("only for tests, 16 bytes or more")
    (folder / "service-accounts.json").write_text(json.dumps({"control": "secret"}))
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen' / 'python'}",
        "GREENLEDGER_LISTEN": f"127.0.0.1:{port}",
        "GREENLEDGER_SECRETS_DIR": str(folder),
        "GREENLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "GREENLEDGER_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "GREENLEDGER_ENV": "test",
        "GREENLEDGER_DRAIN_TIMEOUT_S": "1",
        **settings,
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.control.main", env=environment, cwd=ROOT, stdout=-3, stderr=-3
    )
    try:
        yield running, f"127.0.0.1:{port}"
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def test_a_cold_replica_without_its_database_serves_what_its_file_says(tmp_path):
    path = tmp_path / "snapshot.json"
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = Announcement("crops-1", "crops", "v1", "127.0.0.1", 9)
    registry = Registry().registered(told, now)
    memory = Memory(now, tuple(registry.instances.values()), registry.listed)
    await SnapshotFile(path).save(memory)
    # Without Valkey it counts by itself.
    xds = f"127.0.0.1:{free_port()}"
    async with process(tmp_path, GREENLEDGER_SNAPSHOT=str(path), GREENLEDGER_XDS_LISTEN=xds) as (
        running,
        address,
    ):
        await eventually(lambda: serving(address), 60)
        # It took over what it found, and keeps it with today's date.
        saved = await eventually(lambda: saved_since(path, now), 20)
        assert list(saved.listed) == ["crops"]
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await running.wait() == 0


async def test_a_policy_file_that_is_wrong_is_said_in_one_sentence(tmp_path):
    path = tmp_path / "traffic.yaml"
    path.write_text("services: [{service: crops, weights: [{version: v1, weight: 7}]}]")
    async with process(tmp_path, GREENLEDGER_TRAFFIC_FILE=str(path)) as (running, _address):
        async with asyncio.timeout(60):
            assert await running.wait() == 2


async def serving(address: str) -> bool:
    return await health_of(address) == "SERVING"


def saved_since(path: Path, moment: datetime) -> Memory | None:
    memory = memory_from_json(path.read_text())
    return memory if memory is not None and memory.saved_at > moment else None
