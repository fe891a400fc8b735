"""Counting a drawer: how many of each coin and note, and at once what is missing.

Owns the screen of the count and the questions before a session is closed. Ends with the report
of what was noted or closed, or with None.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static

from console.client import ClientError, Problem
from console.screens.ask import AskDialog
from console.screens.base import TillScreen
from console.widgets.big_text import BigText
from console.widgets.chrome import Notice
from console.words import error_words
from engine.commands import ID_BYTES
from engine.currency import DENOMINATIONS
from engine.limits import MAX_TEXT_CHARS
from engine.tills import AddEntry, CloseTill, EntryKind, Pieces, TillReport
from renderers.money import parse_money
from renderers.till_words import signed

SUM = "sum"
"""The one field of a currency whose coins are not known."""


class CountScreen(TillScreen):
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar = [
        Binding("enter,down", "next(1)", "console.key.next_piece", key_display="⏎"),
        Binding("up", "next(-1)", show=False),
        Binding("f9", "close", "console.key.close_till"),
        Binding("f8", "note", "console.key.note_count"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    CountScreen #middle { height: 1fr; }
    CountScreen #kinds { width: 46; padding: 1 1 0 2; }
    CountScreen .kind { height: 1; }
    CountScreen .kind Label { width: 14; text-align: right; }
    CountScreen .kind Static { width: 13; text-align: right; color: $muted; }
    CountScreen #sums { width: 1fr; padding: 1 2; border-left: vkey $line; }
    CountScreen BigText { height: 7; }
    CountScreen #verdict { text-align: center; text-style: bold; height: 2; }
    CountScreen #verdict.-right { color: $success; }
    CountScreen #verdict.-wrong { color: $warning; }
    """

    def __init__(self, report: TillReport) -> None:
        super().__init__()
        self._report = report
        self._close_id, self._count_id = (secrets.token_hex(ID_BYTES) for _ in range(2))
        self._busy = False

    @property
    def currency(self) -> str:
        return self._report.session.currency

    @property
    def kinds(self) -> tuple[int, ...]:
        return DENOMINATIONS.get(self.currency, ())

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="middle"):
            with VerticalScroll(id="kinds", can_focus=False):
                for kind in self.kinds:
                    with Horizontal(classes="kind"):
                        yield Label(id=f"label-{kind}")
                        yield Input(id=f"kind-{kind}", type="integer", max_length=7)
                        yield Static(id=f"sum-{kind}")
                if not self.kinds:
                    with Horizontal(classes="kind"):
                        yield Label(id="label-sum")
                        yield Input(id=SUM, max_length=16)
            with Vertical(id="sums"):
                yield Static(id="counted")
                yield BigText(id="total")
                yield Static(id="expected")
                yield Static(id="verdict")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Notice).say(self.t("till.screen.count.hint"))

    def place_words(self) -> str:
        return self.t("till.screen.count.title", till=self._report.session.till)

    def speak(self) -> None:
        super().speak()
        for kind in self.kinds:
            label = f"{self.money(kind, self.currency)} ×"
            self.query_one(f"#label-{kind}", Label).update(label)
        if not self.kinds:
            self.query_one("#label-sum", Label).update(self.t("till.screen.count.sum"))
        self._add_up()

    # What is counted -------------------------------------------------------------

    def _pieces(self) -> Pieces:
        """Raises ValueError for what is no number of pieces."""
        found = ((kind, self.query_one(f"#kind-{kind}", Input).value) for kind in self.kinds)
        return tuple((kind, int(text)) for kind, text in found if text)

    def _amount(self) -> int:
        """The sum of a currency whose coins are not known. Raises ValueError."""
        return 0 if self.kinds else parse_money(self.query_one(f"#{SUM}", Input).value or "0",
                                                self.currency)  # fmt: skip

    def _counted(self) -> int:
        return self._amount() + sum(kind * many for kind, many in self._pieces())

    @on(Input.Changed)
    def _add_up(self) -> None:
        """Show the sums while they are typed."""
        t, currency = self.t, self.currency
        try:
            counted, pieces = self._counted(), dict(self._pieces())
        except ValueError:
            self.query_one(Notice).say(t("till.screen.count.not_a_number"), "warn")
            return
        for kind in self.kinds:
            worth = kind * pieces.get(kind, 0)
            words = self.money(worth, currency) if worth else ""
            self.query_one(f"#sum-{kind}", Static).update(words)
        expected, difference = self._report.expected, counted - self._report.expected
        amount = self.money(counted, currency)
        self.query_one("#counted", Static).update(t("till.screen.count.counted", amount=amount))
        self.query_one(BigText).say(self.figures(counted, currency))
        amount = self.money(expected, currency)
        self.query_one("#expected", Static).update(t("till.screen.count.expected", amount=amount))
        key = "over" if difference > 0 else "missing" if difference else "right"
        amount = self.money(abs(difference), currency)
        words = t("till.screen.count.right") if not difference else ""
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(key == "right", "-right")
        verdict.set_class(key != "right", "-wrong")
        verdict.update(Content(words or t(f"till.screen.count.{key}", amount=amount)))

    def action_next(self, step: int) -> None:
        """From one coin to the next, and round again."""
        fields = list(self.query(Input))
        at = fields.index(self.focused) if isinstance(self.focused, Input) else -step
        fields[(at + step) % len(fields)].focus()

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_next(1)

    # What is done with it -----------------------------------------------------------

    def action_note(self) -> None:
        self._do(self._note)

    async def _note(self) -> TillReport:
        entry = AddEntry(self._count_id, EntryKind.COUNT, "", self._amount(), pieces=self._pieces())
        return await self.console.client.enter_till(self._report.session.id, entry)

    def action_close(self) -> None:
        self._do(self._close)

    async def _close(self) -> TillReport | None:
        """Ask whether, or why there is a difference to what should be there now."""
        client, session = self.console.client, self._report.session
        self._report = await client.till(session.id)
        self._add_up()
        amount, pieces, counted = self._amount(), self._pieces(), self._counted()
        difference = counted - self._report.expected
        words = {
            "counted": self.money(counted, self.currency),
            "expected": self.money(self._report.expected, self.currency),
            "difference": signed(difference, self.currency, self.t),
        }
        key = "till.screen.explain" if difference else "till.screen.close"
        dialog = AskDialog(key, confirm=not difference, **words)
        answer = await self.app.push_screen_wait(dialog)
        if answer is None:
            return None
        wanted = CloseTill(self._close_id, "", amount, pieces, answer[:MAX_TEXT_CHARS])
        return await client.close_till(session.id, wanted)

    def _do(self, work: Callable[[], Awaitable[TillReport | None]]) -> None:
        if not self._busy:
            self._busy = True
            self.run_worker(self._done(work), group="act")

    async def _done(self, work: Callable[[], Awaitable[TillReport | None]]) -> None:
        notice = self.query_one(Notice)
        try:
            report = await work()
        except ValueError:
            notice.say(self.t("till.screen.count.not_a_number"), "warn")
        except Problem as problem:
            notice.say(error_words(self.t, problem), "bad")
        except ClientError as error:
            notice.say(f"{error_words(self.t, error)} {self.t('console.pay.again')}", "bad")
        else:
            if report is not None:
                self.dismiss(report)
        finally:
            self._busy = False

    def action_back(self) -> None:
        if not self._busy:
            self.dismiss(None)
