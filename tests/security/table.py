"""What a row of the table of bad input is, and the values that many rows share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ABSENT: Final = object()
LONG = "x" * 600
IDS = ["not-an-id", "00000000-0000-0000-0000-00000000000g", LONG]
PAGE = {"page_size": [-1]}


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is well formed and must still be refused.

    Args:
        caller: whose token; see `World.tokens`.
        changes: fields that differ from the sound request.
        code, reason: of the refusal.
        service: which service's own port is asked, where several serve the method; default `orders`.
        over_json: whether the JSON form can say it; default yes.
        at_edge: whether the caller gets past the edge, which no service's token does; default yes.
    """

    caller: str
    code: str
    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    service: str = "orders"
    over_json: bool = True
    at_edge: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """What is asked of one method.

    Args:
        sound: a request that passes validation.
        bad: by field, values that validation refuses with the field's name.
        refused: requests that the rules of the domain refuse.
    """

    sound: Mapping[str, Any] = field(default_factory=dict)
    bad: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    refused: Sequence[Refused] = ()
