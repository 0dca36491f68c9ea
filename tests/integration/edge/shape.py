"""The one shape of errors (AIP-193), and gRPC-Web frames."""

from typing import Any

import grpc
import httpx
from google.rpc import error_details_pb2
from grpc_status import rpc_status

INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def error_of(reply: httpx.Response) -> dict[str, Any]:
    """The error's body, checked for the shape that all have."""
    assert reply.status_code >= 400, reply.text
    assert reply.headers["content-type"] == "application/json"
    body: dict[str, Any] = reply.json()
    assert body.keys() == {"code", "message", "details"}
    assert isinstance(body["code"], int)
    assert body["message"]
    infos = [detail for detail in body["details"] if detail["@type"] == INFO]
    assert len(infos) == 1
    assert infos[0]["domain"] == "greenledger"
    assert "metadata" in infos[0]
    return body


def reason_of(reply: httpx.Response) -> str:
    """The reason of an error reply of the right shape."""
    details = error_of(reply)["details"]
    return str(next(detail["reason"] for detail in details if detail["@type"] == INFO))


def violations_of(reply: httpx.Response) -> list[str]:
    """The fields that an error's BadRequest names."""
    details = error_of(reply)["details"]
    return [
        violation["field"]
        for detail in details
        if detail["@type"].endswith("google.rpc.BadRequest")
        for violation in detail["fieldViolations"]
    ]


def grpc_error(target: str, method: str, request: bytes = b"", token: str | None = None) -> tuple[str, str]:
    """Code and reason of a call that must fail; its details must agree with its status."""
    metadata = [("authorization", f"Bearer {token}")] if token else None
    with grpc.insecure_channel(target) as channel:
        try:
            channel.unary_unary(method)(request, metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
    assert status is not None, "no details"
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "greenledger"
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    return code.name, info.reason


def web_frame(message: bytes) -> bytes:
    """One uncompressed gRPC-Web message."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def web_frames(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """Messages and trailers of a gRPC-Web reply."""
    messages, trailers = [], {}
    while body:
        flag, length = body[0], int.from_bytes(body[1:5], "big")
        part, body = body[5 : 5 + length], body[5 + length :]
        if flag & 0x80:
            lines = part.decode().strip().split("\r\n")
            trailers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        else:
            messages.append(part)
    return messages, trailers
