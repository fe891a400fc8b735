"""The mutants themselves: what is done, what is left alone, and that the tests notice."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import MODULES, equivalent, report
from tests.mutation.mutants import Source
from tests.mutation.run import ROOT, Verdict

SMALL = '''
LIMIT = 3


def judge(count: int = 1) -> bool:
    """Not to be touched: 5."""
    assert count != 7
    if count < LIMIT and not count == 0:
        return True
    return False


class Tally:
    @property
    def sum(self) -> int:
        return 1 + 2

    def pairs(self) -> object:
        return zip("a", f"b{self})", strict=True)
'''


def names(tmp_path: Path) -> list[str]:
    path = tmp_path / "small.py"
    path.write_text(SMALL)
    return [mutant.name for mutant in Source(path, "small").mutants]


def test_what_is_done_and_what_is_left_alone(tmp_path: Path) -> None:
    found = names(tmp_path)
    assert "small.judge: count < LIMIT -> count <= LIMIT" in found
    assert "small.judge: count < LIMIT -> count >= LIMIT" in found
    assert (
        "small.judge: count < LIMIT and (not count == 0) -> count < LIMIT or not count == 0"
        in found
    )
    assert "small.judge: not count == 0 -> count == 0" in found
    assert "small.judge: return True -> return None" in found
    assert "small.Tally.sum: 1 + 2 -> 1 - 2" in found
    assert not any("7" in name or "5" in name for name in found)
    assert "small.judge: return False -> return None" not in found
    assert "small.Tally.pairs: True -> False" not in found
    assert "small.Tally.pairs: 'b' -> 'bx'" in found
    assert "small.Tally.pairs: ')' -> ')x'" not in found
    assert len(found) == len(set(found))


def test_a_mutant_takes_the_place_of_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    source = Source(tmp_path / "small.py", "small")
    import small  # type: ignore[import-not-found]

    judge, tally = small.judge, small.Tally()
    assert (judge(3), tally.sum) == (False, 3)
    for mutant in source.mutants:
        if mutant.name.endswith(("count <= LIMIT", "1 - 2")):
            source.apply(mutant)
    # Whoever has imported the function already has the wrong one now.
    assert (judge(3), tally.sum) == (True, -1)


def test_the_list_of_equivalent_mutants_names_mutants_and_reasons() -> None:
    there = set()
    for name in MODULES:
        source = Source(ROOT / "engine" / f"{name}.py", f"engine.{name}")
        there |= {mutant.name for mutant in source.mutants}
    listed = equivalent()
    assert set(listed) <= there
    assert all(len(reason) > 20 for reason in listed.values())


def test_the_report_minds_the_goal_and_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names(tmp_path)
    source = Source(tmp_path / "small.py", "small")
    monkeypatch.setattr("tests.mutation.__main__.ROOT", tmp_path)
    first, *rest = source.mutants
    killed = [Verdict(mutant, source, True) for mutant in rest]
    monkeypatch.setattr("tests.mutation.__main__.equivalent", dict)
    assert report([Verdict(first, source, True), *killed], whole=True) == 0
    assert report([Verdict(first, source, False), *killed[:4]], whole=True) == 1
    assert f"lives  small.py:{first.line}  {first.name}" in capsys.readouterr().out
    # What is no wrong does not count; what a test notices is a wrong.
    monkeypatch.setattr("tests.mutation.__main__.equivalent", lambda: {first.name: "same"})
    assert report([Verdict(first, source, False), *killed[:4]], whole=True) == 0
    assert report([Verdict(first, source, True), *killed], whole=True) == 1
    assert "listed as equivalent, and killed" in capsys.readouterr().out


def test_a_wrong_is_noticed_by_the_tests_of_its_line() -> None:
    """The runner as it is used, on one mutant of one function."""
    name = "keeping.unblock: codes[positions[seat]] == BLOCKED -> codes[positions[seat]] != BLOCKED"
    program = (
        "from tests.mutation.run import ROOT, judge\n"
        f"print(judge([ROOT / 'engine/keeping.py'], {name!r}, 1, ['tests/engine/test_keeping.py']))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "killed=True" in told.stdout
    assert "killed=False" not in told.stdout
