"""JSON in and out of the event tables."""

import json
from collections.abc import Mapping
from typing import Any

from chassis.context import RequestContext

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(value: Mapping[str, Any]) -> str:
    """Compact JSON.

    Raises:
        TypeError, ValueError: the value holds something that JSON has not (Decimal, NaN, datetime).
    """
    return _encoder.encode(value)


def decode(text: str) -> dict[str, Any]:
    """The dict that `encode` was given."""
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def context_meta(context: RequestContext) -> dict[str, Any]:
    """What an event keeps of the request that caused it; nothing for background work."""
    meta: dict[str, Any] = {}
    if context.correlation_id:
        meta["correlation_id"] = context.correlation_id
    if context.causation_id or context.request_id:
        meta["causation_id"] = context.causation_id or context.request_id
    if context.principal is not None:
        meta["actor"] = f"{context.principal.kind}:{context.principal.subject}"
    if context.traceparent:
        meta["traceparent"] = context.traceparent
    return meta
