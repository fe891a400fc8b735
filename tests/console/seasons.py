"""The example of docs/season-file.md with its plan, and a house to read it in."""

import re
from pathlib import Path

from console.season.asking import names_of
from console.season.problems import Problems
from console.season.reading import House, Season, parse, plan_sources, read_season
from console.season.terms import PlanNames
from engine.plan import Plan
from engine.plan_io import load_plan

DOCS = Path(__file__).parents[2] / "docs"
HOUSE = House("Europe/Paris", ("fr", "en"))


def fenced(page: str, language: str) -> str:
    """The first example of a page in this language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.S | re.M)
    assert found is not None
    return found[1]


def example() -> str:
    return fenced("season-file.md", "toml")


def example_plan() -> Plan:
    return load_plan(fenced("plan-format.md", "json").encode())


def write_example(folder: Path) -> Path:
    """The season file and its plan, side by side."""
    (folder / "petite-salle.json").write_text(fenced("plan-format.md", "json"))
    file = folder / "season.toml"
    file.write_text(example())
    return file


def read(text: str, house: House = HOUSE, **plans: PlanNames) -> Season:
    """A season file on these plans, or on the example's under any name. Raises SeasonError."""
    top, problems = parse(text.encode()), Problems()
    sources = plan_sources(top, problems)
    known = {name: plans.get(name) or names_of(example_plan()) for name in sources}
    return read_season(top, known, house, problems)
