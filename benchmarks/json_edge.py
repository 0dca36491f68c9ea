"""JSON through the edge: one of our services against FastAPI on uvicorn, behind the same Envoy, in turns.

Both verify the RS256 token (Envoy does too), validate the request, decide on a trace, write one row through
asyncpg and answer. Ours gets gRPC from Envoy's transcoder and has the whole server chain; FastAPI gets
the HTTP request. Clients are bare sockets with keep-alive, so that they cost little.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import grpc.aio
import jwt
import psutil
import uvicorn
import uvloop
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI, Header, HTTPException
from google.protobuf.json_format import ParseDict
from pydantic import BaseModel, Field

from chassis.channels import SERVER_OPTIONS
from chassis.clock import SystemClock
from chassis.context import caller
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.telemetry.tracing import Tracing
from chassis.testing import PostgresServer
from fleet.edge.render import render
from fleet.edge.settings import Address, EdgeSettings
from fleet.servers.envoy import find_envoy
from fleet.services import SERVICES
from fleet.settings import FleetSettings, Limit
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.chain import server_chain
from interceptors.jwks import JwksSource
from interceptors.tokens import TokenVerifier

GOAL = 1.0
TABLE = "CREATE TABLE written (id bigserial PRIMARY KEY, guest text, item uuid, quantity int)"
INSERT = "INSERT INTO written (guest, item, quantity) VALUES ($1, $2, $3)"
METHOD = "/greenledger.orders.v1.OrderService/SetCartItem"
PATHS = {"ours": "/api/cart/items/", "fastapi": "/fastapi/cart/items/"}
ITEM = "0190a3c2-0000-7000-8000-000000000001"


class Carts(orders_pb2_grpc.OrderServiceServicer):
    """SetCartItem that writes one row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def SetCartItem(self, request: orders_pb2.SetCartItemRequest, context: Any) -> orders_pb2.Cart:
        await self._database.execute(INSERT, caller().subject, request.menu_item_id, request.quantity)
        item = orders_pb2.CartItem(menu_item_id=request.menu_item_id, quantity=request.quantity)
        return orders_pb2.Cart(items=[item])


class Keys(auth_pb2_grpc.AuthServiceServicer):
    """The key set, for Envoy."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self._keys = ParseDict(keys, auth_pb2.Jwks(), ignore_unknown_fields=True)

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, context: Any) -> auth_pb2.Jwks:
        return self._keys


async def serve_ours(port: int, dsn: str, keys: dict[str, Any]) -> None:
    """Our side: a service with the whole chain."""

    async def fetch() -> dict[str, Any]:
        return keys

    clock = SystemClock()
    database = await Database.connect(dsn)
    chain = server_chain(
        verifier=TokenVerifier(JwksSource(fetch, clock), clock),
        tracing=Tracing("orders"),
        clock=clock,
        ids=SystemIds(),
    )
    server = grpc.aio.server(interceptors=[chain], options=SERVER_OPTIONS)
    orders_pb2_grpc.add_OrderServiceServicer_to_server(Carts(database), server)
    auth_pb2_grpc.add_AuthServiceServicer_to_server(Keys(keys), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


class CartItem(BaseModel):
    """The body, validated as the contract validates it."""

    quantity: Annotated[int, Field(ge=0, le=1000)]


def fastapi_app(dsn: str, keys: dict[str, Any]) -> FastAPI:
    """The other side, as a careful team would write it."""
    tracing = Tracing("fastapi")
    public = {key["kid"]: jwt.PyJWK(key).key for key in keys["keys"]}
    verified: dict[str, dict[str, Any]] = {}
    pool: list[Any] = []

    def claims(authorization: Annotated[str, Header()]) -> dict[str, Any]:
        token = authorization.removeprefix("Bearer ")
        found = verified.get(token)
        if found is None or found["exp"] < time.time():
            try:
                key = public[jwt.get_unverified_header(token)["kid"]]
                found = jwt.decode(
                    token, key, algorithms=["RS256"], audience="greenledger", issuer="greenledger-auth"
                )
            except (jwt.PyJWTError, KeyError):
                raise HTTPException(401) from None
            verified[token] = found
        if "orders.cart" not in found["scope"].split():
            raise HTTPException(403)
        return found

    async def no_reset(_connection: Any) -> None:
        return

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pool.append(await asyncpg.create_pool(dsn, min_size=8, max_size=8, reset=no_reset))
        yield
        await pool[0].close()

    app = FastAPI(lifespan=lifespan)

    @app.put("/fastapi/cart/items/{menu_item_id}")
    async def set_cart_item(
        menu_item_id: uuid.UUID,
        item: CartItem,
        who: Annotated[dict[str, Any], Depends(claims)],
        traceparent: Annotated[str | None, Header()] = None,
    ) -> dict[str, Any]:
        tracing.decide(traceparent)
        await pool[0].execute(INSERT, who["sub"], menu_item_id, item.quantity)
        return {"venueId": "", "items": [{"menuItemId": str(menu_item_id), "quantity": item.quantity}]}

    return app


def issue() -> tuple[str, dict[str, Any]]:
    """A token of a guest, and the key set that verifies it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC)
    token = jwt.encode(
        {
            "iss": "greenledger-auth",
            "aud": "greenledger",
            "sub": str(uuid.uuid4()),
            "kind": "user",
            "roles": ["guest"],
            "scope": "orders.cart orders.checkout crops.lots.read",
            "iat": now,
            "exp": now + timedelta(hours=2),
            "jti": "bench",
        },
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        algorithm="RS256",
        headers={"kid": "bench"},
    )
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return token, {"keys": [{**public, "kid": "bench", "use": "sig", "alg": "RS256"}]}


def edge_config(folder: Path, port: int) -> Path:
    """Our edge's configuration with one more route, to FastAPI."""
    addresses = {spec.name: (Address("127.0.0.1", port + 9),) for spec in SERVICES}
    addresses |= {name: (Address("127.0.0.1", port + 2),) for name in ("orders", "auth")}
    rendered = render(
        EdgeSettings(
            listen=Address("127.0.0.1", port),
            admin=Address("127.0.0.1", port + 1),
            services=addresses,
            output_dir=folder,
            requests_per_second=0,
            anonymous_limit=Limit.parse("0"),
            authenticated_limit=Limit.parse("0"),
        )
    )
    config = yaml.safe_load(rendered.read_text())
    connection = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    for cluster in config["static_resources"]["clusters"]:
        cluster.pop("health_checks", None)
    connection["access_log"] = []
    routes = connection["route_config"]["virtual_hosts"][0]["routes"]
    asked = next(route for route in routes if route["name"] == f"json:{METHOD}")["typed_per_filter_config"]
    token = {name: config for name, config in asked.items() if name.endswith("jwt_authn")}
    routes.insert(
        0,
        {
            "match": {"prefix": "/fastapi/"},
            "route": {"cluster": "fastapi"},
            "typed_per_filter_config": token,
        },
    )
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port + 3}}}
    config["static_resources"]["clusters"].append(
        {
            "name": "fastapi",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": "fastapi",
                "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
            },
        }
    )
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def running(argv: list[str], port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once something listens on its port."""
    with subprocess.Popen(argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{argv[:4]} did not come up")
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()


async def requests(port: int, side: str, token: str, count: int, in_flight: int) -> tuple[float, list[float]]:
    """So many requests; gives requests a second and latencies in seconds."""
    body = json.dumps({"quantity": 2})
    request = (
        f"PUT {PATHS[side]}{ITEM} HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    left, latencies = count, []

    async def worker() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
            if b" 200 " not in head[:20]:
                sys.exit(f"{side} answered {head[:40]!r} {answer[:300]!r}")
            latencies.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return count / (time.perf_counter() - began), latencies


async def until_ready(port: int, token: str) -> None:
    """Wait until the edge has the keys and both sides answer."""
    for side, path in PATHS.items():
        head = (
            f"PUT {path}{ITEM} HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {token}\r\n"
            "content-type: application/json\r\nconnection: close\r\ncontent-length: 14\r\n\r\n"
            '{"quantity":1}'
        )
        for _ in range(100):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                break
            await asyncio.sleep(0.1)
        else:
            sys.exit(f"{side} does not answer: {status!r}")


def measure(port: int, token: str, pids: dict[str, int], arguments: argparse.Namespace) -> None:
    """All rounds in turns, printed."""
    rates: dict[str, list[float]] = {side: [] for side in PATHS}
    cpu: dict[str, list[float]] = {side: [] for side in PATHS}
    latency: dict[str, list[float]] = {side: [] for side in PATHS}

    def once(side: str, count: int) -> tuple[float, list[float], float]:
        process = psutil.Process(pids[side])
        before = process.cpu_times()
        rate, taken = uvloop.run(requests(port, side, token, count, arguments.in_flight))
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        return rate, taken, 1e6 * used / count

    for side in PATHS:
        once(side, arguments.requests // 4)
    for _ in range(arguments.rounds):
        for side in PATHS:
            rate, taken, used = once(side, arguments.requests)
            rates[side].append(rate)
            cpu[side].append(used)
            latency[side] += taken
    for side in PATHS:
        taken = sorted(latency[side])
        print(
            f"{side:8} {statistics.median(rates[side]):7.0f} requests/s (min {min(rates[side]):.0f},"
            f" max {max(rates[side]):.0f}), {statistics.median(cpu[side]):.0f} us CPU a request,"
            f" p50 {1e3 * taken[len(taken) // 2]:.1f} ms, p99 {1e3 * taken[int(len(taken) * 0.99)]:.1f} ms"
        )
    ratios = [ours / other for ours, other in zip(rates["ours"], rates["fastapi"], strict=True)]
    print(f"ratio of requests/s, ours / FastAPI: median {statistics.median(ratios):.2f} (goal >= {GOAL})")


def main() -> None:
    """Start both sides and the edge, measure, stop them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=4000, help="per side and round; default 4000")
    parser.add_argument("--in-flight", type=int, default=16, help="default 16")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--port", type=int, default=14480, help="of the edge; default 14480")
    parser.add_argument("--serve", choices=tuple(PATHS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    port: int = arguments.port
    if arguments.serve:
        dsn, keys = os.environ["BENCH_DSN"], json.loads(os.environ["BENCH_KEYS"])
        if arguments.serve == "ours":
            uvloop.run(serve_ours(port + 2, dsn, keys))
        uvicorn.run(fastapi_app(dsn, keys), port=port + 3, log_level="warning", access_log=False)
        return
    token, keys = issue()
    server = PostgresServer()
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        dsn = asyncio.run(prepared(server.create_database))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greenledger-bench-")))
        pids = {}
        for offset, side in ((2, "ours"), (3, "fastapi")):
            argv = [sys.executable, "-m", "benchmarks.json_edge", "--serve", side, "--port", str(port)]
            process = stack.enter_context(
                running(argv, port + offset, BENCH_DSN=dsn, BENCH_KEYS=json.dumps(keys))
            )
            pids[side] = process.pid
        envoy = str(find_envoy(FleetSettings.from_environment({})))
        config = str(edge_config(folder, port))
        argv = [envoy, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        stack.enter_context(running(argv, port))
        asyncio.run(until_ready(port, token))
        measure(port, token, pids, arguments)


async def prepared(create: Callable[[], Awaitable[str]]) -> str:
    """A database with the table."""
    dsn = await create()
    database = await Database.connect(dsn)
    await database.execute(TABLE)
    await database.close()
    return dsn


if __name__ == "__main__":
    main()
