"""Named places where a test can throw, delay or kill the process.

A point is a call `crashpoint("outbox.published")` in production code. It does nothing unless it is armed,
inside a test by `arm`, or when the process starts by an environment variable:

    GREENLEDGER_CRASHPOINT=<name>[:kill|throw|delay=<ms>][@<n>]

(default: kill at the first hit; several are separated by commas). A process whose `GREENLEDGER_ENV` is
`production` refuses to be armed.
"""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = "GREENLEDGER_CRASHPOINT"


class CrashpointHit(BaseException):
    """Thrown at an armed point; a BaseException so that no retry or `except Exception` heals it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"crash point {name} was hit")
        self.name = name


@dataclass(slots=True)
class _Armed:
    action: str
    delay_ms: int
    hits_left: int


_declared: set[str] = set()
_armed: dict[str, _Armed] = {}


def declare(*names: str) -> None:
    """List points before they are first hit, so that a test can enumerate them."""
    _declared.update(names)


def declared() -> frozenset[str]:
    """Names that were declared or hit in this process."""
    return frozenset(_declared)


def crashpoint(name: str) -> None:
    """Mark a place; what happens here is decided by `arm` or the environment, usually nothing."""
    _declared.add(name)
    if _armed:
        _hit(name)


def arm(specification: str, *, environment: str = "test") -> None:
    """Arm points.

    Args:
        specification: `<name>[:kill|throw|delay=<ms>][@<n>]`, several separated by commas; n counts hits
            from 1 (default 1), and the point is disarmed once it has acted.
        environment: value of GREENLEDGER_ENV; `production` is refused.

    Raises:
        ValueError: the specification is malformed, or the environment is production.
    """
    if environment == "production":
        raise ValueError(f"{VARIABLE} must not be set in production")
    for part in specification.split(","):
        name, armed = _parse(part.strip())
        _declared.add(name)
        _armed[name] = armed


def arm_from_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Arm what `GREENLEDGER_CRASHPOINT` asks for; called once when a process starts."""
    if specification := environ.get(VARIABLE):
        arm(specification, environment=environ.get("GREENLEDGER_ENV", "development"))


def armed() -> frozenset[str]:
    """Names that are armed and have not acted yet."""
    return frozenset(_armed)


def disarm() -> None:
    """Disarm every point."""
    _armed.clear()


def _parse(text: str) -> tuple[str, _Armed]:
    point, _, count = text.partition("@")
    name, _, action = point.partition(":")
    action, _, delay = (action or "kill").partition("=")
    well_formed = name and action in {"kill", "throw", "delay"} and (action == "delay") == delay.isdigit()
    if not well_formed or (count and (not count.isdigit() or int(count) < 1)):
        raise ValueError(f"malformed crash point {text!r}; expected <name>[:kill|throw|delay=<ms>][@<n>]")
    return name, _Armed(action=action, delay_ms=int(delay or 0), hits_left=int(count or 1))


def _hit(name: str) -> None:
    armed = _armed.get(name)
    if armed is None:
        return
    armed.hits_left -= 1
    if armed.hits_left > 0:
        return
    del _armed[name]
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif armed.action == "throw":
        raise CrashpointHit(name)
    else:
        # Blocking the whole loop is meant: a stalled process answers nobody.
        time.sleep(armed.delay_ms / 1000)
