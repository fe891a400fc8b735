"""The doors' commands against a real gateway."""

import asyncio
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console import doors_cli
from engine.commands import Channel, Checkout, Hold, KeptScan, Line, ScanMode, ScanOutcome, Sell
from engine.settings import Gate
from tests.console.houses import settings
from tests.console.server import CASHIER, House, running_house
from tests.console.waiting import last_json

PERFORMANCE = 1


def run(*arguments: object) -> int:
    code: int = doors_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


def sell(house: House) -> None:
    """Tickets 1 and 2."""
    live = house.fake.performances.live[PERFORMANCE].core
    lines = (Line(0, -1, "full"), Line(1, -1, "full"))
    for command in (
        Hold(b"h" * 16, b"t" * 16, "a", Channel.BOX_OFFICE, (0, 1)),
        Checkout(b"c" * 16, b"t" * 16, "o1", "", lines),
        Sell(b"s" * 16, b"t" * 16, "o1"),
    ):
        live.apply(command, 1_000)
    assert len(live.tickets) == 2


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house served by a loop of its own, as the commands have theirs."""
    ready: list[House] = []
    begun, end = threading.Event(), threading.Event()
    gates = (Gate("main", "Main door", capacity=1), Gate("side", "Side door"))

    async def serve() -> None:
        async with running_house(rules=settings(gates=gates)) as house:
            sell(house)
            ready.append(house)
            begun.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert begun.wait(20)
    monkeypatch.setenv("STRAPONTIN_PASSWORD", ready[0].password)
    yield ready[0]
    end.set()
    thread.join(20)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON of a command; a server in this process writes its log to the same place."""
    return last_json(capsys.readouterr().out)


def test_guests_are_marked_and_counted(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--server", served.url, "--login", CASHIER)
    assert run("mark", PERFORMANCE, 1, *where, "--gate", "main", "--json") == 0
    assert told(capsys) == [{"ticket": 1, "result": "ADMITTED"}]
    assert run("mark", PERFORMANCE, 1, 9, *where) == 1
    shown = capsys.readouterr().out
    for outcome in ("ALREADY_USED", "UNKNOWN"):
        assert doors_cli.t(f"outcome.scan.{outcome}") in shown
    assert run("inside", PERFORMANCE, *where, "--json") == 0
    counted = told(capsys)
    assert counted["total"] == 1 and counted["alarms"] == ["main"]
    assert run("inside", PERFORMANCE, *where) == 0
    shown = capsys.readouterr().out
    assert "Main door" in shown and doors_cli.t("doors.cli.alarm.full") in shown


def test_double_admissions_are_told(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--server", served.url, "--login", CASHIER)
    assert run("conflicts", PERFORMANCE, *where) == 0
    assert doors_cli.t("console.conflicts.none") in capsys.readouterr().out
    live = served.fake.performances.live[PERFORMANCE].core
    for device, at_ms in (("lane 1", 2_000), ("lane 2", 1_000)):
        kept = (PERFORMANCE, 1, 0, ScanMode.ADMIT, 1, at_ms, ScanOutcome.ADMITTED)
        live.apply(KeptScan(device.ljust(16).encode(), "main", device, *kept), 3_000)
    assert run("conflicts", PERFORMANCE, *where, "--json") == 0
    [conflict] = told(capsys)
    assert [(scan["device"], scan["at_ms"], scan["winner"]) for scan in conflict["scans"]] == [
        ("lane 2", 1_000, True),
        ("lane 1", 2_000, False),
    ]
    assert run("conflicts", PERFORMANCE, *where) == 0
    shown = capsys.readouterr().out
    assert "lane 1" in shown and doors_cli.t("console.conflicts.winner") in shown


def test_more_double_admissions_than_one_page_are_all_told(
    served: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.kept.MAX_CONFLICTS", 1)
    live = served.fake.performances.live[PERFORMANCE].core
    for ticket in (1, 2):
        for device in ("lane 1", "lane 2"):
            id = f"{device}{ticket}".ljust(16).encode()
            kept = (PERFORMANCE, ticket, 0, ScanMode.ADMIT, ticket, 1_000, ScanOutcome.ADMITTED)
            live.apply(KeptScan(id, "main", device, *kept), 3_000)
    where = ("--server", served.url, "--login", CASHIER, "--json")
    assert run("conflicts", PERFORMANCE, *where) == 0
    assert [conflict["ticket"] for conflict in told(capsys)] == [1, 2]


def test_the_guest_list_is_written_to_a_file(
    served: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--server", served.url, "--login", CASHIER)
    assert run("guests", PERFORMANCE, *where, "--name", "nobody", "--json") == 0
    assert told(capsys) == []
    for kind, head in (("pdf", b"%PDF"), ("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK")):
        path = tmp_path / f"guests.{kind}"
        assert run("guests", PERFORMANCE, *where, "--format", kind, "--output", path) == 0
        assert path.read_bytes().startswith(head)
    assert zipfile.is_zipfile(tmp_path / "guests.xlsx")
    missing = tmp_path / "no" / "guests.csv"
    assert run("guests", PERFORMANCE, *where, "--output", missing) == 2
    assert str(missing) in capsys.readouterr().err


def test_what_cannot_begin_says_why(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inside", PERFORMANCE, "--server", served.url) == 2
    assert "--login" in capsys.readouterr().err
    assert run("mark", PERFORMANCE) == 2
    assert doors_cli.t("doors.cli.which") in capsys.readouterr().err
    assert run("inside", 77, "--server", served.url, "--login", CASHIER) == 1
    assert doors_cli.t("refusal.performance_unknown") in capsys.readouterr().err
