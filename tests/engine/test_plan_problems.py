"""Every problem of a plan file is reported with its place, and nothing is half-read."""

import copy
import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import limits, plan_draft
from engine.demo_houses import club
from engine.plan import Category, Plan
from engine.plan_check import PlanError, Problems, Severity, json_path
from engine.plan_draft import Draft
from engine.plan_io import check_plan, dump_plan, dump_pretix, load_plan
from renderers.i18n import translator
from renderers.plan_text import problem_line

ROOT = Path(__file__).resolve().parents[2]


def hall():
    """A sound pretix plan of two rows of three."""
    rows = [
        {
            "row_number": label,
            "position": {"x": 0, "y": y},
            "seats": [
                {"seat_guid": f"{label}{n}", "seat_number": str(n), "category": "Stalls",
                 "position": {"x": 25.0 * n, "y": 0.0}} for n in (1, 2, 3)
            ],
        }
        for label, y in (("A", 0), ("B", 30))
    ]  # fmt: skip
    zone = {"name": "Stalls", "zone_id": "st", "position": {"x": 20, "y": 20}, "rows": rows}
    return {
        "name": "Hall",
        "size": {"width": 200, "height": 120},
        "categories": [{"name": "Stalls", "color": "#7f3c8d"}],
        "zones": [zone],
    }


SEAT = "zones[0].rows[0].seats[1]"


def at(raw, path):
    """The container and the last key of a path such as `zones[0].name`."""
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", path)]
    for step in steps[:-1]:
        raw = raw[step]
    return raw, steps[-1]


def put(path, value):
    def change(raw):
        inside, key = at(raw, path)
        inside[key] = value

    return change


def drop(path):
    def change(raw):
        inside, key = at(raw, path)
        del inside[key]

    return change


def found_in(*changes):
    raw = hall()
    for change in changes:
        change(raw)
    plan, problems = check_plan(json.dumps(raw).encode())
    assert plan is None
    return [(problem.code, problem.path) for problem in problems]


def test_the_hall_is_sound():
    assert check_plan(json.dumps(hall()).encode())[1] == ()


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (drop("name"), "missing-key", "$"),
        (drop("size"), "missing-key", "$"),
        (drop("zones"), "missing-key", "$"),
        (drop(f"{SEAT}.seat_guid"), "missing-key", SEAT),
        (drop(f"{SEAT}.position"), "missing-key", SEAT),
        (drop(f"{SEAT}.position.x"), "missing-key", f"{SEAT}.position"),
        (put(f"{SEAT}.seat_number", 7), "bad-type", f"{SEAT}.seat_number"),
        (put(f"{SEAT}.position.x", "7"), "bad-type", f"{SEAT}.position.x"),
        (put(f"{SEAT}.position.x", True), "bad-type", f"{SEAT}.position.x"),
        (put("zones[0].rows", {}), "bad-type", "zones[0].rows"),
        (put("zones[0]", None), "bad-type", "zones[0]"),
        (put(SEAT, "seat"), "bad-type", SEAT),
        (put(f"{SEAT}.position.x", math.nan), "not-finite", f"{SEAT}.position.x"),
        (put(f"{SEAT}.position.y", math.inf), "not-finite", f"{SEAT}.position.y"),
        (put(f"{SEAT}.position.x", 1e9), "out-of-range", f"{SEAT}.position.x"),
        (put(f"{SEAT}.position.x", 10**400), "out-of-range", f"{SEAT}.position.x"),
        (put("size.width", 0), "out-of-range", "size.width"),
        (put(f"{SEAT}.seat_number", " "), "empty-text", f"{SEAT}.seat_number"),
        (put("name", "n" * 201), "long-text", "name"),
        (put("zones[0].name", "a\x00b"), "bad-text", "zones[0].name"),
        (put("categories[0].color", "red()"), "bad-color", "categories[0].color"),
        (put(f"{SEAT}.category", "Circle"), "unknown-category", f"{SEAT}.category"),
        (put(f"{SEAT}.category", ""), "empty-text", f"{SEAT}.category"),
        (put(f"{SEAT}.seat_guid", "B1"), "duplicate-id", "zones[0].rows[1].seats[0]"),
        (put(f"{SEAT}.seat_number", "1"), "duplicate-label", SEAT),
        (put(f"{SEAT}.position.x", 25.0), "same-spot", SEAT),
        (put(f"{SEAT}.position.x", 25.9), "same-spot", SEAT),
        (put(f"{SEAT}.position.x", 181), "outside", SEAT),
        (put(f"{SEAT}.position.y", -21), "outside", SEAT),
        (put("zones[0].rows", []), "empty-plan", "$"),
    ],
)  # fmt: skip
def test_one_problem_is_reported_once_at_its_place(change, code, path):
    assert found_in(change) == [(code, path)]


def test_many_problems_are_all_reported():
    found = found_in(
        put(f"{SEAT}.category", "Circle"),
        put("zones[0].rows[0].seats[2].category", "Circle"),
        put("zones[0].rows[0].seats[2].position.x", 500),
        put("zones[0].rows[1].seats[0].seat_number", 1),
        put("zones[0].rows[1].seats[2].seat_number", "2"),
        put("zones[0].rows[1].seats[2].seat_guid", "A1"),
        put("categories[0].color", "red()"),
    )
    assert sorted(found) == [
        ("bad-color", "categories[0].color"),
        ("bad-type", "zones[0].rows[1].seats[0].seat_number"),
        ("duplicate-id", "zones[0].rows[1].seats[2]"),
        ("duplicate-label", "zones[0].rows[1].seats[2]"),
        ("outside", "zones[0].rows[0].seats[2]"),
        ("unknown-category", f"{SEAT}.category"),
        ("unknown-category", "zones[0].rows[0].seats[2].category"),
    ]


def test_a_second_category_of_one_name():
    second = {"name": "Stalls", "color": "#11a579"}
    change = put("categories", [hall()["categories"][0], second])
    assert found_in(change) == [("duplicate-category", "categories[1].name")]


def test_a_problem_names_the_other_place():
    raw = hall()
    put(f"{SEAT}.position.x", 25.0)(raw)
    _, (problem,) = check_plan(json.dumps(raw).encode())
    assert problem.values["other"] == "zones[0].rows[0].seats[0]"


def own(**changes):
    raw = json.loads(dump_plan(club()))
    for path, value in changes.items():
        put(path.replace("__", "."), value)(raw)
    return json.dumps(raw).encode()


@pytest.mark.parametrize(
    ("path", "value", "code", "place"),
    [
        ("sections[2].areas[0].capacity", 0, "out-of-range", "sections[2].areas[0].capacity"),
        ("sections[2].areas[0].capacity", -5, "out-of-range", "sections[2].areas[0].capacity"),
        ("sections[2].areas[0].capacity", 1.5, "bad-type", "sections[2].areas[0].capacity"),
        ("sections[2].areas[0].polygon", [[0, 0], [9, 9]], "out-of-range",
         "sections[2].areas[0].polygon"),
        ("sections[2].areas[0].polygon", [[0, 0], [9, 9], [9]], "bad-type",
         "sections[2].areas[0].polygon[2]"),
        ("sections[2].areas[0].polygon", [[0, 0], [9, 9], [9, -1]], "outside",
         "sections[2].areas[0]"),
        ("sections[2].id", "salle", "duplicate-id", "sections[2]"),
        ("sections[0].tables[1].id", "salle-1", "duplicate-id", "sections[0].tables[1]"),
        ("sections[0].tables[1].shape", "heart", "unknown-choice", "sections[0].tables[1].shape"),
        ("sections[0].tables[1].whole", "yes", "bad-type", "sections[0].tables[1].whole"),
        ("sections[1].rows[0].seats[0].flags", ["vip"], "unknown-choice",
         "sections[1].rows[0].seats[0].flags"),
        ("shapes[0].role", "moon", "unknown-choice", "shapes[0].role"),
        ("shapes[0].section", "attic", "unknown-section", "shapes[0].section"),
        ("shapes[0].fill", "url(#x)", "bad-color", "shapes[0].fill"),
        ("format", "strapontin-plan/9", "unknown-choice", "format"),
        ("focal.x", None, "missing-key", "focal"),
    ],
)  # fmt: skip
def test_problems_of_the_own_format(path, value, code, place):
    raw = json.loads(dump_plan(club()))
    put(path, value)(raw)
    plan, problems = check_plan(json.dumps(raw).encode())
    assert plan is None
    assert (code, place) in [(problem.code, problem.path) for problem in problems]


def test_an_unknown_key_is_a_warning_and_the_plan_is_read():
    raw = json.loads(dump_plan(club()))
    raw["sections"][0]["colour"] = "red"
    plan, (problem,) = check_plan(json.dumps(raw).encode())
    assert plan == club()
    assert (problem.code, problem.severity, problem.path) == (
        "unknown-key", Severity.WARNING, "sections[0]",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b'{\n "name": "Hall",\n "zones": [', "not-json", 3, 12),
        (b'{"name": }', "not-json", 1, 10),
        (b'{\n"name": "\xff"}', "not-utf8", 2, 10),
        (b"[" * 100_000, "too-deep", 0, 0),
        (b'{"zones": ' + b"9" * 5000 + b"}", "long-number", 0, 0),
        (b"", "unknown-format", 0, 0),
        (b"hello", "unknown-format", 0, 0),
        (b"[]", "bad-type", 0, 0),
        (b"{}", "unknown-format", 0, 0),
        (b"null", "unknown-format", 0, 0),
    ],
)
def test_files_that_are_no_plan(data, code, line, column):
    plan, (problem,) = check_plan(data)
    assert plan is None
    assert (problem.code, problem.line, problem.column) == (code, line, column)


def test_a_file_too_large_is_not_even_read(monkeypatch):
    monkeypatch.setattr("engine.plan_io.MAX_PLAN_BYTES", 50)
    _, (problem,) = check_plan(json.dumps(hall()).encode())
    assert problem.code == "too-large"


def test_a_plan_of_too_many_seats_is_refused(monkeypatch):
    monkeypatch.setattr(plan_draft.limits, "MAX_SEATS_PER_PLAN", 5)
    assert found_in() == [("too-many", "$")]


def test_a_row_of_too_many_seats_is_refused(monkeypatch):
    monkeypatch.setattr(plan_draft.limits, "MAX_SEATS_PER_ROW", 2)
    assert found_in() == [("too-many", "zones[0].rows[0]"), ("too-many", "zones[0].rows[1]")]


def test_the_list_of_problems_is_bounded_and_says_so():
    problems = Problems()
    for number in range(limits.MAX_PLAN_PROBLEMS + 50):
        problems.warning("unknown-key", ("zones", number), key="k")
    found = problems.found()
    assert len(found) == limits.MAX_PLAN_PROBLEMS
    assert found[-1].code == "more"
    assert problems.errors


def test_a_draft_drawn_in_code_is_checked_too():
    draft = Draft(name="x", width=10, height=10, categories=[Category("c", "#000000")])
    with pytest.raises(PlanError, match="empty-plan"):
        draft.finish()


def csv(*lines):
    plan, problems = check_plan("\n".join(lines).encode())
    return plan, [(problem.code, problem.line) for problem in problems]


HEAD = "section,row,seat,x,y,category"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["section,row,seat,x,y", "A,1,1,0,0"], [("missing-column", 1)]),
        (["section,row,seat,x,y,x,category"], [("double-column", 1)]),
        ([HEAD, "A,1,1,0,0,c", "A,1,2,20,0"], [("cell-count", 3)]),
        ([HEAD, "A,1,1,zero,0,c"], [("bad-number", 2)]),
        ([HEAD, "A,1,1,nan,0,c"], [("bad-number", 2)]),
        ([HEAD, "A,1,1,1_0,0,c"], [("bad-number", 2)]),
        ([HEAD, "A,1,1,1e400,0,c"], [("out-of-range", 2)]),
        ([HEAD, "A,1,,0,0,c"], [("empty-cell", 2)]),
        ([HEAD, "A,1,1,0,0,c", "", "A,1,1,20,0,c"], [("duplicate-label", 4)]),
        ([HEAD, "A,1,1,0,0,c", "A,1,2,20,0,c", "B,1,2,20,0,c"], [("same-spot", 4)]),
        ([HEAD, '"A,1,1,0,0,c'], [("cell-count", 2)]),
        ([HEAD], [("empty-plan", 0)]),
        ([HEAD, "A,1,1,zero,0,c", "A,1,2,20,0,c", "A,1,2,40,0,c"],
         [("bad-number", 2), ("duplicate-label", 4)]),
    ],
)  # fmt: skip
def test_problems_of_a_csv_have_their_lines(lines, expected):
    plan, found = csv(*lines)
    assert plan is None
    assert found == expected


def test_every_code_has_its_words_in_both_languages_and_its_line_in_the_docs():
    codes = set()
    for path in (ROOT / "engine").glob("plan_*.py"):
        source = path.read_text(encoding="utf-8")
        calls = r'(?:error|warning|error_at|fail|_fail)\(\s*"([a-z0-9-]+)"'
        codes |= set(re.findall(calls, source))
    codes |= {"more", "missing-column", "double-column"}
    codes |= {f"export-{what}" for what in ("tables", "whole", "areas", "flags", "focal")}
    assert len(codes) > 35
    page = (ROOT / "docs" / "plan-format.md").read_text(encoding="utf-8")
    for code in codes:
        assert f"`{code}`" in page, code
        for lang in ("en", "fr"):
            assert f"plan.problem.{code}" in translator(lang), (lang, code)


def assert_can_be_said(problems):
    for lang in ("en", "fr"):
        for problem in problems:
            line = problem_line(problem, translator(lang))
            assert "{" not in line.replace(str(problem.values.get("found", "")), "")


def test_problems_are_said_with_their_place():
    raw = hall()
    put(f"{SEAT}.category", "Circle")(raw)
    put(f"{SEAT}.position.x", "7")(raw)
    _, problems = check_plan(json.dumps(raw).encode())
    said = {problem_line(problem, translator("en")) for problem in problems}
    assert said >= {
        f"error: {SEAT}.position.x: a number is expected, not a text",
    }


def assert_whole_or_nothing(data):
    """Any bytes give a plan that holds together, or problems that can be said."""
    plan, problems = check_plan(data)
    if plan is None:
        assert any(problem.severity is Severity.ERROR for problem in problems)
        with pytest.raises(PlanError):
            load_plan(data)
        assert_can_be_said(problems)
        return
    assert all(problem.severity is Severity.WARNING for problem in problems)
    assert load_plan(dump_plan(plan)) == plan
    assert sorted(seat for run in plan.runs for seat in run) == list(range(len(plan.seats)))
    dump_pretix(plan)


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(data):
    assert_whole_or_nothing(data)


@given(st.text(alphabet='{}[]":,.0123456789-eE truefalsn\\u', max_size=120))
def test_random_json_like_text_raises_nothing_else(text):
    assert_whole_or_nothing(text.encode())


@given(st.text(alphabet='ab1,;\t\n\r".- 0', max_size=200))
def test_random_csv_raises_nothing_else(text):
    assert_whole_or_nothing((HEAD + "\n" + text).encode())


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("\ud800")
    | st.just(10**400)
    | st.just("Stalls"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["x", "y", "name", "seats", "position"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def places(raw, path=()):
    """Every place in a JSON value."""
    if path:
        yield path
    inner = (
        raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    )
    for key, value in inner:
        yield from places(value, (*path, key))


def small_own():
    raw = json.loads(dump_plan(club()))
    raw["sections"][0]["tables"] = raw["sections"][0]["tables"][:2]
    raw["sections"] = raw["sections"][:3]
    raw["shapes"] = raw["shapes"][:3]
    return raw


@pytest.mark.parametrize("empty", [0, 1])
def test_a_table_without_seats_is_kept(empty):
    raw = small_own()
    raw["sections"][0]["tables"][empty]["seats"] = []
    plan = load_plan(json.dumps(raw).encode())
    assert plan.tables[empty].seats == () and len(plan.tables[1 - empty].seats) > 1
    assert load_plan(dump_plan(plan)) == plan


def drawn_hall():
    raw = hall()
    raw["zones"][0]["areas"] = [
        {"shape": "circle", "circle": {"radius": 9}, "position": {"x": 9, "y": 9},
         "text": {"text": "Bar", "color": "#333333", "size": 9, "position": {"x": 0, "y": 0}}},
        {"shape": "polygon", "position": {"x": 0, "y": 0}, "color": "#eee",
         "polygon": {"points": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]}},
        {"shape": "ellipse", "ellipse": {"radius": {"x": 5, "y": 4}}, "rotation": 30,
         "position": {"x": 90, "y": 80}},
    ]  # fmt: skip
    return raw


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("source", [drawn_hall, small_own])
def test_mutated_plans_raise_nothing_else(source, data):
    raw = copy.deepcopy(source())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(raw))))
        inside = raw
        for step in path[:-1]:
            inside = inside[step]
        if data.draw(st.booleans()):
            inside[path[-1]] = data.draw(junk)
        elif isinstance(inside, list):
            inside.append(copy.deepcopy(inside[path[-1]]))
        else:
            del inside[path[-1]]
    assert_whole_or_nothing(json.dumps(raw).encode())


def test_json_paths():
    assert json_path(("zones", 0, "rows", 12, "seats")) == "zones[0].rows[12].seats"
    assert json_path(()) == "$"


def test_a_plan_is_a_value():
    assert isinstance(club(), Plan)
    with pytest.raises(AttributeError):
        club().name = "other"
