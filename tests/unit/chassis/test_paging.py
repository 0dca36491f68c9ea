"""Page sizes and tokens."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from chassis.paging import PageTokens, page_size

QUERY = {"method": "ListLots", "filter": "holder = 'a'"}
TOKENS = PageTokens(b"0123456789abcdef")


def test_a_page_size_of_zero_is_the_default() -> None:
    assert page_size(0, default=25) == 25


def test_a_large_page_size_is_coerced() -> None:
    assert page_size(10**9, maximum=200) == 200


def test_a_negative_page_size_is_refused_with_its_field() -> None:
    with pytest.raises(InvalidArgument) as refusal:
        page_size(-1)
    assert refusal.value.violations[0].field == "page_size"


def test_the_first_page_has_no_cursor() -> None:
    assert TOKENS.decode("", QUERY) is None


@settings(max_examples=50)
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_token_gives_its_cursor_back(cursor: dict[str, object]) -> None:
    assert TOKENS.decode(TOKENS.encode(cursor, QUERY), QUERY) == cursor


def test_a_token_does_not_fit_another_query() -> None:
    token = TOKENS.encode({"after": "lot-7"}, QUERY)
    with pytest.raises(InvalidArgument) as refusal:
        TOKENS.decode(token, {**QUERY, "filter": "holder = 'b'"})
    assert refusal.value.reason == "PAGE_TOKEN_INVALID"


def test_no_altered_byte_of_a_token_is_accepted() -> None:
    token = TOKENS.encode({"after": "lot-7"}, QUERY)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(raw)):
        altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(InvalidArgument):
            TOKENS.decode(base64.urlsafe_b64encode(altered).decode().rstrip("="), QUERY)


def test_a_token_of_another_secret_is_refused() -> None:
    token = PageTokens(b"another secret...").encode({"after": "lot-7"}, QUERY)
    with pytest.raises(InvalidArgument):
        TOKENS.decode(token, QUERY)


@pytest.mark.parametrize("token", ["x", "????", "\N{GREEN SALAD}", "AAAA", "A" * 4096])
def test_garbage_is_refused_as_a_token(token: str) -> None:
    with pytest.raises(InvalidArgument):
        TOKENS.decode(token, QUERY)


def test_a_page_is_followed_by_a_token_only_when_there_is_more() -> None:
    page, token = TOKENS.cut([1, 2, 3], 2, lambda item: {"after": item}, QUERY)
    assert page == [1, 2]
    assert TOKENS.decode(token, QUERY) == {"after": 2}
    assert TOKENS.cut([3], 2, lambda item: {"after": item}, QUERY) == ([3], "")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        PageTokens(b"short")
