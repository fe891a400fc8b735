"""The drawings: scales that fit, zeros that are gaps, names that do not cover each other."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plots import Mark, Plot, Values, bar, from_zero, of_tens, plot, strip


def drawn(lines: dict[str, Values], **more: object) -> ElementTree.Element:
    told = {"title": "Titel & more", "unit": "ms", "steps": "s", "lasts": 10.0} | more
    return ElementTree.fromstring(plot(Plot(lines=lines, **told)))  # type: ignore[arg-type]


def paths(figure: ElementTree.Element) -> list[str]:
    ground = figure.find("div/svg/svg[@viewBox]")
    assert ground is not None
    return [one.get("d", "") for one in ground.iter("path") if "line" in one.get("class", "")]


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (95, (0, 20, 40, 60, 80, 100)),
        (3, (0, 1, 2, 3)),
        (0.4, (0, 0.1, 0.2, 0.3, 0.4)),
        (0, (0, 1)),
        (161_000, (0, 50_000, 100_000, 150_000, 200_000)),
    ],
)
def test_a_scale_from_zero_has_round_ticks(most: float, ticks: tuple[float, ...]) -> None:
    assert from_zero(most).ticks == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([9.1, 224], (5, 10, 20, 50, 100, 200, 500)),
        ([20, 200], (20, 50, 100, 200)),
        ([10], (10, 20)),
        ([0.03, 4_000], (0.01, 0.1, 1, 10, 100, 1_000, 10_000)),
    ],
)
def test_a_scale_of_tens_just_holds_its_values(
    values: list[float], ticks: tuple[float, ...]
) -> None:
    assert of_tens(values, 8).ticks == pytest.approx(ticks)


@given(st.lists(st.floats(1e-3, 1e9), min_size=1))
def test_no_value_is_off_its_scale(values: list[float]) -> None:
    for scale in (of_tens(values), from_zero(max(values))):
        assert all(-1e-6 <= scale.share(value) <= 1 + 1e-6 for value in values)


def test_a_zero_on_a_scale_of_tens_is_a_gap_and_one_from_zero_is_drawn() -> None:
    values = [20.0, 50.0, 0.0, None, 30.0]
    first, alone = paths(drawn({"a": values}, tenfold=True))
    assert first.count("L") == 1 and alone.endswith("h0.01"), "a line of two, and a dot"
    joined, _ = paths(drawn({"a": values}, height=100))
    assert joined.count("L") == 2 and joined.endswith(" 100.0"), "at the bottom"


def test_a_plot_says_its_title_units_and_what_it_shows() -> None:
    figure = drawn({"holds": [1.0, 9.0], "scans": [2.0, 3.0]})
    svg = figure.find("div/svg")
    assert svg is not None and svg.get("role") == "img"
    assert svg.findtext("title") == "Titel & more"
    assert svg.findtext("desc") == "holds: 1–9 ms; scans: 2–3 ms"
    axes = [one.text for one in svg.iter("text") if one.get("class") == "axis"]
    assert axes == ["ms", "s"]


def test_lines_differ_in_more_than_their_colour_and_are_named_as_they_are_drawn() -> None:
    figure = drawn({str(number): [number + 1.0, 2.0] for number in range(6)})
    svg = figure.find("div/svg")
    assert svg is not None
    lines = [one for one in svg.iter("path") if "line" in one.get("class", "")]
    looks = [(one.get("class"), one.get("stroke-dasharray")) for one in lines]
    assert len(set(looks)) == 6, "on the ground and beside its end each line looks the same"
    assert len({dash for _, dash in looks}) == 5
    legend = [one.text or "" for one in figure.findall("ul[@class='legend']/li/svg")]
    assert len(legend) == 6


def test_names_at_the_same_end_are_kept_apart_and_on_the_ground() -> None:
    figure = drawn({name: [9.0, 0.0] for name in "abcde"}, height=160)
    places = sorted(
        float(one.get("y", "")) for one in figure.iter("svg") if one.get("class") == "end"
    )
    assert len(places) == 5 and 0 <= places[0] and places[-1] <= 160
    assert min(b - a for a, b in pairwise(places)) >= 17


def test_long_names_are_below_and_not_beside() -> None:
    figure = drawn({"a" * 40: [1.0], "b": [2.0]})
    assert figure.get("class") == "plot"
    assert [one for one in figure.iter("svg") if one.get("class") == "end"] == []


def test_a_moment_is_where_it_was_and_ends_with_the_plot() -> None:
    figure = drawn({"a": [1.0, 2.0]}, marks=[Mark(4.0, 99.0, "1", "killed: <it>")])
    span = next(figure.iter("rect"))
    assert (span.get("x"), span.get("width")) == ("400.0", "600.0")
    assert "".join(figure.find("ul[@class='key']/li").itertext()) == "1 killed: <it>"  # type: ignore[union-attr]


@pytest.mark.parametrize("lines", [{}, {"a": []}, {"a": [None, None]}])
def test_what_was_not_measured_is_not_drawn(lines: dict[str, Values]) -> None:
    assert plot(Plot(title="", lines=lines, unit="", steps="")) == ""


def widths(svg: str) -> dict[str, float]:
    return {
        name: float(width)
        for name, width in re.findall(r'class="(found|unwanted)"[^>]*? width="([\d.]+)%"', svg)
    }


def test_a_bar_shows_on_which_side_of_its_limit_a_value_is() -> None:
    below, above = bar(50, 100, "", at_least=False), bar(200, 100, "", at_least=False)
    assert widths(below)["found"] == 40 and widths(below)["unwanted"] == 20
    assert widths(above)["found"] == 80 and widths(above)["unwanted"] == 60
    least = widths(bar(0.9, 0.95, "", at_least=True))
    assert least["found"] < least["unwanted"]
    assert widths(bar(0, 0, "", at_least=False)) == {"found": 0, "unwanted": 100}


def test_a_strip_is_drawn_from_zero_whatever_the_rounds() -> None:
    assert strip([0.0], 0.0, None, "").count('class="round"') == 1
    svg = ElementTree.fromstring(strip([10.0, 20.0], 15.0, 40.0, "10, 20"))
    places = [float(one.get("cx", "").rstrip("%")) for one in svg.iter("circle")]
    assert places[1] == pytest.approx(2 * places[0], rel=0.01) and places[1] < 50
