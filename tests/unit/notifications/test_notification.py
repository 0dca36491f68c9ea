"""When a message is tried again, and whose preferences forbid it."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notifications.domain.notification import (
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    Contact,
    Notification,
    State,
)
from services.notifications.domain.template import Category

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def notification(attempts: int) -> Notification:
    facts = {"created_at": NOW, "due_at": NOW, "attempts": attempts}
    return Notification("n1", "e1", "ann", "welcome", Category.TRANSACTIONAL, "S", **facts)


@pytest.mark.parametrize(("attempts", "pause_s"), [(1, 1), (2, 2), (5, 16)])
def test_the_pause_doubles_with_each_attempt(attempts, pause_s):
    failed = notification(attempts).failed_once("busy", NOW, permanent=False)
    assert (failed.state, failed.due_at - NOW) == (State.SCHEDULED, timedelta(seconds=pause_s))


def test_the_last_attempt_and_a_permanent_refusal_give_up():
    assert notification(MAX_ATTEMPTS).failed_once("busy", NOW, permanent=False).state is State.FAILED
    assert notification(1).failed_once("no such box", NOW, permanent=True).state is State.FAILED


def test_no_pause_is_longer_than_the_longest():
    pauses = [
        notification(attempts).failed_once("busy", NOW, permanent=False).due_at - NOW
        for attempts in range(1, MAX_ATTEMPTS)
    ]
    assert max(pauses) <= LONGEST_PAUSE


@pytest.mark.parametrize(
    ("marketing", "updates", "allowed"),
    [
        (False, False, {Category.TRANSACTIONAL}),
        (True, False, {Category.TRANSACTIONAL, Category.MARKETING}),
        (False, True, {Category.TRANSACTIONAL, Category.ORDER_UPDATE}),
        (True, True, set(Category)),
    ],
)
def test_preferences_decide_over_all_but_transactional_messages(marketing, updates, allowed):
    contact = Contact("ann", "ann@example.org", "Ann", marketing, updates)
    assert {category for category in Category if contact.allows(category)} == allowed
