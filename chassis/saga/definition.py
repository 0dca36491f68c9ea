"""Sagas as data: steps, how each is undone, and how often each is tried."""

import random
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEYS = UUID("6d7a1f5e-3a0b-5c49-9f0e-6d1c5b1f7a55")


class Direction(StrEnum):
    """What a call of a step is for; part of its idempotency key."""

    ACTION = "action"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a saga turned back.

    Args:
        step: the step that was refused, ran out of attempts, or was due when time ran out.
        reason: stable UPPER_SNAKE_CASE code, the participant's own where there is one.
        message: one sentence that a client may see.
        metadata: string facts of the participant's error; default none.
    """

    step: str
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step is told.

    Args:
        saga_id: the instance.
        step: name of the step.
        direction: whether this call acts or undoes.
        data: what the saga was started with, merged with the replies of the steps so far; read-only.
        idempotency_key: UUID text, the same for every attempt of this step and direction.
        action_key: the idempotency key that the step's action has or would have, so that an undo can
            name what it undoes, also when the action never arrived.
        attempt: 1 for the first attempt.
        deadline: when this attempt is given up; its outcome is then unknown.
        failure: why the saga turned back; None while it goes forward.
    """

    saga_id: str
    step: str
    direction: Direction
    data: Mapping[str, Any]
    idempotency_key: str
    action_key: str
    attempt: int
    deadline: datetime
    failure: Failure | None = None


Action = Callable[[StepContext], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how fast a step is tried again after a transient fault.

    Args:
        attempts: how many in all, the first included; None for ever. Default 5. A crash of the engine
            during an attempt counts as one.
        first: wait after the first failed attempt; default 200 ms.
        factor: each further wait is longer by this; default 2.
        ceiling: longest wait; default 30 s.
        jitter: share of each wait that is random, 0 to 1; default 0.5.
    """

    attempts: int | None = 5
    first: timedelta = timedelta(milliseconds=200)
    factor: float = 2.0
    ceiling: timedelta = timedelta(seconds=30)
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.attempts is not None and self.attempts < 1:
            raise ValueError("attempts must be at least 1, or None for ever")
        if self.first <= timedelta(0) or self.ceiling < self.first:
            raise ValueError("first must be positive and ceiling not below it")
        if self.factor < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("factor must be at least 1 and jitter within 0..1")

    def exhausted(self, attempts: int) -> bool:
        """Whether no further attempt is due after this many."""
        return self.attempts is not None and attempts >= self.attempts

    def delay(self, attempts: int, rng: random.Random) -> timedelta:
        """How long to wait after this many attempts (1 or more)."""
        # The exponent is bounded because a step retried for ever would overflow a float.
        grown = self.first.total_seconds() * self.factor ** min(attempts - 1, 60)
        seconds = min(grown, self.ceiling.total_seconds())
        return timedelta(seconds=seconds * (1 - self.jitter * rng.random()))


FOREVER = Retry(attempts=None)
"""Retry until it succeeds or is refused."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a saga.

    Args:
        name: lower_snake_case, unique within the saga; it names the step's rows for ever.
        action: does the step. Returns a JSON object that is merged into the saga's data, or None.
        undo: takes the action back; must also succeed when the action never arrived, and then leave a
            tombstone so that a late action refuses. Default: nothing to take back.
        timeout: limit of one attempt; default 5 s. An attempt that exceeds it has an unknown outcome.
        retry: for the action; default `Retry()` before the pivot, `FOREVER` for the pivot and after it.
        undo_retry: for the undo; default 10 attempts, after which the saga is STUCK.
        pivot: once this step's action succeeds the saga only goes forward. Default False. Its `undo`, if
            any, is used when its own outcome stays unknown, or when an operator forces it.
        local: action and undo run in the transaction that records their success, so they take effect
            exactly once; they must touch nothing but this database, by the ambient transaction. Local
            steps in a row share one transaction, also with the record of the remote step's reply before
            them; if it fails, they are called again. Default False: at least once, with an idempotency key.
    """

    name: str
    action: Action
    undo: Action | None = None
    timeout: timedelta = timedelta(seconds=5)
    retry: Retry | None = None
    undo_retry: Retry = Retry(attempts=10)
    pivot: bool = False
    local: bool = False


@dataclass(frozen=True)
class Saga:
    """A saga's definition, checked when it is made.

    Args:
        name: lower_snake_case.
        version: 1 or more; a new one is needed whenever steps are added, removed, renamed or reordered.
            Keep the old definition registered until its instances have ended.
        steps: in order.
        deadline: from start until the pivot begins; when it passes, the saga turns back.
        hidden: keys of the data that operators do not see, such as tickets and payment methods; they are
            forgotten when the saga has ended. Default none.
        on_failed: runs after the compensation, with `StepContext.failure` set; retried for ever.

    Raises:
        ValueError: the definition breaks a rule; the message says which.

    Source: Garcia-Molina and Salem, "Sagas" (1987); pivot as in Richardson, "Microservices Patterns" ch. 4.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    deadline: timedelta = timedelta(minutes=15)
    on_failed: Step | None = None
    hidden: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for problem in _problems(self):
            raise ValueError(f"saga {self.name!r} version {self.version}: {problem}")

    @cached_property
    def pivot(self) -> int:
        """Index of the first step that cannot be turned back from; number of steps without a pivot."""
        return next((i for i, step in enumerate(self.steps) if step.pivot), len(self.steps))

    @cached_property
    def shape(self) -> str:
        """Digest of what must not change within a version: names, order, kind and pivot of the steps."""
        facts = [(s.name, s.undo is not None, s.pivot, s.local) for s in self.steps]
        failed = self.on_failed.name if self.on_failed else ""
        return sha256(repr((facts, failed)).encode()).hexdigest()[:16]

    def retry_of(self, step: Step, direction: Direction) -> Retry:
        """The retry in force, with the defaults that depend on the step's place."""
        return step.undo_retry if direction is Direction.UNDO else self._retries[step.name]

    @cached_property
    def _retries(self) -> Mapping[str, Retry]:
        retries = {
            s.name: s.retry or (FOREVER if i >= self.pivot else Retry()) for i, s in enumerate(self.steps)
        }
        if self.on_failed is not None:
            retries[self.on_failed.name] = self.on_failed.retry or FOREVER
        return retries


class UnknownDefinition(RuntimeError):
    """Instances in flight need definitions that this process does not have, or has in another shape.

    Args:
        missing: (name, version, instances) of each.
    """

    def __init__(self, missing: Iterable[tuple[str, int, int]]) -> None:
        self.missing = tuple(missing)
        each = ", ".join(f"{name} version {version} ({n} in flight)" for name, version, n in self.missing)
        super().__init__(f"no definition, or one with other steps under the same version, of: {each}")


@lru_cache(maxsize=4096)
def idempotency_key(saga_id: str, step: str, direction: Direction) -> str:
    """UUIDv5 text of one effect: every attempt carries the same, on whichever engine it runs."""
    return str(uuid5(_KEYS, f"{saga_id}/{step}/{direction}"))


@lru_cache(maxsize=4096)
def crashpoint_name(saga: str, step: str, direction: Direction, place: str) -> str:
    """Name of the crash point at a place (`before`, `after_effect`, `after_record`) of a step."""
    return f"saga.{saga}.{step}.{direction}.{place}"


def crashpoints_of(saga: Saga) -> tuple[str, ...]:
    """Every crash point of the saga's steps in order, for tests that try them all."""
    directions = [(s, d) for s in saga.steps for d in Direction if d is Direction.ACTION or s.undo]
    if saga.on_failed is not None:
        directions.append((saga.on_failed, Direction.ACTION))
    places = ("before", "after_effect", "after_record")
    return tuple(crashpoint_name(saga.name, s.name, d, place) for s, d in directions for place in places)


def _problems(saga: Saga) -> list[str]:
    everything = [*saga.steps, *([saga.on_failed] if saga.on_failed else [])]
    names = [step.name for step in everything]
    problems = [f"{n!r} is not lower_snake_case" for n in (saga.name, *names) if not _NAME.fullmatch(n)]
    if saga.version < 1:
        problems.append("version must be at least 1")
    if not saga.steps:
        problems.append("it has no steps")
    if saga.deadline <= timedelta(0):
        problems.append("deadline must be positive")
    problems += [f"two steps are named {n!r}" for n in sorted({n for n in names if names.count(n) > 1})]
    problems += [f"timeout of {s.name!r} must be positive" for s in everything if s.timeout <= timedelta(0)]
    if sum(step.pivot for step in saga.steps) > 1:
        problems.append("it has more than one pivot")
    after = saga.steps[saga.pivot + 1 :]
    problems += [f"{s.name!r} comes after the pivot, so it cannot have an undo" for s in after if s.undo]
    if saga.on_failed and (saga.on_failed.undo or saga.on_failed.pivot):
        problems.append("on_failed can have neither undo nor pivot")
    return problems
