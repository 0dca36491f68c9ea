"""Sign-In with Ethereum: messages by the ABNF of EIP-4361, and nothing else.

Lines end with LF alone, parts come in one order, and no character may follow the last. What a message
means for us is judged elsewhere (`wallets.py`).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chassis.errors import InvalidArgument, Violation
from services.auth.domain.ethereum import ADDRESS, checksummed
from services.auth.domain.instants import parse_instant
from services.auth.domain.uris import PCHAR, SCHEME, is_domain, parse_uri

LONGEST: Final = 4096
"""Characters of a message."""

_PREAMBLE = " wants you to sign in with your Ethereum account:"
_ORIGIN = re.compile(rf"(?:({SCHEME})://)?([^/]*)")
# RFC 3986 reserved and unreserved characters, and the space.
_STATEMENT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]*")
_CHAIN_ID = re.compile(r"[0-9]{1,30}")
_NONCE = re.compile(r"[A-Za-z0-9]{8,}")
_REQUEST_ID = re.compile(rf"{PCHAR}*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiweMessage:
    """A message; what may be absent is None.

    Args:
        domain: authority that asks for the signature.
        address: in EIP-55 capitals.
        issued_at, expiration_time, not_before: RFC 3339, as they were written.
        resources: None when there is no such part, which is not the same as an empty one.
    """

    domain: str
    address: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    version: str = "1"
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None


def parse(text: str) -> SiweMessage:
    """Read a message.

    Raises:
        InvalidArgument: WALLET_MESSAGE_MALFORMED, with the part in the metadata.
    """
    if len(text) > LONGEST:
        raise _malformed("length")
    lines = _Lines(text.split("\n"))
    scheme, domain = _origin(lines.next("preamble"))
    address = lines.next("address")
    if not ADDRESS.fullmatch(address) or checksummed(address) != address:
        raise _malformed("address")
    statement = _statement(lines)
    message = SiweMessage(
        scheme=scheme,
        domain=domain,
        address=address,
        statement=statement,
        uri=_uri(lines.labelled("URI"), "uri"),
        version=_one_of(lines.labelled("Version"), re.compile("1"), "version"),
        chain_id=int(_one_of(lines.labelled("Chain ID"), _CHAIN_ID, "chain_id")),
        nonce=_one_of(lines.labelled("Nonce"), _NONCE, "nonce"),
        issued_at=_date_time(lines.labelled("Issued At"), "issued_at"),
        expiration_time=_optional_time(lines, "Expiration Time"),
        not_before=_optional_time(lines, "Not Before"),
        request_id=_request_id(lines),
        resources=_resources(lines),
    )
    if lines.left:
        raise _malformed("end")
    return message


def render(message: SiweMessage) -> str:
    """The text of a message, which `parse` reads back."""
    origin = f"{message.scheme}://{message.domain}" if message.scheme is not None else message.domain
    lines = [origin + _PREAMBLE, message.address, ""]
    if message.statement is not None:
        lines.append(message.statement)
    lines += [
        "",
        f"URI: {message.uri}",
        f"Version: {message.version}",
        f"Chain ID: {message.chain_id}",
        f"Nonce: {message.nonce}",
        f"Issued At: {message.issued_at}",
    ]
    optional = {
        "Expiration Time": message.expiration_time,
        "Not Before": message.not_before,
        "Request ID": message.request_id,
    }
    lines += [f"{label}: {value}" for label, value in optional.items() if value is not None]
    if message.resources is not None:
        lines += ["Resources:", *(f"- {resource}" for resource in message.resources)]
    return "\n".join(lines)


def instant(text: str) -> datetime:
    """A time of a message that was parsed."""
    found = parse_instant(text)
    if found is None:
        raise _malformed("time")
    return found


class _Lines:
    """The lines that are still to be read."""

    def __init__(self, lines: list[str]) -> None:
        self.left = lines[::-1]

    def next(self, part: str) -> str:
        """The next line."""
        if not self.left:
            raise _malformed(part)
        return self.left.pop()

    def labelled(self, label: str) -> str:
        """What follows the label of the next line, which must have it."""
        value = self.optional(label)
        if value is None:
            raise _malformed(_part(label))
        return value

    def optional(self, label: str) -> str | None:
        """What follows the label of the next line, if it has it."""
        if not self.left or not self.left[-1].startswith(f"{label}: "):
            return None
        return self.left.pop().removeprefix(f"{label}: ")


def _origin(line: str) -> tuple[str | None, str]:
    if not line.endswith(_PREAMBLE):
        raise _malformed("preamble")
    found = _ORIGIN.fullmatch(line.removesuffix(_PREAMBLE))
    if found is None or not is_domain(found[2]):
        raise _malformed("domain")
    return found[1], found[2]


def _statement(lines: _Lines) -> str | None:
    """Between two empty lines; without a statement they are next to one another."""
    first, second = lines.next("statement"), lines.next("statement")
    if first:
        raise _malformed("statement")
    if not second and lines.left and lines.left[-1]:
        return None
    if lines.next("statement"):
        raise _malformed("statement")
    return _one_of(second, _STATEMENT, "statement")


def _one_of(value: str, pattern: re.Pattern[str], part: str) -> str:
    if not pattern.fullmatch(value):
        raise _malformed(part)
    return value


def _uri(value: str, part: str) -> str:
    if parse_uri(value) is None:
        raise _malformed(part)
    return value


def _date_time(value: str, part: str) -> str:
    if parse_instant(value) is None:
        raise _malformed(part)
    return value


def _optional_time(lines: _Lines, label: str) -> str | None:
    value = lines.optional(label)
    return None if value is None else _date_time(value, _part(label))


def _request_id(lines: _Lines) -> str | None:
    value = lines.optional("Request ID")
    return None if value is None else _one_of(value, _REQUEST_ID, "request_id")


def _resources(lines: _Lines) -> tuple[str, ...] | None:
    if not lines.left or lines.left[-1] != "Resources:":
        return None
    lines.left.pop()
    found = []
    while lines.left:
        line = lines.left.pop()
        if not line.startswith("- "):
            raise _malformed("resources")
        found.append(_uri(line.removeprefix("- "), "resources"))
    return tuple(found)


def _part(label: str) -> str:
    return label.lower().replace(" ", "_")


def _malformed(part: str) -> InvalidArgument:
    return InvalidArgument(
        "WALLET_MESSAGE_MALFORMED",
        f"the text is no EIP-4361 message: its {part.replace('_', ' ')} is missing, misplaced or malformed",
        metadata={"part": part},
        violations=(Violation("message", f"{part} is missing, misplaced or malformed"),),
    )
