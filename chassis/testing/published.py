"""Vectors and documents that others published: read where they lie beside the project, never copied."""

from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
ABSENT = "published test data is not at ../shared/data"
"""Reason of every skip for want of them; the only skip that a run in CI takes."""


def published(name: str) -> Path:
    """The folder or file of that name, e.g. `merkle`; look for it before you read it."""
    return _FOLDER / name


needs_published = pytest.mark.skipif(not _FOLDER.is_dir(), reason=ABSENT)
"""Marks tests that read from it."""
