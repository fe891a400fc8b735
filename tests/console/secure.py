"""A way to a house over https, with a certificate that no authority knows."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A venue's own certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    secret.write_bytes(key.private_bytes(*plain))
    return certificate, secret


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Terminator:
    """Ends https in front of a house, and tells what it was told."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url).port
        self._port = 0
        self._server: asyncio.Server
        self.heard = b""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    async def show(self, certificate: tuple[Path, Path]) -> None:
        """Serve at the same address, with this certificate from now on."""
        if self._port:
            await self.stop()
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=server_context(*certificate)
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)

        async def out() -> None:
            while data := await reader.read(65536):
                self.heard += data
                far_writer.write(data)
            far_writer.write_eof()

        async def back() -> None:
            while data := await far_reader.read(65536):
                writer.write(data)
            writer.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(out(), back())
        for end in (writer, far_writer):
            end.close()


@asynccontextmanager
async def over_https(url: str, certificate: tuple[Path, Path]) -> AsyncIterator[Terminator]:
    secure = Terminator(url)
    await secure.show(certificate)
    try:
        yield secure
    finally:
        await secure.stop()
