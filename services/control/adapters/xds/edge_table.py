"""The edge's own routes, from the file that its renderer writes."""

from pathlib import Path
from typing import Any

import structlog
from google.protobuf import json_format

from services.control.adapters.xds import stubs

_log = structlog.get_logger(__name__)


class EdgeTable:
    """Routes of the edge as a file in the JSON form of `envoy.config.route.v3.RouteConfiguration`.

    The file may come later than the process, and may change.

    Args:
        path: of the file; None for a fleet without an edge.

    Attributes:
        version: how often the routes were read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._failed: tuple[tuple[int, int] | None, str] | None = None
        self._table: Any = None
        self.version = 0

    def routes(self) -> Any:
        """The newest routes that could be read; None when there are none yet."""
        if self._path is None:
            return None
        seen = None
        try:
            status = self._path.stat()
            if (seen := (status.st_mtime_ns, status.st_size)) != self._seen:
                content = self._path.read_bytes()
                self._seen = seen  # only now: what could not be read may be readable the next time
                self._table = json_format.Parse(content, stubs.RouteConfiguration())
                self.version += 1
            self._failed = None
        except FileNotFoundError:
            pass
        except (OSError, json_format.ParseError) as error:
            if (failed := (seen, str(error))) != self._failed:  # not again at each look
                self._failed = failed
                _log.error("xds.edge-routes-unreadable", path=str(self._path), error=str(error))
        return self._table
