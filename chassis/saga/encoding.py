"""JSON that jsonb can hold, and the request context as JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chassis.context import Principal, RequestContext

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def encode_object(value: Mapping[str, Any]) -> str:
    """A JSON object as text.

    Raises:
        TypeError: it is not a mapping, or holds something that JSON cannot say.
        ValueError: it holds NaN, an infinity, a NUL character or half a surrogate pair, which jsonb refuses.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a JSON object, got {type(value).__name__}")
    text = json.dumps(dict(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    text.encode()
    if _NUL.search(text):
        raise ValueError("a NUL character cannot be stored")
    return text


def storable(text: str) -> str:
    """Text of an error without the characters that jsonb refuses: losing one beats losing the error."""
    return text.replace("\0", "").encode(errors="replace").decode()


def save_context(context: RequestContext) -> Mapping[str, Any]:
    """What of a request outlives it: correlation, actor, trace, what version it was for; not its deadline."""
    principal = context.principal
    return {
        "request_id": context.request_id,
        "correlation_id": context.correlation_id,
        "traceparent": context.traceparent,
        "routing": [list(header) for header in context.routing],
        "principal": principal
        and {
            "subject": principal.subject,
            "kind": principal.kind,
            "roles": sorted(principal.roles),
            "permissions": sorted(principal.permissions),
        },
    }


def load_context(saved: Mapping[str, Any], saga_id: str) -> RequestContext:
    """The context in which steps run: caused by the saga, correlated with what started it."""
    context = RequestContext(
        request_id=saved["request_id"],
        correlation_id=saved["correlation_id"] or saga_id,
        causation_id=saga_id,
        traceparent=saved["traceparent"],
        # Sagas that began before this was kept have none.
        routing=tuple((name, value) for name, value in saved.get("routing", ())),
    )
    if (who := saved["principal"]) is None:
        return context
    roles, permissions = frozenset(who["roles"]), frozenset(who["permissions"])
    return replace(context, principal=Principal(who["subject"], who["kind"], roles, permissions))
