"""Deadlines of recalls as an operator sets them: GREENLEDGER_RECALL_DEADLINES="stock=5,refund=600"."""

import os
from collections.abc import Mapping
from datetime import timedelta

from chassis.settings import PREFIX, SettingsError
from services.trace.domain.recall import DEADLINES, EntryKind

VARIABLE = f"{PREFIX}RECALL_DEADLINES"


def deadlines_from_environment(environ: Mapping[str, str] = os.environ) -> Mapping[EntryKind, timedelta]:
    """The deadline of each kind, in seconds where one is set.

    Raises:
        SettingsError: it names another kind, or no positive whole number.
    """
    found = dict(DEADLINES)
    for part in filter(None, (part.strip() for part in environ.get(VARIABLE, "").split(","))):
        name, _, seconds = part.partition("=")
        kind = name.strip().upper().replace("-", "_")
        text = seconds.strip()
        if kind not in EntryKind.__members__ or not (
            text.isascii() and text.isdigit() and 0 < int(text) < 10**9
        ):
            kinds = ", ".join(each.name.lower().replace("_", "-") for each in EntryKind)
            raise SettingsError(f"{VARIABLE} has {part!r}; expected kind=seconds with a kind of {kinds}")
        found[EntryKind[kind]] = timedelta(seconds=int(text))
    return found
