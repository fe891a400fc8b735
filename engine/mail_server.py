"""Where mails are handed over: an address such as smtp://user:password@mail.example.org.

Owns the meaning of the address. `smtp` demands STARTTLS, `smtps` speaks TLS from the first byte;
`smtp+plain` is for a relay on a network that one trusts: it encrypts nothing, and so logs in
nowhere.
"""

from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

PORTS: Final = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
"""By scheme; RFC 6409 and RFC 8314 for the first two."""


class MailServer(Struct, frozen=True):
    """Not to be logged: it has the password."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


def parse_mail_server(url: str) -> MailServer:
    """Raises ValueError saying what is wrong, without repeating the address."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(f"it begins with none of {', '.join(f'{one}://' for one in PORTS)}")
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("there is something after the host and port")
    port = parts.port or PORTS[parts.scheme]  # a port that is none raises ValueError
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("a login is a user and a password")
    if user and parts.scheme == "smtp+plain":
        raise ValueError("smtp+plain would show the password to the network")
    return MailServer(parts.scheme, parts.hostname, port, user, password)
