"""Tokens at the edge."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.edge.harness import Edge, running_edge, wait_until
from tests.integration.edge.services import SigningKey
from tests.integration.edge.shape import grpc_error, reason_of

CART = "/greenledger.orders.v1.OrderService/GetCart"


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _forged(key: SigningKey, header: dict[str, str], signature: Callable[[bytes], bytes]) -> str:
    claims = {"iss": "greenledger-auth", "aud": "greenledger", "sub": "x", "exp": 4102444800}
    signed = f"{_segment({'typ': 'JWT', 'kid': key.kid} | header)}.{_segment(claims)}"
    return f"{signed}.{base64.urlsafe_b64encode(signature(signed.encode())).rstrip(b'=').decode()}"


def _hs256_with_public_key(key: SigningKey) -> str:
    return _forged(key, {"alg": "HS256"}, lambda text: hmac.digest(key.pem, text, hashlib.sha256))


def _changed(token: str) -> str:
    header, claims, signature = token.split(".")
    padded = claims + "=" * (-len(claims) % 4)
    altered = json.loads(base64.urlsafe_b64decode(padded)) | {"roles": ["operator"]}
    return f"{header}.{_segment(altered)}.{signature}"


BAD_TOKENS: dict[str, tuple[Callable[[SigningKey], str], str]] = {
    "expired": (lambda key: key.token(lifetime_s=-3600), "TOKEN_EXPIRED"),
    "without expiry": (lambda key: key.token(exp=None), "TOKEN_INVALID"),
    "not yet valid": (lambda key: key.token(nbf=datetime.now(UTC) + timedelta(hours=1)), "TOKEN_INVALID"),
    "alg none": (lambda key: _forged(key, {"alg": "none"}, lambda _: b""), "TOKEN_INVALID"),
    "alg none with signature": (lambda key: _forged(key, {"alg": "none"}, lambda _: b"x"), "TOKEN_INVALID"),
    "HS256 with the public key": (_hs256_with_public_key, "TOKEN_INVALID"),
    "another RSA algorithm": (lambda key: key.token(algorithm="RS512"), "TOKEN_INVALID"),
    "PSS padding": (lambda key: key.token(algorithm="PS256"), "TOKEN_INVALID"),
    "wrong audience": (lambda key: key.token(aud="someone-else"), "TOKEN_INVALID"),
    "audience of service tokens": (lambda key: key.token(aud="greenledger-services"), "TOKEN_INVALID"),
    "without audience": (lambda key: key.token(aud=None), "TOKEN_INVALID"),
    "wrong issuer": (lambda key: key.token(iss="someone-else"), "TOKEN_INVALID"),
    "without issuer": (lambda key: key.token(iss=None), "TOKEN_INVALID"),
    "unknown key": (lambda _: SigningKey.new("unknown").token(), "TOKEN_INVALID"),
    "foreign key under a known id": (lambda key: SigningKey.new(key.kid).token(), "TOKEN_INVALID"),
    "changed claims": (lambda key: _changed(key.token()), "TOKEN_INVALID"),
    "no JWT": (lambda _: "secret", "TOKEN_INVALID"),
    "empty parts": (lambda _: "..", "TOKEN_INVALID"),
    "huge": (lambda _: f"{'a' * 6000}.{'b' * 6000}.c", "TOKEN_INVALID"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_a_bad_token_is_refused(edge: Edge, case: str) -> None:
    make, reason = BAD_TOKENS[case]
    token = make(edge.services.keys[0])
    before = len(edge.services.calls)
    reply = edge.http.get("/api/cart", headers=edge.bearer(token))
    assert (reply.status_code, reason_of(reply)) == (401, reason)
    assert reply.headers["www-authenticate"].startswith("Bearer ")
    assert grpc_error(edge.target, CART, token=token) == ("UNAUTHENTICATED", reason)
    assert "GetCart" not in [call.method for call in edge.services.calls[before:]]


def test_no_token_is_told_apart_from_a_bad_one(edge: Edge) -> None:
    reply = edge.http.get("/api/cart")
    assert (reply.status_code, reason_of(reply)) == (401, "TOKEN_MISSING")
    assert grpc_error(edge.target, CART) == ("UNAUTHENTICATED", "TOKEN_MISSING")


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "", "bearer", "Token x"])
def test_other_authorization_schemes_are_no_token(edge: Edge, value: str) -> None:
    reply = edge.http.get("/api/cart", headers={"authorization": value})
    assert (reply.status_code, reason_of(reply)) == (401, "TOKEN_MISSING")


def test_a_token_in_the_query_is_not_read(edge: Edge) -> None:
    reply = edge.http.get(f"/api/cart?access_token={edge.services.token}")
    assert (reply.status_code, reason_of(reply)) == (401, "TOKEN_MISSING")
    reply = edge.http.get(f"/api/cart?access_token={edge.services.token}", headers=edge.bearer())
    assert reply.status_code == 400


def test_two_tokens_at_once_are_refused_unless_all_are_good(edge: Edge) -> None:
    good, bad = edge.services.token, SigningKey.new("unknown").token()
    for pair in ([good, bad], [bad, good]):
        headers = [("authorization", f"Bearer {token}") for token in pair]
        assert edge.http.get("/api/cart", headers=headers).status_code == 401


def test_public_methods_need_no_token_but_refuse_a_bad_one(edge: Edge) -> None:
    path = f"/api/menu-items/{uuid.uuid4()}"
    assert edge.http.get(path).status_code == 200
    assert edge.http.get(path, headers=edge.bearer()).status_code == 200
    assert reason_of(edge.http.get(path, headers=edge.bearer("secret"))) == "TOKEN_INVALID"


def test_a_good_token_reaches_the_service_unchanged(edge: Edge) -> None:
    token = edge.services.token
    edge.http.get("/api/cart", headers=edge.bearer(token))
    assert edge.services.last("GetCart").metadata["authorization"] == f"Bearer {token}"


def test_no_token_is_written_to_the_log(edge: Edge) -> None:
    token = edge.services.token
    edge.http.get("/api/cart", headers={**edge.bearer(token), "x-request-id": "seen-in-log"})
    edge.http.get(f"/api/cart?access_token={token}")
    wait_until(lambda: "seen-in-log" in edge.log())
    assert token not in edge.log()
    assert token.split(".")[2] not in edge.log()


class TestRotation:
    """An edge that reads the keys every second and keeps old ones no longer than that."""

    @pytest.fixture
    def rotating(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
        with running_edge(tmp_path_factory.mktemp("rotating"), jwks_fresh_s=1, jwks_lasting_s=1) as edge:
            yield edge

    def test_a_new_key_counts_and_a_withdrawn_one_no_longer_does(self, rotating: Edge) -> None:
        keys = rotating.services.keys
        old, new = keys[0], SigningKey.new("second")

        def answer(key: SigningKey) -> int:
            return rotating.http.get("/api/cart", headers=rotating.bearer(key.token())).status_code

        assert (answer(old), answer(new)) == (200, 401)
        keys.append(new)
        wait_until(lambda: answer(new) == 200)
        assert answer(old) == 200
        keys.remove(old)
        wait_until(lambda: answer(old) == 401)
        assert answer(new) == 200
