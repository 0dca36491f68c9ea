"""A folder of certificates for the members that the tests need."""

from pathlib import Path

import pytest

from tests.integration.tls.world import SETTLE, Members, enrolled


@pytest.fixture
def members(tmp_path: Path) -> Members:
    """Everybody has a certificate."""
    return enrolled(tmp_path / "tls", SETTLE)
