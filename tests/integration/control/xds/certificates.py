"""An authority for one test."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Issues certificates as files, one folder for each name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._own = self._signed("authority", self._key.public_key(), None)

    def issue(self, name: str, sees: str = "") -> Path:
        """Write a new certificate of `name`, or of another name into its folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        identity = f"spiffe://greenledger/{sees or name}"
        subject = x509.SubjectAlternativeName([x509.DNSName(name), x509.UniformResourceIdentifier(identity)])
        certificate = self._signed(name, key.public_key(), subject)
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for file, content in (
            ("authority.pem", self._own.public_bytes(serialization.Encoding.PEM)),
            ("key.pem", private),
            ("certificate.pem", certificate.public_bytes(serialization.Encoding.PEM)),
        ):
            # Moved into place: what watches the folder never sees half a file.
            new = folder / f".{file}"
            new.write_bytes(content)
            new.rename(folder / file)
        return folder

    def _signed(
        self, name: str, key: ec.EllipticCurvePublicKey, subject: x509.SubjectAlternativeName | None
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=subject is None, path_length=None), critical=True)
        )
        if subject is not None:
            builder = builder.add_extension(subject, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """Mutual TLS with a folder's files, read anew for each connection."""

    def fetch() -> grpc.ServerCertificateConfiguration:
        pair = (folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes()
        return grpc.ssl_server_certificate_configuration([pair], (folder / "authority.pem").read_bytes())

    return grpc.dynamic_ssl_server_credentials(fetch(), fetch, require_client_authentication=True)


def channel_credentials(folder: Path) -> grpc.ChannelCredentials:
    """Those of whom a folder is."""
    authority, key, certificate = (
        (folder / file).read_bytes() for file in ("authority.pem", "key.pem", "certificate.pem")
    )
    return grpc.ssl_channel_credentials(authority, key, certificate)
