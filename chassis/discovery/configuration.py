"""Settings that change while the process runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    parse: Callable[[str], T]
    apply: Callable[[T], object]
    initial: T
    text: str | None = None


class LiveConfiguration:
    """Tells those who asked for an entry of its values; without control nothing ever changes.

    An entry that nobody has set (version 0) leaves the process what it was started with.
    """

    def __init__(self) -> None:
        self._entries: dict[str, list[_Entry[Any]]] = {}

    def on(self, name: str, parse: Callable[[str], T], apply: Callable[[T], object], initial: T) -> None:
        """Have `apply` called whenever the entry has another value.

        Args:
            name: such as "log.level", without a service.
            parse: text to value; raises ValueError for a value that cannot be used, which is logged.
            apply: must not block.
            initial: what was in force at start, and is again when the entry is no longer set.
        """
        self._entries.setdefault(name, []).append(_Entry(parse, apply, initial))

    def apply(self, service: str, snapshot: Any) -> None:
        """Go by a `ConfigSnapshot` from now on.

        Args:
            service: of this process; `<service>~<name>` wins over `<name>`.
            snapshot: all entries that concern the service.
        """
        values = {entry.name: entry.value for entry in snapshot.entries if entry.version}
        for name, listeners in self._entries.items():
            text = values.get(f"{service}~{name}", values.get(name))
            for entry in listeners:
                if text != entry.text:
                    _change(name, entry, text)


def _change(name: str, entry: _Entry[Any], text: str | None) -> None:
    entry.text = text
    try:
        entry.apply(entry.initial if text is None else entry.parse(text))
    except Exception:
        # The rest of the snapshot is good, and what was in force stays so.
        _log.exception("configuration.unusable", name=name)
        return
    _log.info("configuration.applied", name=name, value=text or "as started")
