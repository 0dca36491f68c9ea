"""Outgoing gRPC channels: one per peer, by name through the control plane or by static address."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc.aio

from chassis.resilience import Callees
from chassis.tls import RenewedChannel, channel_credentials, target_options

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    # An idle watch is kept alive by the client's pings; by default a server answers those with GOAWAY.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
"""What a server needs so that it tolerates `CHANNEL_OPTIONS`."""

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    # `grpc.keepalive_timeout_ms` is ignored by this core.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.service_config_disable_resolution", 1),
)
"""Dead connections are noticed within 25 s, and a peer that comes back is used within 2 s.

One layer tries again, and it is the client chain: no service config has a retry policy. gRPC itself repeats
only what no server has begun, such as a call that met a connection's end (transparent retry, gRFC A6).
"""


ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'
"""The service config of channels by address: one instance after the other.

It never has a `timeout`, which would fire 1 to 2 s early.
"""


_NEVER_MS = 2**31 - 1  # as gRPC spells it


class UnknownPeer(Exception):
    """No address was configured for the peer; the message names the setting."""


class Channels:
    """Channels to the peers of a process, opened at first use and shared.

    Args:
        peers: name -> host:port; several IP addresses, comma-separated, are used in turn.
        interceptors: client chain, the same for every channel; default none.
        options: further channel arguments, which win over `CHANNEL_OPTIONS`; default none.
        xds: ask the control plane for a peer's instances, by its name, instead of going by `peers`. The
            process must have its bootstrap, see `chassis.discovery.bootstrap`. Default False.
        callees: what the interceptors keep of the peers; default of nobody.
        control: channels to the replicas of the control plane by their addresses, with the service's own
            token and without what the control plane decides; default none.
        tls_dir: folder with the process's certificate (`chassis.tls`): the peers must prove their names, and
            are shown this one. Default none: plain text.
        proves: the name that each of the peers must prove; default the one by which it is asked for.
    """

    def __init__(
        self,
        peers: Mapping[str, str],
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        options: Sequence[tuple[str, str | int]] = (),
        *,
        xds: bool = False,
        callees: Callees | None = None,
        control: "Channels | None" = None,
        tls_dir: Path | None = None,
        proves: str = "",
    ) -> None:
        self._peers = dict(peers)
        self._interceptors = list(interceptors)
        self._options = dict([*CHANNEL_OPTIONS, *options])
        self._xds = xds
        self.callees = callees or Callees()
        self.control = control
        self._tls_dir = tls_dir
        self._proves = proves
        self._open: dict[str, grpc.aio.Channel] = {}

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the peers that were asked for, in order."""
        return tuple(sorted(self._open))

    def get(self, peer: str) -> grpc.aio.Channel:
        """The channel to a peer; needs a running event loop.

        Raises:
            UnknownPeer: no address for it.
        """
        channel = self._open.get(peer)
        if channel is None:
            channel = self._open[peer] = self._connect(peer)
        return channel

    def connect(self) -> None:
        """Ask the control plane, which is known to be there, for all peers by name that were asked for.

        Else the first call to each would ask, and the control plane may be away by then. Sooner it may not be
        there yet, and gRPC would ask it again only after a second, and fail all calls until then.
        """
        if self._xds:
            for channel in self._open.values():
                channel.get_state(try_to_connect=True)

    async def close(self, grace_s: float | None = None) -> None:
        """Close every channel.

        Args:
            grace_s: seconds that calls under way may take; default none, they are cancelled.
        """
        channels, self._open = self._open, {}
        for channel in channels.values():
            await channel.close(grace_s)
        if self.control is not None:
            await self.control.close(grace_s)

    def _connect(self, peer: str) -> grpc.aio.Channel:
        target, options = self._by_name(peer) if self._xds else self._by_address(peer)
        if (tls_dir := self._tls_dir) is None:
            return grpc.aio.insecure_channel(target, options, interceptors=self._interceptors)
        if not self._xds:
            options += target_options(self._proves or peer)

        def connect() -> grpc.aio.Channel:
            credentials = channel_credentials(tls_dir, xds=self._xds)
            return grpc.aio.secure_channel(target, credentials, options, interceptors=self._interceptors)

        # By name, gRPC itself follows the folder.
        return connect() if self._xds else RenewedChannel(tls_dir, connect)

    def _by_name(self, peer: str) -> tuple[str, list[tuple[str, str | int]]]:
        # Balancing and routes come as a service config of the resolver, so it must not be disabled.
        kept = [item for item in self._options.items() if item[0] != "grpc.service_config_disable_resolution"]
        # A channel that nobody uses would forget after 30 minutes where its peer is.
        return f"xds:///{peer}", [*kept, ("grpc.client_idle_timeout_ms", _NEVER_MS)]

    def _by_address(self, peer: str) -> tuple[str, list[tuple[str, str | int]]]:
        try:
            address = self._peers[peer]
        except KeyError:
            raise UnknownPeer(f"GREENLEDGER_PEERS has no address for {peer!r}") from None
        options = {"grpc.service_config": ROUND_ROBIN, **self._options}
        return f"ipv4:{address}" if "," in address else address, list(options.items())
