"""HTTP/1.1 by the byte, for requests that no client library would send."""

import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.integration.edge.harness import Edge
from tests.integration.edge.shape import INFO

_WAIT_S = 10


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        """Of an error in the shape that all have."""
        assert self.headers["content-type"] == "application/json", self
        error: dict[str, Any] = json.loads(self.body)
        assert error.keys() == {"code", "message", "details"}
        [info] = [detail for detail in error["details"] if detail["@type"] == INFO]
        assert (info["domain"], bool(error["message"])) == ("greenledger", True)
        return str(info["reason"])


def send(edge: Edge, request: bytes) -> Answer:
    """Send bytes on a connection of their own and read one answer, without its body to a HEAD."""
    address = (edge.settings.listen.host, edge.settings.listen.port)
    with socket.create_connection(address, timeout=_WAIT_S) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as reader:
            status = int(reader.readline().split()[1])
            headers = {}
            while line := reader.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            length = 0 if request.startswith(b"HEAD ") else int(headers.get("content-length", 0))
            return Answer(status, headers, reader.read(length))


def call(
    edge: Edge,
    verb: str,
    target: str | bytes,
    *headers: str,
    body: bytes = b"",
    token: str | None = None,
    length: bool = True,
) -> Answer:
    """One request, by default with a valid token; `token=""` sends none.

    Args:
        headers: lines such as `x-a: b`.
        length: whether to say how long the body is; default yes.
    """
    path = target.encode("latin-1") if isinstance(target, str) else target
    token = edge.services.token if token is None else token
    lines = ["host: edge", *([f"authorization: Bearer {token}"] if token else []), *headers]
    if length and (body or verb in {"POST", "PUT", "PATCH"}):
        lines.append(f"content-length: {len(body)}")
    head = b"".join(line.encode("latin-1") + b"\r\n" for line in lines)
    return send(edge, verb.encode() + b" " + path + b" HTTP/1.1\r\n" + head + b"\r\n" + body)
