"""A real process of a service: registers, follows what it is told, and deregisters when it is ended."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.testing import PostgresServer, eventually
from chassis.testing.broker import BrokerServer
from fleet.testing.ports import free_edge_port
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from tests.integration.discovery.control import Replica, config, replicas

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


class Auth(auth_pb2_grpc.AuthServiceServicer):
    """Gives tokens that nobody checks."""

    async def IssueServiceToken(self, request: Any, context: Any) -> Any:
        issued = auth_pb2.ServiceToken(access_token=f"token of {request.account}")
        issued.expire_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
        return issued


@asynccontextmanager
async def auth() -> AsyncIterator[str]:
    server = grpc.aio.server()
    auth_pb2_grpc.add_AuthServiceServicer_to_server(Auth(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def environment(
    folder: Path, dsn: str, kafka: str, auth_address: str, known: list[Replica]
) -> dict[str, str]:
    (folder / "page-token.key").write_text("only for tests, 16 bytes or more")
    (folder / "service-accounts.json").write_text(json.dumps({"catalog": "secret"}))
    ours = {
        "DATABASE_URL": dsn,
        "KAFKA_BOOTSTRAP": kafka,
        "LISTEN": f"127.0.0.1:{free_edge_port()}",
        "SECRETS_DIR": str(folder),
        "PEERS": f"auth={auth_address}",
        "ENV": "test",
        "INSTANCE": "catalog-7",
        "VERSION": "v2",
        "CONTROL": ",".join(replica.address for replica in known),
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    paths = f"{ROOT}{os.pathsep}{ROOT / 'gen' / 'python'}"
    return {**inherited, "PYTHONPATH": paths, **{f"GREENLEDGER_{name}": text for name, text in ours.items()}}


async def test_from_start_to_end(
    postgres_server: PostgresServer, broker_server: BrokerServer, tmp_path: Path
) -> None:
    async with postgres_server.database("catalog") as dsn, replicas() as both, auth() as auth_address:
        variables = environment(tmp_path, dsn, broker_server.bootstrap, auth_address, both)
        listen, log = variables["GREENLEDGER_LISTEN"], tmp_path / "log"
        statuses: list[int] = []

        async def look() -> None:
            async with grpc.aio.insecure_channel(listen) as channel:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            statuses.append(answer.status)

        for replica in both:
            replica.control.on_deregister = look
        with log.open("w") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.catalog.main", env=variables, stdout=output, stderr=output
            )
        try:
            await eventually(lambda: all(replica.control.instances for replica in both), 60)
            for replica in both:
                instance = replica.control.instances["catalog-7"]
                assert (instance.service, instance.version) == ("catalog", "v2")
                assert f"{instance.address}:{instance.port}" == listen
                assert replica.control.tokens == {"Bearer token of catalog"}
                await replica.control.config.tell(config(log_level="DEBUG"))
            await eventually(lambda: "configuration.applied" in log.read_text())
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert statuses == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
        assert all(not replica.control.instances for replica in both)
        assert "Traceback" not in log.read_text()
