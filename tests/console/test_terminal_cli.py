"""The command of card readers over a real gateway."""

import asyncio

import pytest
from msgspec.structs import replace

from console import terminal_cli
from engine.orders import Order, OrderRefused
from engine.payments import CardReader, Payment, start_terminal
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.persistence.test_orders import new_order

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


class Desk:
    """A client whose order is paid when it is asked for the third time."""

    def __init__(self) -> None:
        payment = start_terminal("a-1", "a", 1, 5_000, "CHF", 1, "tmr_1")
        assert isinstance(payment, Payment)
        self.waits = replace(new_order(1, 1), payments=(payment,))
        self.asked: list[tuple[object, ...]] = []
        self.was_asked = asyncio.Event()
        self.stopped: list[tuple[str, str]] = []

    async def pay(self, *asked: object) -> Order:
        self.asked.append(asked)
        self.was_asked.set()
        paid = tuple(replace(one, captured=5_000) for one in self.waits.payments)
        return self.waits if len(self.asked) < 3 else replace(self.waits, payments=paid)

    async def stop_payment(self, order: str, attempt: str) -> Order:
        self.stopped.append((order, attempt))
        return self.waits


async def test_a_card_is_waited_for_under_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_cli, "ASK_S", 0)
    desk = Desk()
    order = await terminal_cli.read_card(desk, desk.waits, "tmr_1", "one", 0)  # type: ignore[arg-type]
    assert order.payments[0].captured
    assert set(desk.asked) == {(order.id, "stripe_terminal", "one", None, "tmr_1", 0)}
    assert (len(desk.asked), desk.stopped) == (3, [])


async def test_whoever_interrupts_the_command_clears_the_reader() -> None:
    desk = Desk()
    reading = asyncio.create_task(
        terminal_cli.read_card(desk, desk.waits, "tmr_1", "one", 0)  # type: ignore[arg-type]
    )
    await desk.was_asked.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert desk.stopped == [(desk.waits.id, "one")]


def test_a_card_is_presented_to_a_simulated_reader_alone(
    readers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("present", "tmr_1", *readers) == 0
    assert "tmr_1" in capsys.readouterr().out
    assert run("present", "tmr_1", "--card", "4000000000009995", "--json", *readers) == 0
    assert told(capsys)["presented"] is True
    assert run("present", "tmr_2", *readers) == 1
    assert "livemode_mismatch" in capsys.readouterr().err
