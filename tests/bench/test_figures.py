"""The arithmetic of measurements, and the page that shows it."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest

from bench import cli
from bench.figures import (
    MAX_POINTS,
    QUANTILES,
    Figures,
    Goal,
    Rate,
    coarser,
    commit_ms,
    quantiles_ms,
)
from bench.page import BESIDE, WORDS, colours, page, sign
from renderers.palette import AA_GRAPHICS, AA_TEXT, contrast


def figures() -> Figures:
    found = Figures([Goal("ours_per_s", 100), Goal("late_ms", 5, at_most=True)], 2, 1.0)
    for ours, theirs in ((300.0, 100.0), (100.0, 50.0)):
        answers = [(at / 10, 0.002 * at, 10) for at in range(20)]
        rate = Rate.of(answers, 0.5, 1.5)
        found.add_rate("ours_per_s", Rate(ours, rate.latencies_ms, rate.timeline))
        found.add("theirs_per_s", theirs)
        found.add_ratio("ratio", "ours_per_s", "theirs_per_s")
        found.add_ratio("ratio_vs_missing", "ours_per_s", "missing_per_s")
        found.end_round()
    found.lacks("missing_per_s", "<redis> is not installed")
    return found


def test_what_was_answered_outside_the_measured_time_is_left_out() -> None:
    answers = [(0.99, 9.0, 7), (1.0, 0.010, 2), (1.95, 0.030, 3), (2.0, 9.0, 7)]
    rate = Rate.of(answers, 1.0, 2.0)
    assert rate.per_s == 5
    assert rate.ms(0.5) == rate.ms(1.0) == pytest.approx(30)
    assert rate.timeline == (2, 0, 0, 0, 0, 0, 0, 0, 0, 3)


def test_a_run_without_an_answer_has_no_rate() -> None:
    with pytest.raises(ValueError, match="nothing was answered"):
        Rate.of([(5.0, 0.1, 1)], 1.0, 2.0)


def test_quantiles_of_a_hundred() -> None:
    at = dict(zip(QUANTILES, quantiles_ms(number / 1_000 for number in range(100)), strict=True))
    assert [at[one] for one in (0.5, 0.9, 0.99, 1.0)] == pytest.approx([50, 90, 99, 99])


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("", 10), 10, True),
        (Goal("", 10), 9.9, False),
        (Goal("", 10, at_most=True), 10, True),
        (Goal("", 10, at_most=True), 10.1, False),
    ],
)
def test_a_goal_is_met_from_its_own_side(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def test_the_json_has_medians_at_the_top_and_rounds_below() -> None:
    told = json.loads(json.dumps(figures().as_json()))
    assert told["ours_per_s"] == 200 and told["theirs_per_s"] == 75
    assert told["ratio"] == 2.5 and told["rounds"]["ratio"] == [3, 2]
    assert told["goals"]["ours_per_s"]["met"] is True
    assert told["goals"]["late_ms"]["met"] is False, "what was not measured is not met"
    assert "ratio_vs_missing" not in told
    assert told["missing"] == {"missing_per_s": "<redis> is not installed"}
    assert told["latencies"]["ours_per_s"]["p100_ms"] == pytest.approx(28)
    assert told["machine"]["turn_ns"] > 0
    assert 0 <= told["machine"]["stolen_percent"] <= 100


def test_the_page_needs_nothing_else_and_escapes_what_it_tells() -> None:
    shown = page(figures())
    assert shown.count('class="line ink') == 2, "one line for the latency, one for the time"
    assert "&lt;redis&gt; is not installed" in shown and "<redis>" not in shown
    assert not re.search(r"https?:|src=|<script|@import|nan", shown)
    assert set(re.findall(r"url\((.*?)\)", shown)) == {"#hatch"}


def test_a_goal_that_was_met_is_told_from_one_that_was_not_without_colours() -> None:
    shown = page(figures())
    met, missed = sign(True, "met"), sign(False, "not met")
    assert met in shown and missed in shown, "one goal is met, and one was not measured"
    shape = re.compile(r"<svg.*?</svg>")
    assert shape.findall(met) != shape.findall(missed)
    assert "Goals missed" in shown and "1 of 2 are met" in shown


def test_each_round_is_in_the_strip_of_its_figure() -> None:
    row = next(one for one in page(figures()).split("<tr>") if "<code>ours_per_s" in one)
    assert row.count('<circle class="round"') == 2
    assert row.count('<line class="limit"') == 1, "its goal"
    assert "rounds: 300, 100" in row


def test_peers_stand_beside_ours_with_the_ratio_of_the_rounds() -> None:
    found = Figures([], 2, 1.0)
    for ours, locks in ((300.0, 100.0), (100.0, 50.0)):
        found.add("durable_holds_per_s", ours)
        found.add("postgres_row_lock_per_s", locks)
        found.add_ratio(
            "ratio_vs_postgres_row_lock", "durable_holds_per_s", "postgres_row_lock_per_s"
        )
    found.lacks("redis_lua_per_s", "redis-server is not installed")
    peers = page(found).partition("Beside its peers")[2].partition("</table>")[0]
    assert "ours is 2.5×" in peers, "the median of the ratios and not the ratio of the medians"
    assert peers.count('class="ours"') == 1 and peers.count('class="theirs"') == 1
    assert "redis-server is not installed" in peers


def watched() -> Figures:
    found = Figures([], 2, 1.0, "fanout")
    for first in (1.0, 5.0):
        found.add_rate("ours_per_s", Rate.of([(0.5, 0.002, 10)], 0.0, 1.0))
        lines = {"waiting": [first, None]}
        found.add_series("waiting_during", "commands", 1.0, lines, beside="ours_per_s")
    found.add_series("watchers", "watchers", 4.0, {"connected": [1.0, 2.0], "watching": [0.0, 2.0]})
    found.add_latencies("delivery", tuple(float(at) for at in range(1, 8)))
    return found


def test_what_was_seen_in_a_round_comes_after_what_was_seen_before() -> None:
    told = json.loads(json.dumps(watched().as_json()))
    queue = told["series"]["waiting_during"]
    assert queue["lines"]["waiting"] == {"every_s": 0.5, "values": [1, None, 5, None]}
    assert (queue["beside"], queue["unit"]) == ("ours_per_s", "commands")
    assert told["series"]["watchers"]["lines"]["watching"]["values"] == [0, 2]
    line = told["throughput"]["ours_per_s"]
    assert line["every_s"] == 0.1 and line["values"] == 2 * [*[0] * 5, 100, *[0] * 4]
    assert told["latencies"]["delivery"]["p100_ms"] == 7
    assert told["settings"]["bench"] == "fanout"


def test_the_page_shows_the_queue_beside_its_rate_and_the_watchers_by_themselves() -> None:
    shown = page(watched())
    assert "<h1>bench fanout, measured on this machine</h1>" in shown
    alone, _, panels = shown.partition("Throughput over time")
    captions = re.compile("<figcaption>(.*?)</figcaption>")
    assert captions.findall(alone)[1:] == ["Watchers over time"]
    assert captions.findall(panels) == [
        "ours per s",
        "commands waiting at the gateway, read every 0.25 s",
    ]
    assert "change to watcher: 1–7 ms" in alone


def test_memory_is_shown_as_bars_on_one_scale() -> None:
    found = Figures([], 1, 1.0)
    found.add("hot_mib", 500.0)
    found.add("all_mib", 1_000.0)
    shown, _, rest = page(found).partition("<h2>Memory</h2>")[2].partition("</table>")
    assert "<table" not in rest, "they are told once"
    assert re.findall(r'class="(?:ours|theirs)" y="3" width="(.*?)%"', shown) == ["50.00", "100.00"]


def test_a_line_has_a_most_of_points_and_keeps_its_gaps() -> None:
    assert coarser([1.0, None, 3.0]) == [1.0, None, 3.0]
    long = coarser([*[1.0, 3.0] * MAX_POINTS, *[None] * 20])
    assert len(long) <= MAX_POINTS and long[0] == pytest.approx(5 / 3) and long[-1] is None
    assert coarser([]) == []


def test_a_page_of_nothing_says_so() -> None:
    shown = page(Figures([], 1, 1.0))
    assert "Nothing was measured." in shown and "<figure" not in shown


def test_every_goal_and_every_peer_has_words_and_a_unit() -> None:
    goals = chain(cli.SMOKE, cli.ENGINE, cli.EDGE, cli.FANOUT, cli.DOORS, cli.HOUSES)
    keys = {goal.key for goal in goals} | set(BESIDE)
    for theirs in BESIDE.values():
        keys |= theirs.keys() | set(theirs.values())
    assert keys - WORDS.keys() == set()
    assert [key for key, told in WORDS.items() if not told.unit] == []


@pytest.mark.parametrize(("theme", "part"), [("light", 1), ("dark", 2)])
def test_lines_and_verdicts_stand_out_from_their_ground(theme: str, part: int) -> None:
    block = colours().split(":root{")[part]
    assert f"color-scheme:{theme};" in block
    values = dict(re.findall(r"--([a-z0-9-]+):(#\w+)", block))
    for ink in range(6):
        assert contrast(values[f"ink{ink}"], values["paper"]) >= AA_GRAPHICS
    for name in ("good", "bad"):
        for ground in ("paper", "surface"):
            assert contrast(values[name], values[ground]) >= AA_TEXT, (name, ground)


def test_a_commit_takes_time_and_leaves_its_file(tmp_path: Path) -> None:
    assert commit_ms(tmp_path) > 0
    assert (tmp_path / "commit-time").stat().st_size == 8_192
