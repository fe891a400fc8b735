"""`strapontin performance cancel` over a real gateway, with whoever does the work beside it."""

import io
import signal
from typing import Any

import pytest

from console import performance_cli
from engine.actors.canceller import Canceller
from engine.cancellation import Cancellation, CancelledOrder, Preview, Progress
from engine.commands import Channel, Line
from engine.orders import Buyer, OrderHold, PlaceOrder
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told
from tests.fakes.backend import FakeBackend
from tests.gateway.client import new_id

t = performance_cli.t


def run(*arguments: object) -> int:
    code: int = performance_cli.app([str(one) for one in arguments], result_action="return_value")
    return code


@pytest.fixture
def working(served: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house with an order paid by card and one in cash, whose canceller works once asked."""
    monkeypatch.setattr(performance_cli, "LOOK_S", 0.02)
    fake, book = served.fake, served.fake.cancellations
    begin, page = book.begin, book.page
    at_it: list[Canceller] = []

    async def work(*asked: Any) -> None:
        await begin(*asked)
        if not at_it:
            at_it.append(fake.canceller())

    async def sold_before(*asked: Any) -> Any:
        # In the server's own loop, as all of it.
        if not fake.desk.orders.by_id:
            await buy(fake, 0, Channel.WEB, "test_card", Buyer("Ada", "ada@house.example", "fr"))
            await buy(fake, 2, Channel.BOX_OFFICE, "cash", Buyer("Bob"))
        return await page(*asked)

    monkeypatch.setattr(book, "begin", work)
    monkeypatch.setattr(book, "page", sold_before)
    return served


async def buy(fake: FakeBackend, seat: int, channel: Channel, method: str, buyer: Buyer) -> None:
    from engine.commands import Held, Hold

    token = new_id()
    held = await fake.performances.ask(1, Hold(new_id(), token, "x", channel, (seat, seat + 1)))
    assert isinstance(held, Held), held
    settings = fake.performances.live[1].core.settings
    kind = settings.price_types[0].id
    lines = tuple(Line(one, -1, kind) for one in (seat, seat + 1))
    by = "" if channel is Channel.WEB else "ada"
    wanted = PlaceOrder(
        new_id().hex(), (OrderHold(1, token.hex(), lines),), channel, "s", by, buyer
    )
    order: Any = await fake.desk.place(wanted)
    given = order.total if method == "cash" else 0
    assert isinstance(await fake.desk.pay(order.id, method, "1", given, "", "ada"), tuple)


def test_what_it_costs_is_shown_and_nothing_is_done(
    working: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    who = ("--server", working.url, "--login", CASHIER)
    assert run("cancel", 1, "--dry-run", *who) == 0
    shown = capsys.readouterr().out
    assert "Cyrano" in shown and t("receipt.method.test_card") in shown
    assert t("cancel.why.by_hand") in shown
    assert run("cancel", 1, "--json", *who) == 0
    seen = told(capsys)
    assert seen["cancellation"] is None and seen["preview"]["orders"] == 2
    assert run("cancel", 1, *who) == 2, "there is nobody to ask"
    assert t("cancel.cli.not_asked") in capsys.readouterr().err
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert run("cancel", 1, *who) == 3
    assert working.fake.cancellations.asked == {}
    assert run("cancel", 99, *who) == 1


def test_it_is_agreed_to_followed_and_looked_at_again(
    working: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    who = ("--server", working.url, "--login", CASHIER)
    terminal = io.StringIO(t("cancel.cli.yes_words").split()[0] + "\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert run("cancel", 1, "--reason", "ill", *who) == 0
    shown = capsys.readouterr().out
    assert t("cancel.why.by_hand") in shown and t("cancel.cli.not_told") in shown and "Bob" in shown
    assert run("cancel", 1, "--json", *who) == 0
    seen = told(capsys)
    assert seen["cancellation"]["orders"] == {"todo": 0, "waiting": 0, "done": 1, "left": 1}
    assert seen["cancellation"]["reason"] == "ill" and seen["preview"] is None
    [left] = seen["orders"]
    assert (left["why"], left["told"], left["buyer"]) == ("by_hand", False, "Bob")
    assert run("cancel", 1, "--yes", "--json", *who) == 0, "what is left is tried again"
    assert told(capsys)["cancellation"]["ended_ms"]


def test_who_interrupts_it_is_told_that_it_goes_on(
    working: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = working.fake.cancellations

    async def nobody_works(performance: int, operator: str, reason: str) -> None:
        await type(book).begin(book, performance, operator, reason)

    monkeypatch.setattr(book, "begin", nobody_works)
    interrupt = lambda *_: signal.raise_signal(signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(performance_cli._Cancelling, "_progress", interrupt)
    who = ("--server", working.url, "--login", CASHIER)
    # In the background of a shell an interrupt is ignored, and so it is in what runs these tests.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run("cancel", 1, "--yes", *who)
    finally:
        signal.signal(signal.SIGINT, before)
    assert t("cancel.cli.goes_on", number=1) in capsys.readouterr().err
    assert not book.asked[1].ended_ms


def test_the_bar_is_for_who_looks_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    view = performance_cli._Cancelling(None, 1, False)  # type: ignore[arg-type]
    counts = {"todo": 6, "waiting": 1, "done": 2, "left": 1}
    view._progress(Cancellation(1, "ada", "", 1, 0, counts, 0, 0))
    assert capsys.readouterr().err == "", "a program that reads it sees none"
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    view._progress(Cancellation(1, "ada", "", 1, 0, counts, 0, 0))
    said = terminal.getvalue()
    assert said.count("█") == performance_cli.BAR * 3 // 10
    assert said.count("█") + said.count("░") == performance_cli.BAR
    assert t("cancel.cli.progress", done=3, total=10) in said
    view._progress(Cancellation(1, "ada", "", 1, 2, {**counts, "todo": 0}, 0, 0))
    view._progress(Cancellation(1, "ada", "", 1, 2, dict.fromkeys(counts, 0), 0, 0))


def test_every_reason_and_way_has_words(capsys: pytest.CaptureFixture[str]) -> None:
    from engine.cancellation import Left
    from engine.payments import PaymentMethod

    assert [code for code in Left if f"cancel.why.{code}" not in t] == []
    assert [way for way in PaymentMethod if f"receipt.method.{way}" not in t] == []
    view = performance_cli._Cancelling(None, 1, False)  # type: ignore[arg-type]
    view._currency = "EUR"
    back, left = {"credit": 500, "stripe": 900}, {"too_many_refunds": 1}
    preview = Preview(1, "EUR", 3, 5, 1, 2, 1, back, 100, left, 700, 2)
    view._show(preview)
    shown = capsys.readouterr().out
    for key in ("free", "reserved", "open", "untold"):
        assert t.plural(f"cancel.cli.{key}", getattr(preview, key)) in shown
    assert t("refusal.too_many_refunds") in shown
    assert CancelledOrder(1, Progress.LEFT, "", 0, True).buyer == ""
