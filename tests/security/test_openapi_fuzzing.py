"""The edge against requests generated from its own OpenAPI document (schemathesis).

The fleet is one of its own: as an operator the generator deletes, recalls and rotates whatever it finds.
"""

import asyncio
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chassis.testing import eventually
from fleet.client import RpcEdge, Session
from fleet.services import SERVICES
from fleet.settings import PROJECT_ROOT
from fleet.testing.running import RunningFleet, running_fleet
from greenledger.auth.v1 import auth_pb2
from tests.e2e.people import newcomer, open_shop
from tests.security.calls import METHODS, Channels

DOCUMENT = PROJECT_ROOT / "gen" / "openapi" / "greenledger.json"
SEED = 20240205
CONFORMING = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# They answer with one JSON object a line, which the generator takes for one broken document.
WATCHES = "Service_Watch"
# What they let through holds for all other calls, so they come last and are taken back.
POLICIES = "TrafficService_(SetTrafficPolicy|ShiftTraffic|Reset|Rollback)|ConfigService_(Set|Rollback)"
# The first that is let through would refuse all the rest; a guest is refused it anyhow.
LIMITS = "TrafficService_SetEdgePolicy"

pytestmark = pytest.mark.timeout(1000)


@pytest.fixture(scope="module")
def own_fleet() -> Iterator[RunningFleet]:
    with running_fleet() as running:
        yield running


@pytest.fixture(scope="module")
def tokens(own_fleet: RunningFleet) -> dict[str, str]:
    """Of a guest and of an operator who is not the first one, who others need."""
    return asyncio.run(_tokens(own_fleet))


@pytest.mark.parametrize("who", ["operator", "guest"])
def test_generated_requests_find_no_server_error_and_answers_conform(
    who: str, own_fleet: RunningFleet, tokens: dict[str, str], tmp_path: Path
) -> None:
    examples = {"operator": 10, "guest": 4}[who]
    others = {"operator": f"{WATCHES}|{POLICIES}|{LIMITS}", "guest": WATCHES}[who]
    without = ("--exclude-operation-id-regex", others)
    told = _generate(own_fleet, tokens[who], tmp_path, examples, CONFORMING, *without)
    assert told.returncode == 0, told.stdout[-8000:]
    assert _incidents(own_fleet) == []


def test_generated_watches_find_no_server_error(
    own_fleet: RunningFleet, tokens: dict[str, str], tmp_path: Path
) -> None:
    checks = ("not_a_server_error", "status_code_conformance")
    only = ("--include-operation-id-regex", WATCHES)
    told = _generate(own_fleet, tokens["guest"], tmp_path, 10, checks, *only)
    assert told.returncode == 0, told.stdout[-8000:]
    assert _incidents(own_fleet) == []


def test_generated_policies_find_no_server_error_and_do_not_outlive_their_reset(
    own_fleet: RunningFleet, tokens: dict[str, str], tmp_path: Path
) -> None:
    only = ("--include-operation-id-regex", POLICIES)
    told = _generate(own_fleet, tokens["operator"], tmp_path, 20, CONFORMING, *only)
    asyncio.run(_reset(own_fleet, tokens["operator"]))
    assert told.returncode == 0, told.stdout[-8000:]
    assert _incidents(own_fleet) == []


def _generate(
    fleet: RunningFleet, token: str, folder: Path, examples: int, checks: tuple[str, ...], *options: str
) -> subprocess.CompletedProcess[str]:
    program = Path(sysconfig.get_path("scripts")) / "schemathesis"
    arguments = [
        *("run", str(DOCUMENT), "--url", fleet.edge_url, "--header", f"Authorization: Bearer {token}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", str(SEED)),
        # One: of two, one may find Python 3.11's parser in use by the other ("recursion depth mismatch").
        *("--workers", "1", "--checks", ",".join(checks), "--warnings", "off", "--no-color"),
        *("--request-timeout", "20", "--continue-on-failure", *options),
    ]
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        # The edge is addressed directly, whatever proxy the machine has for the outside world.
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        timeout=900,
        check=False,
    )


def _incidents(fleet: RunningFleet) -> list[str]:
    """Faults that the services logged; none may hide behind a good answer."""
    lines = (line for path in fleet.settings.logs_dir.glob("*.log") for line in path.open(errors="replace"))
    return [line[:2000] for line in lines if '"event":"incident"' in line]


async def _reset(fleet: RunningFleet, token: str) -> None:
    """Take back every policy, past the edge with its limits, and see that the edge serves."""
    control, bearer = Channels(), f"Bearer {token}"
    try:
        for name, request in [
            ("ResetEdgePolicy", {}),
            *(("ResetTrafficPolicy", {"service": spec.name}) for spec in SERVICES),
        ]:
            method = METHODS[f"TrafficService/{name}"]
            answer = await control.call(fleet.address("control"), method, request, bearer)
            assert answer.code == "OK", f"{name} {request}: {answer}"
    finally:
        await control.close()

    async def served() -> bool:
        headers = {"authorization": bearer}
        async with httpx.AsyncClient(base_url=fleet.edge_url, headers=headers, trust_env=False) as http:
            return (await http.get("/api/crops")).is_success

    await eventually(served)


async def _tokens(fleet: RunningFleet) -> dict[str, str]:
    async with RpcEdge(fleet.edge_url) as edge:
        shop = await open_shop(edge, portions=1000)
        _, guest = await newcomer(edge, "guest")
        person, _ = await newcomer(edge, "guest")
        first = await Session.open(edge, fleet.operator)
        request = auth_pb2.SetRolesRequest(user_id=person.user_id, roles=["operator"])
        await edge.call(edge.auth.SetRoles, request, first)
        operator = await Session.open(edge, person.credentials)
        assert shop.menu_item_id, "there is something to find"
        return {"operator": await operator.bearer(), "guest": await guest.bearer()}
