"""The dashboard and the alerts ask for what a gateway tells, and the pages name all of it.

There is no Prometheus here: expressions are read with a small scanner, which knows as much of
PromQL as they use and complains of what it does not know. What they may name is read off the
exposition of a gateway that has served a bit of everything.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.actors.houses import settings, small_plan
from tests.gateway.client import new_id
from tests.gateway.conftest import Running, Start

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "dashboards" / "strapontin.json").read_text())
ALERTS = yaml.safe_load((DOCS / "dashboards" / "alerts.yml").read_text())
ROWS = [
    "Sales and refusals",
    "Latency",
    "Waiting room",
    "Seat feeds",
    "Doors",
    "Engine",
    "Processes",
]
OF_PROMETHEUS = {"up": {"job": {"strapontin"}, "instance": set[str]()}}
"""Series that Prometheus makes itself of every target."""

# PromQL, as far as it is used ------------------------------------------------------------

FUNCTIONS = {
    *("sum", "max", "min", "count", "topk"),
    *("rate", "increase", "histogram_quantile", "vector"),
}
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OPERATORS = {"and", "or", "unless", "bool"}
TOKEN = re.compile(
    r"""
    "(?:[^"\\]|\\.)*" | \[[^\]]+\] | [A-Za-z_:][\w:]* | \d[\w.]*
    | =~ | !~ | != | == | >= | <= | [-+*/<>={}(),]
    """,
    re.VERBOSE,
)
RANGE = re.compile(r"\[(\d+[smhd]|\$__rate_interval)\]")


class Series(NamedTuple):
    name: str
    matchers: list[tuple[str, str, str]]  # (label, operator, value)
    range: str


class Query(NamedTuple):
    series: list[Series]
    grouped: set[str]


def read(expression: str) -> Query:
    """Raises ValueError for what is not known here."""
    tokens = [match for match in TOKEN.findall(expression) if match.strip()]
    if "".join(tokens) != re.sub(r"\s+(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", "", expression):
        raise ValueError(f"not read: {expression}")
    if tokens.count("(") != tokens.count(")"):
        raise ValueError(f"parentheses: {expression}")
    query = Query([], set())
    place = 0
    while place < len(tokens):
        token, following = tokens[place], tokens[place + 1 : place + 2]
        place += 1
        if not re.match(r"[A-Za-z_]", token) or token in OPERATORS:
            continue
        if token in GROUPING:
            end = tokens.index(")", place)
            query.grouped.update(set(tokens[place + 1 : end]) - {","})
            place = end + 1
        elif following == ["("] and token not in FUNCTIONS:
            raise ValueError(f"no function {token}()")
        elif token not in FUNCTIONS:
            matchers: list[tuple[str, str, str]] = []
            if following == ["{"]:
                end = tokens.index("}", place)
                inside = [one for one in tokens[place + 1 : end] if one != ","]
                matchers = [
                    (label, how, json.loads(value))
                    for label, how, value in zip(*(iter(inside),) * 3, strict=True)
                ]
                place = end + 1
            window = tokens[place] if tokens[place : place + 1] and tokens[place][0] == "[" else ""
            query.series.append(Series(token, matchers, window))
    return query


Exposed = dict[str, dict[str, set[str]]]
"""Name of a sample -> label -> its values."""


def problems(expression: str, exposed: Exposed) -> list[str]:
    """What of an expression no gateway tells."""
    try:
        query = read(expression)
    except ValueError as error:
        return [str(error)]
    found = []
    labels: set[str] = set()
    for series in query.series:
        known = exposed.get(series.name)
        if known is None:
            found.append(f"no metric {series.name}")
            continue
        labels |= set(known)
        found += [
            problem
            for label, how, value in series.matchers
            if (problem := _mismatch(series.name, known, label, how, value))
        ]
        counts = series.name.endswith(("_bucket", "_sum", "_count"))
        if counts and not series.range:
            found.append(f"{series.name} without a range")
        if series.range and not RANGE.fullmatch(series.range):
            found.append(f"the range {series.range}")
        if series.range and not counts and not series.name.endswith("_total"):
            found.append(f"{series.name} is no counter")
    return found + [f"no label {label}" for label in query.grouped - labels]


def _mismatch(
    name: str, known: dict[str, set[str]], label: str, how: str, value: str
) -> str | None:
    if label not in known:
        return f"no label {label} of {name}"
    if "$" in value:
        return None  # one of the dashboard's variables: any value
    wanted = value.split("|") if how in ("=~", "!~") else [re.escape(value)]
    for one in wanted:
        if not any(re.fullmatch(one, told) for told in known[label]):
            return f"no {label} {one} of {name}"
    return None


# What a gateway tells -----------------------------------------------------------------------


@pytest.fixture
async def served(start: Start) -> Running:
    """A gateway that has served a bit of everything, some of it badly."""
    gateway = await start(retry_for_s=0.0)
    fake = gateway.fake
    performance = fake.add_performance(small_plan(), settings())
    await gateway.json(
        "POST",
        f"/api/performances/{performance}/queue",
        {"opens_ms": 0, "on_sale_ms": 4_000_000_000_000},
        token=await fake.operator_token("ada", "admin"),
        expect=201,
    )
    on_sale = fake.add_performance(small_plan(), settings())
    buyer = await gateway.socket()
    await buyer.send("watch", on_sale, 0, 0)
    await buyer.next("snapshot")
    await buyer.hold(on_sale, 1, 2)
    await buyer.hold(on_sale, 1, 2)
    await buyer.ask("best", on_sale, new_id(), 2)
    await buyer.send("nonsense")
    await buyer.next("error")
    await gateway.json("POST", "/api/orders", {}, expect=401)
    scanner = await gateway.socket(await fake.device_token("door 1"))
    assert (await scanner.ask("scan", on_sale, "forged"))[1] == "UNKNOWN"
    for _ in range(150):  # more than a buyer may
        await buyer.send("basket", new_id(), on_sale, new_id())
    assert (await buyer.next("shed"))[2] == "rate"
    fake.performances.down = True
    other = await gateway.socket()
    await other.send("hold", new_id(), on_sale, new_id(), [9])
    assert (await other.next("shed"))[2] == "unavailable"
    fake.performances.down = False
    stranger = await gateway.bare_socket()
    await stranger.send("hello", "nobody", "en")
    await stranger.closed()
    return gateway


async def told_by(gateway: Running) -> Exposed:
    async with gateway.http.get("/metrics") as response:
        text = await response.text()
    exposed: Exposed = {name: dict(labels) for name, labels in OF_PROMETHEUS.items()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = exposed.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return exposed


# The dashboard ---------------------------------------------------------------------------------


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


async def test_every_panel_asks_for_what_a_gateway_tells(served: Running) -> None:
    exposed = await told_by(served)
    found = {
        f"{panel['title']}: {target['expr']}": wrong
        for panel in panels()
        for target in panel["targets"]
        if (wrong := problems(target["expr"], exposed))
    }
    assert not found


async def test_the_choice_of_performances_is_a_label_that_is_told(served: Running) -> None:
    exposed = await told_by(served)
    (variable,) = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    wanted = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert wanted is not None
    assert wanted[2] in exposed[wanted[1]]


async def test_every_alert_asks_for_what_a_gateway_tells(served: Running) -> None:
    exposed = await told_by(served)
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 5
    for rule in rules:
        assert problems(rule["expr"], exposed) == [], rule["alert"]
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert named <= read(rule["expr"]).grouped | {"instance"}, rule["alert"]


WRONG = {
    "sum(strapontin_tickets)": "no metric strapontin_tickets",
    "rate(strapontin_commands[1m])": "no metric strapontin_commands",
    "strapontin_command_seconds": "no metric strapontin_command_seconds",
    "strapontin_command_seconds_sum": "strapontin_command_seconds_sum without a range",
    "rate(strapontin_sockets[1m])": "strapontin_sockets is no counter",
    "rate(strapontin_commands_total[1x])": "the range [1x]",
    'strapontin_seats{state="sold"}': "no label state of strapontin_seats",
    'strapontin_seats{status="gone"}': "no status gone of strapontin_seats",
    'strapontin_seats{status!="gone"}': "no status gone of strapontin_seats",
    'strapontin_seats{status=~"sold|gone"}': "no status gone of strapontin_seats",
    "sum by (colour) (strapontin_seats)": "no label colour",
    "sum by (le) (rate(strapontin_commands_total[1m]))": "no label le",
    "average(strapontin_seats)": "no function average()",
    "sum(strapontin_seats": "parentheses: sum(strapontin_seats",
    "strapontin_seats % 2": "not read: strapontin_seats % 2",
}
"""What is found wrong with each."""


async def test_what_is_not_told_is_found(served: Running) -> None:
    exposed = await told_by(served)
    assert {expression: problems(expression, exposed) for expression in WRONG} == {
        expression: [why] for expression, why in WRONG.items()
    }


def test_legends_show_labels_that_their_series_have() -> None:
    for panel in panels():
        for target in panel["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert shown <= read(target["expr"]).grouped, panel["title"]


def test_panels_have_their_rows_and_their_places() -> None:
    every = DASHBOARD["panels"]
    assert [panel["title"] for panel in every if panel["type"] == "row"] == ROWS
    assert len({panel["id"] for panel in every}) == len(every)
    taken: dict[tuple[int, int], str] = {}
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]


# The page --------------------------------------------------------------------------------------


async def test_the_page_names_every_metric_with_its_labels(served: Running) -> None:
    async with served.http.get("/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    told = {}
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert family.samples, f"{family.name} was not served: its labels are not known"
        name = f"{family.name}_total" if family.type == "counter" else family.name
        told[name] = labels
    page = (DOCS / "operations.md").read_text()
    rows = re.findall(r"^\| `(strapontin_\w+)` \|([^|]*)\|", page, re.MULTILINE)
    written = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(rows) == len(written)
    assert written == told
