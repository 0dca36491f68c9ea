"""Bulkhead, retry budget and backoff."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from chassis.clock import FixedClock
from chassis.resilience import LEAST_RETRIES, Bulkhead, CallPolicy, RetryBudget, delay_s


def test_a_bulkhead_refuses_the_call_beyond_its_limit_and_takes_the_next_when_one_has_left() -> None:
    bulkhead = Bulkhead(2)
    assert [bulkhead.enter() for _ in range(3)] == [True, True, False]
    bulkhead.leave()
    assert bulkhead.enter()


def test_a_lowered_limit_holds_for_new_calls() -> None:
    bulkhead = Bulkhead(10)
    for _ in range(5):
        bulkhead.enter()
    bulkhead.limit = 3
    bulkhead.leave()
    assert not bulkhead.enter()


def test_rare_calls_may_be_repeated_however_small_the_share() -> None:
    clock = FixedClock()
    budget = RetryBudget(1, clock, least=3)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    clock.advance(timedelta(seconds=11))
    assert budget.take()


def test_one_call_after_the_other_has_no_more_than_the_share() -> None:
    clock = FixedClock()
    budget, retries = RetryBudget(20, clock), 0
    for _ in range(1000):
        budget.called()
        retries += budget.take() + budget.take()  # each call fails, and would have three attempts
        clock.advance(timedelta(milliseconds=50))
    assert 190 <= retries <= 210


def test_calls_that_fail_together_may_all_be_retried_after_a_time_in_which_few_failed() -> None:
    clock = FixedClock()
    budget = RetryBudget(20, clock)
    for _ in range(100):
        budget.called()
    clock.advance(timedelta(seconds=5))
    assert sum(budget.take() for _ in range(40)) == 20  # of a hundred calls a fifth
    clock.advance(timedelta(seconds=11))
    assert sum(budget.take() for _ in range(40)) == LEAST_RETRIES  # that was long ago


_TENTHS = st.integers(0, 150)  # of a second between one call and the next


@given(
    percent=st.integers(1, 100),
    least=st.integers(0, 5),
    calls=st.lists(st.tuples(_TENTHS, st.integers(1, 30)), min_size=1, max_size=60),
)
@settings(deadline=None)
def test_whatever_the_calls_their_retries_are_within_the_share_or_the_least(
    percent: int, least: int, calls: list[tuple[int, int]]
) -> None:
    """Every call fails and wants two retries; counted by instants instead of slices."""
    clock = FixedClock()
    budget = RetryBudget(percent, clock, least=least)
    started = clock.monotonic()
    called: list[float] = []
    retried: list[float] = []
    for tenths, together in calls:
        clock.advance(timedelta(milliseconds=100 * tenths))
        now = clock.monotonic()
        for _ in range(together):
            called.append(now)
            budget.called()
        for _ in range(2 * together):
            if not budget.take():
                continue
            retried.append(now)
            # The window moves by a tenth of its length, so of retries it may miss what that one covers.
            retries = sum(at > now - 9 for at in retried)
            assert retries <= max(least, percent * sum(at > now - 10 for at in called) / 100)
    windows = (clock.monotonic() - started) / 9 + 1
    assert len(retried) <= percent * len(called) / 100 + least * windows


class BudgetModel(RuleBasedStateMachine):
    """Calls and retries begin; whole seconds pass, which are the window's slices."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock()
        self.budget = RetryBudget(20, self.clock)
        self.begun: list[tuple[int, int, int]] = []

    @rule(count=st.integers(1, 40))
    def begin_calls(self, count: int) -> None:
        self.begun.append((int(self.clock.monotonic()), count, 0))
        for _ in range(count):
            self.budget.called()

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule(times=st.integers(1, 12))
    def retry(self, times: int) -> None:
        for _ in range(times):
            now = int(self.clock.monotonic())
            lately = [(calls, retries) for at, calls, retries in self.begun if at > now - 10]
            wanted = sum(retries for _, retries in lately) + 1
            allowed = wanted <= max(LEAST_RETRIES, sum(calls for calls, _ in lately) * 0.2)
            assert self.budget.take() == allowed
            self.begun.append((now, 0, int(allowed)))


TestBudgetModel = BudgetModel.TestCase
TestBudgetModel.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)


@given(retry=st.integers(1, 1000), part=st.floats(0, 1, exclude_max=True))
def test_the_wait_is_a_part_of_the_doubled_backoff_up_to_its_maximum(retry: int, part: float) -> None:
    policy = CallPolicy(backoff=timedelta(milliseconds=50), max_backoff=timedelta(seconds=1))
    longest_s = min(1.0, 0.05 * 2.0 ** min(retry - 1, 100))
    assert abs(delay_s(policy, retry, None, lambda: part) - longest_s * part) < 1e-6


def test_what_the_callee_asked_for_is_waited_in_full() -> None:
    policy = CallPolicy()
    assert delay_s(policy, 1, timedelta(seconds=2), lambda: 0.0) == 2.0
    assert 2.0 < delay_s(policy, 1, timedelta(seconds=2), lambda: 0.9) < 2.05
    assert delay_s(policy, 1, timedelta(seconds=-2), lambda: 0.0) == 0.0
