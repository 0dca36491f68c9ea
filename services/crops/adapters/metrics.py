"""How long commands on lots take, by operation, outcome and crop."""

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from prometheus_client import Histogram

from chassis.errors import DeadlineExceeded, DomainError, Unavailable

SECONDS = Histogram(
    "crop_processing_duration_seconds",
    "Seconds from a command on a lot to its answer, by outcome: success, refused or failed.",
    ["operation", "status", "crop_type"],
    buckets=(0.1, 0.5, 1, 2, 5, 10),
)
OTHER, UNKNOWN = "other", "unknown"
MOST_CROP_TYPES = 200
"""So many product codes have series of their own; growers make codes up, and each costs memory for ever."""

_Answer = TypeVar("_Answer")
_Method = Callable[[Any, Any, Any], Awaitable[_Answer]]
_seen: set[str] = set()


def timed(operation: str) -> Callable[[_Method[_Answer]], _Method[_Answer]]:
    """Measure a method of a servicer; the crop is that of the lot in its answer, or of its request.

    Args:
        operation: value of the label.
    """

    def decorate(method: _Method[_Answer]) -> _Method[_Answer]:
        @wraps(method)
        async def measured(servicer: Any, request: Any, context: Any) -> _Answer:
            begun, status, crop = time.perf_counter(), "failed", _crop_of(request)
            try:
                answer = await method(servicer, request, context)
                status, crop = "success", _crop_of(answer) or crop
                return answer
            except DomainError as error:
                status = "failed" if isinstance(error, Unavailable | DeadlineExceeded) else "refused"
                raise
            finally:
                SECONDS.labels(operation, status, crop_type(crop)).observe(time.perf_counter() - begun)

        return measured

    return decorate


def crop_type(product_code: str) -> str:
    """The label of a product code; `unknown` for an empty one, `other` when there are too many."""
    if not product_code:
        return UNKNOWN
    if product_code not in _seen:
        if len(_seen) >= MOST_CROP_TYPES:
            return OTHER
        _seen.add(product_code)
    return product_code


def _crop_of(message: Any) -> str:
    """Of a lot, of an answer with a lot, or of a request that names the crop."""
    code: str = getattr(getattr(message, "lot", message), "product_code", "")
    return code
