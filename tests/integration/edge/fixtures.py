"""The edge that most tests share."""

from collections.abc import Iterator

import pytest

from tests.integration.edge.harness import Edge, running_edge


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge whose trace service is down."""
    with running_edge(
        tmp_path_factory.mktemp("edge"),
        down=("trace",),
        cors_origins=("https://app.example",),
        jwks_fresh_s=1,
    ) as edge:
        yield edge
