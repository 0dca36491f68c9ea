"""Headers of outgoing calls: the service's token and the ids that tie follow-ups together."""

import grpc

from chassis import context
from chassis.ids import IdSource
from interceptors.authenticate import AUTHORIZATION
from interceptors.call import Method, declared_policy
from interceptors.context import CORRELATION_ID, REQUEST_ID
from interceptors.outgoing import Outgoing
from interceptors.service_token import TokenSource


class ClientMetadata:
    """Request id and correlation id of the work under way, and a token for methods that are not public.

    An authorization header of the caller's own wins.

    Args:
        ids: for request ids of background work.
        tokens: the service's token; None sends none.
    """

    def __init__(self, ids: IdSource, tokens: TokenSource | None) -> None:
        self._ids = ids
        self._tokens = tokens
        self._public: dict[str, bool] = {}

    async def before(self, outgoing: Outgoing) -> None:
        """Append the headers; may wait for a token."""
        ambient = context.current()
        request_id = ambient.request_id or self._ids.uuid7()
        outgoing.metadata.append((REQUEST_ID, request_id))
        outgoing.metadata.append((CORRELATION_ID, ambient.correlation_id or request_id))
        if self._tokens is None or self._is_public(outgoing.path):
            return
        if all(key != AUTHORIZATION for key, _ in outgoing.metadata):
            outgoing.token = await self._tokens.get()
            outgoing.metadata.append((AUTHORIZATION, f"Bearer {outgoing.token}"))

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """Drop a token that the peer refused."""
        if code is grpc.StatusCode.UNAUTHENTICATED and self._tokens is not None and outgoing.token:
            self._tokens.refused(outgoing.token)

    def _is_public(self, path: str) -> bool:
        known = self._public.get(path)
        if known is None:
            known = self._public[path] = Method(path, policy=declared_policy(path)).public
        return known
