"""How many requests each client of the edge may make, as settings of Envoy's filters in proto JSON.

One rendering for both who write them: control, and the configuration of an edge without control.
"""

from datetime import timedelta
from typing import Any, Final, Protocol

from google.protobuf.duration_pb2 import Duration

Json = dict[str, Any]

LOCAL_FILTER: Final = "envoy.filters.http.local_ratelimit"
SHARED_FILTER: Final = "envoy.filters.http.ratelimit"
"""Names of the filters in the edge's listener: one edge counts for itself, or all ask control."""

PERSON: Final = "person"
ANONYMOUS: Final = "anonymous"
ADDRESS: Final = "masked_remote_address"
"""Keys of descriptors: (person, <id>), or (anonymous, true) with (masked_remote_address, <network>)."""

_USER_HEADER = "x-user-id"
# Clients that are counted at a time; the one not seen for longest makes room, and may begin anew.
_MOST_CLIENTS = 50_000
_PLENTY = 1_000_000_000
_ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


class Rate(Protocol):
    """Requests in a time, 0 for no limit."""

    @property
    def requests(self) -> int:
        """How many."""
        ...

    @property
    def per(self) -> timedelta:
        """In which time."""
        ...


def local_limit(anonymous: Rate, authenticated: Rate) -> Json:
    """An `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`.

    Args:
        anonymous: per address, of callers without a valid token.
        authenticated: per person.
    """
    actions = client_actions(anonymous, authenticated)
    if not actions:
        return no_limit()
    return {
        **no_limit(),
        "filter_enabled": _ALWAYS,
        "filter_enforced": _ALWAYS,
        "rate_limits": actions,
        "descriptors": _descriptors(anonymous, authenticated),
        "max_dynamic_descriptors": _MOST_CLIENTS,
        # Envoy wants one for what no descriptor matches; nothing is meant to be refused by it.
        "token_bucket": {"max_tokens": _PLENTY, "tokens_per_fill": _PLENTY, "fill_interval": "1s"},
        "always_consume_default_token_bucket": False,
        "rate_limited_as_resource_exhausted": True,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
    }


def no_limit() -> Json:
    """The same of a filter that limits nothing."""
    return {"stat_prefix": "clients"}


def client_actions(anonymous: Rate, authenticated: Rate) -> list[Json]:
    """What tells clients apart: `envoy.config.route.v3.RateLimit`, one for each kind that has a limit."""
    person = {"request_headers": {"header_name": _USER_HEADER, "descriptor_key": PERSON}}
    nobody = {
        "header_value_match": {
            "descriptor_key": ANONYMOUS,
            "descriptor_value": "true",
            "headers": [{"name": _USER_HEADER, "present_match": False}],
        }
    }
    # Whoever has one IPv6 address has the 2^64 beside it.
    network = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    kinds = ((authenticated, [person]), (anonymous, [nobody, network]))
    return [{"actions": actions} for rate, actions in kinds if rate.requests]


def _descriptors(anonymous: Rate, authenticated: Rate) -> list[Json]:
    # An entry without a value is a bucket for each value that comes.
    kinds = (
        (authenticated, [{"key": PERSON}]),
        (anonymous, [{"key": ANONYMOUS, "value": "true"}, {"key": ADDRESS}]),
    )
    return [{"entries": entries, "token_bucket": _bucket(rate)} for rate, entries in kinds if rate.requests]


def _bucket(rate: Rate) -> Json:
    interval = Duration()
    interval.FromTimedelta(rate.per)
    return {
        "max_tokens": rate.requests,
        "tokens_per_fill": rate.requests,
        "fill_interval": interval.ToJsonString(),
    }
