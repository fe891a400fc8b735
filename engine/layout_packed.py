"""A laid-out house as processes keep it for each other: read in a hundredth of its plan's time.

Owns the packed form: a mark of what layouts look like in this version of the code, then the
layout in msgpack. Finding out who sits beside whom takes longest, reading the seats comes
next; neither is done again. Packed layouts are a cache: what another version has packed is
not read, and the house is laid out from the plan's file again.
"""

import sys
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from engine.house import Layout
from engine.plan import Area, Category, Plan, Section, Table

_MAGIC: Final = b"strapontin-packed:"
"""No plan file begins so."""

RULES: Final = 1
"""Raised with every change after which some plan is laid out otherwise in columns of one look."""


def _look(kind: type[Struct]) -> str:
    fields = [f"{field.name}:{field.type}" for field in msgspec.structs.fields(kind)]
    return f"{kind.__name__}({', '.join(fields)})"


_LOOKS: Final = "\n".join(
    [
        f"{RULES} {sys.byteorder}",
        *[_look(kind) for kind in (Layout, Plan, Category, Section, Table, Area)],
    ]
)
PACKED_HEAD: Final = _MAGIC + sha256(_LOOKS.encode()).digest()[:16]
"""How a packed layout begins that this version of the code can read."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Layout).decode


def pack_layout(layout: Layout) -> bytes:
    return PACKED_HEAD + _encode(layout)


def unpack_layout(data: bytes) -> Layout | None:
    """The layout of packed bytes; None when they are something else, such as a plan file."""
    if not data.startswith(PACKED_HEAD):
        return None
    return _decode(memoryview(data)[len(PACKED_HEAD) :])
