"""The arithmetic of measurements, and the page that shows it."""

import json
from pathlib import Path

import pytest

from bench.figures import QUANTILES, Figures, Goal, Rate, commit_ms, quantiles_ms
from bench.page import page


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


def test_the_page_needs_nothing_else_and_escapes_what_it_tells() -> None:
    shown = page(figures())
    assert shown.count("<polyline") == 2, "one line for the latency, one for the time"
    assert "&lt;redis&gt; is not installed" in shown and "<redis>" not in shown
    assert "http" not in shown and "src=" not in shown and "nan" not in shown


def test_a_page_of_nothing_says_so() -> None:
    assert page(Figures([], 1, 1.0)).count("Nothing to draw.") == 2


def test_a_commit_takes_time_and_leaves_its_file(tmp_path: Path) -> None:
    assert commit_ms(tmp_path) > 0
    assert (tmp_path / "commit-time").stat().st_size == 8_192
