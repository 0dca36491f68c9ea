"""What a test logs, as a process would write it."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from chassis.logging import configure


@contextmanager
def logged(service: str, level: str = "INFO") -> Iterator[io.StringIO]:
    """What is logged in the block, one JSON object a line; after it all is as it was before.

    Args:
        service: as which it is written.
        level: least level that is written; default INFO.
    """
    root, ours = logging.getLogger(), structlog.get_config()
    handlers, threshold = root.handlers, root.level
    written = io.StringIO()
    configure(service, level, written)
    try:
        yield written
    finally:
        root.handlers = handlers
        root.setLevel(threshold)
        structlog.configure(**ours)
