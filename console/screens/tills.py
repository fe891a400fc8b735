"""The cashier's drawer: the session that is open, what moves in it, its report, and those before.

Owns these screens and their questions. What may be done is the server's to say; counting has a
screen of its own (`console.screens.count`). A dialog keeps its command's id until it is answered,
so that Enter after a lost answer does the thing once.
"""

import secrets
from collections.abc import Awaitable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Input, Label, Static

from console.client import ClientError, Problem
from console.printing import PrintError
from console.screens.base import Dialog, TillScreen
from console.till_lines import report_lines
from console.widgets.chrome import Notice
from console.words import error_words
from engine.commands import ID_BYTES
from engine.tills import AddEntry, EntryKind, OpenTill, TillReport, TillSession
from renderers.money import parse_money
from renderers.till_words import shift_of, signed, title_of

_STYLES = {"title": "bold $brass-text", "strong": "bold", "note": "$muted", "": ""}


class TillSessionScreen(TillScreen):
    """The session that is open, or a past one by its id."""

    BINDINGS: ClassVar = [
        Binding("o", "open", "console.key.till_open"),
        Binding("i", "cash_in", "console.key.cash_in"),
        Binding("u", "cash_out", "console.key.cash_out"),
        Binding("c", "count", "console.key.count"),
        Binding("p", "print", "console.key.print_report"),
        Binding("l", "list", "console.key.till_list"),
        Binding("r", "reload", "console.key.reload"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    TillSessionScreen #head { padding: 1 2 0 2; height: auto; text-style: bold; }
    TillSessionScreen #shift { padding: 0 2; height: auto; color: $muted; }
    TillSessionScreen VerticalScroll { height: 1fr; padding: 1 2 0 2; }
    TillSessionScreen #report { height: auto; }
    """

    def __init__(self, session: str = "") -> None:
        super().__init__()
        self._past = session
        self._report: TillReport | None = None
        self._asked = False

    def compose_body(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="shift", markup=False)
        with VerticalScroll():
            yield Static(id="report")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(VerticalScroll).focus()
        self.query_one(Notice).say(self.t("till.screen.loading"), "wait")
        self.action_reload()

    def place_words(self) -> str:
        if self._past and self._report is not None:
            return self.t("till.screen.past", number=self._report.session.number)
        return self.t("till.screen.title")

    def speak(self) -> None:
        super().speak()
        self._draw()

    def _draw(self) -> None:
        t, zone, report = self.t, self.console.time_zone, self._report
        if report is None:
            words = t("till.screen.nothing") if self._asked else ""
            self.query_one("#head", Static).update(words)
            for part in ("#shift", "#report"):
                self.query_one(part, Static).update("")
        else:
            self.query_one("#head", Static).update(title_of(report, t))
            self.query_one("#shift", Static).update(shift_of(report, t, zone))
            lines = [(f"{one.text}\n", _STYLES[one.kind]) for one in report_lines(report, t, zone)]
            self.query_one("#report", Static).update(Content.assemble(*lines))
        self.refresh_bindings()
        self.show_status()

    def show(self, report: TillReport, words: str) -> None:
        """What a command has made of the session."""
        self._report = report
        if report.session.operator == self.console.operator_name:
            self.console.till_is(report)
        self._draw()
        self.query_one(Notice).say(words, "good")

    def action_reload(self) -> None:
        self.run_worker(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        notice, client = self.query_one(Notice), self.console.client
        try:
            if self._past:
                self._report = await client.till(self._past)
            else:
                self._report = (await self.console.ask_till()).report
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self._asked = True
        self._draw()
        notice.say(self._hint())

    def _hint(self) -> str:
        if self._report is None or self._report.session.closing is not None:
            return ""
        expected = self.money(self._report.expected, self._report.session.currency)
        return self.t("till.screen.hint", expected=expected)

    # What is done ----------------------------------------------------------------

    def action_open(self) -> None:
        self.run_worker(self._open(), group="act", exclusive=True)

    async def _open(self) -> None:
        try:
            before = await self.console.client.tills(limit=1)
            coming = await self.console.client.performances()
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            return
        till = before[0].till if before else ""
        currencies = [one.currency for one in before] + [one.currency for one in coming]
        dialog = OpenTillDialog(till, currencies[0] if currencies else "")
        report = await self.app.push_screen_wait(dialog)
        if report is not None:
            self.show(report, self.t("till.screen.opened", till=report.session.till))

    def action_cash_in(self) -> None:
        self.run_worker(self._move(EntryKind.IN), group="act", exclusive=True)

    def action_cash_out(self) -> None:
        self.run_worker(self._move(EntryKind.OUT), group="act", exclusive=True)

    async def _move(self, kind: EntryKind) -> None:
        assert self._report is not None
        session = self._report.session
        report = await self.app.push_screen_wait(MoveDialog(session, kind))
        if report is not None:
            made = report.entries[-1]
            amount = self.money(made.amount, session.currency)
            words = self.t(f"till.screen.kind.{made.kind.value}")
            self.show(report, self.t("till.screen.moved", amount=amount, kind=words))

    def action_count(self) -> None:
        self.run_worker(self._count(), group="act", exclusive=True)

    async def _count(self) -> None:
        from console.screens.count import CountScreen

        assert self._report is not None
        report = await self.app.push_screen_wait(CountScreen(self._report))
        if report is None:
            return
        if report.session.closing is not None:
            self.show(report, self.t("till.screen.closed"))
            return
        made = report.entries[-1]
        difference = signed(made.amount - made.expected, report.session.currency, self.t)
        self.show(report, self.t("till.screen.count.noted", difference=difference))

    def action_print(self) -> None:
        self.run_worker(self._print(), group="print", exclusive=True)

    async def _print(self) -> None:
        assert self._report is not None
        notice, t, session = self.query_one(Notice), self.t, self._report.session
        notice.say(t("console.print.doing"), "wait")
        try:
            pdf = await self.console.client.till_pdf(session.id, t.language)
            path = await self.console.printer.print(pdf, f"till-{session.number}")
        except PrintError as error:
            notice.say(t("console.print.failed", why=str(error)), "bad")
        except ClientError as error:
            notice.say(error_words(t, error), "bad")
        else:
            key = "printed" if self.console.printer.command else "kept"
            notice.say(t(f"console.print.{key}", path=str(path)), "good")

    def action_list(self) -> None:
        self.app.push_screen(TillListScreen())

    def action_back(self) -> None:
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        is_open = self._report is not None and self._report.session.closing is None
        if action in ("cash_in", "cash_out", "count"):
            return is_open
        if action == "open":
            return self._asked and not is_open and not self._past
        if action == "print":
            return self._report is not None
        if action == "list":
            return not self._past
        return True


class _Form(Dialog):
    """Fields one under the other; Enter in the last sends them. Ends with a report, or None."""

    BINDINGS: ClassVar = [
        Binding("enter", "send", "console.key.yes", priority=True),
        Binding("escape", "leave", "console.key.back"),
    ]
    FIELDS: ClassVar[tuple[str, ...]]
    DEFAULT_CSS = """
    _Form Label { color: $muted; }
    _Form Notice { padding: 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        # One command, however often it is sent: a lost answer must not count twice.
        self._request_id = secrets.token_hex(ID_BYTES)
        self._busy = False

    def compose_body(self) -> ComposeResult:
        for field in self.FIELDS:
            yield Label(id=f"{field}-label")
            yield Input(id=field)
        yield Notice()

    def text(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    def amount(self, field: str, currency: str) -> int | None:
        """What was typed, None after saying that it is none."""
        try:
            return parse_money(self.text(field) or "0", currency)
        except ValueError:
            self.query_one(Notice).say(self.t("console.pay.not_an_amount"), "warn")
            self.query_one(f"#{field}", Input).focus()
            return None

    def ask(self) -> Awaitable[TillReport] | None:
        """The request of what is in the fields; None where something is missing."""
        raise NotImplementedError

    def action_send(self) -> None:
        fields = [self.query_one(f"#{field}", Input) for field in self.FIELDS]
        empty = next((one for one in fields if not one.value.strip()), None)
        if empty is not None and empty is not self.focused:
            empty.focus()
        elif not self._busy:
            asked = self.ask()
            if asked is not None:
                self._busy = True
                self.run_worker(self._send(asked))

    async def _send(self, asked: Awaitable[TillReport]) -> None:
        notice = self.query_one(Notice)
        try:
            self.dismiss(await asked)
        except Problem as problem:
            notice.say(error_words(self.t, problem), "bad")
            if problem.refused:
                self._request_id = secrets.token_hex(ID_BYTES)
        except ClientError as error:
            notice.say(f"{error_words(self.t, error)} {self.t('console.pay.again')}", "bad")
        finally:
            self._busy = False

    def action_leave(self) -> None:
        if not self._busy:
            self.dismiss(None)


class OpenTillDialog(_Form):
    """At which till, in which currency, with how much in the drawer."""

    FIELDS = ("till", "currency", "float")

    def __init__(self, till: str, currency: str) -> None:
        super().__init__()
        self._known = {"till": till, "currency": currency}

    def on_mount(self) -> None:
        super().on_mount()
        for field, value in self._known.items():
            self.query_one(f"#{field}", Input).value = value
        first = next((one for one, value in self._known.items() if not value), "float")
        self.query_one(f"#{first}", Input).focus()

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t("till.screen.open.title"))
        for field in self.FIELDS:
            self.query_one(f"#{field}-label", Label).update(self.t(f"till.screen.open.{field}"))
        self.query_one("#till", Input).placeholder = self.t("till.screen.open.till_hint")
        self.query_one("#float", Input).placeholder = self.t("till.screen.open.float_hint")

    def ask(self) -> Awaitable[TillReport] | None:
        till, currency = self.text("till"), self.text("currency").upper()
        if not till:
            self.query_one("#till", Input).focus()
            return None
        amount = self.amount("float", currency)
        if amount is None:
            return None
        wanted = OpenTill(self._request_id, till, currency, amount, "")
        return self.console.client.open_till(wanted)


class MoveDialog(_Form):
    """How much cash goes into the drawer, or out of it, and why."""

    FIELDS = ("amount", "reason")

    def __init__(self, session: TillSession, kind: EntryKind) -> None:
        super().__init__()
        self._session = session
        self._kind = kind

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#amount", Input).focus()

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t(f"till.screen.{self._kind.value}.title"))
        for field in self.FIELDS:
            self.query_one(f"#{field}-label", Label).update(self.t(f"till.screen.{field}"))
        self.query_one("#amount", Input).placeholder = self._session.currency
        self.query_one("#reason", Input).placeholder = self.t("till.screen.reason_hint")

    def ask(self) -> Awaitable[TillReport] | None:
        amount = self.amount("amount", self._session.currency)
        for field, given in (("amount", amount), ("reason", self.text("reason"))):
            if not given:
                self.query_one(f"#{field}", Input).focus()
                return None
        assert amount is not None
        entry = AddEntry(self._request_id, self._kind, "", amount, self.text("reason"))
        return self.console.client.enter_till(self._session.id, entry)


class TillListScreen(TillScreen):
    """Sessions, the latest first: one's own, or all for whoever supervises."""

    BINDINGS: ClassVar = [
        Binding("enter", "show", "console.key.open", priority=True),
        Binding("r", "reload", "console.key.reload"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    TillListScreen DataTable { height: 1fr; padding: 1 1 0 1; background: $background; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._sessions: list[TillSession] = []

    def compose_body(self) -> ComposeResult:
        yield DataTable(cursor_type="row")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DataTable).focus()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.action_reload()

    def place_words(self) -> str:
        return self.t("till.screen.list.title")

    def speak(self) -> None:
        super().speak()
        self._fill()

    def _fill(self) -> None:
        t, table = self.t, self.query_one(DataTable)
        chosen = table.cursor_row
        table.clear(columns=True)
        for key in ("number", "till", "operator", "opened", "closed", "difference"):
            table.add_column(t(f"till.screen.list.{key}"), key=key)
        for one in self._sessions:
            end = one.closing
            table.add_row(
                str(one.number),
                one.till,
                one.operator,
                self.when(one.opened_ms),
                t("till.cli.is_open") if end is None else self.when(end.at_ms),
                "" if end is None else signed(end.difference, one.currency, t),
            )
        if self._sessions:
            table.move_cursor(row=min(chosen, len(self._sessions) - 1))

    def action_reload(self) -> None:
        self.run_worker(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        notice = self.query_one(Notice)
        try:
            self._sessions = await self.console.client.tills()
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self._fill()
        key = "hint" if self._sessions else "empty"
        notice.say(self.t(f"till.screen.list.{key}"))

    def action_show(self) -> None:
        row = self.query_one(DataTable).cursor_row
        if 0 <= row < len(self._sessions):
            self.app.push_screen(TillSessionScreen(self._sessions[row].id))

    def action_back(self) -> None:
        self.dismiss()
