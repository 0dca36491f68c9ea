"""A gate before a broker, as deployments have it: TLS, and SASL/PLAIN with one account.

Until a client has said who it is, it may ask for the API versions and nothing else; afterwards bytes pass.

Source: https://kafka.apache.org/protocol (SaslHandshake, SaslAuthenticate), KIP-152.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_API_VERSIONS, _HANDSHAKE, _AUTHENTICATE = 18, 17, 36
_BAD_CREDENTIALS = 58


class Gate:
    """Make one with `gate`.

    Args:
        user, password: of the account.
        certificate: PEM file that clients may trust.
        port: where clients come to.
    """

    def __init__(self, user: str, password: str, certificate: Path, port: int) -> None:
        self.certificate = certificate
        self.port = port
        self.passed = 0
        self.refused = 0
        self._account = b"\0" + user.encode() + b"\0" + password.encode()
        self.broker_port = 0

    @property
    def bootstrap(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self.broker_port)
            try:
                if await self._let_in(reader, writer, broker_reader, broker_writer):
                    self.passed += 1
                    async with asyncio.TaskGroup() as both:
                        both.create_task(_pipe(reader, broker_writer))
                        both.create_task(_pipe(broker_reader, writer))
                else:
                    self.refused += 1
            finally:
                broker_writer.close()
        writer.close()

    async def _let_in(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        broker_reader: asyncio.StreamReader,
        broker_writer: asyncio.StreamWriter,
    ) -> bool:
        while True:
            frame = await _frame(reader)
            key, version, correlation, name_length = struct.unpack(">hhih", frame[:10])
            body = frame[10 + max(name_length, 0) :]
            if key == _API_VERSIONS:
                broker_writer.write(struct.pack(">i", len(frame)) + frame)
                answer = await _frame(broker_reader)
            elif key == _HANDSHAKE:
                answer = struct.pack(">ihih5s", correlation, 0, 1, 5, b"PLAIN")
            elif key == _AUTHENTICATE and version < 2:
                right = body[4:] == self._account
                error = 0 if right else _BAD_CREDENTIALS
                answer = struct.pack(">ihhi", correlation, error, -1, 0)
                answer += struct.pack(">q", 0) if version == 1 else b""
                writer.write(struct.pack(">i", len(answer)) + answer)
                return right
            else:
                return False
            writer.write(struct.pack(">i", len(answer)) + answer)


@contextlib.asynccontextmanager
async def gate(folder: Path, *, user: str, password: str) -> AsyncIterator[Gate]:
    """A gate on a free port; set its `broker_port` before a client comes.

    Args:
        folder: for certificate and key.
        user, password: of the only account.
    """
    certificate, key = _certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    made = Gate(user, password, certificate, 0)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(1 << 16):
        writer.write(content)
        await writer.drain()
    writer.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "broker.pem", folder / "broker.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key
