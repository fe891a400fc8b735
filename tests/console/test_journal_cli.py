"""The journal commands over a real gateway: what is wrong is found at home, not by the server."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from console import journal_cli
from engine.ledger import Fact, FactKind
from tests.console.server import CASHIER, House
from tests.console.waiting import last_json

WHO = ("--login", CASHIER)


def run(*arguments: object) -> int:
    code: int = journal_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return last_json(capsys.readouterr().out)


@pytest.fixture
def books(served: House) -> House:
    for amount in (1_000, 2_000, 3_000):
        served.fake.ledger.add(Fact(FactKind.SALE, amount, "CHF", order=1_001, line=1))
    return served


def test_books_are_verified_closed_and_exported(
    books: House, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = ("--server", books.url, *WHO)
    assert run("verify", "--server", books.url) == 2
    assert "--login" in capsys.readouterr().err
    assert run("verify", *where, "--json") == 0
    verdict = told(capsys)
    assert (verdict["records"], verdict["periods"], verdict["found"]) == (3, 0, 0)
    assert run("close", *where) == 0
    assert journal_cli.t("journal.cli.nothing_to_close") in capsys.readouterr().out
    assert run("close", "--early", *where, "--json") == 0
    [closed] = told(capsys)
    assert run("periods", *where) == 0
    listed = capsys.readouterr().out
    assert "2026-11-20" in listed and "60" in listed and "CHF" in listed
    file = tmp_path / "november.ndjson"
    assert run("export", "2026-11-19", file, *where) == 2
    assert "2026-11-19" in capsys.readouterr().err
    assert run("export", "2026-11-20", file, *where) == 0
    assert run("verify", file) == 0
    assert journal_cli.t("journal.verify.sound") in capsys.readouterr().out
    assert run("verify", file, "--key", "00" * 32, "--json") == 1
    assert told(capsys)["findings"][0]["fault"] == "signature"
    assert json.loads(closed["body"])["key"] in listed + json.dumps(closed)
    assert [one.name for one in tmp_path.iterdir()] == ["november.ndjson"]


def test_what_was_changed_is_said_with_its_place(
    books: House, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = books.fake.ledger
    ledger.all[1] = structs.replace(ledger.all[1], amount=7)
    assert run("verify", "--server", books.url, *WHO) == 1
    place = journal_cli.t("journal.place.record", number="2")
    assert f"{place}: {journal_cli.t('journal.fault.changed')}" in capsys.readouterr().err
    books.fake.performances.broken_at = 12
    books.fake.performances.live[1].seq = 12
    assert run("verify", "--server", books.url, *WHO, "--json") == 1
    findings = told(capsys)["findings"]
    assert [(one["place"], one["number"]) for one in findings] == [("record", 2), ("journal", 12)]


def test_an_unreadable_file_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("verify", tmp_path / "none") == 2
    assert "none" in capsys.readouterr().err
    junk = tmp_path / "junk"
    junk.write_bytes(b"\x00" * 100)
    assert run("verify", junk) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
