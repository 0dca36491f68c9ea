"""Structured logs: one JSON object a line, with service, trace id and request id, without secrets."""

import json
import logging
import re
import sys
import weakref
from collections.abc import Collection, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from chassis import context
from chassis.telemetry.tracing import trace_id

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"(?:^|[_\-.])(?:authorization|password|passwd|passphrase|token|secret|card|cvc|cookie|private_?key|api_?key)"
    r"(?:s|_hash|_number|_value)?$",
    re.IGNORECASE,
)
# A key says that its value is a secret; these say it of text that somebody put into a message. They are
# applied to the finished line and must not eat what JSON needs: bare quotes and backslashes.
_SECRET_TEXT = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|(?<=bearer )[\w\-.~+/=]+"
    r"|(?<=://)[^/\s:@\"\\]+:[^/\s@\"\\]+(?=@)"  # user:password of a URL
    r"|(?<=password=)(?:[^\s\"\\]|\\[\"\\/])+",
    re.IGNORECASE,
)
_SECRET_HINTS = ("eyj", "bearer ", "://", "password=")
_MOST_DEPTH = 8


_resolved: "weakref.WeakSet[_Resolved]" = weakref.WeakSet()


def configure(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send everything that this process logs, by structlog or the standard library, to one stream as JSON.

    Args:
        service: value of the `service` field.
        level: least level that is written: DEBUG, INFO, WARNING, ERROR. Default INFO.
        stream: default standard output.

    Raises:
        ValueError: the level is unknown.
    """
    threshold = _threshold(level)
    output = stream or sys.stdout
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _identify(service),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, redact, _render]
    # Our own lines skip the standard library's records, which cost more than all the rest of a line.
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder(),
                _name_component,
                structlog.stdlib.add_log_level,
                *shared[1:],
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)


def set_level(level: str) -> None:
    """Write from another level on, from now on; loggers that were `resolve`d follow.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.

    Raises:
        ValueError: the level is unknown.
    """
    threshold = _threshold(level)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(threshold))
    logging.getLogger().setLevel(threshold)
    for logger in list(_resolved):
        logger.refresh()


def resolve(name: str) -> FilteringBoundLogger:
    """A logger for hot paths: what `get_logger` decides at every line is decided here, and at `set_level`."""
    logger = _Resolved(name)
    _resolved.add(logger)
    return cast(FilteringBoundLogger, logger)


_METHODS = ("debug", "error", "exception", "info", "is_enabled_for", "log", "warning")


class _Resolved:
    __slots__ = ("__weakref__", "_name", *_METHODS)

    def __init__(self, name: str) -> None:
        self._name = name
        self.refresh()

    def refresh(self) -> None:
        """Take the methods of a logger of the level in force."""
        logger = get_logger(self._name).bind()
        for method in _METHODS:
            setattr(self, method, getattr(logger, method))


def _threshold(level: str) -> int:
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"log level {level!r} is unknown; use DEBUG, INFO, WARNING or ERROR")
    return threshold


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger; `log.info("order placed", order_id=...)`. Facts go into keywords, not into the text."""
    logger: FilteringBoundLogger = structlog.get_logger(component=name)
    return logger


def _name_component(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["component"] = event["_record"].name
    return event


def redact(_logger: object, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Processor: hide the values of secret keys at any depth."""
    return {key: _clean(key, value, 0) for key, value in event.items()}


def _render(_logger: object, _method: str, event: EventDict) -> str:
    line = json.dumps(event, ensure_ascii=False, default=str, separators=(",", ":"))
    lowered = line.lower()
    # The expression is slow on text without a match, and almost all lines are such.
    if any(hint in lowered for hint in _SECRET_HINTS):
        return _SECRET_TEXT.sub(REDACTED, line)
    return line


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _clean(key: object, value: object, depth: int) -> object:
    if isinstance(key, str) and _is_secret(key):
        return REDACTED
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _clean_items(value, depth + 1) if depth < _MOST_DEPTH else "[too deep]"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _clean_items(items: Mapping[Any, Any] | Collection[Any], depth: int) -> object:
    if isinstance(items, Mapping):
        return {str(name): _clean(name, item, depth) for name, item in items.items()}
    return [_pair(item, depth) for item in items]


def _pair(item: object, depth: int) -> object:
    # gRPC metadata is a list of (key, value): the key is what tells that the value is a secret.
    if isinstance(item, tuple) and len(item) == 2:
        return [item[0], _clean(item[0], item[1], depth)]
    return _clean(None, item, depth)


def _identify(service: str) -> Processor:
    def identify(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        ambient = context.current()
        if ambient.request_id:
            event.setdefault("request_id", ambient.request_id)
        if ambient.traceparent:
            event.setdefault("trace_id", trace_id(ambient.traceparent))
        return event

    return identify
