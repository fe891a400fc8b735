"""A packed plan is the plan, or nothing."""

import msgspec
import pytest

from engine import geometry
from engine.demo_houses import club, italian_theatre
from engine.plan import Plan
from engine.plan_io import dump_plan, load_plan
from engine.plan_packed import PACKED_HEAD, pack_plan, unpack_plan


@pytest.mark.parametrize("plan", [club(), italian_theatre()], ids=["club", "theatre"])
def test_a_packed_plan_comes_back_whole(plan: Plan) -> None:
    back = unpack_plan(pack_plan(plan))
    assert back == plan
    assert back is not None and back.content_hash() == plan.content_hash()
    assert (back.left, back.right, back.runs) == (plan.left, plan.right, plan.runs)
    assert back.pitch == plan.pitch


def test_the_neighbours_of_a_packed_plan_are_not_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = italian_theatre()
    packed = pack_plan(plan)

    def looked_for(*_: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr(geometry, "chains", looked_for)
    monkeypatch.setattr(geometry, "typical_pitch", looked_for)
    back = unpack_plan(packed)
    assert back is not None and back.runs == plan.runs and back.pitch == plan.pitch
    assert load_plan(dump_plan(back)) == plan


def test_what_is_not_packed_by_this_version_is_not_read() -> None:
    packed = pack_plan(club())
    other = PACKED_HEAD[:-1] + bytes([PACKED_HEAD[-1] ^ 1])
    assert unpack_plan(packed.replace(PACKED_HEAD, other)) is None
    assert unpack_plan(dump_plan(club())) is None
    assert unpack_plan(b"") is None


def test_the_head_tells_versions_of_a_plan_apart() -> None:
    from engine import plan_packed

    older = msgspec.defstruct("Seat", [("id", str), ("x", float)])
    newer = msgspec.defstruct("Seat", [("id", str), ("x", float), ("y", float, 0.0)])
    assert plan_packed._look(older) != plan_packed._look(newer)
