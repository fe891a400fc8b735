"""Which servers are believed over https: the public authorities', and one that a code named.

Owns a server's certificate as it is shown, its fingerprint, and the context that takes it.
A venue's own machine has rarely a certificate that the world knows: its fingerprint is in the code
that enrols a device, and from then on exactly that certificate is good there too.
"""

import socket
import ssl
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

CONNECT_S: Final = 10.0


def shown_by(server: str) -> bytes:
    """The certificate that an https server shows, in DER.

    Raises:
        OSError: it shows none.
    """
    parts = urlsplit(server)
    context = ssl.create_default_context()
    # Whose it is is not asked here: it is compared, or written down to be known again.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host = parts.hostname or ""
    with (
        socket.create_connection((host, parts.port or 443), CONNECT_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(certificate).hexdigest()


def trusting(certificate: bytes) -> ssl.SSLContext:
    """What verifies servers as ever, and takes this certificate too; empty: none besides.

    The name is checked either way: the certificate has to be made out to the server's address.
    """
    context = ssl.create_default_context()
    if certificate:
        context.load_verify_locations(cadata=certificate)
        # It vouches for itself, whoever else has signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
