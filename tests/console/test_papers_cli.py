"""The invoice and settlement commands over a real gateway: on screen, as JSON and in files."""

import asyncio
import csv
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from console import papers_cli
from engine.ledger import Fact, FactKind
from engine.orders import LineState, Order, OrderState
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.engine.test_mails import ORDER
from tests.renderers.paper import letters, squeezed

DAYS = ("--from", "2026-11-20", "--to", "2026-11-20")


def run(command: Any, *arguments: object) -> int:
    code: int = command([str(one) for one in arguments], result_action="return_value")
    return code


def invoice(*arguments: object) -> int:
    return run(papers_cli.invoice, *arguments)


def settlement(*arguments: object) -> int:
    return run(papers_cli.settlement, *arguments)


def a_sold_order(house: House) -> Order:
    lines = tuple(structs.replace(one, state=LineState.SOLD) for one in ORDER.lines)
    order = structs.replace(ORDER, number=0, state=OrderState.PAID, lines=lines)
    (saved,) = asyncio.run(house.fake.desk.orders.save([order]))
    return saved


def test_an_invoice_is_issued_once_and_written(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    order, who = a_sold_order(served), ("--server", served.url, "--login", CASHIER)
    file = tmp_path / "invoice.pdf"
    client = ("--client", "Chaises SA", "--address", "1 rue A", "--address", "75001 Paris")
    assert invoice(order.number, *client, "--output", file, "--language", "fr", *who) == 0
    shown = capsys.readouterr().out
    assert "F2026-000001" in shown and str(file) in shown
    text = letters(file.read_bytes())
    for words in ("Facture F2026-000001", "Chaises SA", "1 rue A", "75001 Paris"):
        assert squeezed(words) in text
    assert invoice(order.number, "--json", *who) == 0
    (row,) = told(capsys)
    assert (row["name"], row["order"]) == ("F2026-000001", order.number)
    assert invoice(order.number, "--paper", "A2026-000009", *who) == 2
    assert "A2026-000009" in capsys.readouterr().err
    assert invoice(order.number, "--output", tmp_path / "no" / "x.pdf", *who) == 2
    assert "x.pdf" in capsys.readouterr().err


def test_what_cannot_be_invoiced_is_said(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    assert invoice(4711, *who) == 2
    assert "4711" in capsys.readouterr().err
    order = structs.replace(ORDER, number=0, state=OrderState.CANCELLED)
    (saved,) = asyncio.run(served.fake.desk.orders.save([order]))
    assert invoice(saved.number, *who) == 1
    assert papers_cli.t("refusal.invoice_not_ready") in capsys.readouterr().err


def test_a_settlement_on_screen_in_files_and_issued(
    served: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    who = ("--server", served.url, "--login", CASHIER)
    ledger = served.fake.ledger
    ledger.add(Fact(FactKind.SALE, 123_456, "CHF", order=1, line=1, performance=1, channel="web",
                    price_type="an uncommonly long name of a price type"))  # fmt: skip
    ledger.add(Fact(FactKind.PAYMENT, 123_456, "CHF", order=1, channel="web", method="cash"))
    assert settlement(*DAYS, *who) == 0
    shown = capsys.readouterr().out.replace("\u00a0", " ")
    assert papers_cli.t("settlement.provisional") in shown and "CHF 1,234.56" in shown
    assert max(map(len, shown.split("\n\n")[2].splitlines())) <= 80
    assert settlement(*DAYS, "--issue", *who) == 1
    assert "strapontin journal close" in capsys.readouterr().err
    asyncio.run(ledger.close(1, early=True))
    assert settlement(*DAYS, "--issue", "--json", *who) == 0
    assert told(capsys)["name"] == "D2026-000001"
    for ending in ("pdf", "csv", "json"):
        file = tmp_path / f"november.{ending}"
        assert settlement(*DAYS, "--output", file, "--language", "fr", *who) == 0
        assert str(file) in capsys.readouterr().out
    assert squeezed("Décompte D2026-000001") in letters((tmp_path / "november.pdf").read_bytes())
    with (tmp_path / "november.csv").open(encoding="utf-8-sig") as opened:
        amounts = {row["kind"]: row["amount"] for row in csv.DictReader(opened)}
    assert amounts == {"sale": "1234.56", "payment": "1234.56"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "yesterday"),
        (("--from", "2026-11-20", "--to", "20.11.2026"), "20.11.2026"),
        ((*DAYS, "--output", "x.doc"), "x.doc"),
        (DAYS, "--login"),
    ],
)
def test_what_is_typed_wrongly_is_named(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settlement("--server", "http://127.0.0.1:9", *arguments) == 2
    assert words in capsys.readouterr().err
