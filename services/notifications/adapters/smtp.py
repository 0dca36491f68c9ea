"""E-mail over SMTP."""

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notifications.application.ports import MailRefused, MailUnavailable

SENDER = "GreenLedger <no-reply@greenledger.local>"
_PERMANENT = range(500, 600)


class SmtpMail:
    """Implements `Mail`.

    Args:
        url: smtp://[user:password@]host:port, or smtps:// for TLS from the first byte.
        sender: From of every message.
        timeout_s: of the whole conversation. Default 10.
    """

    def __init__(self, url: str, sender: str = SENDER, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 25)
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender
        self._timeout_s = timeout_s

    async def send(self, message_id: str, recipient: str, subject: str, text: str) -> None:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = recipient
        message["Subject"] = subject
        message["Message-ID"] = f"<{message_id}@greenledger.local>"
        message.set_content(text)
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                use_tls=self._tls,
                timeout=self._timeout_s,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPSenderRefused) as refusal:
            raise MailRefused(f"the mail server refused an address: {type(refusal).__name__}") from refusal
        except aiosmtplib.SMTPResponseException as answer:
            kind = MailRefused if answer.code in _PERMANENT else MailUnavailable
            raise kind(f"the mail server answered {answer.code}") from answer
        except (aiosmtplib.SMTPException, OSError) as trouble:
            raise MailUnavailable(f"the mail server does not answer: {type(trouble).__name__}") from trouble
