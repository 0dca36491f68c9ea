"""What those who watch are told while nothing concerns them."""

from collections.abc import Iterator
from datetime import timedelta

from chassis.clock import FixedClock
from chassis.wakeup import Watchers
from services.control.application.watching import Ended, Heartbeat, WatchTimes, watch

TIMES = WatchTimes(heartbeat=timedelta(seconds=15), longest=timedelta(seconds=60))


class Busy:
    """Something that changes each second, as a rule in a way that does not concern who watches.

    Args:
        news: what there is to tell, by the second.
    """

    def __init__(self, news: dict[float, str]) -> None:
        self.clock = FixedClock()
        self._changes = Watchers()
        self._news = news

    def _read(self) -> Iterator[str]:
        if news := self._news.get(self.clock.monotonic()):
            yield news
        self.clock.advance(timedelta(seconds=1))
        self._changes.changed("things")

    async def told(self) -> list[tuple[object, float]]:
        """Each message with the second in which it came."""
        heard = watch(self._changes, "things", self._read, self.clock, TIMES)
        return [(message, self.clock.monotonic()) async for message in heard]


async def test_what_concerns_others_puts_off_no_sign_of_life() -> None:
    told = await Busy({}).told()
    assert [message for message, _ in told[:-1]] == [Heartbeat()] * 3
    assert [at_s for _, at_s in told[:-1]] == [15, 30, 45]
    assert isinstance(told[-1][0], Ended)


async def test_a_sign_of_life_comes_when_nothing_was_told_for_the_whole_interval() -> None:
    told = await Busy({0: "all", 10: "more", 20: "still more"}).told()
    assert told[:3] == [("all", 0), ("more", 10), ("still more", 20)]
    assert [at_s for message, at_s in told if message == Heartbeat()] == [35, 50]
