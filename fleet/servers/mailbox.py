"""Development mail server: real SMTP, every message kept in a Maildir."""

import asyncio
import sys
from urllib.parse import urlsplit

from fleet.component import Component
from fleet.process import Launch
from fleet.settings import LOOPBACK, FleetSettings, process_environment


class Mailbox(Component):
    """The fleet's own mail server, or the external one of GREENLEDGER_SMTP_URL."""

    def __init__(self, settings: FleetSettings) -> None:
        external = settings.smtp_url
        port = settings.smtp_port
        super().__init__(
            "mailbox",
            "server",
            _address(external) if external else f"{LOOPBACK}:{port}",
            stop_grace_s=3.0,
            ports={} if external else {port: "the development mailbox (SMTP)"},
        )
        self._settings = settings

    @property
    def url(self) -> str:
        """Address for the services."""
        return self._settings.smtp_url or f"smtp://{self.address}"

    def launch(self) -> Launch | None:
        if self._settings.smtp_url:
            return None
        return Launch(
            argv=[
                *(sys.executable, "-m", "fleet.servers.mailbox_server"),
                *("--port", str(self._settings.smtp_port), "--maildir", str(self._settings.mailbox_dir)),
            ],
            log_path=self._settings.log_path(self.name),
            environment=process_environment(self._settings),
            directory=self._settings.project_root,
        )

    async def probe(self) -> None:
        host, _, port = self.address.rpartition(":")
        tls = urlsplit(self.url).scheme == "smtps"
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls or None)
        try:
            greeting = await reader.readline()
            if not greeting.startswith(b"220"):
                raise ConnectionError(greeting.decode(errors="replace").strip())
            writer.write(b"QUIT\r\n")
            await writer.drain()
        finally:
            writer.close()

    def unreachable(self) -> str:
        return (
            f"The mail server at {self.address} does not answer: start it, correct GREENLEDGER_SMTP_URL, "
            "or unset it to use the development mailbox."
        )


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or LOOPBACK}:{parts.port or 25}"
