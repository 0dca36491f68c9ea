"""What a failed attempt means for an event."""

from datetime import timedelta

import pytest

from chassis.errors import NotFound, Unavailable
from chassis.inbox.failures import asked_for_s


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Unavailable("UNAVAILABLE", "Left alone.", retry_after=timedelta(seconds=30)), 30.0),
        (Unavailable("UNAVAILABLE", "Left alone.", retry_after=timedelta(hours=1)), 60.0),
        (Unavailable("UNAVAILABLE", "Away."), 0.0),
        (NotFound("GONE", "Gone."), 0.0),
        (ConnectionError(), 0.0),
    ],
)
def test_an_event_waits_as_long_as_its_failure_asks_for_within_bounds(
    error: Exception, seconds: float
) -> None:
    assert asked_for_s(error) == seconds
