"""The development mailbox's own process: `python -m fleet.servers.mailbox_server --port N --maildir DIR`.

It keeps what it receives for a week, closed accounts' messages included, and never more of them.
"""

import argparse
import asyncio
import logging
import mailbox
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

MESSAGE_LIMIT_BYTES = 5 * 1024 * 1024
KEPT = timedelta(days=7)
FORGET_EVERY = timedelta(hours=1)

logger = logging.getLogger("greenledger.mailbox")


class MaildirHandler:
    """Stores each accepted message; the sender is told 250 only once it is on disk.

    Args:
        directory: the Maildir; made when missing.
    """

    def __init__(self, directory: Path) -> None:
        for folder in ("tmp", "new", "cur"):  # `create` makes them only when the folder itself is missing
            (directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._maildir = mailbox.Maildir(directory)
        self._folders = [directory / folder for folder in ("tmp", "new", "cur")]

    def forget(self, now: datetime) -> int:
        """Delete what is older than `KEPT`; returns how many files."""
        oldest_s, forgotten = (now - KEPT).timestamp(), 0
        for path in [path for folder in self._folders for path in folder.iterdir()]:
            try:
                if path.stat().st_mtime < oldest_s:
                    path.unlink()
                    forgotten += 1
            except FileNotFoundError:
                continue  # delivered, moved or read away meanwhile
        return forgotten

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd for each message (RFC 5321, section 3.3)."""
        try:
            await asyncio.to_thread(self._store, envelope)
        except OSError:
            logger.exception("a message could not be stored")
            return "451 4.3.0 The message could not be stored, try again"
        return "250 2.0.0 Stored"

    def _store(self, envelope: Envelope) -> None:
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        recipients = "".join(f"Delivered-To: {address}\r\n" for address in envelope.rcpt_tos)
        trace = f"Return-Path: <{envelope.mail_from or ''}>\r\n{recipients}"
        self._maildir.add(trace.encode() + content)


async def serve(port: int, directory: Path) -> None:
    """Serve SMTP on 127.0.0.1 until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    handler = MaildirHandler(directory)
    server = await loop.create_server(
        lambda: SMTP(
            handler,
            hostname="mailbox.greenledger.local",
            data_size_limit=MESSAGE_LIMIT_BYTES,
            enable_SMTPUTF8=True,
            loop=loop,
        ),
        "127.0.0.1",
        port,
    )
    async with server:
        logger.info("listening on 127.0.0.1:%d, messages in %s", port, directory)
        while not stopping.is_set():
            await asyncio.to_thread(handler.forget, datetime.now(UTC))
            with suppress(TimeoutError):
                async with asyncio.timeout(FORGET_EVERY.total_seconds()):
                    await stopping.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="SMTP server that keeps every message in a Maildir.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd logs every command, addresses included
    asyncio.run(serve(arguments.port, arguments.maildir))


if __name__ == "__main__":
    main()
