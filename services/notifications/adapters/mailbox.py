"""The Maildir of the development mail server."""

import asyncio
import email
import email.policy
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from services.notifications.application.ports import MailboxMessage


class Maildir:
    """Implements `Mailbox`. Messages are read from disk at every call; it is for development.

    Args:
        folder: the Maildir.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def page(
        self, recipient: str | None, before: tuple[float, str] | None, limit: int
    ) -> Sequence[MailboxMessage]:
        return await asyncio.to_thread(self._page, recipient, before, limit)

    async def get(self, message_id: str) -> MailboxMessage | None:
        return await asyncio.to_thread(self._get, message_id)

    def _page(
        self, recipient: str | None, before: tuple[float, str] | None, limit: int
    ) -> list[MailboxMessage]:
        wanted = recipient.lower() if recipient else None
        found: list[MailboxMessage] = []
        for arrived_s, path in sorted(self._files(), key=lambda file: (file[0], file[1].name), reverse=True):
            if before is not None and (arrived_s, path.name) >= before:
                continue
            message = _read(path, arrived_s)
            if wanted is None or wanted in {address.lower() for address in message.recipients}:
                found.append(message)
                if len(found) >= limit:
                    break
        return found

    def _get(self, message_id: str) -> MailboxMessage | None:
        # Compared with what is there, never joined to a path: an id cannot lead out of the folder.
        for arrived_s, path in self._files():
            if path.name == message_id:
                return _read(path, arrived_s)
        return None

    def _files(self) -> Iterator[tuple[float, Path]]:
        for sub in ("new", "cur"):
            folder = self._folder / sub
            if folder.is_dir():
                for path in folder.iterdir():
                    yield path.stat().st_mtime, path


def _read(path: Path, arrived_s: float) -> MailboxMessage:
    message = email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=email.policy.default)
    body = message.get_body(("plain",))
    return MailboxMessage(
        message_id=path.name,
        sender=str(message.get("From", "")),
        recipients=tuple(str(address) for address in message.get_all("Delivered-To", [])),
        subject=str(message.get("Subject", "")),
        text=str(body.get_content()) if body else "",
        received_at=datetime.fromtimestamp(arrived_s, UTC),
    )
