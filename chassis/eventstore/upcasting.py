"""Reading events that an older version of the code wrote."""

from collections.abc import Callable
from typing import Any

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownSchemaVersionError(RuntimeError):
    """An event is newer than this code, or a step between its version and today's is missing."""


class Upcasters:
    """Steps from one schema version of an event type to the next.

    Stored events are never rewritten; each read applies the steps that the event lacks.
    """

    def __init__(self) -> None:
        self._steps: dict[str, dict[int, Upcast]] = {}

    def register(self, event_type: str, from_version: int, step: Upcast) -> None:
        """Add a step.

        Args:
            event_type: type of the event.
            from_version: version that the step accepts; it returns version `from_version + 1`.
            step: pure function on the data; it may change and return the dict that it is given.

        Raises:
            ValueError: the step is registered already, or the version is below 1.
        """
        steps = self._steps.setdefault(event_type, {})
        if from_version < 1 or from_version in steps:
            raise ValueError(f"{event_type} from version {from_version} is registered twice or below 1")
        steps[from_version] = step

    def newest(self, event_type: str) -> int | None:
        """The version that reads yield, or None for a type that has a single shape so far."""
        steps = self._steps.get(event_type)
        return None if steps is None else max(steps) + 1

    def upcast(
        self, event_type: str, schema_version: int, data: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Bring data to the newest version.

        Raises:
            UnknownSchemaVersionError: no chain of steps leads from `schema_version` to the newest.
        """
        steps = self._steps.get(event_type)
        if steps is None:
            return schema_version, data
        newest = max(steps) + 1
        while schema_version != newest:
            step = steps.get(schema_version)
            if step is None:
                raise UnknownSchemaVersionError(
                    f"{event_type} version {schema_version} cannot be read as version {newest}"
                )
            data, schema_version = step(data), schema_version + 1
        return schema_version, data
