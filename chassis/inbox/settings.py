"""Limits of a consumer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """Limits of a consumer.

    Args:
        max_in_flight: events taken from the broker and not finished; at this mark partitions are
            paused. Default 100.
        resume_at: events in flight at which they are resumed. Default 50.
        event_timeout_s: seconds that the handling of one event, or of one batch, may take. Default 5.
        workers: database transactions at a time; keep it below the pool's size. Default 4.
        max_attempts: tries of an event that fails for a passing reason, before its key is parked;
            a lost database does not count. Default 8, which takes about 20 s.
        backoff_s: first and longest pause in seconds between tries; it doubles. Default 0.1 and 5.
        commit_every_s: seconds between commits of offsets. A crash repeats what came after the last
            one, and the inbox drops it. Default 1.
        drain_s: how long stopping, or giving up a partition, waits for handlers. Default 6.
        session_timeout_s: after so many seconds of silence the group gives our partitions to others;
            Apache Kafka wants at least 6, and Tansu takes half of it to form a group. Default 6.
        rewind_s: first and longest pause in seconds between rewinds of a partition that has a gap; it
            doubles. Default 5 and 300.
    """

    max_in_flight: int = 100
    resume_at: int = 50
    event_timeout_s: float = 5.0
    workers: int = 4
    max_attempts: int = 8
    backoff_s: tuple[float, float] = (0.1, 5.0)
    commit_every_s: float = 1.0
    drain_s: float = 6.0
    session_timeout_s: float = 6.0
    rewind_s: tuple[float, float] = (5.0, 300.0)

    def __post_init__(self) -> None:
        if not 0 <= self.resume_at < self.max_in_flight:
            raise ValueError("resume_at must be at least 0 and less than max_in_flight")
