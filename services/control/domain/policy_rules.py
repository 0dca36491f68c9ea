"""What a policy must keep to before any client hears of it."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from chassis.errors import InvalidArgument, Violation
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.registration import EDGE


def require_sound(policy: TrafficPolicy) -> None:
    """Refuse a policy that contradicts itself.

    Raises:
        InvalidArgument: POLICY_INVALID with every field at fault.
    """
    _refuse("the policy contradicts itself", _contradictions(policy))


def require_running(policy: TrafficPolicy, running: Collection[str], before: TrafficPolicy) -> None:
    """Refuse a policy that sends more calls than before to a version that nobody runs.

    A weight of 0 sends none. What was stored while a version ran may stay when it is gone, or nothing else of
    the policy could be changed; its calls go to the others.

    Args:
        running: the versions that registered instances of the service run.
        before: the policy that this one replaces.

    Raises:
        InvalidArgument: POLICY_INVALID with every field at fault.
    """
    _refuse(
        "the policy sends calls to versions that no registered instance runs",
        _absent(policy, running, before),
    )


def require_known(service: str, services: Collection[str]) -> None:
    """Refuse a policy for a service that nobody has heard of.

    Raises:
        InvalidArgument: POLICY_INVALID.
    """
    if service not in services or service == EDGE:
        _refuse("no such service is known", [Violation("service", "is not registered and has no policy")])


def require_sound_edge(policy: EdgePolicy) -> None:
    """Refuse limits by which being known would be worse than being nobody.

    Raises:
        InvalidArgument: POLICY_INVALID.
    """
    anonymous, authenticated = policy.anonymous, policy.authenticated
    if not authenticated.requests:
        return
    # Requests each in the other's time: the same comparison as that of rates, in whole numbers.
    if (
        not anonymous.requests
        or anonymous.requests * authenticated.per > authenticated.requests * anonymous.per
    ):
        _refuse(
            "the limits contradict each other",
            [Violation("policy.authenticated", "allows less than policy.anonymous")],
        )


def _contradictions(policy: TrafficPolicy) -> Iterator[Violation]:
    if policy.service == EDGE:
        yield Violation("policy.service", "is the name of the proxy, which has limits and no policy")
    if policy.weights and (total := sum(entry.weight for entry in policy.weights)) != 100:
        yield Violation("policy.weights", f"add up to {total}, not to 100")
    versions = Counter(entry.version for entry in policy.weights)
    yield from _repeated("policy.weights", versions)
    routes = Counter(f"{route.header}: {route.value}" for route in policy.header_routes)
    yield from _repeated("policy.header_routes", routes)
    if policy.retries.backoff > policy.retries.max_backoff:
        yield Violation("policy.retries.backoff", "is longer than max_backoff")


def _repeated(path: str, counted: Counter[str]) -> Iterator[Violation]:
    for name, times in counted.items():
        if times > 1:
            yield Violation(path, f"names {name!r} {times} times")


def _absent(policy: TrafficPolicy, running: Collection[str], before: TrafficPolicy) -> Iterator[Violation]:
    known = ", ".join(sorted(running)) or "none"
    had = {entry.version: entry.weight for entry in before.weights}
    for index, entry in enumerate(policy.weights):
        if entry.weight > had.get(entry.version, 0) and entry.version not in running:
            yield _unknown(f"policy.weights[{index}].version", entry.version, known)
    for index, route in enumerate(policy.header_routes):
        if route not in before.header_routes and route.version not in running:
            yield _unknown(f"policy.header_routes[{index}].version", route.version, known)


def _unknown(path: str, version: str, known: str) -> Violation:
    return Violation(path, f"{version!r} is run by no registered instance; there are: {known}")


def _refuse(message: str, found: Iterable[Violation]) -> None:
    if violations := tuple(found):
        raise InvalidArgument("POLICY_INVALID", message, violations=violations)
