"""docs/rehearsal.md says everything that a scenario may say, and everything that is judged."""

import re
from pathlib import Path

import pytest
from msgspec import Struct

from bench.rehearsal import scenario
from bench.rehearsal.cli import rehearse
from bench.rehearsal.scenario import Victim, shipped

PAGE = (Path(__file__).parents[2] / "docs" / "rehearsal.md").read_text(encoding="utf-8")
TABLES: dict[str, type[Struct]] = {
    "[house]": scenario.House,
    "[room]": scenario.Room,
    "[arrivals]": scenario.Arrivals,
    "[doors]": scenario.Doors,
    "[[kinds]]": scenario.Kind,
    "[[faults]]": scenario.Fault,
    "[thresholds]": scenario.Thresholds,
}


def section(name: str) -> str:
    found = re.search(rf"### `{re.escape(name)}`\n(.*?)(?=\n##|\Z)", PAGE, re.DOTALL)
    assert found, f"no section {name}"
    return found[1]


def documented(text: str) -> set[str]:
    """The keys in the first column of tables."""
    cells = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`([\[\]a-z0-9_]+)`", cell)}


@pytest.mark.parametrize("name", TABLES)
def test_every_key_of_a_table_is_on_the_page_and_no_other(name: str) -> None:
    assert documented(section(name)) == set(TABLES[name].__struct_fields__)


def test_every_key_of_a_scenario_is_on_the_page_and_no_other() -> None:
    top = PAGE.partition("## The format of a scenario")[2].partition("###")[0]
    keys = {key.strip("[]") for key in documented(top)}
    assert keys == set(scenario.Scenario.__struct_fields__)


def test_defaults_are_those_of_the_code() -> None:
    for name, kind in TABLES.items():
        for key, default in zip(
            kind.__struct_fields__[-len(kind.__struct_defaults__) or 99 :],
            kind.__struct_defaults__,
            strict=True,
        ):
            row = re.search(rf"^\| `{key}` \| (.*?) \|", section(name), re.MULTILINE)
            if row is None or name == "[thresholds]":
                continue
            told = row[1].strip('"')
            wanted = (
                {True: "true", False: "false"}.get(default, default)
                if isinstance(default, bool)
                else default
            )
            if isinstance(wanted, tuple):
                wanted = str(list(wanted))
            assert told == (f"{wanted:g}" if isinstance(wanted, float) else str(wanted)), key


def test_every_scenario_victim_and_option_is_on_the_page() -> None:
    for name in shipped():
        assert f"| `{name}` |" in PAGE
    for victim in Victim:
        assert f'"{victim.value}"' in section("[[faults]]")
    options = {"list", "copy", "json", "html"}
    options |= {
        name.replace("_", "-")
        for name in rehearse.__annotations__
        if name not in ("scenario", "copy_to", "return", "json_file", "html_file", "list_them")
    }
    for option in options:
        assert f"`--{option}" in PAGE, option
