"""The compiled contracts, and two samples beside them: one sound, one that breaks every convention."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.contracts import compiler
from fleet.contracts.compiler import ROOT
from fleet.contracts.model import Contracts

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def image() -> bytes:
    return compiler.compile_image()


@pytest.fixture(scope="session")
def contracts(image: bytes) -> Contracts:
    return Contracts(image)


@pytest.fixture(scope="session")
def proto_root_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a proto folder that holds one sample as package greenledger.sample.v1."""

    def make(sample: str) -> Path:
        root = tmp_path_factory.mktemp(sample)
        shutil.copytree(ROOT / "proto/greenledger/options", root / "greenledger/options")
        shutil.copytree(SAMPLES / sample, root / "greenledger/sample/v1")
        return root

    return make


@pytest.fixture(scope="session")
def sound(proto_root_with: Callable[[str], Path]) -> Contracts:
    return Contracts(compiler.compile_image(proto_root_with("sound")))


@pytest.fixture(scope="session")
def broken(proto_root_with: Callable[[str], Path]) -> Contracts:
    return Contracts(compiler.compile_image(proto_root_with("broken")))
