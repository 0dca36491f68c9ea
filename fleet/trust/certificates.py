"""Certificates as values: roots that sign, leaves that prove one name (X.509-SVID of SPIFFE)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chassis.tls import TRUST_DOMAIN, spiffe_id

_SKEW = timedelta(minutes=5)  # clocks of readers may be behind ours


@dataclass(frozen=True, slots=True)
class Root:
    """A certificate that signs, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def new(cls, now: datetime, life: timedelta) -> Self:
        """A root of its own name, so that two of them are told apart while both are trusted."""
        key = ec.generate_private_key(ec.SECP256R1())
        serial = x509.random_serial_number()
        name = _name(f"{TRUST_DOMAIN} authority {serial:040x}"[:60])
        public = key.public_key()
        builder = (
            _builder(name, name, key, serial, now - _SKEW, now + life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Self:
        """From PEM.

        Raises:
            ValueError: they are not PEM, or not of an elliptic curve.
        """
        loaded = load_pem_private_key(key, None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is of another kind")
        return cls(x509.load_pem_x509_certificate(certificate), loaded)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return _key_pem(self.key)

    def leaf(self, name: str, hosts: Iterable[str], now: datetime, life: timedelta) -> tuple[bytes, bytes]:
        """A new certificate and its new key, as PEM.

        Args:
            name: of the member; `DNS:<name>` and its network identity are what the certificate proves.
            hosts: further names or addresses under which clients expect it.
            now: begin of its life; the root's own begin when that is later.
            life: at most until the root's own end.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        # Within the root's life: it would prove nothing outside of it, and be renewed late.
        begin = max(now - _SKEW, self.certificate.not_valid_before_utc)
        end = min(now + life, self.certificate.not_valid_after_utc)
        names: list[x509.GeneralName] = [x509.DNSName(name), x509.UniformResourceIdentifier(spiffe_id(name))]
        names += [_host(host) for host in hosts]
        builder = (
            _builder(_name(name), self.certificate.subject, key, x509.random_serial_number(), begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM), _key_pem(key)


def hosts_of(certificate: x509.Certificate, name: str) -> tuple[str, ...]:
    """The further names of a leaf."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = [host for host in names.get_values_for_type(x509.DNSName) if host != name]
    return (*dns, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def signed_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    """Whether the root's key signed it."""
    return certificate.issuer == root.subject


def elapsed(certificate: x509.Certificate, now: datetime) -> float:
    """The part of its life that has passed: 0 at its begin, 1 at its end.

    1 before it is valid too, as after the clock was set back: nobody believes it then either.
    """
    if now < certificate.not_valid_before_utc:
        return 1.0
    begin = certificate.not_valid_before_utc + _SKEW
    return (now - begin) / (certificate.not_valid_after_utc - begin)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
