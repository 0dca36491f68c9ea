"""The development mailbox: what the mail server kept is read through the API, and nothing else."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis.errors import FailedPrecondition, NotFound
from services.notifications.adapters.mailbox import Maildir
from services.notifications.application.queries import MailboxQueries

MAIL = "Delivered-To: {to}\r\nFrom: us@example.org\r\nSubject: {subject}\r\n\r\nHello\r\n"


def put(folder: Path, name: str, arrived_ns: int, *, to: str = "ann@example.org", sub: str = "new") -> None:
    path = folder / sub / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MAIL.format(to=to, subject=name).encode())
    os.utime(path, ns=(arrived_ns, arrived_ns))


async def test_a_message_is_read_as_it_was_delivered(tmp_path: Path):
    put(tmp_path, "m1", 1_700_000_000_123_456_789)
    message = await Maildir(tmp_path).get("m1")
    assert message is not None
    assert (message.sender, message.recipients) == ("us@example.org", ("ann@example.org",))
    assert (message.subject, message.text.strip()) == ("m1", "Hello")
    assert message.received_at == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)


async def test_pages_join_without_gap_or_repetition_also_within_one_microsecond(tmp_path: Path):
    second = 1_700_000_000_000_000_000
    arrivals = [second + 600, second + 1_499, second + 1_500, second + 1_501, second + 999_999_999, second]
    for number, arrived in enumerate(arrivals):
        put(tmp_path, f"m{number}", arrived, sub="cur" if number % 2 else "new")
    mailbox, seen, before = Maildir(tmp_path), [], None
    while page := await mailbox.page(None, before, 1):
        seen += [message.message_id for message in page]
        before = (page[-1].received_at, page[-1].message_id)
    assert len(seen) == len(set(seen)) == len(arrivals)
    assert seen[0] == "m4"
    assert seen[-2:] == ["m5", "m0"]


async def test_a_listing_of_one_recipient_shows_only_theirs(tmp_path: Path):
    put(tmp_path, "m1", 10**18)
    put(tmp_path, "m2", 10**18 + 10**9, to="Bob@example.org")
    assert [m.message_id for m in await Maildir(tmp_path).page("bob@EXAMPLE.org", None, 10)] == ["m2"]


@pytest.mark.parametrize("message_id", ["../secret", "../../secret", "new/m1", "/etc/passwd", "..", ".", ""])
async def test_an_id_cannot_lead_out_of_the_mailbox(tmp_path: Path, message_id: str):
    put(tmp_path / "mailbox", "m1", 10**18)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "mailbox" / "secret").write_text("secret")
    with pytest.raises(NotFound):
        await MailboxQueries(Maildir(tmp_path / "mailbox")).get(message_id)


async def test_a_message_in_a_character_set_that_does_not_exist_is_still_shown(tmp_path: Path):
    put(tmp_path, "m1", 10**18)
    path = tmp_path / "new" / "m1"
    path.write_bytes(b"Content-Type: text/plain; charset=klingon\r\n" + path.read_bytes())
    message = await Maildir(tmp_path).get("m1")
    assert message is not None
    assert message.text.strip() == "Hello"


async def test_a_mailbox_that_is_not_there_yet_is_empty_and_none_is_disabled(tmp_path: Path):
    assert await MailboxQueries(Maildir(tmp_path / "later")).page(None, None, 10) == []
    with pytest.raises(FailedPrecondition) as caught:
        await MailboxQueries(None).page(None, None, 10)
    assert caught.value.reason == "MAILBOX_DISABLED"
