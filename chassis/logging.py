"""Structured logs: one JSON object a line, with service, trace id and request id, without secrets."""

import logging
import re
import sys
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from chassis import context
from chassis.telemetry.tracing import trace_id

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"(?:^|[_\-.])(?:authorization|password|passwd|passphrase|token|secret|card|cvc|cookie|private_?key|api_?key)"
    r"(?:s|_hash|_number|_value)?$",
    re.IGNORECASE,
)
# A key says that its value is a secret; these say it of text that somebody put into a message.
_SECRET_TEXT = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|(?<=bearer )[\w\-.~+/=]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password of a URL
    r"|(?<=password=)\S+",
    re.IGNORECASE,
)
_MAX_DEPTH = 8


def configure(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send everything that this process logs, by structlog or the standard library, to one stream as JSON.

    Args:
        service: value of the `service` field.
        level: least level that is written: DEBUG, INFO, WARNING, ERROR. Default INFO.
        stream: default standard output.

    Raises:
        ValueError: the level is unknown.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"log level {level!r} is unknown; use DEBUG, INFO, WARNING or ERROR")
    shared = _processors(service)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `log.info("order placed", order_id=...)`. Facts go into keywords, not into the text."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redact(_logger: object, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Processor: hide values of secret keys at any depth, and tokens inside any text."""
    return {key: _clean(key, value, 0) for key, value in event.items()}


def _clean(key: object, value: object, depth: int) -> object:
    if isinstance(key, str) and _SECRET_KEY.search(key):
        return REDACTED
    if isinstance(value, int | float | None):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _clean_items(value, depth + 1) if depth < _MAX_DEPTH else "[too deep]"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return _SECRET_TEXT.sub(REDACTED, text)


def _clean_items(items: Mapping[Any, Any] | Collection[Any], depth: int) -> object:
    if isinstance(items, Mapping):
        return {str(name): _clean(name, item, depth) for name, item in items.items()}
    return [_pair(item, depth) for item in items]


def _pair(item: object, depth: int) -> object:
    # gRPC metadata is a list of (key, value): the key is what tells that the value is a secret.
    if isinstance(item, tuple) and len(item) == 2:
        return [item[0], _clean(item[0], item[1], depth)]
    return _clean(None, item, depth)


def _processors(service: str) -> list[Processor]:
    def identify(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        ambient = context.current()
        if ambient.request_id:
            event.setdefault("request_id", ambient.request_id)
        if ambient.traceparent:
            event.setdefault("trace_id", trace_id(ambient.traceparent))
        return event

    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        identify,
    ]
