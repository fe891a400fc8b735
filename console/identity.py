"""Which device this machine is: the token that a code gave it, and where its memory lies.

Owns one small file in the console's state directory, readable by its owner only.
"""

import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from console.client import Client, certificate_of
from console.trust import fingerprint_of
from renderers.enrolment import read_link


class WrongCertificate(Exception):
    """The server is not the one that the code names."""


class Identity(Struct, frozen=True):
    """A machine that enrolled. Empty `performances`: any.

    `certificate` is the server's own, where the code named it: it is believed from then on.
    """

    server: str
    token: str
    name: str
    gate: str
    performances: tuple[int, ...]
    certificate: bytes = b""


async def enrol(link: str, state: Path) -> Identity:
    """Become the device that a link offers, and remember it.

    Raises:
        BadLink: Not such a link.
        WrongCertificate: Another server answers there; the code was not shown to it.
        ClientError: Refused, or no answer.
    """
    offer, certificate = read_link(link), b""
    if offer.fingerprint:
        certificate = certificate_of(offer.server)
        if fingerprint_of(certificate) != offer.fingerprint:
            raise WrongCertificate(offer.server)
    client = Client(offer.server, certificate=certificate)
    made = await client.enrol(offer.token)
    identity = Identity(
        client.server, made.token, made.name, made.gate, made.performances, certificate
    )
    _keep(identity, state)
    return identity


def _keep(identity: Identity, state: Path) -> None:
    """Whole or not at all, whatever dies meanwhile."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = _file(state)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(identity))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def known_identity(state: Path) -> Identity | None:
    """The device that this machine became last."""
    try:
        return msgspec.json.decode(_file(state).read_bytes(), type=Identity)
    except (OSError, msgspec.DecodeError):
        return None


def memory_path(state: Path, server: str, token: str) -> Path:
    """Where a scanner keeps its scans: one file for who enrolled here, one for each token else."""
    identity = known_identity(state)
    own = identity is not None and (identity.server, identity.token) == (server, token)
    name = f"{server} {'' if own else token}"
    return state / "doors" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.db"


def _file(state: Path) -> Path:
    return state / "device.json"
