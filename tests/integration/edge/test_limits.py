"""Limits per client: what counts, what a refused one is told, and that nobody gets round them."""

import itertools
import uuid
from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from fleet.settings import Limit
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from tests.integration.edge.harness import Edge, running_edge
from tests.integration.edge.shape import error_of, reason_of, web_frame

PUBLIC = "/.well-known/jwks.json"
ORIGIN = "https://app.example"
ANONYMOUS, PERSON = 4, 6
# Far longer than the tests take: nobody gets another token while they run.
WINDOW_S = 36_000


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge with small limits."""
    with running_edge(
        tmp_path_factory.mktemp("limits"),
        anonymous_limit=Limit.parse(f"{ANONYMOUS}/{WINDOW_S}s"),
        authenticated_limit=Limit.parse(f"{PERSON}/{WINDOW_S}s"),
        cors_origins=(ORIGIN,),
    ) as edge:
        yield edge


ADDRESSES = (f"127.0.1.{number}" for number in itertools.count(1))


@pytest.fixture
def caller(edge: Edge) -> Iterator[httpx.Client]:
    """Somebody at an address of their own."""
    with at(edge, next(ADDRESSES)) as client:
        yield client


def at(edge: Edge, address: str) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=edge.url, transport=transport, timeout=20)


def spend(client: httpx.Client, headers: dict[str, str] | None = None, path: str = PUBLIC) -> None:
    """Make all the requests that are allowed, and see that the next is not."""
    allowed = PERSON if headers else ANONYMOUS
    replies = [client.get(path, headers=headers) for _ in range(allowed + 1)]
    assert [reply.status_code for reply in replies] == [200] * allowed + [429]


def test_every_answer_says_how_many_requests_are_left(caller: httpx.Client) -> None:
    first, second = caller.get(PUBLIC), caller.get(PUBLIC)
    assert first.headers["ratelimit-limit"] == str(ANONYMOUS)
    assert [reply.headers["ratelimit-remaining"] for reply in (first, second)] == ["3", "2"]
    assert "ratelimit-reset" in first.headers
    assert not any(name.startswith("x-ratelimit") for name in first.headers)


def test_a_request_too_many_is_answered_429_with_the_time_to_come_back(caller: httpx.Client) -> None:
    spend(caller)
    reply = caller.get(PUBLIC)
    assert (reply.status_code, reason_of(reply)) == (429, "RATE_LIMITED")
    seconds = int(reply.headers["retry-after"])
    # One of four in ten hours.
    assert 1 < seconds <= WINDOW_S // ANONYMOUS
    (retry,) = [part for part in error_of(reply)["details"] if part["@type"].endswith("google.rpc.RetryInfo")]
    assert retry["retryDelay"] == f"{seconds}s"
    assert reply.headers["ratelimit-remaining"] == "0"
    assert reply.headers["ratelimit-reset"] == str(seconds)
    assert "x-greenledger-limited" not in reply.headers


def test_another_address_is_not_concerned(edge: Edge, caller: httpx.Client) -> None:
    spend(caller)
    with at(edge, next(ADDRESSES)) as other:
        assert other.get(PUBLIC).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-envoy-external-address",
        "x-envoy-original-dst-host",
        "x-user-id",
        "X-User-Id",
        "x_user_id",
        "x-user-role",
        "x-greenledger-key",
        "x-greenledger-limited",
    ],
)
def test_what_a_caller_says_of_itself_opens_nothing(caller: httpx.Client, header: str) -> None:
    spend(caller)
    for value in ("10.9.8.7", str(uuid.uuid4()), "for=10.9.8.7"):
        assert caller.get(PUBLIC, headers={header: value}).status_code == 429


def test_a_token_that_is_not_valid_opens_nothing(edge: Edge, caller: httpx.Client) -> None:
    spend(caller)
    for token in ("nonsense", edge.services.keys[0].token(lifetime_s=-60), "a.b.c"):
        reply = caller.get(PUBLIC, headers={"authorization": f"Bearer {token}"})
        assert reply.status_code == 401


def test_a_person_has_a_limit_of_their_own_whatever_the_address_and_the_token(
    edge: Edge, caller: httpx.Client
) -> None:
    spend(caller)
    person = str(uuid.uuid4())
    spend(caller, edge.bearer(edge.services.keys[0].token(sub=person)))
    with at(edge, next(ADDRESSES)) as other:
        again = other.get(PUBLIC, headers=edge.bearer(edge.services.keys[0].token(sub=person)))
        assert again.status_code == 429
        assert other.get(PUBLIC, headers=edge.bearer()).status_code == 200
        assert other.get(PUBLIC).headers["ratelimit-remaining"] == str(ANONYMOUS - 1)


def test_json_and_grpc_count_together_and_grpc_is_told_when_to_come_back(edge: Edge) -> None:
    headers = edge.bearer()
    with httpx.Client(base_url=edge.url) as client:
        spend(client, headers, "/api/cart")
    with grpc.insecure_channel(edge.target) as channel, pytest.raises(grpc.RpcError) as refused:
        orders_pb2_grpc.OrderServiceStub(channel).GetCart(
            orders_pb2.GetCartRequest(), metadata=list(headers.items()), timeout=10
        )
    status = rpc_status.from_call(refused.value)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert [status.details[0].Unpack(info), status.details[1].Unpack(retry)] == [True, True]
    assert (info.reason, info.domain) == ("RATE_LIMITED", "greenledger")
    metadata = dict(refused.value.trailing_metadata())
    assert retry.retry_delay.seconds == int(metadata["ratelimit-reset"]) > 300


def test_a_grpc_caller_without_a_token_is_refused_too(edge: Edge) -> None:
    with grpc.insecure_channel(edge.target) as channel:
        get = auth_pb2_grpc.AuthServiceStub(channel).GetJwks
        calls = [
            get.future(
                auth_pb2.GetJwksRequest(), timeout=10, metadata=[("x-forwarded-for", f"10.0.0.{number}")]
            )
            for number in range(ANONYMOUS + 1)
        ]
        codes = [call.code() for call in calls]
    assert sorted(code.name for code in codes) == ["OK"] * ANONYMOUS + ["RESOURCE_EXHAUSTED"]


def test_a_grpc_web_caller_is_refused_with_the_status_of_grpc(edge: Edge, caller: httpx.Client) -> None:
    spend(caller)
    reply = caller.post(
        "/greenledger.auth.v1.AuthService/GetJwks",
        headers={"content-type": "application/grpc-web+proto"},
        content=web_frame(b""),
    )
    assert reply.headers["grpc-status"] == "8"
    assert int(reply.headers["ratelimit-reset"]) > 1


def test_pages_count_for_nobody(caller: httpx.Client) -> None:
    replies = [caller.get("/docs") for _ in range(ANONYMOUS + 2)]
    assert {reply.status_code for reply in replies} == {200}
    assert "ratelimit-limit" not in replies[-1].headers
    assert caller.get(PUBLIC).headers["ratelimit-remaining"] == str(ANONYMOUS - 1)


def test_a_script_of_an_allowed_origin_may_read_its_limit(caller: httpx.Client) -> None:
    exposed = caller.get(PUBLIC, headers={"origin": ORIGIN}).headers["access-control-expose-headers"]
    assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"} <= set(
        exposed.split(", ")
    )


def test_no_script_failed(edge: Edge) -> None:
    assert "script log" not in edge.log()
