"""The published vectors, which lie beside the project where they are available."""

import json
from typing import Any

import pytest

from chassis.testing.published import ABSENT, published

FOLDER = published("merkle")


def load(name: str) -> Any:
    """A file of vectors; skips the test where there is none."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(ABSENT)
    return json.loads(path.read_text())


def names(kind: str) -> list[str]:
    """Files of one kind of proof, e.g. `inclusion`; a single name that will skip where there are none."""
    found = sorted((FOLDER / "transparency-dev" / kind).rglob("*.json"))
    return [str(path.relative_to(FOLDER)) for path in found] or [f"transparency-dev/{kind}"]
