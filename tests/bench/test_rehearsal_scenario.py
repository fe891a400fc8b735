"""Scenarios: those that are shipped are played as they are, and a wrong one says where and why."""

from pathlib import Path

import pytest

from bench.rehearsal.scenario import (
    SHIPPED,
    House,
    Scenario,
    ScenarioError,
    Shape,
    Victim,
    Wants,
    find,
    load,
    parse,
    shipped,
)

GOOD = 'title.en = "x"\n[[kinds]]\nname = "buyer"\n'
ROOT = Path(__file__).parents[2]


def test_the_scenarios_of_the_manual_are_there() -> None:
    assert set(shipped()) == {"spike", "herd", "storm", "bots", "ordinary", "doors", "crash"}


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_can_be_played_and_judges_something(name: str) -> None:
    scenario = load(find(name))
    assert {"en", "fr"} <= scenario.title.keys()
    limits = [getattr(scenario.thresholds, key) for key in scenario.thresholds.__struct_fields__]
    assert any(limit is not None for limit in limits)


def test_twenty_doomed_requests_for_each_honest_buyer() -> None:
    kinds = {kind.honest: kind for kind in load(find("bots")).kinds}
    program, buyer = kinds[False], kinds[True]
    assert program.wants is Wants.SOLD
    assert program.share * program.asks == 20 * buyer.share


def test_an_arena_enters_in_forty_minutes_and_the_factor_follows_the_length() -> None:
    doors = load(find("doors"))
    assert doors.lasts_s == 40 * 60 and doors.factor == doors.lasts_s / doors.seconds
    assert load(find("spike")).factor == 1


def test_the_crash_kills_what_the_manual_says() -> None:
    killed = {fault.kill for fault in load(find("crash")).faults}
    assert killed >= {Victim.PERFORMANCE, Victim.JOURNAL, Victim.DESK, Victim.GATEWAY}
    assert Victim.DATABASE in killed


def test_what_is_left_out_has_a_default() -> None:
    scenario = parse(GOOD, "mine")
    assert scenario.house == House() and scenario.kinds[0].share == 1
    assert scenario.arrivals.shape is Shape.BURST


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 3", ["mine:1: title", "object", "not int"]),
        (GOOD + "shares = 0.5\n", ["mine:4: shares", "did you mean share?"]),
        (GOOD + "zzz = 0.5\n", ["mine:4: zzz", "there are name, share"]),
        (GOOD + "share = 2\n", ["mine:4: share", "at most 1.0"]),
        ("seeds = 1\n" + GOOD, ["mine:1: seeds", "did you mean seed?"]),
        (GOOD + "[house]\nhold = 3\n", ["mine:5: hold", "did you mean hold_s?"]),
        (GOOD + '[[kinds]]\nname = "b"\nshare = 0.5\n', ["kinds", "add up to 1.5"]),
        (GOOD + 'wants = "chairs"\n', ["mine:4: wants", "'chairs'", "seats, best, sold, enter"]),
        (GOOD + '[[kinds]]\nname = "b"\nwants = "x"\n', ["mine:6: wants"]),
        (GOOD + "think_s = [3, 1]\n", ["mine:4: think_s", "shortest comes first"]),
        (GOOD + '[[faults]]\nat = 1\nkill = "me"\n', ["mine:6: kill", "performance, journal"]),
        (GOOD + '[[faults]]\nkill = "desk"\n', ["mine:4: at", "missing"]),
        (GOOD + "[thresholds]\nhold_p99_ms = -1\n", ["mine:5: hold_p99_ms", "at least 0"]),
        (GOOD + "[house]\nhold_cap_s = 2\n", ["mine:5: hold_cap_s", "hold_s"]),
        (GOOD + 'wants = "sold"\n', ["mine:4: wants", "[house] sold"]),
        ('title.fr = "x"\n[[kinds]]\nname = "b"\n', ["title", "English"]),
        ('title.en = "x"\n', ["kinds", "missing"]),
        (GOOD + "x = [", ["not TOML"]),
        (GOOD + '[[kinds]]\nname = "buyer"\nshare = 0.5', ["kinds"]),
    ],
)
def test_a_wrong_scenario_names_the_line_the_key_and_the_way_out(
    text: str, words: list[str]
) -> None:
    with pytest.raises(ScenarioError) as error:
        parse(text, "mine")
    assert [word for word in words if word not in str(error.value)] == []


def test_a_name_that_is_none_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="bots, crash, doors"):
        find(str(tmp_path / "none.toml"))
    (tmp_path / "mine.toml").write_text(GOOD)
    assert isinstance(load(find(str(tmp_path / "mine.toml"))), Scenario)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / "mine.toml")


def test_scenarios_travel_with_the_package() -> None:
    """The wheel takes whole packages, data files included."""
    assert SHIPPED.is_relative_to(ROOT / "bench")
    assert '"bench"' in (ROOT / "pyproject.toml").read_text()
