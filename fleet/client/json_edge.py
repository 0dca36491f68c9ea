"""The edge over HTTP/JSON."""

from types import TracebackType
from typing import Any, Self

import httpx

from fleet.client.errors import CallFailed
from fleet.client.session import Session

Json = dict[str, Any]


class JsonEdge:
    """HTTP/JSON calls to an edge.

    Args:
        url: of the edge, e.g. `http://127.0.0.1:8080`.
        timeout_s: longest wait for one answer; default 20 s.
    """

    def __init__(self, url: str, *, timeout_s: float = 20.0) -> None:
        # The machine's proxy settings are for the outside world; the edge is addressed directly.
        self.http = httpx.AsyncClient(base_url=url, timeout=timeout_s, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, session: Session | None = None, **query: str | int) -> Json:
        """GET; keyword arguments become the query."""
        return await self._call("GET", path, session, params=query)

    async def post(self, path: str, body: Json, session: Session | None = None) -> Json:
        """POST with a JSON body."""
        return await self._call("POST", path, session, json=body)

    async def put(self, path: str, body: Json, session: Session | None = None) -> Json:
        """PUT with a JSON body."""
        return await self._call("PUT", path, session, json=body)

    async def _call(self, verb: str, path: str, session: Session | None, **content: Any) -> Json:
        """One call.

        Raises:
            CallFailed: the edge refused it or did not answer.
        """
        headers = {"authorization": f"Bearer {await session.bearer()}"} if session else {}
        try:
            response = await self.http.request(verb, path, headers=headers, **content)
        except httpx.HTTPError as error:
            raise CallFailed("UNAVAILABLE", "", f"no answer ({type(error).__name__})") from error
        try:
            body = response.json() if response.content else {}
        except ValueError:
            body = None
        if response.status_code != httpx.codes.OK or body is None:
            raise CallFailed.from_json(response.status_code, body)
        return dict(body)
