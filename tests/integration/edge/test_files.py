"""Files that a service sends in pieces, downloaded through the edge."""

from collections.abc import Iterator

import pytest

from tests.integration.edge.harness import Edge, running_edge
from tests.integration.edge.services import MISSING
from tests.integration.edge.shape import reason_of

ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge whose trace service is up."""
    with running_edge(tmp_path_factory.mktemp("edge")) as edge:
        yield edge


def test_a_file_is_downloaded_as_it_is(edge: Edge) -> None:
    query = {"lotIds": [ID], "startTime": "2026-06-01T00:00:00Z", "format": "EXPORT_FORMAT_CSV"}
    reply = edge.http.get("/api/trace/records:export", params=query, headers=edge.bearer())
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="t.csv"'
    assert reply.content == b"tlc,quantity\r\n" + b"a,1\r\n" * 50_000
    seen = edge.services.last("ExportTraceability").request
    assert (list(seen.lot_ids), seen.start_time.seconds) == ([ID], 1780272000)


def test_a_file_that_is_refused_is_an_error_as_any_other(edge: Edge) -> None:
    reply = edge.http.get("/api/trace/records:export")
    assert (reply.status_code, reason_of(reply)) == (401, "TOKEN_MISSING")
    query = {"lotIds": [MISSING]}
    reply = edge.http.get("/api/trace/records:export", params=query, headers=edge.bearer())
    assert (reply.status_code, reason_of(reply)) == (404, "LOT_NOT_FOUND")
