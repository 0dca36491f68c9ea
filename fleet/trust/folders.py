"""Writing a member's TLS folder so that no reader ever sees half of a change.

The three files are links through one link, `current`, to a folder that is written once and never altered:

    certificate.pem -> current/certificate.pem     current -> versions/0000018f...
    key.pem         -> current/key.pem
    authority.pem   -> current/authority.pem

Moving a new `current` over the old one replaces all three at once. Readers that open the files one after
another (gRPC's file watcher, Envoy) compare times or contents around it, and the former version stays for
them.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from chassis.tls import AUTHORITY, CERTIFICATE, KEY, Material

_CURRENT: Final = "current"
_VERSIONS: Final = "versions"
_KEPT = 2


def publish(folder: Path, *, certificate: bytes, key: bytes, authority: bytes) -> None:
    """Put these contents in force.

    Args:
        folder: of the member; made, for its owner only, when there is none.
    """
    versions = folder / _VERSIONS
    versions.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    number = int(max((path.name for path in versions.glob("[0-9]*")), default="0")) + 1
    version = versions / f"{number:012d}"
    draft = versions / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    for name, content in ((CERTIFICATE, certificate), (KEY, key), (AUTHORITY, authority)):
        write(draft / name, content)
    draft.rename(version)
    _link(folder / _CURRENT, Path(_VERSIONS) / version.name)
    for name in (CERTIFICATE, KEY, AUTHORITY):
        target = Path(_CURRENT) / name
        path = folder / name
        if not path.is_symlink() or path.readlink() != target:
            _link(path, target)
    for former in sorted(versions.glob("[0-9]*"))[:-_KEPT]:
        shutil.rmtree(former)


def republish(folder: Path, held: Material, authority: bytes) -> None:
    """Keep certificate and key, but believe other authorities."""
    publish(folder, certificate=held.certificate, key=held.key, authority=authority)


def write(path: Path, content: bytes) -> None:
    """A file for its owner only, replaced whole."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _link(path: Path, target: Path) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)
