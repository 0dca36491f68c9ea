"""Notifications without its process: real database, and a mail server in this process that may refuse."""

import asyncio
import email
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.clock import FixedClock
from chassis.database import Database
from chassis.errors import DomainError
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.testing import PostgresServer
from services.notifications.adapters.db import PostgresNotifications
from services.notifications.adapters.kafka import NotificationEvents
from services.notifications.adapters.smtp import SmtpMail
from services.notifications.application.deliver import DeliverNotifications
from services.notifications.application.schedule import ScheduleNotification
from services.notifications.domain.notification import Contact, Notification

ANN = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
ADDRESS = "ann@example.org"


@dataclass
class MailServer:
    """Keeps what it takes; `rcpt` and `data`, when set, are what it answers instead."""

    url: str = ""
    rcpt: str = ""
    data: str = ""
    asked: int = 0
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    gate: asyncio.Barrier | None = None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked += 1
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.data:
            return self.data
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, _class=EmailMessage, policy=default)
        self.taken.append((envelope.rcpt_tos, message))
        return "250 OK"


@pytest_asyncio.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    handler, loop = MailServer(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="test", loop=loop, enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    handler.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield handler


class People:
    """Users: the people there are, or the error that it answers with."""

    def __init__(self) -> None:
        self.known: dict[str, Contact] = {}
        self.trouble: DomainError | None = None
        self.asked = 0

    async def find(self, user_id: str) -> Contact | None:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.known.get(user_id)


class Notifications:
    """What a test needs at hand."""

    def __init__(self, database: Database, smtp_url: str) -> None:
        self.database, self.clock, self.woken = database, FixedClock(), 0
        self.store, self.people = PostgresNotifications(database), People()
        self.events = NotificationEvents(database, Outbox("notifications"))
        self.schedule = ScheduleNotification(self.store, self.clock, SystemIds(), self._wake)
        self.use(smtp_url)

    def use(self, smtp_url: str) -> None:
        """Deliver through another server from now on."""
        mail = SmtpMail(smtp_url, timeout_s=5)
        self.deliver = DeliverNotifications(
            self.database, self.store, self.people, mail, self.events, self.clock
        )

    async def welcome(self, source: str = "event-1", user_id: str = ANN) -> Notification:
        """Schedule a welcome, by default for ANN."""
        return await self.schedule(source, user_id, "welcome", {})

    def knows(self, user_id: str = ANN, email: str = ADDRESS, **preferences: bool) -> None:
        """Users has this person."""
        self.people.known[user_id] = Contact(user_id, email, "Ann", **preferences)

    async def of(self, notification: Notification) -> Notification:
        """As it is now."""
        found = await self.store.get(notification.notification_id)
        assert found is not None
        return found

    async def topics(self) -> list[str]:
        """What others were told, in order."""
        rows = await self.database.fetch("SELECT topic FROM outbox ORDER BY position")
        return [row["topic"].removeprefix("notification.") for row in rows]

    def _wake(self) -> None:
        self.woken += 1


@pytest_asyncio.fixture
async def notifications(
    postgres_server: PostgresServer, mail_server: MailServer
) -> AsyncIterator[Notifications]:
    async with postgres_server.connected("notifications") as database:
        yield Notifications(database, mail_server.url)
