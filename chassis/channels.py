"""Outgoing gRPC channels: one per peer, by static address, with keepalive and native retries."""

from collections.abc import Callable, Mapping, Sequence

import grpc.aio

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
"""Dead connections are noticed within 25 s, and a peer that comes back is used within 2 s."""


class UnknownPeer(Exception):
    """No address was configured for the peer; the message names the setting."""


class Channels:
    """Channels to the peers of a process, opened at first use and shared.

    Args:
        peers: name -> host:port; several, comma-separated, are used in turn.
        interceptors: client chain, the same for every channel; default none.
        options: further channel arguments, which win over `CHANNEL_OPTIONS`; default none.
        service_config: peer name -> gRPC service config as JSON (retries); default none.
        credentials: for TLS; default plain text.
    """

    def __init__(
        self,
        peers: Mapping[str, str],
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        options: Sequence[tuple[str, str | int]] = (),
        *,
        service_config: Callable[[str], str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._peers = dict(peers)
        self._interceptors = list(interceptors)
        self._options = dict([*CHANNEL_OPTIONS, *options])
        self._service_config = service_config
        self._credentials = credentials
        self._open: dict[str, grpc.aio.Channel] = {}

    def get(self, peer: str) -> grpc.aio.Channel:
        """The channel to a peer; needs a running event loop.

        Raises:
            UnknownPeer: no address for it.
        """
        channel = self._open.get(peer)
        if channel is None:
            channel = self._open[peer] = self._connect(peer)
        return channel

    async def close(self, grace_s: float | None = None) -> None:
        """Close every channel.

        Args:
            grace_s: seconds that calls under way may take; default none, they are cancelled.
        """
        channels, self._open = self._open, {}
        for channel in channels.values():
            await channel.close(grace_s)

    def _connect(self, peer: str) -> grpc.aio.Channel:
        try:
            address = self._peers[peer]
        except KeyError:
            raise UnknownPeer(f"GREENLEDGER_PEERS has no address for {peer!r}") from None
        target = f"ipv4:{address}" if "," in address else address
        options: list[tuple[str, str | int]] = list(self._options.items())
        if self._service_config is not None:
            options.append(("grpc.service_config", self._service_config(peer)))
        if self._credentials is not None:
            return grpc.aio.secure_channel(
                target, self._credentials, options, interceptors=self._interceptors
            )
        return grpc.aio.insecure_channel(target, options, interceptors=self._interceptors)
