"""The services of the fleet as data."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleet.errors import FleetError

CONTROL = "control"
"""The service at which all others register, and from which they learn where the others are."""
MAIN_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Canary:
    """A newer version that runs beside the main one, in one process.

    Args:
        version: such as "v2".
        weight: percent of the calls that it gets at first.
    """

    version: str
    weight: int


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service.

    Args:
        name: folder under `services/`, also its database's and account's name.
        depends_on: services it calls; they are stopped after it. Starting needs no order. That each of them
            calls control goes without saying.
        index: place in the list, which decides its ports; set by `numbered`.
        command: program and arguments; default `python -m services.<name>.main`.
        database: whether it owns a database; default yes.
        replicas: processes of its main version, where control tells callers of them; default 1.
        canary: default none.
    """

    name: str
    depends_on: tuple[str, ...] = ()
    index: int = 0
    command: tuple[str, ...] = ()
    database: bool = True
    replicas: int = 1
    canary: Canary | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        return self.command or (sys.executable, "-m", f"services.{self.name}.main")


def numbered(specs: Iterable[ServiceSpec]) -> tuple[ServiceSpec, ...]:
    """Give each service its place in the list."""
    return tuple(replace(spec, index=index) for index, spec in enumerate(specs))


SERVICES = numbered(
    [
        ServiceSpec("auth"),
        ServiceSpec("users", depends_on=("auth", "notifications")),
        ServiceSpec(
            "crops",
            depends_on=("auth", "users", "notifications", "inventory"),
            canary=Canary("v2", weight=10),
        ),
        ServiceSpec("catalog", depends_on=("auth", "inventory"), replicas=2),
        ServiceSpec("inventory", depends_on=("auth", "crops")),
        ServiceSpec(
            "orders", depends_on=("auth", "catalog", "inventory", "payments", "notifications"), replicas=2
        ),
        ServiceSpec("payments", depends_on=("auth",)),
        ServiceSpec("notifications", depends_on=("auth",)),
        ServiceSpec("trace", depends_on=("auth",)),
        ServiceSpec("market", depends_on=("auth", "crops", "payments", "notifications")),
        ServiceSpec(CONTROL, depends_on=("auth",), replicas=2),
    ]
)


def select(specs: Sequence[ServiceSpec], only: Sequence[str]) -> tuple[ServiceSpec, ...]:
    """The services named in `only`, all of them when it is empty.

    Raises:
        FleetError: a name is unknown.
    """
    names = {spec.name for spec in specs}
    if unknown := [name for name in only if name not in names]:
        raise FleetError(f"There is no service {', '.join(unknown)}: choose from {', '.join(sorted(names))}.")
    return tuple(spec for spec in specs if not only or spec.name in only)


def stop_waves(specs: Sequence[ServiceSpec]) -> list[list[str]]:
    """Names grouped so that each service stops before those it calls, control last.

    A circle of calls stops together.
    """
    # Everybody takes leave of control, whose own calls are over by then.
    remaining = {spec.name: {*spec.depends_on, CONTROL} if spec.name != CONTROL else set() for spec in specs}
    waves: list[list[str]] = []
    while remaining:
        reached = {name: _reached(name, remaining) for name in remaining}
        # Whoever calls one of the wave is called by it in turn.
        wave = [
            name
            for name in remaining
            if all(caller in reached[name] for caller in remaining if name in reached[caller])
        ]
        waves.append(wave)
        for name in wave:
            del remaining[name]
    return waves


def _reached(name: str, calls: Mapping[str, set[str]]) -> set[str]:
    """All that a service calls, and what those call."""
    found: set[str] = set()
    left = set(calls[name])
    while left:
        callee = left.pop()
        if callee in calls and callee not in found:
            found.add(callee)
            left |= calls[callee]
    return found
