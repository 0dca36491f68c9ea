"""Repeated requests of methods whose contract says IDEMPOTENCY_STORED get the first answer (AIP-155)."""

import hashlib
from typing import Any

from chassis.idempotency import IdempotencyStore
from greenledger.options.v1 import options_pb2
from interceptors.call import Call, Method, Proceed

_FIELD = "request_id"


class Idempotency:
    """Runs the handler in the transaction that also stores key, request hash and response.

    The key is caller, method and request_id, so nobody gets another caller's answer. An empty request_id
    asks for no idempotency; its handler runs without a transaction of ours. Streams are not supported.

    Args:
        store: in the service's own database; None for a service without one, which then refuses methods
            that need it.
    """

    def __init__(self, store: IdempotencyStore | None) -> None:
        self._store = store

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Methods with the option.

        Raises:
            TypeError: the method streams, has no request_id, or there is no store.
        """
        if method.policy is None or method.policy.idempotency != options_pb2.IDEMPOTENCY_STORED:
            return proceed
        store = self._store
        if store is None:
            raise TypeError(f"{method.path} stores its answers, but this service has no idempotency store")
        fields = () if method.request_type is None else method.request_type.DESCRIPTOR.fields_by_name
        if method.kind != "unary" or _FIELD not in fields:
            raise TypeError(f"{method.path} cannot store its answers: it needs to be unary with a {_FIELD}")

        async def once(request: Any, call: Call) -> Any:
            if not request.request_id:
                return await proceed(request, call)

            async def work() -> bytes:
                response: bytes = await proceed(request, call)
                return response

            subject = f"{call.principal.kind}:{call.principal.subject}" if call.principal else "anonymous"
            key = f"{subject}|{method.path}|{request.request_id}"
            digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
            response, _ = await store.execute(key, digest, work)
            return response

        return once
