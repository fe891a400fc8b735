"""A packed layout is the layout, or nothing."""

from hashlib import sha256

import msgspec
import pytest

from engine import layout_packed
from engine.demo_houses import club, italian_theatre
from engine.house import House, lay_out
from engine.layout_packed import PACKED_HEAD, RULES, pack_layout, unpack_layout
from engine.plan import Plan
from engine.plan_io import dump_plan
from tests.engine.small import house

SMALL = house(["aabb", "aaaa"], ["bbA"], tables=[(3, True), (2, False)], areas=[(9, "b")])


@pytest.mark.parametrize("plan", [club(), italian_theatre(), SMALL], ids=["club", "theatre", "few"])
def test_a_house_of_a_packed_layout_is_that_of_the_plan(plan: Plan) -> None:
    back = unpack_layout(pack_layout(lay_out(plan)))
    assert back is not None
    one, two = House(plan), House(back)
    for name in [*House.__slots__, "points"]:
        if name != "_points":
            assert getattr(two, name) == getattr(one, name), name
    assert two.outline.sections == plan.sections and not two.outline.seats


def test_what_is_not_packed_by_this_version_is_not_read() -> None:
    packed = pack_layout(lay_out(club()))
    other = PACKED_HEAD[:-1] + bytes([PACKED_HEAD[-1] ^ 1])
    assert unpack_layout(packed.replace(PACKED_HEAD, other)) is None
    assert unpack_layout(dump_plan(club())) is None
    assert unpack_layout(b"") is None


def test_the_head_tells_versions_of_a_layout_apart() -> None:
    older = msgspec.defstruct("Layout", [("runs", bytes)])
    newer = msgspec.defstruct("Layout", [("runs", bytes), ("pieces", bytes, b"")])
    assert layout_packed._look(older) != layout_packed._look(newer)


def test_whoever_lays_houses_out_otherwise_says_so_in_the_head() -> None:
    """When this fails: raise `RULES`, so that houses packed before are laid out again."""
    packed = b"".join([pack_layout(lay_out(plan)) for plan in (club(), italian_theatre(), SMALL)])
    digest = sha256(packed.replace(PACKED_HEAD, b"")).hexdigest()[:16]
    assert (RULES, digest) == (1, "16485f7e2b97694e")
