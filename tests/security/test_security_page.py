"""docs/security.md: every threat has a defence and a test, and every test is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.security.guards import GUARDS, NOT_HERE, Guard

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_TABLE = "| threat | defence | test |\n| --- | --- | --- |\n"


def threats() -> list[list[str]]:
    """The cells of every line of the threat model."""
    tables = [part.split("\n\n", 1)[0] for part in PAGE.split(_TABLE)[1:]]
    rows = [row for table in tables for row in table.splitlines()]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def names_in(path: Path) -> set[str]:
    """Test functions of a file, those of classes too."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_there_are_threats() -> None:
    assert len(threats()) > 50
    assert len({row[0] for row in threats()}) == len(threats()), "a threat is named once"


@pytest.mark.parametrize("row", threats(), ids=lambda row: row[0])
def test_a_line_has_a_defence_and_a_test_that_exists(row: list[str]) -> None:
    threat, defence, test = row
    assert threat and defence
    named = _TEST.fullmatch(test)
    assert named is not None, test
    path = ROOT / named[1]
    assert path.is_file() and named[2] in names_in(path), test


def test_every_test_of_security_stands_for_a_line() -> None:
    """A test that nobody finds from the page guards something that nobody knows of."""
    on_the_page = {Path(path).name for path, _ in _TEST.findall(PAGE)}
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    assert files - on_the_page <= {"test_security_page.py", "test_documents.py"}


def test_the_commands_on_the_page_can_be_run() -> None:
    for module in re.findall(r"`(?:\w+=\d+ )?python -m ([\w.]+)", PAGE):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_every_line_has_a_guard_that_can_be_switched_off() -> None:
    """`python -m tests.security.guards` shows that the tests would notice."""
    named = {row[2].strip("`") for row in threats()}
    assert {guard.test for guard in GUARDS} | NOT_HERE.keys() == named
    assert not {guard.test for guard in GUARDS} & NOT_HERE.keys()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.test.rpartition("::")[2])
def test_what_a_guard_replaces_is_there_once(guard: Guard) -> None:
    assert (ROOT / guard.file).read_text(encoding="utf-8").count(guard.stands) == 1
