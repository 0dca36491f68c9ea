"""Runs protoc on our protos together with those that others own.

Protos of others are taken from the packages that ship them and are never copied into the repository:
google/api, google/rpc and google/type are text in googleapis-common-protos, google/protobuf is text
in grpcio-tools, and buf/validate exists only as the descriptor inside protovalidate, which protoc
reads as a descriptor set.
"""

import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from protovalidate._gen.buf.validate import validate_pb  # no public way leads to the descriptor

ROOT = Path(__file__).resolve().parents[2]

VALIDATE_PROTO = "buf/validate/validate.proto"
# Not imported by our protos, but error details travel as Any and the edge must know how to print them.
EDGE_PROTOS = ("google/rpc/error_details.proto", "google/rpc/status.proto")


class CompileError(Exception):
    """protoc refused the protos; the message is its own text."""


def our_protos(proto_root: Path) -> list[str]:
    """Lists the protos under `proto_root` as import paths, sorted."""
    return sorted(path.relative_to(proto_root).as_posix() for path in proto_root.rglob("*.proto"))


def compile_image(proto_root: Path = ROOT / "proto", *, source_info: bool = True) -> bytes:
    """Compiles all our protos and what they import into one serialized FileDescriptorSet.

    `source_info` keeps comments and positions, which docs and lint need and the proxy does not.
    Raises CompileError.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "image.binpb"
        flags = ["--include_imports", f"--descriptor_set_out={out}"]
        if source_info:
            flags.append("--include_source_info")
        _protoc(proto_root, flags, [*our_protos(proto_root), *EDGE_PROTOS])
        return out.read_bytes()


def compile_stubs(out: Path, services: Sequence[str], proto_root: Path = ROOT / "proto") -> None:
    """Writes message stubs for all our protos and gRPC stubs for `services`, the files that declare one.

    The typed gRPC stubs are those of grpc.aio only, since nothing here calls the blocking API.
    Raises CompileError.
    """
    # validate_pb2 is generated too: our stubs import it to register the extensions of their options.
    messages = [*our_protos(proto_root), VALIDATE_PROTO]
    _protoc(proto_root, [f"--python_out={out}", _plugin("mypy"), f"--mypy_out=quiet:{out}"], messages)
    grpc = [f"--grpc_python_out={out}", _plugin("mypy_grpc"), f"--mypy_grpc_out=quiet,only_async:{out}"]
    if services:
        _protoc(proto_root, grpc, services)


def runtime_requirements(stubs: Path) -> list[str]:
    """Says which run-time packages the generated stubs need, e.g. "protobuf>=6.33.5,<8".

    Generated code refuses a runtime that is older than its compiler, so the floor is what it was made with.
    """
    text = (stubs / VALIDATE_PROTO).with_name("validate_pb2.py").read_text()
    match = re.search(r"^# Protobuf Python Version: (\d+)\.(\S+)$", text, re.MULTILINE)
    if match is None:
        raise CompileError("the generated stubs do not say which protobuf runtime they need")
    major, rest = int(match[1]), match[2]
    return [
        # A runtime takes code of its own major version and of the one before it
        # (protobuf.dev, cross-version runtime guarantees).
        f"protobuf>={major}.{rest},<{major + 2}",
        f"grpcio>={importlib.metadata.version('grpcio-tools')}",
        "googleapis-common-protos",
    ]


def _protoc(proto_root: Path, flags: Sequence[str], files: Sequence[str]) -> None:
    google = Path(annotations_pb2.__file__).parents[2]
    wellknown = Path(str(importlib.metadata.distribution("grpcio-tools").locate_file("grpc_tools/_proto")))
    command = [sys.executable, "-m", "grpc_tools.protoc"]
    command += [f"-I{path}" for path in (proto_root, google, wellknown)]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as validate:
        validate.write(_validate_descriptor())
        validate.flush()
        command.append(f"--descriptor_set_in={validate.name}")
        done = subprocess.run([*command, *flags, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(done.stderr.strip())


def _validate_descriptor() -> bytes:
    file = descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    return descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString(deterministic=True)


def _plugin(name: str) -> str:
    return f"--plugin=protoc-gen-{name}={Path(sysconfig.get_path('scripts')) / f'protoc-gen-{name}'}"
