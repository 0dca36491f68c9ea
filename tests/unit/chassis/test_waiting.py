"""Waiting for an outcome ends in time to answer; watchers are woken, bounded and forgotten."""

from datetime import timedelta

from chassis.context import RequestContext, use
from chassis.testing import FixedClock
from chassis.waiting import LONGEST_WAIT, patience
from chassis.wakeup import Watchers


def patience_with(left_s: float | None) -> timedelta:
    clock = FixedClock()
    deadline = None if left_s is None else clock.monotonic() + left_s
    with use(RequestContext(deadline=deadline)):
        return patience(clock)


def test_a_caller_with_a_deadline_is_answered_before_it():
    assert patience_with(5.25) == timedelta(seconds=5)


def test_nobody_waits_longer_than_the_limit():
    assert patience_with(None) == patience_with(3600.0) == LONGEST_WAIT


def test_there_is_no_waiting_after_the_deadline():
    assert patience_with(-1.0) == patience_with(0.1) == timedelta()


async def test_all_watchers_of_a_thing_are_woken_and_no_others():
    watchers = Watchers()
    with watchers.watch("a") as one, watchers.watch("a") as two, watchers.watch("b") as other:
        watchers.changed("a")
        assert await one.wait(5)
        assert await two.wait(5)
        assert not await other.wait(0.01)


async def test_a_watcher_that_left_is_forgotten():
    watchers = Watchers()
    with watchers.watch("a") as gone:
        pass
    with watchers.watch("a") as still_there:
        watchers.changed("a")
        assert await still_there.wait(5)
    watchers.changed("a")
    assert not await gone.wait(0.01)
    assert watchers.count == 0


async def test_beyond_the_limit_a_watcher_is_left_to_its_poll():
    watchers = Watchers(most=1)
    with watchers.watch("a") as first:
        with watchers.watch("a") as late:
            watchers.changed("a")
            assert await first.wait(5)
            assert not await late.wait(0.01)
        assert watchers.count == 1
    with watchers.watch("a") as next_one:
        watchers.changed("a")
        assert await next_one.wait(5)
