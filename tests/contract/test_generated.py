"""What is generated is up to date, the same each time, and usable on its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.contracts import generate
from fleet.contracts.compiler import ROOT

_FRESH = """
import json, sys
import grpc
from greenledger.common.v1 import quantity_pb2
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from google.protobuf import json_format
import protovalidate

def rules(message):
    return [violation.proto.rule_id for violation in protovalidate.collect_violations(message)]

stub = operations_pb2_grpc.OperationsServiceStub(grpc.insecure_channel("localhost:1"))
print(json.dumps({
    "origin": quantity_pb2.__file__,
    "good": rules(quantity_pb2.Quantity(amount="12.5", unit_code="KGM")),
    "bad": rules(quantity_pb2.Quantity(amount="12,5", unit_code="KGM")),
    "uuid": rules(operations_pb2.GetSagaRequest(saga_id="7")),
    "stub": hasattr(stub, "GetStatus"),
}))
"""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return generate.render()


def test_everything_generated_is_up_to_date(files: dict[str, bytes]) -> None:
    assert generate.drift(files) == []


def test_generating_twice_gives_the_same_bytes(files: dict[str, bytes]) -> None:
    assert generate.render() == files


def test_no_path_of_the_machine_is_in_the_output(files: dict[str, bytes]) -> None:
    assert [path for path, content in files.items() if str(ROOT).encode() in content] == []


def test_drift_is_seen_in_changed_missing_and_stray_files(files: dict[str, bytes], tmp_path: Path) -> None:
    generate.write(files, tmp_path)
    assert generate.drift(files, tmp_path) == []
    (tmp_path / "gen/greenledger.binpb").write_bytes(b"edited")
    (tmp_path / "docs/contracts/README.md").unlink()
    (tmp_path / "gen/python/greenledger/stray.py").write_text("")
    assert generate.drift(files, tmp_path) == [
        "docs/contracts/README.md is missing",
        "gen/greenledger.binpb is out of date",
        "gen/python/greenledger/stray.py is not generated any more",
    ]


def test_writing_repairs_drift_and_removes_strays(files: dict[str, bytes], tmp_path: Path) -> None:
    generate.write(files, tmp_path)
    (tmp_path / "gen/python/greenledger/stray.py").write_text("")
    (tmp_path / "gen/greenledger.binpb").write_bytes(b"edited")
    assert sorted(generate.write(files, tmp_path)) == [
        "gen/greenledger.binpb",
        "gen/python/greenledger/stray.py",
    ]
    assert generate.drift(files, tmp_path) == []


def test_what_installing_the_stubs_leaves_behind_is_no_drift(files: dict[str, bytes], tmp_path: Path) -> None:
    generate.write(files, tmp_path)
    (tmp_path / "gen/python/build").mkdir()
    (tmp_path / "gen/python/build/lib.py").write_text("")
    assert generate.drift(files, tmp_path) == []


def test_the_stubs_install_as_a_distribution_and_validate_by_the_rules_of_the_proto(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    ignore = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT / "gen/python", source, ignore=ignore)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, capture_output=True)
    program = f"import sys; sys.path.insert(0, {str(target)!r})\n{_FRESH}"
    done = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert Path(answer.pop("origin")).is_relative_to(target)
    assert answer == {"good": [], "bad": ["string.pattern"], "uuid": ["string.uuid"], "stub": True}
    assert (target / "greenledger/py.typed").is_file()
    assert (target / "greenledger/operations/v1/operations_pb2_grpc.pyi").is_file()
