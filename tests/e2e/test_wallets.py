"""Wallets through the edge, by the example of the README."""

import asyncio
import os
import re
import subprocess
import sys

import httpx

from fleet.client import RpcEdge
from fleet.settings import PROJECT_ROOT
from fleet.testing.running import RunningFleet
from tests.e2e.people import newcomer

README = PROJECT_ROOT / "services" / "auth" / "README.md"


async def somebody(edge_url: str) -> tuple[str, str]:
    """Id and token of somebody who just registered."""
    async with RpcEdge(edge_url) as edge:
        _, session = await newcomer(edge, "guest")
        return session.user_id, await session.bearer()


def test_the_example_of_the_readme_links_a_wallet_and_signs_in_with_it(fleet: RunningFleet) -> None:
    user_id, token = asyncio.run(somebody(fleet.edge_url))
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    program = example.replace("http://127.0.0.1:8080", fleet.edge_url)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == user_id
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{fleet.edge_url}/api/auth", headers=headers, trust_env=False) as http:
        (wallet,) = http.get("/wallets").json()["wallets"]
        assert wallet["address"] in done.stdout
        assert http.delete(f"/wallets/{wallet['walletId']}").status_code == httpx.codes.OK
        assert http.get("/wallets").json().get("wallets", []) == []
        again = http.delete(f"/wallets/{wallet['walletId']}")
        assert (again.status_code, again.json()["details"][0]["reason"]) == (404, "WALLET_NOT_LINKED")
