"""E-mail over SMTP."""

import asyncio
from email.errors import MessageError
from email.headerregistry import Address
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
        message = compose(message_id, self._sender, recipient, subject, text)
        try:
            async with asyncio.timeout(self._timeout_s):
                await aiosmtplib.send(
                    message,
                    recipients=[recipient],
                    hostname=self._host,
                    port=self._port,
                    username=self._username,
                    password=self._password,
                    use_tls=self._tls,
                    timeout=self._timeout_s,
                )
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            codes = [each.code for each in refusal.recipients]
            raise _kind(*codes)(f"the mail server refused the recipient: {codes}") from refusal
        except aiosmtplib.SMTPDataError as answer:
            raise _kind(answer.code)(f"the mail server refused the message: {answer.code}") from answer
        except aiosmtplib.SMTPResponseException as answer:
            # To greet us, to log us in or to take our sender address: nothing that the message could help.
            raise MailUnavailable(f"the mail server answered {answer.code}") from answer
        except (aiosmtplib.SMTPException, OSError) as trouble:
            raise MailUnavailable(f"the mail server does not answer: {type(trouble).__name__}") from trouble


def _kind(*codes: int) -> type[MailRefused] | type[MailUnavailable]:
    return MailRefused if codes and all(code in _PERMANENT for code in codes) else MailUnavailable


def compose(message_id: str, sender: str, recipient: str, subject: str, text: str) -> EmailMessage:
    """A message to one recipient.

    Raises:
        MailRefused: the recipient is not one address, or a header cannot hold what it should.
    """
    message = EmailMessage()
    try:
        message["From"] = sender
        # One address and nothing else: a comma or a line break in it must not name further recipients.
        message["To"] = Address(addr_spec=recipient)
        message["Subject"] = subject
        message["Message-ID"] = f"<{message_id}@greenledger.local>"
        message.set_content(text)
    except (ValueError, LookupError, MessageError) as defect:
        raise MailRefused(f"the message cannot be written: {type(defect).__name__}") from defect
    return message
