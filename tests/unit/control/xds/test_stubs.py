"""Messages of xDS live beside those of other packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.control.adapters.xds.stubs import FOLDER_VARIABLE, protos_folder


def test_the_folder_hides_nothing_of_other_packages() -> None:
    found = {each.name for each in protos_folder().iterdir()}
    assert not found & {"google", "opentelemetry", "opencensus", "test", "grpc"}


def test_a_missing_folder_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ImportError, match=f"run `make env`, or set {FOLDER_VARIABLE}"):
        protos_folder()


def test_stubs_validator_and_exporter_live_in_one_process() -> None:
    program = (
        "import services.control.adapters.xds.stubs, protovalidate, google.rpc.status_pb2\n"
        "from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter\n"
        "import opentelemetry.proto.trace.v1.trace_pb2 as own\n"
        "assert 'xds-protos' not in own.__file__, own.__file__\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[4], timeout=60)
