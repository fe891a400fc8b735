"""Every decoder with what is right, what is nearly right, and what is nothing at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import run, targets
from tests.fuzz.mutate import Mutator
from tests.fuzz.run import Broken, feed, fuzz
from tests.fuzz.seeds import FOLDER, right, seeds
from tests.fuzz.targets import TARGETS, Target

INPUTS = 250


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_of_a_decoder_are_taken(name: str) -> None:
    """The right ones are: nonsense made of nonsense would never get past the first byte."""
    kept = seeds(name)
    for data in kept:
        feed(name, data)
    made = right()[name]
    assert made and all(not feed(name, data).startswith("!") for data in made), name


def test_every_target_has_a_file_of_seeds_and_every_file_a_target() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs_break_nothing(name: str) -> None:
    fed = fuzz(name, 1, lambda done: done < INPUTS)
    assert fed.inputs == INPUTS and len(fed.words) > 1, "all of them did the same"


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_break_nothing(name: str, data: st.DataObject) -> None:
    kept = seeds(name)
    whole = data.draw(st.sampled_from(kept) | st.binary(max_size=300))
    at = data.draw(st.integers(0, len(whole)))
    feed(name, whole[:at] + data.draw(st.binary(max_size=20)) + whole[at:])


def test_a_decoder_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: one that trips over a byte in the middle of a seed."""

    def trips(data: bytes) -> str:
        if data[1:2] == b"\x01":
            raise KeyError("tripped")
        return "fine"

    monkeypatch.setitem(targets.TARGETS, "hello", Target(trips))
    with pytest.raises(Broken, match="tripped"):
        fuzz("hello", 1, lambda done: done < 100_000)


def test_one_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SLOW_S", 0.0)
    with pytest.raises(Broken, match="took"):
        feed("hello", seeds("hello")[0])


def test_one_seed_makes_one_sequence() -> None:
    one, other = (Mutator(7, [b"abc", b"\x93\x01\x02\x03"]) for _ in range(2))
    assert [one.damaged() for _ in range(200)] == [other.damaged() for _ in range(200)]
