"""The Maildir of the development mail server."""

import asyncio
import email
import email.policy
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from services.notifications.application.ports import MailboxMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Maildir:
    """Implements `Mailbox`. Messages are read from disk at every call; it is for development.

    Args:
        folder: the Maildir.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def page(
        self, recipient: str | None, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[MailboxMessage]:
        return await asyncio.to_thread(self._page, recipient, before, limit)

    async def get(self, message_id: str) -> MailboxMessage | None:
        return await asyncio.to_thread(self._get, message_id)

    def _page(
        self, recipient: str | None, before: tuple[datetime, str] | None, limit: int
    ) -> list[MailboxMessage]:
        wanted = recipient.lower() if recipient else None
        found: list[MailboxMessage] = []
        for arrived, path in sorted(self._files(), key=lambda file: (file[0], file[1].name), reverse=True):
            if before is not None and (arrived, path.name) >= before:
                continue
            message = _read(path, arrived)
            if wanted is None or wanted in {address.lower() for address in message.recipients}:
                found.append(message)
                if len(found) >= limit:
                    break
        return found

    def _get(self, message_id: str) -> MailboxMessage | None:
        # Compared with what is there, never joined to a path: an id cannot lead out of the folder.
        for arrived, path in self._files():
            if path.name == message_id:
                return _read(path, arrived)
        return None

    def _files(self) -> Iterator[tuple[datetime, Path]]:
        for sub in ("new", "cur"):
            folder = self._folder / sub
            if folder.is_dir():
                for path in folder.iterdir():
                    # Cut to what a datetime can hold before anything is compared: a page begins where
                    # the last one ended.
                    yield _EPOCH + timedelta(microseconds=path.stat().st_mtime_ns // 1000), path


def _read(path: Path, arrived: datetime) -> MailboxMessage:
    message = email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=email.policy.default)
    return MailboxMessage(
        message_id=path.name,
        sender=str(message.get("From", "")),
        recipients=tuple(str(address) for address in message.get_all("Delivered-To", [])),
        subject=str(message.get("Subject", "")),
        text=_text(message),
        received_at=arrived,
    )


def _text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    if body is None:
        return ""
    try:
        return str(body.get_content())
    except LookupError:  # of a character set that does not exist
        payload = body.get_payload(decode=True)
        return payload.decode(errors="replace") if isinstance(payload, bytes) else ""
