"""A circuit breaker: calls to what keeps failing are refused at once, until one has shown that it answers.

Source: M. Nygard, Release It!, "Circuit Breaker"; the three states and the rule of one probe are his. That
losses which one event may have caused count once is from congestion control (RFC 5348 section 5.2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from chassis.clock import Clock
from chassis.resilience.policy import BreakerPolicy
from chassis.resilience.window import Window

MOMENT_S = 1.0
"""How far apart the failures of one event, as an instance's death, may end; at most a tenth of the window."""

LEAST_MOMENTS = 3
"""At so many moments calls must have failed before their share counts."""


class BreakerState(Enum):
    """Whether calls pass; the values are those of the gauge."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Outcome(Enum):
    """What a call says of its callee."""

    ANSWERED = "answered"
    FAILED = "failed"
    NOTHING = "nothing"  # the caller went away, or gave it no time


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A breaker changed its state.

    Args:
        callee: whose breaker.
        state, previous: now and before.
        detail: why, in a few words.
    """

    callee: str
    state: BreakerState
    previous: BreakerState
    detail: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Permission for one call; give it back with `Breaker.settle`.

    Args:
        era: of which state's calls it is one.
        moments: at which calls had failed before it began.
        probe: whether the breaker's state hangs on it.
    """

    era: int
    moments: int = 0
    probe: bool = False


class Breaker:
    """The breaker of one callee.

    Closed, it counts. It opens when enough calls of the window failed, by share or in a row, and refuses all
    calls. After `reset` the next call is the probe, the only one that passes (half-open): its answer closes
    the breaker, its failure opens it for another `reset`. A probe that says nothing leaves its place to the
    next call. Calls that began before the state changed no longer count.

    The calls that die with one instance of the callee must not shut out the others. So calls that were under
    way when another one failed, and fail within `MOMENT_S` of it, failed at the same moment. A row is one of
    moments, and the share, in which each call counts, opens only after failures at `LEAST_MOMENTS` of them.
    Calls one after the other have a moment each: for them both rules are those of single calls.

    Not for several threads: an event loop's calls are counted without a lock.

    Args:
        callee: name, for those who are told of changes.
        clock: monotonic time.
        policy: default its defaults.
        on_change: told of each change; must not raise or block. Default nobody.
    """

    def __init__(
        self,
        callee: str,
        clock: Clock,
        policy: BreakerPolicy = BreakerPolicy(),  # noqa: B008  frozen
        on_change: Callable[[BreakerChange], None] | None = None,
    ) -> None:
        self._callee = callee
        self._clock = clock
        self._on_change = on_change
        self._state = BreakerState.CLOSED
        self._era = 0
        self._reopens_at = 0.0
        self._closed_pass = Pass(0)
        self._probing = False
        self._probe_began_at = 0.0
        self._in_a_row = 0
        self._moment_began_at = 0.0
        self._policy = policy
        self._window = Window(clock, policy.window)
        self._moments = Window(clock, policy.window)
        self.configure(policy)

    @property
    def state(self) -> BreakerState:
        """Open until a call comes after the reset, which makes it half-open."""
        return self._state

    def retry_after_s(self, answer_within_s: float) -> float:
        """Seconds until a call may be let through: until an open breaker lets one try, or that one has ended.

        Args:
            answer_within_s: how long a call may take; the one that tries is given at least a second more.
        """
        if self._state is BreakerState.OPEN:
            return max(0.0, self._reopens_at - self._clock.monotonic())
        if self._probing:
            return max(1.0, self._probe_began_at + answer_within_s - self._clock.monotonic())
        return 0.0

    def configure(self, policy: BreakerPolicy) -> None:
        """Go by another policy from now on; one that disables the breaker closes it.

        What happened while it was disabled does not count when it no longer is.
        """
        if policy.window != self._policy.window:
            self._window = Window(self._clock, policy.window)
            self._moments = Window(self._clock, policy.window)
        if self._policy.disabled and not policy.disabled:
            self._forget()
        self._policy = policy
        if policy.disabled and self._state is not BreakerState.CLOSED:
            self._become(BreakerState.CLOSED, "disabled by its policy")

    def admit(self) -> Pass | None:
        """Permission for a call, or None while the callee is left alone."""
        if self._state is BreakerState.CLOSED:
            return self._closed_pass
        if self._state is BreakerState.OPEN:
            if self._clock.monotonic() < self._reopens_at:
                return None
            self._become(BreakerState.HALF_OPEN, "one call tries")
        if self._probing:
            return None
        self._probing = True
        self._probe_began_at = self._clock.monotonic()
        return Pass(self._era, probe=True)

    def settle(self, given: Pass, outcome: Outcome) -> None:
        """Say how the call ended; once for each pass."""
        if given.era != self._era:
            return
        if given.probe:
            self._settle_probe(outcome)
        elif outcome is not Outcome.NOTHING:
            self._count(given, outcome is Outcome.FAILED)

    def _settle_probe(self, outcome: Outcome) -> None:
        self._probing = False
        if outcome is Outcome.ANSWERED:
            self._become(BreakerState.CLOSED, "the call that tried was answered")
        elif outcome is Outcome.FAILED:
            self._open("the call that tried failed")

    def _count(self, given: Pass, failed: bool) -> None:
        self._window.add(1, failed)
        if not failed:
            self._in_a_row = 0
            return
        if self._is_another_moment(given):
            self._moment_began_at = self._clock.monotonic()
            self._closed_pass = Pass(self._era, self._closed_pass.moments + 1)
            self._moments.add(1, 0)
            self._in_a_row += 1
        self._judge()

    def _is_another_moment(self, given: Pass) -> bool:
        """Whether what failed the call cannot be what failed the last one."""
        began_after_it = given.moments == self._closed_pass.moments
        lasts_s = min(MOMENT_S, self._policy.window.total_seconds() / 10)
        return began_after_it or self._clock.monotonic() - self._moment_began_at > lasts_s

    def _judge(self) -> None:
        policy = self._policy
        if policy.disabled:
            return
        if self._in_a_row >= policy.consecutive_failures:
            self._open(f"{self._in_a_row} in a row failed")
            return
        calls, failures = self._window.totals()
        if calls < policy.minimum_calls or failures * 100 < policy.failure_percent * calls:
            return
        # Not more than so many calls one after the other would have needed.
        fewest = -(-policy.minimum_calls * policy.failure_percent // 100)
        if self._moments.totals()[0] >= min(LEAST_MOMENTS, fewest):
            self._open(f"{failures} of {calls} calls failed")

    def _open(self, detail: str) -> None:
        self._reopens_at = self._clock.monotonic() + self._policy.reset.total_seconds()
        self._become(BreakerState.OPEN, detail)

    def _become(self, state: BreakerState, detail: str) -> None:
        previous, self._state = self._state, state
        self._era += 1
        self._closed_pass = Pass(self._era)
        self._forget()
        if self._on_change is not None:
            self._on_change(BreakerChange(self._callee, state, previous, detail))

    def _forget(self) -> None:
        self._window.clear()
        self._moments.clear()
        self._in_a_row = 0
        self._probing = False
