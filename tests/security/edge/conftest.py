"""One edge for the tests that do not change it."""

from tests.integration.edge.fixtures import edge

__all__ = ["edge"]
