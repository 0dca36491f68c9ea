"""The circuit breaker by examples, and against a slow and obvious model."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chassis.clock import FixedClock
from chassis.resilience import Breaker, BreakerChange, BreakerPolicy, BreakerState, Outcome, Pass

POLICY = BreakerPolicy(
    failure_percent=50,
    minimum_calls=10,
    consecutive_failures=6,
    window=timedelta(seconds=10),
    reset=timedelta(seconds=30),
)


class Bench:
    """A breaker, its clock and what it told."""

    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.clock = FixedClock()
        self.changes: list[BreakerChange] = []
        self.breaker = Breaker("orders", self.clock, policy, self.changes.append)

    def call(self, outcome: Outcome) -> bool:
        """One call from beginning to end; whether it was let through."""
        given = self.breaker.admit()
        if given is not None:
            self.breaker.settle(given, outcome)
        return given is not None

    def calls(self, pattern: str) -> None:
        """`.` is an answer, `x` a failure, `-` neither."""
        meaning = {".": Outcome.ANSWERED, "x": Outcome.FAILED, "-": Outcome.NOTHING}
        for letter in pattern:
            assert self.call(meaning[letter])

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(seconds=seconds))

    def begin(self, calls: int) -> list[Pass]:
        """So many calls that are under way together."""
        given = [self.breaker.admit() for _ in range(calls)]
        return [one for one in given if one is not None]

    def end(self, calls: list[Pass], outcome: Outcome) -> None:
        """All of them at once."""
        for given in calls:
            self.breaker.settle(given, outcome)


def open_bench() -> Bench:
    bench = Bench()
    bench.calls("xxxxxx")
    assert bench.breaker.state is BreakerState.OPEN
    return bench


def test_it_opens_at_the_share_of_failures_once_there_are_enough_calls() -> None:
    bench = Bench()
    bench.calls(".x.x.x.x.")  # nine, four of them failed
    assert bench.breaker.state is BreakerState.CLOSED
    bench.calls("x")
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.changes[-1].detail == "5 of 10 calls failed"


def test_below_the_share_it_stays_closed_however_many_fail() -> None:
    bench = Bench()
    bench.calls("..x" * 100)
    assert bench.breaker.state is BreakerState.CLOSED


def test_it_opens_when_so_many_fail_in_a_row_whatever_the_share() -> None:
    bench = Bench()
    bench.calls("." * 100 + "xxxxx")
    assert bench.breaker.state is BreakerState.CLOSED
    bench.calls("x")
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.changes[-1].detail == "6 in a row failed"


def test_an_answer_ends_the_row() -> None:
    bench = Bench(BreakerPolicy(minimum_calls=10_000, consecutive_failures=3))
    bench.calls("xx." * 20)
    assert bench.breaker.state is BreakerState.CLOSED


def test_failures_leave_the_window() -> None:
    bench = Bench()
    bench.calls("x.x.x.x.")
    bench.wait(11)
    bench.calls("x.........")
    assert bench.breaker.state is BreakerState.CLOSED


def test_what_says_nothing_of_the_callee_is_not_counted() -> None:
    bench = Bench()
    bench.calls("xxxxx" + "-" * 50)
    assert bench.breaker.state is BreakerState.CLOSED
    bench.calls("x")
    assert bench.breaker.state is BreakerState.OPEN


def test_open_it_refuses_until_the_reset_and_says_how_long() -> None:
    bench = open_bench()
    assert bench.breaker.retry_after_s(3) == 30
    bench.wait(29.9)
    assert not bench.call(Outcome.ANSWERED)
    assert bench.breaker.retry_after_s(3) == pytest.approx(0.1)


def test_after_the_reset_exactly_one_call_tries_and_its_answer_closes() -> None:
    bench = open_bench()
    bench.wait(30)
    probe = bench.breaker.admit()
    assert probe is not None
    assert bench.breaker.state is BreakerState.HALF_OPEN
    assert bench.breaker.admit() is None
    bench.breaker.settle(probe, Outcome.ANSWERED)
    assert bench.breaker.state is BreakerState.CLOSED
    assert [change.state.name for change in bench.changes] == ["OPEN", "HALF_OPEN", "CLOSED"]
    bench.calls("xxxxx")
    assert bench.breaker.state is BreakerState.CLOSED  # what was counted before is forgotten


def test_while_one_call_tries_the_others_wait_for_its_end() -> None:
    bench = open_bench()
    bench.wait(30)
    (probe,) = bench.begin(1)
    assert bench.breaker.retry_after_s(3) == 3
    bench.wait(1.5)
    assert bench.breaker.retry_after_s(3) == pytest.approx(1.5)
    bench.wait(30)
    assert bench.breaker.retry_after_s(3) == 1
    bench.end([probe], Outcome.NOTHING)
    assert bench.breaker.retry_after_s(3) == 0  # the next call tries


def test_a_probe_that_fails_opens_it_for_another_reset() -> None:
    bench = open_bench()
    bench.wait(30)
    assert bench.call(Outcome.FAILED)
    assert bench.breaker.state is BreakerState.OPEN
    bench.wait(29)
    assert not bench.call(Outcome.ANSWERED)
    bench.wait(1)
    assert bench.call(Outcome.ANSWERED)
    assert bench.breaker.state is BreakerState.CLOSED


def test_a_probe_that_says_nothing_leaves_its_place_to_the_next_call() -> None:
    bench = open_bench()
    bench.wait(30)
    assert bench.call(Outcome.NOTHING)
    assert bench.breaker.state is BreakerState.HALF_OPEN
    assert bench.call(Outcome.ANSWERED)
    assert bench.breaker.state is BreakerState.CLOSED


def test_calls_that_began_before_it_opened_do_not_close_or_reopen_it() -> None:
    bench = Bench()
    late = [bench.breaker.admit() for _ in range(20)]
    bench.calls("xxxxxx")
    bench.wait(30)
    assert bench.breaker.admit() is not None
    for given in late:
        assert given is not None
        bench.breaker.settle(given, Outcome.ANSWERED)
        bench.breaker.settle(given, Outcome.FAILED)
    assert bench.breaker.state is BreakerState.HALF_OPEN


def test_a_policy_can_turn_it_off() -> None:
    bench = open_bench()
    bench.breaker.configure(BreakerPolicy(disabled=True))
    assert bench.breaker.state is BreakerState.CLOSED
    bench.calls("x" * 100)
    assert bench.breaker.state is BreakerState.CLOSED


def test_what_failed_while_it_was_off_does_not_count_when_it_is_on_again() -> None:
    bench = Bench(BreakerPolicy(disabled=True))
    bench.calls("x" * 100)
    bench.breaker.configure(POLICY)
    bench.calls("xxxxx")
    assert bench.breaker.state is BreakerState.CLOSED
    bench.calls("x")
    assert bench.breaker.state is BreakerState.OPEN


def test_another_policy_goes_on_with_what_was_counted() -> None:
    bench = Bench()
    bench.calls("xxx")
    bench.breaker.configure(replace(POLICY, consecutive_failures=4))
    assert bench.breaker.state is BreakerState.CLOSED
    bench.calls("x")
    assert bench.breaker.state is BreakerState.OPEN


@pytest.mark.parametrize("calls", [12, 200])
def test_an_instance_that_dies_with_all_its_calls_does_not_shut_out_the_others(calls: int) -> None:
    bench = Bench()
    held, elsewhere = bench.begin(calls), bench.begin(calls)
    bench.end(held[:-2], Outcome.FAILED)
    bench.wait(0.3)  # the last attempts of two that were repeated
    bench.end(held[-2:], Outcome.FAILED)
    bench.calls("x")  # to an instance that is not known to be gone
    assert bench.breaker.state is BreakerState.CLOSED
    bench.end(elsewhere, Outcome.ANSWERED)
    bench.calls("." * 100)
    assert bench.breaker.state is BreakerState.CLOSED


def test_what_fails_for_all_opens_it_after_three_moments_however_many_calls_are_under_way() -> None:
    bench = Bench()
    for _ in range(2):
        bench.end(bench.begin(50), Outcome.FAILED)
        assert bench.breaker.state is BreakerState.CLOSED
    bench.end(bench.begin(1), Outcome.FAILED)
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.changes[-1].detail == "101 of 101 calls failed"


def test_silence_opens_it_while_calls_that_began_together_are_given_up() -> None:
    bench = Bench()
    under_way = bench.begin(30)
    for given in under_way:  # ten a second reach their deadline
        bench.end([given], Outcome.FAILED)
        bench.wait(0.125)
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.changes[-1].detail == "19 of 19 calls failed"


def test_few_calls_at_once_open_it_by_a_row_of_moments() -> None:
    bench = Bench(BreakerPolicy(minimum_calls=1000, consecutive_failures=4))
    for _ in range(3):
        bench.end(bench.begin(5), Outcome.FAILED)
        assert bench.breaker.state is BreakerState.CLOSED
    bench.end(bench.begin(5), Outcome.FAILED)
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.changes[-1].detail == "4 in a row failed"


def test_a_share_that_so_few_calls_can_reach_needs_no_more_of_them() -> None:
    bench = Bench(BreakerPolicy(failure_percent=50, minimum_calls=2, consecutive_failures=9))
    bench.calls(".x")
    assert bench.breaker.state is BreakerState.OPEN


def test_in_a_short_window_moments_are_short() -> None:
    bench = Bench(BreakerPolicy(minimum_calls=3, window=timedelta(seconds=1)))
    for given in bench.begin(3):
        assert bench.breaker.state is BreakerState.CLOSED
        bench.end([given], Outcome.FAILED)
        bench.wait(0.25)
    assert bench.breaker.state is BreakerState.OPEN


@dataclass(frozen=True)
class Ended:
    """A call as the model remembers it; `began` and `ended` are places in the order of all that happened."""

    began: int
    ended: int
    at: float
    failed: bool


class BreakerModel(RuleBasedStateMachine):
    """Keeps every call with its time and recounts them all; a window has ten slices, as the breaker's."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.breaker = self.bench.breaker
        self.under_way: list[Pass] = []
        self.probe: Pass | None = None
        self.state = BreakerState.CLOSED
        self.opened_at = 0.0
        self.ended: list[Ended] = []
        self.began: dict[int, int] = {}
        self.happened = 0

    # Sums of these are exact in binary: the model is not about rounding.
    @rule(seconds=st.sampled_from([0.25, 1.0, 2.5, 9.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)

    @rule()
    def begin(self) -> None:
        given = self.breaker.admit()
        rested = self.bench.clock.monotonic() - self.opened_at >= 30
        if self.state is BreakerState.OPEN and rested:
            self.change(BreakerState.HALF_OPEN)
        expected = self.state is BreakerState.CLOSED or (
            self.state is BreakerState.HALF_OPEN and self.probe is None
        )
        assert (given is not None) == expected
        if given is None:
            return
        if self.state is BreakerState.HALF_OPEN:
            self.probe = given
        else:
            self.under_way.append(given)
            self.began[len(self.under_way) - 1] = self.happened = self.happened + 1

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome), times=st.integers(1, 4))
    def end(self, data: st.DataObject, outcome: Outcome, times: int) -> None:
        for _ in range(min(times, len(self.under_way))):
            index = data.draw(st.integers(0, len(self.under_way) - 1))
            self.breaker.settle(self.under_way[index], outcome)
            if index in self.began and outcome is not Outcome.NOTHING:
                self.record(self.began[index], outcome is Outcome.FAILED)

    @precondition(lambda self: self.probe is not None)
    @rule(outcome=st.sampled_from(Outcome))
    def end_probe(self, outcome: Outcome) -> None:
        probe, self.probe = self.probe, None
        assert probe is not None
        self.breaker.settle(probe, outcome)
        if outcome is Outcome.ANSWERED:
            self.change(BreakerState.CLOSED)
        elif outcome is Outcome.FAILED:
            self.change(BreakerState.OPEN)

    def record(self, began: int, failed: bool) -> None:
        self.happened += 1
        self.ended.append(Ended(began, self.happened, self.bench.clock.monotonic(), failed))
        if not failed:
            return
        moments = self.moments()
        answers = [call.ended for call in self.ended if not call.failed]
        row = [first for first in moments if first.ended > max(answers, default=0)]
        since = int(self.bench.clock.monotonic()) - 10
        recent = [call.failed for call in self.ended if int(call.at) > since]
        spread = [first for first in moments if int(first.at) > since]
        share = len(recent) >= 10 and sum(recent) / len(recent) >= 0.5
        if len(row) >= 6 or (share and len(spread) >= 3):
            self.change(BreakerState.OPEN)

    def moments(self) -> list[Ended]:
        """The first failure of each."""
        firsts: list[Ended] = []
        for call in self.ended:
            same = firsts and call.began < firsts[-1].ended and call.at - firsts[-1].at <= 1
            if call.failed and not same:
                firsts.append(call)
        return firsts

    def change(self, state: BreakerState) -> None:
        self.state = state
        self.ended, self.began, self.probe = [], {}, None
        if state is BreakerState.OPEN:
            self.opened_at = self.bench.clock.monotonic()

    @invariant()
    def agrees(self) -> None:
        assert self.breaker.state is self.state
        told = self.bench.changes[-1].state if self.bench.changes else BreakerState.CLOSED
        assert told is self.state


TestBreakerModel = BreakerModel.TestCase
TestBreakerModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
