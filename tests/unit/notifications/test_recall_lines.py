"""What a message of a recall says, and how much of it."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain import recall
from services.notifications.domain.template import template


def test_a_guest_is_told_what_became_of_the_order_and_of_the_money():
    served = recall.order_served("o1", "12.50 USD")
    assert ("Do not eat" in served, "given back 12.50 USD" in served) == (True, True)
    stopped = recall.order_stopped("o1", "")
    assert ("was stopped" in stopped, "Nothing was charged." in stopped) == (True, True)


def test_a_lot_is_named_as_its_holder_knows_it():
    assert "Lot ROM-1 (l1) is recalled: listeria" in recall.lot_recalled("l1", "ROM-1", "listeria")
    assert "Lot l1 is recalled" in recall.lot_recalled("l1", "", "listeria")


def test_a_line_that_is_there_is_not_said_again():
    assert recall.joined(recall.joined("- a", "- b"), "- a") == "- a\n- b"


@given(st.lists(st.text("ab$ ", min_size=1, max_size=300), min_size=1, max_size=60))
def test_a_message_stays_short_and_says_that_there_is_more(lines: list[str]):
    text = lines[0]
    for line in lines[1:]:
        text = recall.joined(text, line)
    assert len(text) <= recall.MOST_TEXT + len(recall.MORE) + 2
    if not text.endswith(recall.MORE):
        assert set(text.split("\n")) == set(lines)
    assert text in template(recall.TEMPLATE).text_with({"lines": text}, "Ann")
