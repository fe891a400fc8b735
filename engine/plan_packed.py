"""A plan as processes keep it for each other: read back in a fortieth of its file's time.

Owns the packed form: a mark of what plans look like in this version of the code, then the
plan's values in msgpack, and who sits beside whom, which takes longer to find out than all
the rest takes to read. Packed plans are a cache: what another version has packed is not
read, and the plan is taken from its file again.
"""

from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from engine.plan import Area, Category, Neighbours, Plan, Row, Seat, Section, Shape, Table

_MAGIC: Final = b"strapontin-packed:"
"""No plan file begins so."""


def _look(kind: type[Struct]) -> str:
    fields = [f"{field.name}:{field.type}" for field in msgspec.structs.fields(kind)]
    return f"{kind.__name__}({', '.join(fields)})"


_LOOKS: Final = "\n".join(
    [_look(kind) for kind in (Plan, Neighbours, Category, Section, Row, Seat, Table, Area, Shape)]
)
PACKED_HEAD: Final = _MAGIC + sha256(_LOOKS.encode()).digest()[:16]
"""How a packed plan begins that this version of the code can read."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Plan, Neighbours]).decode


def pack_plan(plan: Plan) -> bytes:
    return PACKED_HEAD + _encode((plan, plan.neighbours))


def unpack_plan(data: bytes) -> Plan | None:
    """The plan of packed bytes; None when they are something else, such as a plan file."""
    if not data.startswith(PACKED_HEAD):
        return None
    plan, neighbours = _decode(memoryview(data)[len(PACKED_HEAD) :])
    plan.know(neighbours)
    return plan
