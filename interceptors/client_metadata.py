"""Headers of outgoing calls: the service's token, ids that tie follow-ups together, and what steers them."""

from typing import Any

import grpc

from chassis import context
from chassis.ids import IdSource
from interceptors.authenticate import AUTHORIZATION
from interceptors.context import CORRELATION_ID, REQUEST_ID
from interceptors.outgoing import Outgoing
from interceptors.service_token import TokenSource

STICKY_KEY = "x-greenledger-key"
"""What is hashed to choose an instance, where the balancing is by hash."""

CALLER = "@caller"
"""As `sticky_field` of a method: the key is the person for whom the call is made."""

_LONGEST_KEY = 256


class ClientMetadata:
    """Request id and correlation id of the work under way, and a token for methods that are not public.

    Headers that steered the call under way steer its follow-ups, too, and calls of methods with a sticky
    field carry its value as key.

    An authorization header of the caller's own wins.

    Args:
        ids: for request ids of background work.
        tokens: the service's token; None sends none.
    """

    def __init__(self, ids: IdSource, tokens: TokenSource | None) -> None:
        self._ids = ids
        self._tokens = tokens

    async def before(self, outgoing: Outgoing) -> None:
        """Append the headers; may wait for a token."""
        ambient = context.current()
        request_id = ambient.request_id or self._ids.uuid7()
        outgoing.metadata.append((REQUEST_ID, request_id))
        outgoing.metadata.append((CORRELATION_ID, ambient.correlation_id or request_id))
        if ambient.routing:
            outgoing.metadata.extend(ambient.routing)
        if outgoing.target.sticky and (key := sticky_key(outgoing.target.sticky, outgoing.request)):
            outgoing.metadata.append((STICKY_KEY, key))
        if self._tokens is None or outgoing.target.public:
            return
        if all(key != AUTHORIZATION for key, _ in outgoing.metadata):
            outgoing.token = await self._tokens.get()
            outgoing.metadata.append((AUTHORIZATION, f"Bearer {outgoing.token}"))

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """Drop a token that the peer refused."""
        if code is grpc.StatusCode.UNAUTHENTICATED and self._tokens is not None and outgoing.token:
            self._tokens.refused(outgoing.token)


def elsewhere(outgoing: Outgoing) -> None:
    """Give the next attempt another key, and so likely another instance than the one that failed it."""
    if outgoing.target.sticky:
        outgoing.metadata = [
            (name, f"{value!s} {outgoing.attempts}" if name == STICKY_KEY else value)
            for name, value in outgoing.metadata
        ]


def sticky_key(field: str, request: Any) -> str:
    """The value of a request's field, or the caller's subject; empty when no header can hold it.

    Args:
        field: a path of names such as "lot.lot_id", or `CALLER`.
        request: the message.
    """
    if field == CALLER:
        principal = context.current().principal
        value = principal.subject if principal is not None else ""
    else:
        for name in field.split("."):
            request = getattr(request, name, "")
        value = str(request)
    return value if len(value) <= _LONGEST_KEY and value.isascii() and value.isprintable() else ""
