"""The development mailbox forgets."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.servers.mailbox_server import KEPT, MaildirHandler

NOW = datetime(2026, 6, 8, tzinfo=UTC)


def put(folder: Path, name: str, age: timedelta) -> None:
    path = folder / name
    path.write_text("Subject: Hello\n\nText\n")
    arrived = (NOW - age).timestamp()
    os.utime(path, (arrived, arrived))


def test_messages_are_kept_for_their_time_and_then_deleted_wherever_they_are(tmp_path: Path):
    mailbox = MaildirHandler(tmp_path)
    for folder in ("tmp", "new", "cur"):
        put(tmp_path / folder, "old", KEPT + timedelta(seconds=1))
        put(tmp_path / folder, "young", KEPT - timedelta(seconds=1))
    assert mailbox.forget(NOW) == 3
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["young"] * 3
    assert mailbox.forget(NOW) == 0
