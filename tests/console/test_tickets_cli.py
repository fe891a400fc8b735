"""The list of places by commands, against a real gateway."""

import csv
import io
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from console import tickets_cli
from engine.commands import Channel
from engine.listing import ListedStatus
from engine.orders import Buyer, LineState, Order, OrderLine, OrderState
from gateway.list_query import FILTERS
from tests.console.server import CASHIER, House
from tests.console.test_doors_cli import served, told
from tests.console.waiting import last_json

__all__ = ("served",)  # a fixture
AT_MS = 1_790_000_000_000
COUNT = 230


def run(*arguments: object) -> int:
    code: int = tickets_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


@pytest.fixture
def where(served: House) -> tuple[str, ...]:
    """Of a house where two people bought many places, the later one without paying."""
    for number, state in ((1001, LineState.SOLD), (1002, LineState.RESERVED)):
        lines = tuple(
            OrderLine(line, 1, line % 9, -1, "full", 2_550, state, ticket=line + number)
            for line in range(1, COUNT // 2 + 1)
        )
        served.fake.desk.orders.by_id[f"{number:032x}"] = Order(
            id=f"{number:032x}",
            number=number,
            state=OrderState.PAID if number == 1001 else OrderState.AWAITING_PAYMENT,
            channel=Channel.WEB,
            currency="EUR",
            total=0,
            created_ms=AT_MS,
            expires_ms=0,
            buyer=Buyer("Ada Lovelace" if number == 1001 else "Grace Hopper"),
            operator="",
            session="",
            holds=(),
            lines=lines,
        )
    return ("--server", served.url, "--login", CASHIER)


def test_the_commands_have_every_filter_of_the_server() -> None:
    assert {field.name for field in fields(tickets_cli.Asked)} == set(FILTERS)


def test_the_list_comes_page_by_page(
    where: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[tuple[int, int]] = []
    next: list[str] = []
    while True:
        assert run("list", *where, "--limit", "100", *next, "--json") == 0
        page = told(capsys)
        found += [(one["order"], one["line"]) for one in page["places"]]
        if not page["next"]:
            break
        next = ["--next", page["next"]]
    assert found == [(order, line) for order in (1002, 1001) for line in range(1, COUNT // 2 + 1)]
    assert run("list", *where, "--limit", "1", "--status", "valid") == 0
    shown = capsys.readouterr().out
    assert "Ada Lovelace" in shown and tickets_cli.t("list.status.valid") in shown
    assert "--next 1001-1" in shown
    assert run("list", *where, "-q", "nobody") == 0
    assert tickets_cli.t("tickets.cli.none") in capsys.readouterr().out


def test_filters_are_sent_as_they_are_typed(
    where: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    half = COUNT // 2
    for arguments, count in {
        ("--performance", "1", "--search", "hopper"): half,
        ("--status", "valid", "--status", "unpaid"): COUNT,
        ("--status", "refunded", "--channel", "phone"): 0,
        ("--price-from", "25,50", "--price-to", "25.50", "--used", "no"): COUNT,
        ("--production", "1", "--ordered-from", "2026-01-01", "--kind", "seat"): COUNT,
        ("--operator", "nobody"): 0,
    }.items():
        assert run("totals", *where, *arguments, "--json") == 0
        assert told(capsys)["places"] == count, arguments


def test_totals_are_told_in_words(
    where: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("totals", *where) == 0
    shown = capsys.readouterr().out
    assert [tickets_cli.t(f"list.total.{name}") in shown for name in ("sold", "inside")] == [
        True
    ] * 2
    assert "230" in shown and "5,865.00" in shown.replace("\u202f", ",")


def test_a_wrong_filter_is_refused_by_its_name(
    where: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("totals", *where, "--ordered-from", "yesterday") == 1
    assert "ordered_from" in capsys.readouterr().err
    assert run("list", *where, "--category", "Gods", "--performance", "1") == 1
    assert "category" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_list_is_written_to_a_file(
    where: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    file = tmp_path / f"list.{kind}"
    file.write_text("of yesterday")
    assert run("export", file, *where, "--search", "ada", "--json") == 0
    captured = capsys.readouterr()
    answer = last_json(captured.out)
    assert answer == {"file": str(file), "places": COUNT // 2, "bytes": file.stat().st_size}
    rows: list[Any] = (
        list(csv.reader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
        if kind == "csv"
        else list(openpyxl.load_workbook(file).worksheets[0].iter_rows(values_only=True))
    )
    assert len(rows) == COUNT // 2 + 1 and str(rows[1][0]) == "1001"
    assert tickets_cli.t("list.column.buyer") in rows[0]
    expected = "115 lines, 100 %" if kind == "csv" else "have come"
    assert expected in captured.err
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_what_cannot_be_written_leaves_what_was_there(
    where: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", tmp_path / "list.pdf", *where) == 2
    assert ".csv" in capsys.readouterr().err
    missing = tmp_path / "no" / "list.csv"
    assert run("export", missing, *where) == 2
    assert str(missing) in capsys.readouterr().err
    file = tmp_path / "list.csv"
    file.write_text("of yesterday")
    assert run("export", file, *where, "--ordered-from", "never") == 1
    assert file.read_text() == "of yesterday"
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_every_status_has_words() -> None:
    assert all(f"list.status.{status}" in tickets_cli.t for status in ListedStatus)
    assert all(f"list.channel.{channel}" in tickets_cli.t for channel in Channel)
