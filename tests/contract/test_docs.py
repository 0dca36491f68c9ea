"""docs/contracts tells each method, topic and reason, and its links lead somewhere."""

import re

import pytest

from fleet.contracts import docs, errors
from fleet.contracts.model import Contracts


@pytest.fixture(scope="module")
def pages(contracts: Contracts) -> dict[str, str]:
    return docs.render(contracts)


def test_every_method_topic_and_reason_is_told(contracts: Contracts, pages: dict[str, str]) -> None:
    for method in contracts.methods():
        assert f"{method.containing_service.name}.{method.name}" in pages["README.md"]
    for topic, _ in contracts.events():
        assert f"`{topic}`" in pages["README.md"]
    for package in contracts.packages():
        page = pages[f"{package.split('.')[1]}.md"]
        assert all(f"| `{reason.name}` |" in page for reason in errors.reasons(contracts, package))


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_heading(pages: dict[str, str]) -> None:
    links = [
        (name, page or name, anchor)
        for name, text in pages.items()
        # Rules stand in backticks and may look like links.
        for page, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", re.sub(r"`[^`]*`", "", text))
    ]
    assert len(links) > 100
    assert [link for link in links if link[1] not in pages] == []
    assert [link for link in links if link[2] and link[2] not in _anchors(pages[link[1]])] == []


def test_a_page_tells_binding_access_idempotency_and_rules(sound: Contracts) -> None:
    page = docs.render(sound)["sample.md"]
    assert "| HTTP | `POST /api/shelves/{shelf_id}/boxes`<br>`POST /api/boxes` |" in page
    assert "| Who may | `sample.boxes.write` |" in page
    assert "| Repeated `request_id` | gives the stored response |" in page
    assert "| Response | stream of [Box](#box) |" in page
    assert "| 3 | `name` | string | maxLength `5`; minLength `2` |  |" in page
    assert "| `BOX_FULL` | Nothing fits any more. |" in page
    assert "map of string to [Box](#box)" in page
