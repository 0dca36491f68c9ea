"""Checkouts a second end to end: HTTP/JSON through the edge to a fulfilled order, on a fleet of its own.

Each checkout is order -> reserve -> authorize -> hold -> confirm -> capture -> consume -> finish over three
services, every step durable, with its events on their way to the read models. Latency is that of the answer.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.fleet import greenledger


class Edge:
    """JSON calls as the operator, who may do everything."""

    def __init__(self, port: int, folder: Path, connections: int) -> None:
        self._credentials = json.loads((folder / "secrets" / "operator.json").read_text())
        limits = httpx.Limits(max_connections=connections)
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits)

    async def login(self) -> None:
        """Get a token for all further calls."""
        answer = await self.post("/api/auth/login", self._credentials)
        self._client.headers["authorization"] = f"Bearer {answer['accessToken']}"

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call, and fail on anything but success."""
        response = await self._client.post(path, json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def stock(edge: Edge) -> str:
    """A venue with plenty of stock and one item; gives the item's id."""
    now = datetime.now(UTC)
    venue = await edge.post(
        "/api/venues",
        {
            "requestId": str(uuid.uuid4()),
            "name": "Bench",
            "address": {"city": "Austin", "countryCode": "US"},
        },
    )
    lot = await edge.post(
        "/api/crops",
        {
            "requestId": str(uuid.uuid4()),
            "lotCode": f"BENCH-{uuid.uuid4().hex[:12]}",
            "productCode": "romaine-lettuce",
            "quantity": {"amount": "1000000", "unitCode": "KGM"},
            "origin": {"farmName": "Bench Farm", "countryCode": "US"},
            "harvestTime": now.isoformat(),
            "expireTime": (now + timedelta(days=30)).isoformat(),
        },
    )
    await edge.post(
        "/api/inventory/receipts",
        {
            "requestId": str(uuid.uuid4()),
            "venueId": venue["venueId"],
            "lotId": lot["lotId"],
            "quantity": {"amount": "1000000", "unitCode": "KGM"},
        },
    )
    item = await edge.post(
        "/api/menu-items",
        {
            "requestId": str(uuid.uuid4()),
            "venueId": venue["venueId"],
            "name": "Salad",
            "price": {"currencyCode": "USD", "units": "9", "nanos": 500_000_000},
            "ingredients": [
                {"productCode": "romaine-lettuce", "quantity": {"amount": "150", "unitCode": "GRM"}}
            ],
        },
    )
    return str(item["menuItemId"])


async def checkouts(edge: Edge, item: str, count: int, in_flight: int) -> tuple[float, list[float]]:
    """So many orders; gives orders a second and each one's latency in seconds."""
    left, latencies = count, []

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            body = {
                "requestId": str(uuid.uuid4()),
                "paymentMethod": "pm_card",
                "items": [{"menuItemId": item, "quantity": 1}],
            }
            order = await edge.post("/api/orders", body)
            assert order["state"] == "ORDER_STATE_FULFILLED", order
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return count / (time.perf_counter() - began), latencies


async def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """All rounds, printed."""
    edge = Edge(arguments.edge_port, folder, arguments.in_flight)
    try:
        await edge.login()
        item = await stock(edge)
        await checkouts(edge, item, 50, 4)
        for in_flight in (1, arguments.in_flight):
            rates: list[float] = []
            latencies: list[float] = []
            for _ in range(arguments.rounds):
                rate, taken = await checkouts(edge, item, arguments.orders, in_flight)
                rates.append(rate)
                latencies += taken
            latencies.sort()
            print(
                f"{in_flight:3} in flight: {statistics.median(rates):6.1f} checkouts/s"
                f" (min {min(rates):.1f}, max {max(rates):.1f});"
                f" p50 {1e3 * statistics.median(latencies):.0f} ms,"
                f" p99 {1e3 * latencies[int(len(latencies) * 0.99)]:.0f} ms, {len(latencies)} orders"
            )
    finally:
        await edge.close()


def main() -> None:
    """Start a fleet, measure, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=300, help="a round; default 300")
    parser.add_argument("--in-flight", type=int, default=16, help="default 16")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--edge-port", type=int, default=14280, help="default 14280")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="greenledger-bench-"))
    try:
        greenledger("up", "--detach", "--edge-port", str(arguments.edge_port), "--state-dir", str(folder))
        asyncio.run(measure(arguments, folder))
    finally:
        greenledger("down", "--state-dir", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
