"""Checks receipts, consistency bundles, exports and checkpoints, with no server and no database.

    python -m chassis.merklelog.verify FILE [--key KEY ...]

Needs Python and `cryptography`. Exit status:
0  everything holds, and a key that you named has signed it;
1  something does not hold: the file or the history it shows was altered, or another log signed it;
2  the file or a key cannot be read;
3  everything fits together, but no key was named: the file vouches for itself only.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chassis.merklelog import documents
from chassis.merklelog.checkpoint import Checkpoint, open_checkpoint
from chassis.merklelog.documents import Consistency, Keys, Receipt, export_key, verify_export
from chassis.merklelog.fields import DocumentError, Json, parse_json
from chassis.merklelog.leaf import CanonicalFormError
from chassis.merklelog.note import Note, NoteError, VerifierKey
from chassis.merklelog.tree import ProofError

HOLDS, FAILS, UNREADABLE, UNCONFIRMED = range(4)
_LONGEST_LINE = 64 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: an exit status and sentences for people."""

    status: int
    sentences: tuple[str, ...]


def verify_file(path: Path, keys: Sequence[str] = ()) -> Verdict:
    """Check a file.

    Args:
        path: of a receipt, consistency bundle, export (NDJSON), history of keys or checkpoint (signed note).
        keys: trusted verifier keys, each written out or the path of a file with one a line; default none.
    """
    try:
        trusted = read_keys(keys)
        with path.open("rb") as file:
            return _verify(file, trusted)
    except OSError as error:
        return Verdict(UNREADABLE, (f"UNREADABLE: {error.filename}: {error.strerror}",))
    except (DocumentError, UnicodeDecodeError) as error:
        return Verdict(UNREADABLE, (f"UNREADABLE: {error}",))
    except (NoteError, ProofError, CanonicalFormError) as error:
        return Verdict(FAILS, (f"DOES NOT HOLD: {error}",))


def read_keys(keys: Sequence[str]) -> list[VerifierKey]:
    """Verifier keys that are written out, or in files with one a line.

    Raises:
        DocumentError: a key is malformed.
        OSError: a file cannot be read.
    """
    lines = [
        line
        for key in keys
        for line in ([key] if key.count("+") >= 2 else Path(key).read_text().splitlines())
        if line.strip()
    ]
    try:
        return [VerifierKey.parse(line) for line in lines]
    except NoteError as error:
        raise DocumentError(f"a key cannot be read: {error}") from None


def _verify(file: BinaryIO, trusted: list[VerifierKey]) -> Verdict:
    start = file.read(1)
    file.seek(0)
    if start != b"{":
        note = file.read(_LONGEST_LINE).decode()
        return _checkpoint(note, trusted)
    first = file.readline(_LONGEST_LINE)
    try:
        document = parse_json(first, "the first line")
    except DocumentError:
        # Not one line a document, so one document over many lines.
        file.seek(0)
        document = parse_json(file.read(_LONGEST_LINE), "the file")
    header = document.get("header")
    document = header if isinstance(header, dict) else document
    match document.get("format"):
        case documents.RECEIPT_FORMAT:
            return _receipt(document, trusted)
        case documents.CONSISTENCY_FORMAT:
            return _consistency(document, trusted)
        case documents.EXPORT_FORMAT:
            return _export(document, file, trusted)
        case documents.KEYS_FORMAT:
            return _keys(document, trusted)
    known = (
        documents.RECEIPT_FORMAT,
        documents.CONSISTENCY_FORMAT,
        documents.EXPORT_FORMAT,
        documents.KEYS_FORMAT,
    )
    raise DocumentError(f"the format is {document.get('format')!r}; known are {', '.join(known)}")


def _receipt(document: Json, trusted: list[VerifierKey]) -> Verdict:
    receipt = Receipt.from_json(document)
    event, checkpoint = receipt.verify(trusted or _own(receipt.key))
    actor = event["meta"].get("actor", "nobody named") if isinstance(event.get("meta"), dict) else "?"
    return _verdict(
        trusted,
        checkpoint.origin,
        f"Event {event.get('event_id')} ({event.get('type')}, {event.get('stream_id')} version "
        f"{event.get('version')}), recorded {event.get('recorded_at')} by {actor}, is leaf {receipt.index} "
        f"of {checkpoint.size} in the log {checkpoint.origin}.",
    )


def _consistency(document: Json, trusted: list[VerifierKey]) -> Verdict:
    bundle = Consistency.from_json(document)
    first, second = bundle.verify(trusted or _own(bundle.key, *bundle.earlier_keys))
    return _verdict(
        trusted,
        second.origin,
        f"The log {second.origin} with {first.size} leaves is the beginning of that with {second.size}: "
        "nothing was changed or removed between the two checkpoints.",
    )


def _export(document: Json, file: BinaryIO, trusted: list[VerifierKey]) -> Verdict:
    checkpoint = verify_export(document, file, trusted or _own(export_key(document)))
    return _verdict(
        trusted,
        checkpoint.origin,
        f"All {checkpoint.size} leaves of the log {checkpoint.origin} are those that it has signed.",
    )


def _checkpoint(note: str, trusted: list[VerifierKey]) -> Verdict:
    parsed = Checkpoint.parse(Note.parse(note).text)
    sentence = f"The log {parsed.origin} had {parsed.size} leaves with root {parsed.root.hex()}."
    if parsed.extensions and trusted:
        sentence += f" The key was exchanged there: {'; '.join(parsed.extensions)}."
    if not trusted:
        # A note does not carry its key, so nothing at all can be checked.
        return Verdict(UNREADABLE, (f"A checkpoint alone needs --key. {sentence}",))
    return _verdict(trusted, open_checkpoint(note, trusted).origin, sentence)


def _keys(document: Json, trusted: list[VerifierKey]) -> Verdict:
    keys = Keys.from_json(document)
    ring = keys.verify(trusted or _own(keys.key))
    history = [f"{key} signed up to {key.until} leaves" for key in ring[:-1]]
    sentence = "; ".join([*history, f"{ring[-1]} signs now"])
    return _verdict(trusted, ring[-1].name, f"{sentence}. Each has named the next.")


def _own(*keys: str) -> list[VerifierKey]:
    try:
        return [VerifierKey.parse(key) for key in keys]
    except NoteError as error:
        raise DocumentError(f"key cannot be read: {error}") from None


def _verdict(trusted: list[VerifierKey], origin: str, sentence: str) -> Verdict:
    if trusted:
        return Verdict(HOLDS, (f"HOLDS: {sentence}", f"Signed by {origin} with a key that you named."))
    return Verdict(
        UNCONFIRMED,
        (
            f"FITS TOGETHER, SIGNER NOT CONFIRMED: {sentence}",
            "Only the file names the key, and anyone can make such a file with a key of their own.",
            "Name the log's key, as you know it from elsewhere, with --key.",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file that the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m chassis.merklelog.verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=Path, help="a receipt, consistency bundle, export, history of keys or checkpoint"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="a trusted key, <name>+<id>+<base64>, or a file of such lines",
    )
    given = parser.parse_args(arguments)
    verdict = verify_file(given.file, given.key)
    print(
        "\n".join(verdict.sentences),
        file=sys.stdout if verdict.status in (HOLDS, UNCONFIRMED) else sys.stderr,
    )
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
