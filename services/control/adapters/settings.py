"""Settings that only control has."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from chassis.settings import PREFIX, SettingsError


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Each is the environment variable GREENLEDGER_<NAME>.

    Args:
        xds_listen: host:port of the discovery service for proxies and gRPC clients; empty means none. Default
            empty.
        traffic_file: YAML of a `TrafficFile`: policies and limits as long as nobody changes them; default
            none, so that the contract's defaults hold.
        edge_routes: JSON of the edge's route table, which policies are laid over; default none.
        snapshot: file in which this replica keeps what it knows; each replica has its own. Default none.
        poll: how often changes by other replicas are looked for; default 250 ms (CONTROL_POLL_MS).
    """

    xds_listen: str = ""
    traffic_file: Path | None = None
    edge_routes: Path | None = None
    snapshot: Path | None = None
    poll: timedelta = timedelta(milliseconds=250)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read them.

        Raises:
            SettingsError: one cannot be read.
        """

        def path(name: str) -> Path | None:
            return Path(text) if (text := environ.get(PREFIX + name)) else None

        listen = environ.get(PREFIX + "XDS_LISTEN", "")
        if listen and ":" not in listen:
            raise SettingsError(f"{PREFIX}XDS_LISTEN is {listen!r}; expected host:port")
        poll = environ.get(PREFIX + "CONTROL_POLL_MS") or "250"
        if not poll.isascii() or not poll.isdigit() or int(poll) < 1:
            raise SettingsError(f"{PREFIX}CONTROL_POLL_MS is {poll!r}; expected a positive whole number")
        return cls(
            xds_listen=listen,
            traffic_file=path("TRAFFIC_FILE"),
            edge_routes=path("EDGE_ROUTES"),
            snapshot=path("SNAPSHOT"),
            poll=timedelta(milliseconds=int(poll)),
        )
