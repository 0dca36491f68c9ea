"""Streams of news: what there is, what changes, a sign of life when nothing does, and a stated end."""

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from chassis.clock import Clock
from chassis.wakeup import Watchers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last message, and why it is."""

    why: str


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """How long watches are quiet, and how long they last.

    Args:
        heartbeat: between two signs of life; default 15 s.
        longest: until the watch is ended, so that its caller shows a token again; default 1 hour.
    """

    heartbeat: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(hours=1)


async def watch(
    changes: Watchers, what: str, read: Callable[[], Iterable[T]], clock: Clock, times: WatchTimes
) -> AsyncGenerator[T | Heartbeat | Ended, None]:
    """What `read` finds, now and after each change.

    Heartbeats break the silence towards this caller: changes that do not concern it put none off.

    Args:
        changes: wake when there may be news.
        what: of them is watched for.
        read: gives what is new since it was called last.
    """
    ends_at = clock.monotonic() + times.longest.total_seconds()
    heartbeat_s = times.heartbeat.total_seconds()
    told_at = clock.monotonic()
    with changes.watch(what) as changed:
        while True:
            for news in read():
                yield news
                told_at = clock.monotonic()
            now = clock.monotonic()
            if now >= ends_at:
                yield Ended("a watch does not last for ever; watch again")
                return
            if now >= told_at + heartbeat_s:
                yield Heartbeat()
                told_at = clock.monotonic()
                continue
            await changed.wait(min(told_at + heartbeat_s, ends_at) - now)
