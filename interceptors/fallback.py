"""Earlier answers in place of errors while a service is away, for reads whose contract allows it."""

import grpc

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.logging import get_logger
from chassis.resilience import StaleAnswer, StaleAnswers
from interceptors.attempts import Begin, Delivery, Ended
from interceptors.authenticate import AUTHORIZATION
from interceptors.outgoing import Outgoing

_log = get_logger("greenledger.client")
_LOG_EVERY_S = 10.0
_OK = grpc.StatusCode.OK
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED})


class Fallback:
    """Keeps answers of methods with `stale_seconds` and gives them while their service cannot be reached.

    Each is counted (`greenledger_client_stale_answers_total`) and, at most every ten seconds for a callee,
    logged. A call with a token of its maker's own is left alone: its answer may be for that person only.

    Args:
        inner: sends the call.
        answers: where they are kept.
        clock: spaces the log lines.
    """

    def __init__(self, inner: Delivery, answers: StaleAnswers, clock: Clock) -> None:
        self._inner = inner
        self._answers = answers
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    async def send(self, outgoing: Outgoing, begin: Begin) -> Ended:
        """The call's answer, or an earlier one when the callee is away.

        Raises:
            Unavailable: it was not sent, and there is no earlier answer.
        """
        kind = outgoing.target.response_type
        if not outgoing.target.stale_s or kind is None or _for_another(outgoing):
            return await self._inner.send(outgoing, begin)
        key = (outgoing.path, outgoing.request.SerializeToString(deterministic=True))
        try:
            call, code = await self._inner.send(outgoing, begin)
        except Unavailable:
            found = self._answers.find(key, outgoing.target.stale_s)
            if found is None:
                raise
        else:
            if code is _OK:
                self._answers.keep(key, (await call).SerializeToString())
                return call, code
            found = self._answers.find(key, outgoing.target.stale_s) if code in _AWAY else None
            if found is None:
                return call, code
        self._note(outgoing, found)
        return kind.FromString(found.response), _OK

    def _note(self, outgoing: Outgoing, found: StaleAnswer) -> None:
        callee, now = outgoing.callee, self._clock.monotonic()
        callee.answered_stale += 1
        if now - self._logged_at.get(callee.name, float("-inf")) >= _LOG_EVERY_S:
            self._logged_at[callee.name] = now
            facts = {"callee": callee.name, "method": outgoing.path, "age_s": round(found.age_s, 1)}
            _log.warning("client.answered_stale", **facts)


def _for_another(outgoing: Outgoing) -> bool:
    return not outgoing.token and any(name == AUTHORIZATION for name, _ in outgoing.metadata)
