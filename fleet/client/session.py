"""A person who is logged in; the token is renewed before it expires."""

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greenledger.auth.v1 import auth_pb2

if TYPE_CHECKING:
    from fleet.client.rpc_edge import RpcEdge

RENEW_BEFORE_S = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """E-mail address and password; never shown."""

    email: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.email!r}, ...)"


class Session:
    """One login. Make one with `Session.open`.

    Args:
        edge: where the token is renewed.
        tokens: as the login answered.
    """

    def __init__(self, edge: "RpcEdge", tokens: auth_pb2.TokenPair) -> None:
        self._edge = edge
        self._renewing = asyncio.Lock()
        self.user_id = tokens.user_id
        self._keep(tokens)

    @classmethod
    async def open(cls, edge: "RpcEdge", credentials: Credentials) -> "Session":
        """Log in.

        Raises:
            CallFailed: refused, for example with reason CREDENTIALS_INVALID.
        """
        request = auth_pb2.LoginRequest(email=credentials.email, password=credentials.password)
        return cls(edge, await edge.call(edge.auth.Login, request))

    async def bearer(self) -> str:
        """A token that is good for another minute at least.

        Raises:
            CallFailed: it cannot be renewed.
        """
        if time.monotonic() > self._renew_at:
            async with self._renewing:
                if time.monotonic() > self._renew_at:
                    request = auth_pb2.RefreshTokenRequest(refresh_token=self._refresh_token)
                    self._keep(await self._edge.call(self._edge.auth.RefreshToken, request))
        return self._access_token

    def _keep(self, tokens: auth_pb2.TokenPair) -> None:
        self._access_token = tokens.access_token
        self._refresh_token = tokens.refresh_token
        self._renew_at = time.monotonic() + tokens.expires_in.ToTimedelta().total_seconds() - RENEW_BEFORE_S
