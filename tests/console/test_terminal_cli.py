"""The command of card readers over a real gateway."""

import pytest

from console import terminal_cli
from engine.orders import OrderRefused
from engine.payments import CardReader
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told

READERS = [CardReader("tmr_1", "Foyer", "simulated_wisepos_e", True),
           CardReader("tmr_2", "Bar", "bbpos_wisepos_e", False)]  # fmt: skip


def run(*arguments: object) -> int:
    code: int = terminal_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


@pytest.fixture
def readers(served: House, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What the account has; how the commands are told where and who."""
    desk, presented = served.fake.desk, []

    async def known() -> list[CardReader]:
        return READERS

    async def present(reader: str, number: str) -> OrderRefused | None:
        presented.append((reader, number))
        return None if reader == "tmr_1" else OrderRefused("payment_refused", "livemode_mismatch")

    monkeypatch.setattr(desk, "readers", known)
    monkeypatch.setattr(desk, "present", present)
    return ("--server", served.url, "--login", CASHIER)


def test_readers_are_listed_and_bound_to_tills(
    readers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bind", "tmr_1", "Caisse 1", "Caisse 2", *readers) == 0
    assert "Caisse 1, Caisse 2" in capsys.readouterr().out
    assert run("list", *readers) == 0
    shown = capsys.readouterr().out.splitlines()  # the server logs among it
    first, second = [line for line in shown if line.startswith("tmr_")]
    assert "tmr_1" in first and first.endswith("Caisse 1, Caisse 2")
    assert "Bar" in second
    assert run("bind", "tmr_1", "--json", *readers) == 0
    assert told(capsys) == {"id": "tmr_1", "tills": []}
    assert run("list", "--json", *readers) == 0
    assert [one["tills"] for one in told(capsys)] == [[], []]
    assert run("bind", "tmr_9", *readers) == 1
    assert "strapontin terminal list" in capsys.readouterr().err


def test_a_card_is_presented_to_a_simulated_reader_alone(
    readers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("present", "tmr_1", *readers) == 0
    assert "tmr_1" in capsys.readouterr().out
    assert run("present", "tmr_1", "--card", "4000000000009995", "--json", *readers) == 0
    assert told(capsys)["presented"] is True
    assert run("present", "tmr_2", *readers) == 1
    assert "livemode_mismatch" in capsys.readouterr().err
