"""Ticket secrets: the signed text in the QR code and the short readable number beside it.

Both are pure functions of the organiser's key and a ticket's identity: performance, ticket
number, version. Owns their alphabets, their one canonical form and their proofs. Knows
nothing of what the engine knows (used, refunded, unpaid) and keeps nothing.

The full secret, 120 characters of QR alphanumeric mode (a version 5 code at level M)::

    "ST1" | base32( performance u32 | ticket u32 | version u8 | Ed25519 signature, 64 bytes )

big-endian, Crockford's alphabet, the one spare bit zero. Anyone with the public key checks it.
Exactly one text is valid for a ticket: no lower case, no white space, no other spelling.

The short number, for Code 128 and for reading aloud::

    performance "-" ticket, 6 digits or more "-" base32( 52 bits of HMAC-SHA256 | version u8 )

It needs the private key to check, so it is checked by the house's server only. Typed by
people, it is read tolerantly: case, spaces, the letters O, I and L for digits.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import struct
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32
PREFIX = "ST1"
SECRET_CHARS = 120
MAX_ID = 2**32 - 1
MAX_VERSION = 2**8 - 1
SHORT_MAC_BITS = 52

_IDENTITY = struct.Struct(">IIB")
# Signed and keyed texts begin with these, so that no other use of the key yields a ticket.
_SIGNED_CONTEXT = b"strapontin ticket 1\0"
_SHORT_CONTEXT = b"strapontin short number 1\0"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Read as one number to the base of 32, in the letters that `int` knows: a tenth of the time that
# the standard library's base32 takes, and a door's whole check is little more than its signature.
_TO_DIGITS = bytes.maketrans(_ALPHABET.encode(), b"0123456789ABCDEFGHIJKLMNOPQRSTUV")
_RFC_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_FROM_RFC = str.maketrans(_RFC_ALPHABET, _ALPHABET)
_RAW_BYTES = _IDENTITY.size + 64
# The last letter carries the spare bit: only the even half of the alphabet may stand there.
_SHAPE = re.compile(f"{PREFIX}[{_ALPHABET}]{{{SECRET_CHARS - len(PREFIX) - 1}}}[{_ALPHABET[::2]}]")

_MISREAD = str.maketrans("OIL", "011")
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2014]+")
_SHORT_CODE_CHARS = (SHORT_MAC_BITS + 8) // 5
_SHORT_SHAPE = re.compile(f"([0-9]{{1,10}})-([0-9]{{1,10}})-([{_ALPHABET}]{{{_SHORT_CODE_CHARS}}})")


class ForgedSecret(ValueError):
    """A text that no key of ours made: malformed, altered, or of another organiser."""


class Claim(NamedTuple):
    """What a secret says: ``version`` counts the reissues of the ticket."""

    performance: int
    ticket: int
    version: int


class ShortNumber(NamedTuple):
    """A short number as typed, not yet proven."""

    claim: Claim
    mac: int


def generate_key() -> bytes:
    """A new organiser's key: 32 random bytes, to be kept secret and never lost."""
    return secrets.token_bytes(KEY_BYTES)


def public_key(key: bytes) -> bytes:
    """The 32 public bytes that let a device check tickets without the network.

    Raises:
        ValueError: ``key`` is not 32 bytes long.
    """
    return _private(key).public_key().public_bytes_raw()


def sign(key: bytes, performance: int, ticket: int, version: int) -> str:
    """The full secret of a ticket, the same at every call.

    Raises:
        ValueError: ``key`` is not 32 bytes long, or a number is out of its range.
    """
    identity = _identity(performance, ticket, version)
    return PREFIX + _base32(identity + _private(key).sign(_SIGNED_CONTEXT + identity))


def read_claim(text: str) -> Claim:
    """What a full secret claims, unproven: to find out whose key must prove it.

    Raises:
        ForgedSecret: not the one spelling of any secret.
    """
    return _split(text)[0]


def verify(public: bytes, text: str) -> Claim:
    """The proven claim of a full secret.

    Raises:
        ForgedSecret: malformed, altered, or signed by another key.
        ValueError: ``public`` is not a public key of 32 bytes.
    """
    key = _public(public)
    claim, identity, signature = _split(text)
    try:
        key.verify(signature, _SIGNED_CONTEXT + identity)
    except InvalidSignature:
        raise ForgedSecret("the signature is not the organiser's") from None
    return claim


def short_code(key: bytes, performance: int, ticket: int, version: int) -> str:
    """The short readable number of a ticket, such as "12-000345-X7Q4M29TKB01".

    Raises:
        ValueError: ``key`` is not 32 bytes long, or a number is out of its range.
    """
    code = _short_mac(key, performance, ticket, version) << 8 | version
    letters = (_ALPHABET[code >> shift & 31] for shift in range(5 * _SHORT_CODE_CHARS - 5, -1, -5))
    return f"{performance}-{ticket:06d}-{''.join(letters)}"


def parse_short(text: str) -> ShortNumber:
    """The parts of a short number as people type it, unproven.

    Raises:
        ForgedSecret: not a short number.
    """
    joined = _SEPARATORS.sub("-", text.strip().upper()).translate(_MISREAD)
    # The code may be typed in groups: only the first two separators divide.
    performance, ticket, *groups = joined.split("-") if joined.count("-") >= 2 else ("", "")
    found = _SHORT_SHAPE.fullmatch(f"{performance}-{ticket}-{''.join(groups)}")
    if found is None or int(found[1]) > MAX_ID or int(found[2]) > MAX_ID:
        raise ForgedSecret("not a ticket number such as 12-000345-X7Q4M29TKB01")
    code = 0
    for letter in found[3]:
        code = code << 5 | _ALPHABET.index(letter)
    return ShortNumber(Claim(int(found[1]), int(found[2]), code & MAX_VERSION), code >> 8)


def verify_short(key: bytes, text: str) -> Claim:
    """The proven claim of a short number.

    Raises:
        ForgedSecret: not a short number, or not made with this key.
        ValueError: ``key`` is not 32 bytes long.
    """
    claim, mac = parse_short(text)
    proof = _short_mac(key, *claim)
    if not hmac.compare_digest(mac.to_bytes(8, "big"), proof.to_bytes(8, "big")):
        raise ForgedSecret("the number is not the organiser's")
    return claim


def _identity(performance: int, ticket: int, version: int) -> bytes:
    for name, number, most in (
        ("performance", performance, MAX_ID),
        ("ticket", ticket, MAX_ID),
        ("version", version, MAX_VERSION),
    ):
        if not 0 <= number <= most:
            raise ValueError(f"{name} {number} is not between 0 and {most}")
    return _IDENTITY.pack(performance, ticket, version)


def _split(text: str) -> tuple[Claim, bytes, bytes]:
    if not _SHAPE.fullmatch(text):
        raise ForgedSecret("not the one spelling of a ticket secret")
    digits = text[len(PREFIX) :].encode("ascii").translate(_TO_DIGITS)
    raw = (int(digits, 32) >> 1).to_bytes(_RAW_BYTES, "big")
    identity = raw[: _IDENTITY.size]
    return Claim(*_IDENTITY.unpack(identity)), identity, raw[_IDENTITY.size :]


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").translate(_FROM_RFC)


def _short_mac(key: bytes, performance: int, ticket: int, version: int) -> int:
    identity = _identity(performance, ticket, version)
    digest = hmac.digest(_checked(key), _SHORT_CONTEXT + identity, sha256)
    return int.from_bytes(digest[:8], "big") >> (64 - SHORT_MAC_BITS)


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"an organiser's key has {KEY_BYTES} bytes, not {len(key)}")
    return key


@lru_cache(maxsize=64)
def _private(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_checked(key))


@lru_cache(maxsize=64)
def _public(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_checked(public))
