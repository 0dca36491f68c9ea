"""Options of gRPC, of which one that it does not know is ignored without a word."""

import re
from pathlib import Path

import pytest
from grpc._cython import cygrpc

from fleet.settings import PROJECT_ROOT

OPTION = re.compile(r"""\(\s*["'](grpc\.[a-z0-9_.]+)["'],""")


@pytest.mark.parametrize("place", ["chassis", "services", "fleet", "tests"])
def test_every_option_of_a_channel_or_server_is_one_that_grpc_knows(place: str) -> None:
    library = Path(cygrpc.__file__).read_bytes()
    used = {
        option for path in (PROJECT_ROOT / place).rglob("*.py") for option in OPTION.findall(path.read_text())
    }
    assert used
    assert not {option for option in used if option.encode() + b"\0" not in library}
