"""The offline verifier."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.merklelog.checkpoint import Checkpoint
from chassis.merklelog.documents import Consistency, Receipt, export_end, export_header, export_leaf
from chassis.merklelog.note import SigningKey
from chassis.merklelog.tree import Frontier, consistency_path, fold
from chassis.merklelog.verify import FAILS, HOLDS, UNCONFIRMED, UNREADABLE, main, verify_file
from tests.unit.merklelog.events import KEY, MemoryLog

LOG = MemoryLog.of(11)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "log.pub"
    path.write_text(f"{KEY.verifier}\n")
    return str(path)


def written(folder: Path, document: Any) -> Path:
    path = folder / "document"
    lines = document if isinstance(document, list) else [document]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def bundle() -> Consistency:
    frontier = Frontier()
    frontier.extend(LOG.hashes[:6])
    first = Checkpoint(KEY.verifier.name, 6, frontier.root())
    proof = tuple(fold([LOG.nodes[node] for node in part]) for part in consistency_path(6, 11))
    return Consistency(str(KEY.verifier), first.sign(KEY), LOG.checkpoint.sign(KEY), proof)


def export() -> list[Any]:
    lines = [export_leaf(index, leaf) for index, leaf in enumerate(LOG.leaves)]
    return [export_header(str(KEY.verifier), LOG.checkpoint.sign(KEY)), *lines, export_end(len(lines))]


@pytest.mark.parametrize("index", range(11))
def test_a_receipt_holds(tmp_path: Path, key_file: str, index: int):
    verdict = verify_file(written(tmp_path, LOG.receipt(index).to_json()), [key_file])
    assert verdict.status == HOLDS
    assert f"leaf {index} of 11" in verdict.sentences[0]
    assert "by user:ada" in verdict.sentences[0]


def test_a_receipt_reads_as_it_was_written():
    assert Receipt.from_json(LOG.receipt(4).to_json()) == LOG.receipt(4)


def test_a_consistency_bundle_holds(tmp_path: Path, key_file: str):
    assert verify_file(written(tmp_path, bundle().to_json()), [key_file]).status == HOLDS


def test_an_export_holds(tmp_path: Path, key_file: str):
    assert verify_file(written(tmp_path, export()), [key_file]).status == HOLDS


def test_a_checkpoint_holds(tmp_path: Path, key_file: str):
    path = tmp_path / "checkpoint"
    path.write_text(LOG.checkpoint.sign(KEY))
    assert verify_file(path, [key_file]).status == HOLDS
    assert verify_file(path).status == UNREADABLE


def test_an_indented_document_is_read_too(tmp_path: Path, key_file: str):
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(LOG.receipt(3).to_json(), indent=2))
    assert verify_file(path, [key_file]).status == HOLDS


@pytest.mark.parametrize("document", [LOG.receipt(2).to_json(), bundle().to_json(), export()])
def test_without_a_key_nothing_is_confirmed(tmp_path: Path, document: Any):
    verdict = verify_file(written(tmp_path, document))
    assert verdict.status == UNCONFIRMED
    assert "NOT CONFIRMED" in verdict.sentences[0]


def test_a_log_that_somebody_else_made_up_does_not_hold_under_the_true_key(tmp_path: Path, key_file: str):
    eve = SigningKey(KEY.verifier.name, b"e" * 32)
    receipt = LOG.receipt(2).to_json()
    receipt |= {"key": str(eve.verifier), "checkpoint": LOG.checkpoint.sign(eve)}
    path = written(tmp_path, receipt)
    assert verify_file(path).status == UNCONFIRMED
    assert verify_file(path, [key_file]).status == FAILS


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 10), place=st.integers(0), bit=st.integers(0, 6))
def test_no_receipt_holds_for_an_altered_event(
    tmp_path: Path, key_file: str, index: int, place: int, bit: int
):
    document = LOG.receipt(index).to_json()
    leaf = document["leaf"].encode()
    place %= len(leaf)
    altered = leaf[:place] + bytes([leaf[place] ^ 1 << bit]) + leaf[place + 1 :]
    document["leaf"] = altered.decode()
    assert verify_file(written(tmp_path, document), [key_file]).status == FAILS


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0), bit=st.integers(0, 6))
def test_no_altered_export_holds(tmp_path: Path, key_file: str, place: int, bit: int):
    path = written(tmp_path, export())
    text = path.read_bytes()
    # The header names a key besides the one that is trusted; what it says there is never believed.
    start = text.index(b"\n")
    place = start + 1 + place % (len(text) - start - 1)
    path.write_bytes(text[:place] + bytes([text[place] ^ 1 << bit]) + text[place + 1 :])
    assert verify_file(path, [key_file]).status in {FAILS, UNREADABLE}


@pytest.mark.parametrize("change", ["dropped", "doubled", "swapped", "cut", "shortened", "added"])
def test_an_export_is_complete_and_in_order(tmp_path: Path, key_file: str, change: str):
    lines = export()
    match change:
        case "dropped":
            del lines[4]
        case "doubled":
            lines.insert(4, lines[4])
        case "swapped":
            lines[4], lines[5] = lines[5], lines[4]
        case "cut":
            del lines[-1]
        case "shortened":
            lines[-2:] = [export_end(10)]
        case "added":
            lines[-1:] = [export_leaf(11, LOG.leaves[0]), export_end(12)]
    assert verify_file(written(tmp_path, lines), [key_file]).status == FAILS


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"leafIndex": 3}, FAILS),
        ({"treeSize": 10}, FAILS),
        ({"leafIndex": -1}, UNREADABLE),
        ({"leafIndex": True}, UNREADABLE),
        ({"inclusionProof": []}, FAILS),
        ({"inclusionProof": ["AA=="]}, FAILS),
        ({"inclusionProof": "AA=="}, UNREADABLE),
        ({"inclusionProof": ["*"]}, UNREADABLE),
        ({"leaf": None}, UNREADABLE),
        ({"leaf": "\ud800"}, UNREADABLE),
        ({"checkpoint": "no note"}, FAILS),
        ({"origin": "another/log"}, UNREADABLE),
        ({"format": "greenledger-receipt-v9"}, UNREADABLE),
    ],
    ids=range(13),
)
def test_a_receipt_with_a_wrong_field_is_refused(
    tmp_path: Path, key_file: str, change: dict[str, Any], status: int
):
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(LOG.receipt(2).to_json() | change))
    assert verify_file(path, [key_file]).status == status


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b'{"format":1,"format":2}', b"\xff\xfe", b"[]", b"{" * 100_000]
)
def test_what_is_no_document_is_not_read(tmp_path: Path, content: bytes):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert verify_file(path, [str(KEY.verifier)]).status in {UNREADABLE, FAILS}


def test_a_missing_file_or_key_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path / "none")]) == UNREADABLE
    assert "No such file" in capsys.readouterr().err
    path = written(tmp_path, LOG.receipt(1).to_json())
    assert main([str(path), "--key", "a+b+c"]) == UNREADABLE
    assert main([str(path), "--key", str(tmp_path / "none.pub")]) == UNREADABLE


def test_it_runs_where_neither_network_nor_database_modules_can_be_imported(tmp_path: Path, key_file: str):
    path = written(tmp_path, LOG.receipt(1).to_json())
    program = f"""
import sys

class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {{"asyncpg", "grpc", "google", "asyncio", "socket", "sqlalchemy",
                                   "structlog", "prometheus_client", "confluent_kafka", "greenledger"}}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
from chassis.merklelog.verify import main
sys.exit(main([{str(path)!r}, "--key", {key_file!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert (done.returncode, done.stdout[:5]) == (HOLDS, "HOLDS")
