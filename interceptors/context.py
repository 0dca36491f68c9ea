"""Request context: read from the headers first, put in force once all its facts are known.

Two halves because the deadline and the principal are found out in between, and putting a context in
force three times would cost more than all other policies but the token check together.
"""

from collections.abc import Mapping
from typing import Any

from chassis.context import RequestContext, begin
from chassis.ids import IdSource
from interceptors.call import Call, Method, Proceed

REQUEST_ID = "x-request-id"
CORRELATION_ID = "x-correlation-id"
ROUTING = ("x-version", "x-user-role")
"""Headers by which a call may be sent to one version of a service; its follow-ups carry them on."""

_MOST_CHARACTERS = 128


class ReadContext:
    """Takes ids from the headers; makes a request id where none (or an unusable one) came.

    Args:
        ids: where new request ids come from.
    """

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method."""
        new_id = self._ids.uuid7

        async def read(request: Any, call: Call) -> Any:
            metadata = call.metadata
            call.request_id = _usable(metadata.get(REQUEST_ID)) or new_id()
            call.correlation_id = _usable(metadata.get(CORRELATION_ID)) or call.request_id
            return await proceed(request, call)

        return read


class EnterContext:
    """Puts the context in force for everything inside: `chassis.context.current()`."""

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method but health and reflection, which need none."""
        if method.infrastructure:
            return proceed

        async def enter(request: Any, call: Call) -> Any:
            context = RequestContext(
                request_id=call.request_id,
                correlation_id=call.correlation_id,
                causation_id=call.request_id,
                principal=call.principal,
                traceparent=call.traceparent or None,
                deadline=call.deadline,
                routing=_routing(call.metadata),
            )
            begin(context)  # grpc.aio runs every call in a task of its own
            return await proceed(request, call)

        return enter


def _routing(metadata: Mapping[str, str | bytes]) -> tuple[tuple[str, str], ...]:
    if "x-version" not in metadata and "x-user-role" not in metadata:
        return ()
    return tuple((name, value) for name in ROUTING if (value := _usable(metadata.get(name))))


def _usable(given: str | bytes | None) -> str:
    # Ids go into logs, events and further calls: what is too long or not plain text is not taken over.
    if given is None or isinstance(given, bytes) or len(given) > _MOST_CHARACTERS:
        return ""
    return given if given.isascii() and given.isprintable() else ""
