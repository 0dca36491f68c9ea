"""Circuit breaker and bulkhead around outgoing calls."""

from datetime import timedelta

import grpc

from chassis.errors import Unavailable
from chassis.resilience import Callee, Outcome
from interceptors import reasons
from interceptors.attempts import Begin, Delivery, Ended
from interceptors.outgoing import Outgoing

FAIR_SHARE = 0.25
"""Of the callee's usual timeout: with less than this, an expired deadline says nothing of the callee."""

_FULL_RETRY_AFTER = timedelta(milliseconds=200)
_FAILURES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,  # by the callee; see `attempts`
    }
)


class Guard:
    """Refuses calls to a callee that keeps failing, or that holds too many of this process's calls already.

    A refusal is UNAVAILABLE and comes at once. A call counts as its maker sees it, after all attempts. Calls
    that stream are not guarded: they last, so that neither their number nor their end says much.

    Args:
        inner: sends what is not refused.
    """

    def __init__(self, inner: Delivery) -> None:
        self._inner = inner

    async def send(self, outgoing: Outgoing, begin: Begin) -> Ended:
        """The call, or its refusal.

        Raises:
            Unavailable: it was not sent.
        """
        callee = outgoing.callee
        if not callee.bulkhead.enter():
            raise _refusal(callee, "bulkhead", _FULL_RETRY_AFTER)
        given = callee.breaker.admit()
        if given is None:
            callee.bulkhead.leave()
            wait_s = callee.breaker.retry_after_s(callee.timeout_s)
            raise _refusal(callee, "breaker", timedelta(seconds=wait_s))
        outcome = Outcome.NOTHING
        try:
            ended = await self._inner.send(outgoing, begin)
            outcome = _outcome(ended[1], outgoing)
            return ended
        finally:
            callee.bulkhead.leave()
            callee.breaker.settle(given, outcome)


def _outcome(code: grpc.StatusCode, outgoing: Outgoing) -> Outcome:
    if code is grpc.StatusCode.OK:
        return Outcome.ANSWERED
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        little = outgoing.cut_short and (outgoing.timeout_s or 0.0) < FAIR_SHARE * outgoing.callee.timeout_s
        return Outcome.NOTHING if little else Outcome.FAILED
    return Outcome.FAILED if code in _FAILURES else Outcome.ANSWERED


_MESSAGES = {
    "bulkhead": "A service that this one needs has too many calls of this one to answer.",
    "breaker": "A service that this one needs did not answer lately and is left alone for a while.",
}


def _refusal(callee: Callee, why: str, retry_after: timedelta) -> Unavailable:
    callee.refused[why] = callee.refused.get(why, 0) + 1
    reason = reasons.OVERLOADED if why == "bulkhead" else reasons.UNAVAILABLE
    return Unavailable(
        reason, _MESSAGES[why], metadata={"callee": callee.name, "cause": why}, retry_after=retry_after
    )
