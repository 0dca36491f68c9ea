"""The three files of a TLS folder, read as one."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
AUTHORITY: Final = "authority.pem"
_TRIES = 5

Stamp = tuple[tuple[int, int], ...]
"""Changes with the files: inode and time of each."""


class TlsError(Exception):
    """The folder does not hold what a process can prove itself with; the message names the file."""


@dataclass(frozen=True, slots=True)
class Material:
    """Contents of the files, as PEM, that belong together.

    Args:
        certificate: of the process.
        key: its private key.
        authority: every certificate that may have signed a peer's; two while the authority changes.
        stamp: of the files when they were read.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes
    stamp: Stamp


def stamp(folder: Path) -> Stamp:
    """What to compare to see whether the files were replaced.

    Raises:
        TlsError: one is missing.
    """
    try:
        found = [(folder / name).stat() for name in (CERTIFICATE, KEY, AUTHORITY)]
    except OSError as error:
        raise TlsError(
            f"{error.filename} cannot be read ({error.strerror}); see GREENLEDGER_TLS_DIR"
        ) from error
    return tuple((entry.st_ino, entry.st_mtime_ns) for entry in found)


def read(folder: Path) -> Material:
    """The files, never a certificate with another certificate's key.

    Raises:
        TlsError: one is missing, or the key is not the certificate's.
    """
    for _ in range(_TRIES):
        before = stamp(folder)
        try:
            certificate, key, authority = (
                (folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY)
            )
        except OSError:
            continue  # replaced, and the former ones taken away, in between
        if stamp(folder) == before:
            material = Material(certificate, key, authority, before)
            _require_pair(folder, material)
            return material
    raise TlsError(f"The files in {folder} change faster than they can be read")


def _require_pair(folder: Path, material: Material) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(material.certificate)
        key = load_pem_private_key(material.key, None)
    except ValueError as error:
        raise TlsError(f"{folder} holds no certificate and key in PEM: {error}") from error
    if _public(certificate.public_key()) != _public(key.public_key()):
        raise TlsError(f"{folder / KEY} is not the key of {folder / CERTIFICATE}")


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
