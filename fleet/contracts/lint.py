"""Checks the protos: `python -m fleet.contracts.lint [--against REVISION]`.

buf lint and our own conventions judge the protos as they are on disk. The breaking check compares them
with the descriptor set that a revision committed, by default HEAD; any other is given as
`--against v1.2.0` or `--against main~20`. buf's rule sets stand in buf.yaml. buf gets images, since it
cannot resolve the imports by itself offline.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from fleet.contracts import compiler, conventions
from fleet.contracts.compiler import ROOT, CompileError
from fleet.contracts.model import Contracts

COMMITTED_DESCRIPTOR = "gen/greenledger.binpb"


def lint(image: bytes) -> list[str]:
    """Returns buf lint's findings on a serialized FileDescriptorSet, one per line."""
    return _buf("lint", image)


def breaking(image: bytes, against: bytes) -> list[str]:
    """Returns what in `image` breaks those who were built with `against`, one finding per line."""
    return _buf("breaking", image, against)


def committed_descriptor(revision: str, root: Path = ROOT) -> bytes | None:
    """Reads the descriptor set that a git revision committed.

    Returns None if the revision has none, as before the first commit of the contracts.
    """
    command = ["git", "show", f"{revision}:{COMMITTED_DESCRIPTOR}"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    return None if done.returncode else done.stdout


def _buf(command: str, image: bytes, against: bytes | None = None) -> list[str]:
    # Without --path buf would judge the protos of others that the image carries, too.
    flags = ["--config", str(ROOT / "buf.yaml"), "--path", "greenledger"]
    with tempfile.TemporaryDirectory() as folder:
        new, old = Path(folder) / "new.binpb", Path(folder) / "old.binpb"
        new.write_bytes(image)
        if against is not None:
            old.write_bytes(against)
            flags += ["--against", str(old)]
        buf = [str(Path(sysconfig.get_path("scripts")) / "buf"), command, str(new)]
        done = subprocess.run([*buf, *flags], capture_output=True, text=True, check=False)
    if done.returncode not in {0, _FOUND}:
        raise CompileError(done.stderr.strip())
    return done.stdout.splitlines()


_FOUND = 100  # buf's exit code for findings


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fleet.contracts.lint", description=__doc__)
    parser.add_argument("--against", default="HEAD", metavar="REVISION", help="default: HEAD")
    arguments = parser.parse_args()
    try:
        image = compiler.compile_image()
        findings = [*lint(image), *conventions.check(Contracts(image))]
        old = committed_descriptor(arguments.against)
        if old is not None:
            findings += breaking(image, old)
        elif arguments.against != "HEAD":
            findings.append(f"{arguments.against} has no {COMMITTED_DESCRIPTOR}")
    except CompileError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join([*findings, f"{len(findings)} findings"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
