"""The table for control: nothing in it changes how the fleet's own calls travel, whoever asks for it.

`{instance}` is a living instance of trace. What is sound names an etag or a service that is not there, since
some callers get through with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.security.table import ABSENT, LONG, PAGE, Entry, Refused

_NAMES = ["", ABSENT, "Orders", "1a", "a_b", LONG]
_VERSIONS = ["", ABSENT, "V1", "-1", LONG]
_INSTANCE_IDS = ["", ABSENT, "-a", "a b", LONG]
_ENTRIES = ["", ABSENT, "Log.level", "1a", "Orders~log.level", "orders~", LONG]
_ETAG = ["x" * 65]
_WHY = ["x" * 501]
_SERVICE_ONLY = {"service": _NAMES}
_OF_A_SERVICE: Sequence[Refused] = (
    Refused("anyone", "NOT_FOUND", "POLICY_NOT_FOUND", {"service": "nobody"}),
    Refused("anyone", "NOT_FOUND", "POLICY_NOT_FOUND", {"service": "edge"}),
)
_NO_VERSION: Sequence[Refused] = (
    Refused("anyone", "NOT_FOUND", "VERSION_NOT_FOUND", {"version": "999999"}),
    Refused("anyone", "NOT_FOUND", "VERSION_NOT_FOUND", {"version": "9223372036854775807"}),
)
_TOO_SHORT_OR_LONG: Mapping[str, Sequence[Any]] = {
    "interval": ["0s", "-1s", "0.099s", "3601s"],
    "timeout": ["0s", "0.049s", "61s"],
    "critical_timeout": ["0s", "0.099s", "86401s"],
}


def _elsewhere(**changes: Any) -> dict[str, Any]:
    return {f"instance.{name}": value for name, value in changes.items()}


REGISTRY = {
    "RegistryService/Register": Entry(
        {
            "instance": {
                "instanceId": "visitor-{request}",
                "service": "visitor",
                "version": "v1",
                "address": "127.0.0.1",
                "port": 9,
                "healthCheck": {"interval": "10s"},
                "dependencies": ["orders"],
                "metadata": {"zone": "a"},
            },
            "lease": "1s",
        },
        {
            "instance": [ABSENT, {}],
            "instance.instance_id": _INSTANCE_IDS,
            "instance.service": _NAMES,
            "instance.version": _VERSIONS,
            "instance.address": ["", ABSENT, LONG],
            "instance.port": [ABSENT, 0, -1, 65536],
            **{f"instance.health_check.{name}": values for name, values in _TOO_SHORT_OR_LONG.items()},
            "instance.health_check.service": [LONG],
            "instance.dependencies": [["orders", "orders"], [f"s{number}" for number in range(101)]],
            "instance.dependencies[0]": ["", "Orders"],
            "instance.metadata": [
                {"Zone": "a"},
                {"zone": LONG},
                {f"k{number}": "" for number in range(33)},
            ],
            "lease": ["0s", "0.999s", "301s", "-1s"],
        },
        [
            Refused("tester", "PERMISSION_DENIED", "SERVICE_NOT_OWN", at_edge=False),
            Refused(
                "tester",
                "PERMISSION_DENIED",
                "SERVICE_NOT_OWN",
                _elsewhere(instance_id="{instance}", service="tester"),
                at_edge=False,
            ),
            Refused("anyone", "ALREADY_EXISTS", "INSTANCE_TAKEN", _elsewhere(instance_id="{instance}")),
            *(
                Refused("anyone", "INVALID_ARGUMENT", "REGISTRATION_INVALID", _elsewhere(address=address))
                for address in (
                    "0.0.0.0",
                    "::",
                    "224.0.0.1",
                    "127.0.0.256",
                    "no such host",
                    "orders.invalid",
                    "http://orders",
                    "127.0.0.1:80",
                )
            ),
            Refused("anyone", "INVALID_ARGUMENT", "REGISTRATION_INVALID", _elsewhere(service="edge")),
        ],
    ),
    "RegistryService/Heartbeat": Entry(
        {"instanceId": "nobody"},
        {"instance_id": _INSTANCE_IDS},
        [
            Refused("anyone", "NOT_FOUND", "INSTANCE_NOT_FOUND"),
            Refused(
                "tester", "PERMISSION_DENIED", "SERVICE_NOT_OWN", {"instance_id": "{instance}"}, at_edge=False
            ),
        ],
    ),
    "RegistryService/Deregister": Entry(
        {"instanceId": "nobody"},
        {"instance_id": _INSTANCE_IDS},
        [
            Refused(
                "tester", "PERMISSION_DENIED", "SERVICE_NOT_OWN", {"instance_id": "{instance}"}, at_edge=False
            )
        ],
    ),
    "RegistryService/Discover": Entry({"service": "orders"}, {**_SERVICE_ONLY, "version": ["x" * 33]}),
    "RegistryService/ListInstances": Entry({}, {**PAGE, "service": ["x" * 64]}),
    "RegistryService/WatchInstances": Entry(
        {"services": ["orders"]}, {"services": [["orders"] * 101], "services[0]": ["", "Orders"]}
    ),
}

_POLICY = {
    "weights": [{"version": "v1", "weight": 100}],
    "headerRoutes": [{"header": "x-version", "value": "next", "version": "v1"}],
}
_BAD_WEIGHTS = {
    "weights[0].version": _VERSIONS,
    "weights[0].weight": [-1, 101],
}
_BAD_POLICY: Mapping[str, Sequence[Any]] = {
    "service": ["Orders", LONG],
    "weights": [[{"version": f"v{number}", "weight": 10} for number in range(11)]],
    **_BAD_WEIGHTS,
    "header_routes": [[{"header": "x-version", "value": f"{n}", "version": "v1"} for n in range(11)]],
    "header_routes[0].header": ["", ABSENT, "cookie", "X-Version"],
    "header_routes[0].value": ["", ABSENT, ".*|", "a b", "x" * 65],
    "header_routes[0].version": _VERSIONS,
    "balancing.method": [99],
    "balancing.ring_size": [-1, 8193],
    "retries.attempts": [-1, 6],
    "retries.per_try_timeout": ["0s", "61s"],
    "retries.budget_percent": [-1, 101],
    "retries.backoff": ["0s", "11s"],
    "retries.max_backoff": ["0s", "61s"],
    "breaker.failure_percent": [-1, 101],
    "breaker.minimum_calls": [-1, 10_001],
    "breaker.consecutive_failures": [-1, 10_001],
    "breaker.window": ["0s", "601s"],
    "breaker.reset": ["0s", "3601s"],
    "outlier.consecutive_errors": [-1, 1001],
    "outlier.interval": ["0s", "3601s"],
    "outlier.ejection": ["0s", "3601s"],
    "outlier.failure_percent": [-1, 101],
    "outlier.max_ejection_percent": [-1, 101],
    "limits.max_requests": [-1, 1_000_001],
    "timeout": ["0s", "-1s", "61s"],
}
_SPLIT = [{"version": "v1", "weight": 50}]
_TWICE = [{"version": "v1", "weight": 50}, {"version": "v1", "weight": 50}]
_UNKNOWN = [{"version": "v1", "weight": 90}, {"version": "v99", "weight": 10}]


def _invalid(**changes: Any) -> Refused:
    return Refused("anyone", "INVALID_ARGUMENT", "POLICY_INVALID", changes)


def _invalid_policy(**changes: Any) -> Refused:
    return _invalid(**{"etag": "", **{f"policy.{name}": value for name, value in changes.items()}})


TRAFFIC = {
    "TrafficService/GetTrafficPolicy": Entry({"service": "orders"}, _SERVICE_ONLY, _OF_A_SERVICE),
    "TrafficService/ListTrafficPolicies": Entry({}, PAGE),
    "TrafficService/SetTrafficPolicy": Entry(
        {"service": "orders", "policy": _POLICY, "etag": "none", "why": "a test"},
        {
            **_SERVICE_ONLY,
            "policy": [ABSENT],
            **{f"policy.{name}": values for name, values in _BAD_POLICY.items()},
            "etag": _ETAG,
            "why": _WHY,
        },
        [
            Refused("anyone", "ABORTED", "ETAG_MISMATCH"),
            _invalid(service="nobody"),
            _invalid(service="edge"),
            _invalid_policy(service="crops"),
            _invalid_policy(weights=_SPLIT),
            _invalid_policy(weights=_TWICE),
            _invalid_policy(weights=_UNKNOWN),
            _invalid_policy(header_routes=[*_POLICY["headerRoutes"], *_POLICY["headerRoutes"]]),
            _invalid_policy(header_routes=[{"header": "x-version", "value": "v2", "version": "v99"}]),
            _invalid_policy(retries={"backoff": "10s", "maxBackoff": "1s"}),
        ],
    ),
    "TrafficService/ShiftTraffic": Entry(
        {"service": "orders", "weights": [{"version": "v1", "weight": 100}], "etag": "none"},
        {
            **_SERVICE_ONLY,
            "weights": [[{"version": f"v{number}", "weight": 10} for number in range(11)]],
            **_BAD_WEIGHTS,
            "etag": _ETAG,
            "why": _WHY,
        },
        [
            Refused("anyone", "ABORTED", "ETAG_MISMATCH"),
            _invalid(service="nobody"),
            _invalid(etag="", weights=_SPLIT),
            _invalid(etag="", weights=_TWICE),
            _invalid(etag="", weights=_UNKNOWN),
        ],
    ),
    "TrafficService/ResetTrafficPolicy": Entry(
        {"service": "nobody", "why": "a test"}, {**_SERVICE_ONLY, "why": _WHY}, _OF_A_SERVICE
    ),
    "TrafficService/RollbackTrafficPolicy": Entry(
        {"service": "orders", "version": "0", "etag": "none", "why": "a test"},
        {**_SERVICE_ONLY, "version": ["-1"], "etag": _ETAG, "why": _WHY},
        [*_OF_A_SERVICE, *_NO_VERSION, Refused("anyone", "ABORTED", "ETAG_MISMATCH")],
    ),
    "TrafficService/ListTrafficPolicyVersions": Entry(
        {"service": "orders"}, {**_SERVICE_ONLY, **PAGE}, _OF_A_SERVICE
    ),
    "TrafficService/GetEdgePolicy": Entry(),
    "TrafficService/SetEdgePolicy": Entry(
        {
            "policy": {
                "anonymous": {"requests": 100, "per": "900s"},
                "authenticated": {"requests": 6000, "per": "900s"},
            },
            "etag": "none",
        },
        {
            "policy": [ABSENT],
            "policy.anonymous.requests": [-1, 100_000_001],
            "policy.anonymous.per": ["0s", "86401s"],
            "policy.authenticated.requests": [-1, 100_000_001],
            "policy.authenticated.per": ["0s", "0.5s", "86401s"],
            "etag": _ETAG,
            "why": _WHY,
        },
        [
            Refused("anyone", "ABORTED", "ETAG_MISMATCH"),
            _invalid_policy(authenticated={"requests": 99, "per": "900s"}),
            _invalid_policy(anonymous={"requests": 0}),
        ],
    ),
    "TrafficService/ListEdgePolicyVersions": Entry({}, PAGE),
    "TrafficService/ResetEdgePolicy": Entry({"why": "a test"}, {"why": _WHY}),
    "TrafficService/RollbackEdgePolicy": Entry(
        {"version": "0", "etag": "none", "why": "a test"},
        {"version": ["-1"], "etag": _ETAG, "why": _WHY},
        [*_NO_VERSION, Refused("anyone", "ABORTED", "ETAG_MISMATCH")],
    ),
    "TrafficService/WatchTrafficPolicies": Entry(
        {"services": ["orders"]},
        {"services": [ABSENT, [], ["orders"] * 101], "services[0]": ["", "Orders"]},
    ),
}

_OF_AN_ENTRY: Sequence[Refused] = (
    Refused("anyone", "NOT_FOUND", "CONFIG_NOT_FOUND", {"name": "no.such"}),
    Refused("anyone", "NOT_FOUND", "CONFIG_NOT_FOUND", {"name": "orders~no.such"}),
)


def _impossible(name: str, *values: str) -> list[Refused]:
    return [
        Refused("anyone", "INVALID_ARGUMENT", "CONFIG_INVALID", {"name": name, "value": value, "etag": ""})
        for value in values
    ]


CONFIG = {
    "ConfigService/GetConfig": Entry({"name": "log.level"}, {"name": _ENTRIES}, _OF_AN_ENTRY),
    "ConfigService/ListConfig": Entry({}, {**PAGE, "service": ["x" * 64]}),
    "ConfigService/SetConfig": Entry(
        {"name": "log.level", "value": "INFO", "etag": "none", "why": "a test"},
        {"name": _ENTRIES, "value": ["x" * 1001], "etag": _ETAG, "why": _WHY},
        [
            *_OF_AN_ENTRY,
            Refused("anyone", "NOT_FOUND", "CONFIG_NOT_FOUND", {"name": "nobody~log.level"}),
            Refused("anyone", "ABORTED", "ETAG_MISMATCH"),
            *_impossible("log.level", "", "info", "LOUD"),
            *_impossible("trace.sampling", "", "-0.1", "1.1", "NaN", "inf", "1e-3", "\u0660", " 1"),
            *_impossible("orders~principal-limit.burst", "0", "1000001"),
        ],
    ),
    "ConfigService/ListConfigVersions": Entry(
        {"name": "log.level"}, {"name": _ENTRIES, **PAGE}, _OF_AN_ENTRY
    ),
    "ConfigService/RollbackConfig": Entry(
        {"name": "log.level", "version": "0", "etag": "none", "why": "a test"},
        {"name": _ENTRIES, "version": ["-1"], "etag": _ETAG, "why": _WHY},
        [
            *_OF_AN_ENTRY,
            *_NO_VERSION,
            Refused("anyone", "ABORTED", "ETAG_MISMATCH"),
        ],
    ),
    "ConfigService/WatchConfig": Entry({"service": "orders"}, _SERVICE_ONLY),
}

CONTROL: Mapping[str, Entry] = {**REGISTRY, **TRAFFIC, **CONFIG}
