"""One order: its lines and payments, refund of all or some of it, its papers again.

Owns the words for where refunded money goes, and for who may refund. The server decides that;
it is told here so that nobody types for nothing.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Input, SelectionList, Static
from textual.widgets.selection_list import Selection

from console.client import ClientError, Problem
from console.printing import PrintError
from console.programme import Performance
from console.screens.ask import AskDialog
from console.screens.base import Dialog, TillScreen
from console.screens.pay import PayDialog
from console.seating import Seating
from console.till import SaleInProgress
from console.widgets.chrome import Notice
from console.words import error_words
from engine.commands import ID_BYTES, Line
from engine.credit import credits_of, spaced
from engine.currency import cash_rounded
from engine.gift_cards import gift_cards_of, live_gift_cards
from engine.limits import MAX_TEXT_CHARS
from engine.orders import (
    RESERVED_STATES,
    SOLD_STATES,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderState,
)
from engine.payments import TILL_METHODS, Payment, PaymentMethod, Refund, RefundState, Standing
from renderers.money import parse_money

MAX_NAMED_PLACES = 6
"""Places that the refund's question names one by one."""


_BACK_BY_METHOD: Final = (*TILL_METHODS, PaymentMethod.STORE_CREDIT)
"""What becomes of the money given back has words of its own."""


_BILLED: Final = (*SOLD_STATES, OrderState.AWAITING_PAYMENT, OrderState.REFUNDED)
"""It may have an invoice."""


class OrderLines(SelectionList[int]):
    """The lines of an order; space marks one."""

    BINDINGS: ClassVar = [Binding("space", "select", "console.key.mark")]


class OrderScreen(TillScreen):
    """Space marks lines; what is done is done to the marked ones, or to all when none is."""

    BINDINGS: ClassVar = [
        Binding("p", "pay", "console.key.take_money"),
        Binding("a", "approve", "console.key.approve"),
        Binding("x", "give_up", "console.key.give_up"),
        Binding("r", "refund", "console.key.refund"),
        Binding("c", "exchange", "console.key.exchange"),
        Binding("n", "reissue", "console.key.reissue"),
        Binding("u", "undo", "console.key.undo_sale"),
        Binding("t", "print('tickets')", "console.key.tickets"),
        Binding("e", "print('receipt')", "console.key.receipt"),
        Binding("i", "print('invoice')", "console.key.invoice", show=False),
        Binding("m", "mail", "console.key.mail_tickets"),
        Binding("k", "reprice", "console.key.reprice"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    OrderScreen #facts { padding: 1 2 0 2; height: auto; }
    OrderLines { height: 1fr; margin: 1 1 0 1; background: $background; }
    OrderLines, OrderLines:focus { border: none; }
    /* The cross of a line that is not marked is not there, rather than of another colour. */
    OrderLines > .selection-list--button { color: $panel; background: $panel; }
    OrderLines > .selection-list--button-highlighted { color: $panel; background: $panel; }
    OrderScreen #payments { padding: 0 2; height: auto; color: $muted; }
    OrderScreen #no-refund { padding: 0 2; height: auto; color: $warning; }
    """

    def __init__(self, order: Order) -> None:
        super().__init__()
        self.order = order
        self._houses: dict[int, tuple[Performance, Seating]] = {}
        self._print_id = secrets.token_hex(ID_BYTES)

    def compose_body(self) -> ComposeResult:
        yield Static(id="facts")
        yield OrderLines(id="lines")
        yield Static(id="payments")
        yield Static(id="no-refund")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(SelectionList).focus()
        self.run_worker(self._load())

    async def _load(self) -> None:
        """The order as it is now, and the words for its places."""
        try:
            self.order = await self.console.client.order(self.order.id)
            for performance in {line.performance for line in self.order.lines}:
                self._houses[performance] = await self.console.house_of(performance)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
        self.speak()

    def place_words(self) -> str:
        return self.t("console.order.title", number=self.order.number)

    def speak(self) -> None:
        super().speak()
        order, t = self.order, self.t
        facts = [
            f"{t(f'console.order_state.{order.state.value}')} · {self.when(order.created_ms)}"
            f" · {self.money(order.total, order.currency)}",
            self._due_words(),
            " · ".join(filter(None, (order.buyer.name, order.buyer.email, order.operator))),
        ]
        self.query_one("#facts", Static).update("\n".join(filter(None, facts)))
        lines = self.query_one(SelectionList)
        marked = set(lines.selected)
        lines.clear_options()
        for line in order.lines:
            lines.add_option(
                Selection(
                    self._line_words(line),
                    line.number,
                    line.number in marked,
                    disabled=line.state is not LineState.SOLD,
                )
            )
        lines.highlighted = 0 if order.lines else None
        payments = [
            t(
                "console.order.payment",
                method=t(f"console.method.{payment.method.value}"),
                amount=self.money(payment.captured, payment.currency),
                reference=payment.reference,
            ).strip()
            for payment in order.payments
            if payment.captured
        ]
        refunded = sum(payment.refunded for payment in order.payments)
        if refunded:
            amount = self.money(refunded, order.currency)
            payments.append(t("console.order.refunded", amount=amount))
        payments += [
            f"{t('gift_card.title')} {self.money(one.left, order.currency)} "
            f"{t(f'console.line_state.{one.state.value}')} {spaced(one.code)}".rstrip()
            for one in gift_cards_of(order)
        ]
        payments += [
            t("console.order.credit", amount=self.money(amount, order.currency), code=spaced(code))
            for code, amount in credits_of(order)
        ]
        self.query_one("#payments", Static).update("\n".join(payments))
        why_not = self._why_no_refund()
        self.query_one("#no-refund", Static).update(why_not)
        self.query_one("#no-refund").display = bool(why_not)

    def _due_words(self) -> str:
        """What is still to be paid of a reservation, and until when."""
        order = self.order
        if order.state not in RESERVED_STATES:
            return ""
        due = self.t("console.order.due", amount=self.money(order.due, order.currency))
        until_ms = order.terms.until_ms if order.terms is not None else 0
        if not until_ms or order.state is not OrderState.AWAITING_PAYMENT:
            return due
        return f"{due} · {self.t('console.order.until', when=self.when(until_ms))}"

    def _why_no_refund(self) -> str:
        """Why this operator's roles do not refund this order, "" where they do, or may: whether it
        was paid at the till where the operator works, the server knows."""
        roles, seller = self.console.roles, self.order.operator
        if "admin" in roles or ("refund" in roles and seller == self.console.operator_name):
            return ""
        at_work = self.console.own_till is not None and self.console.own_till.report is not None
        if "refund" in roles and at_work and any(one.till for one in self.order.payments):
            return ""
        if "refund" not in roles:
            return self.t("console.order.no_refund_role")
        seller = seller or self.t(f"console.channel.{self.order.channel.value}")
        return self.t("console.order.not_your_sale", seller=seller)

    def _line_words(self, line: OrderLine) -> str:
        kind = line.price_type
        if line.performance in self._houses:
            kind = self._houses[line.performance][0].price_name(kind, self.t.language)
        ticket = f"{line.performance}-{line.ticket:06d}" if line.ticket >= 0 else ""
        state = self.t(f"console.line_state.{line.state.value}")
        amount = self.money(line.amount, self.order.currency)
        return f"{self.place(line):<28} {kind:<8} {amount:>11} {ticket:<9} {state}"

    def place(self, line: OrderLine) -> str:
        """The place of a line in words, once its plan is there."""
        if line.performance not in self._houses:
            return "…"
        _, seating = self._houses[line.performance]
        spot = line.seat if line.seat >= 0 else seating.seat_count + line.area
        return seating.words(spot, self.t)

    # Keys --------------------------------------------------------------------

    def _chosen(self) -> list[OrderLine]:
        marked = set(self.query_one(SelectionList).selected)
        sold = [line for line in self.order.lines if line.state is LineState.SOLD]
        return [line for line in sold if line.number in marked] or sold

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        state = self.order.state
        match action:
            case "refund":
                return state not in RESERVED_STATES and not self._why_no_refund()
            case "pay" | "give_up":
                return state in RESERVED_STATES
            case "approve":
                return state is OrderState.AWAITING_APPROVAL and self.console.supervises
            case "undo":
                own = self.order.operator == self.console.operator_name
                return state is OrderState.PAID and own and not self.order.prints
            case "reissue" | "exchange" | "reprice":
                return state in SOLD_STATES and self.console.sells
            case "mail":
                return state in SOLD_STATES and bool(self.order.buyer.email)
            case "print" if parameters == ("invoice",):
                return state in _BILLED
            case "print":
                return state not in RESERVED_STATES
        return True

    def action_pay(self) -> None:
        """Take the money of an order that is reserved."""
        till = self.console.till
        assert till is not None
        try:
            till.take_up(self.order)
        except SaleInProgress:
            self.query_one(Notice).say(self.t("console.order.sale_in_progress"), "warn")
            return

        def closed(words: str | None) -> None:
            self.run_worker(self._load())
            self.query_one(Notice).say(words or "", "wait")

        self.app.push_screen(PayDialog(till), closed)

    def action_approve(self) -> None:
        self.run_worker(self._ask(self.console.client.approve), group="ask", exclusive=True)

    def action_give_up(self) -> None:
        """Give a reservation up, after asking; says what is to be handed back."""
        order = self.order
        back = self.money(order.paid, order.currency)

        def answered(sure: str | None) -> None:
            if sure is not None:
                self.run_worker(self._ask(self.console.client.cancel), group="ask", exclusive=True)

        key = f"console.give_up.{'paid' if order.paid else 'unpaid'}"
        sure = AskDialog(key, confirm=True, number=order.number, amount=back)
        self.app.push_screen(sure, answered)

    def action_undo(self) -> None:
        """Take the whole sale back, after asking: nothing of it is on paper yet."""
        order, id = self.order, secrets.token_hex(ID_BYTES)

        def answered(sure: str | None) -> None:
            if sure is not None:
                undo = partial(self.console.client.undo, id=id)
                self.run_worker(self._ask(undo), group="ask", exclusive=True)

        amount = self.money(order.paid, order.currency)
        sure = AskDialog("console.undo", confirm=True, number=order.number, amount=amount)
        self.app.push_screen(sure, answered)

    def action_exchange(self) -> None:
        """Choose what the marked places are given for, after the fee for it."""
        lines = self._chosen()
        performances = {line.performance for line in lines}
        if len(performances) != 1:
            self.query_one(Notice).say(self.t("refusal.not_one_performance"), "warn")
            return

        def answered(text: str | None) -> None:
            if text is None:
                return
            try:
                fee = parse_money(text, self.order.currency) if text else 0
            except ValueError:
                self.query_one(Notice).say(self.t("console.pay.not_an_amount"), "warn")
                return
            self.run_worker(self._exchange(lines, fee), group="ask", exclusive=True)

        places = self.t.plural("console.sale.places", len(lines))
        self.app.push_screen(AskDialog("console.exchange", "0", places=places), answered)

    async def _exchange(self, lines: list[OrderLine], fee: int) -> None:
        till, notice = self.console.till, self.query_one(Notice)
        assert till is not None
        try:
            till.begin_exchange(self.order, [line.number for line in lines], fee)
            await self.console.open_sale(lines[0].performance)
        except SaleInProgress:
            notice.say(self.t("console.order.sale_in_progress"), "warn")
        except ClientError as error:
            till.end_exchange()
            notice.say(error_words(self.t, error), "bad")

    def action_reprice(self) -> None:
        """The marked places stay, at another price: which, and the fee for it."""
        lines = self._chosen()
        performances = {line.performance for line in lines}
        if len(performances) != 1 or not performances <= self._houses.keys():
            self.query_one(Notice).say(self.t("refusal.not_one_performance"), "warn")
            return
        kinds = {
            one.id: self._houses[lines[0].performance][0].price_name(one.id, self.t.language)
            for one in self._houses[lines[0].performance][0].price_types
        }
        places = self.t.plural("console.sale.places", len(lines))

        def chosen(text: str | None) -> None:
            if text is None:
                return
            named = [id for id, name in kinds.items() if text.lower() in (id.lower(), name.lower())]
            if not named:
                self.query_one(Notice).say(self.t("console.reprice.unknown", text=text), "warn")
                return
            fee = AskDialog("console.reprice_fee", "0", places=places, price=kinds[named[0]])
            self.app.push_screen(fee, partial(self._reprice_for, lines, named[0]))

        ask = AskDialog("console.reprice", places=places, prices=", ".join(kinds.values()))
        self.app.push_screen(ask, chosen)

    def _reprice_for(self, lines: list[OrderLine], kind: str, text: str | None) -> None:
        if text is None:
            return
        try:
            fee = parse_money(text, self.order.currency)
        except ValueError:
            self.query_one(Notice).say(self.t("console.pay.not_an_amount"), "warn")
            return
        self.run_worker(self._reprice(lines, kind, fee), group="ask", exclusive=True)

    async def _reprice(self, lines: list[OrderLine], kind: str, fee: int) -> None:
        till, notice, before = self.console.till, self.query_one(Notice), self.order
        assert till is not None
        if till.slip is not None:
            notice.say(self.t("console.order.sale_in_progress"), "warn")
            return
        places = tuple(Line(line.seat, line.area, kind) for line in lines)
        hold = OrderHold(lines[0].performance, "", places)
        numbers, id = [line.number for line in lines], secrets.token_hex(ID_BYTES)
        try:
            self.order = await self.console.client.exchange(before.id, id, numbers, hold, fee)
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self.speak()
        self.refresh_bindings()
        if not self.order.waits:
            self.query_one(SelectionList).deselect_all()
            await self._print("tickets")
            return

        def closed(words: str | None) -> None:
            if till.slip is not None and not till.slip.paid:
                till.next_sale()
            self.run_worker(self._load())
            self.query_one(Notice).say(words or "", "wait")

        till.take_up_exchange(before, self.order)
        self.app.push_screen(PayDialog(till), closed)

    def action_reissue(self) -> None:
        """New tickets in place of lost ones, after asking; then they are printed."""
        lines = [line.number for line in self._chosen()]
        # One reissue, however often it is sent.
        id = secrets.token_hex(ID_BYTES)

        def answered(sure: str | None) -> None:
            if sure is not None:
                self.run_worker(self._reissue(id, lines), group="ask", exclusive=True)

        sure = AskDialog(
            "console.reissue", confirm=True, places=self.t.plural("console.sale.places", len(lines))
        )
        self.app.push_screen(sure, answered)

    async def _reissue(self, id: str, lines: list[int]) -> None:
        try:
            self.order = await self.console.client.reissue(self.order.id, id, lines)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            return
        self.speak()
        await self._print("tickets")

    async def _ask(self, ask: Callable[[str], Awaitable[Order]]) -> None:
        notice = self.query_one(Notice)
        try:
            self.order = await ask(self.order.id)
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self.speak()
        self.refresh_bindings()
        payments = self.order.payments
        back = [self._movement(payment, one) for payment in payments for one in payment.refunds]
        notice.say(" ".join(back), "good")

    def _refund_gift_cards(self) -> None:
        """Give back what is not spent of the gift cards, after asking."""
        id = secrets.token_hex(ID_BYTES)  # one refund, however often it is sent

        async def back(order: str) -> Order:
            return await self.console.client.refund(order, id, (), "")

        def answered(sure: str | None) -> None:
            if sure is not None:
                self.run_worker(self._ask(back), group="ask", exclusive=True)

        self.app.push_screen(AskDialog("console.gift_card.back", confirm=True), answered)

    def action_refund(self) -> None:
        lines = self._chosen()
        if not lines and live_gift_cards(self.order):
            self._refund_gift_cards()
            return
        if not lines:
            self.query_one(Notice).say(self.t("console.order.nothing_to_refund"), "warn")
            return

        asked = {line.number for line in lines}
        places = [self.place(line) for line in lines]
        dialog = RefundDialog(self.order, lines, places)

        def done(order: Order | None) -> None:
            if order is None:
                return
            self.order = order
            self.query_one(SelectionList).deselect_all()
            self.speak()
            kept = [line for line in order.lines if line.number in asked]
            all_of_it = bool(dialog.amount) or all(
                line.state is not LineState.SOLD for line in kept
            )
            key = "was_refunded" if all_of_it else "not_refunded"
            key = "amount_refunded" if dialog.amount else key
            words = self.t(f"console.order.{key}", money=self._money_back(dialog.refund_id))
            self.query_one(Notice).say(words, "good" if all_of_it else "bad")

        self.app.push_screen(dialog, done)

    def _money_back(self, refund_id: str) -> str:
        """Where the money of a refund goes, and what is left for the cashier to do."""
        movements = [
            self._movement(payment, back)
            for payment in self.order.payments
            for back in payment.refunds
            if back.key == refund_id
        ]
        refund = next(one for one in self.order.refunds if one.id == refund_id)
        for code, amount in credits_of(self.order):
            if code == refund.card:
                words = self.money(amount, self.order.currency)
                movements.append(self.t("console.money_back.kept", amount=words, code=spaced(code)))
        return " ".join(movements) or self.t("console.money_back.none")

    def _movement(self, payment: Payment, back: Refund) -> str:
        amount, key = back.amount, "by_itself"
        match payment.method:
            case PaymentMethod.CASH:
                key, amount = "cash", cash_rounded(amount, payment.currency)
            case PaymentMethod() as method if method in _BACK_BY_METHOD:
                key = method.value
            case _ if back.state is RefundState.FAILED:
                key = "failed"
        words = self.money(amount, payment.currency)
        return self.t(f"console.money_back.{key}", amount=words, reference=payment.reference)

    def action_print(self, what: str) -> None:
        self.run_worker(self._print(what), group="print", exclusive=True)

    async def _print(self, what: str) -> None:
        notice, t = self.query_one(Notice), self.t
        notice.say(t("console.print.doing"), "wait")
        try:
            # None: all of them, and gift cards.
            marked = sorted(self.query_one(SelectionList).selected) if what == "tickets" else []
            path = await self.console.print_paper(self.order, what, self._print_id, marked)
        except PrintError as error:
            notice.say(t("console.print.failed", why=str(error)), "bad")
        except ClientError as error:
            notice.say(error_words(t, error), "bad")
        else:
            key = "printed" if self.console.printer.command else "kept"
            notice.say(t(f"console.print.{key}", path=str(path)), "good")
            if what == "tickets":
                self._print_id = secrets.token_hex(ID_BYTES)  # what is printed again is a copy
                await self._load()
                self.refresh_bindings()

    def action_mail(self) -> None:
        self.run_worker(self._mail(), group="mail", exclusive=True)

    async def _mail(self) -> None:
        """Send the tickets to the buyer once more."""
        notice = self.query_one(Notice)
        try:
            # One mail, however often a lost answer makes the client ask.
            id = secrets.token_hex(ID_BYTES)
            mail = await self.console.client.send_tickets(self.order.id, id)
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        notice.say(self.t("console.order.mailed", address=mail.recipient), "good")

    def action_back(self) -> None:
        self.dismiss()


class RefundDialog(Dialog):
    """Says what will be paid back, asks for a reason, and does it on Enter.

    An amount that is typed is given back in place of the lines, which stay sold.
    """

    BINDINGS: ClassVar = [
        Binding("escape", "no", "console.key.no"),
        Binding("f4", "credit", "console.key.credit"),
        Binding("enter", "yes", "console.key.refund_now"),
    ]
    DEFAULT_CSS = """
    RefundDialog > #box { border: heavy $error; }
    RefundDialog #text { padding: 1 0; }
    RefundDialog #way { color: $muted; height: auto; }
    """

    def __init__(self, order: Order, lines: Sequence[OrderLine], places: Sequence[str]) -> None:
        super().__init__()
        self.order = order
        self.lines = tuple(lines)
        self.places = tuple(places)
        # One refund, however often it is sent: a lost answer must not pay twice.
        self.refund_id = secrets.token_hex(ID_BYTES)
        self.amount = 0
        self._to_credit = False
        self._busy = False

    def compose_body(self) -> ComposeResult:
        yield Static(id="text")
        yield Input(id="reason", max_length=MAX_TEXT_CHARS)
        yield Input(id="amount")
        yield Static(id="way")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#reason", Input).focus()

    def speak(self) -> None:
        super().speak()
        t = self.t
        total = sum(line.price for line in self.lines)
        amount = self.money(total, self.order.currency)
        methods = [one.method for one in self.order.payments if one.standing is Standing.CONFIRMED]
        method = ", ".join(t(f"console.method.{one.value}") for one in methods)
        self.entitle(t("console.refund.title", number=self.order.number))
        places = t.plural("console.sale.places", len(self.lines))
        named = list(self.places[:MAX_NAMED_PLACES])
        if len(self.places) > MAX_NAMED_PLACES:
            named.append("…")
        key = "text" if total else "free"
        words = t(f"console.refund.{key}", places=places, amount=amount, method=method)
        self.query_one("#text", Static).update(Content("\n".join([*named, "", words])))
        self.query_one("#reason", Input).placeholder = t("console.refund.reason")
        self.query_one("#amount", Input).placeholder = t("console.refund.amount")
        way = "to_credit" if self._to_credit else "as_paid"
        self.query_one("#way", Static).update(t(f"console.refund.{way}"))
        # What cost nothing gives nothing back.
        self.query_one("#amount").display = self.query_one("#way").display = bool(total)

    def action_credit(self) -> None:
        """Keep the money as a credit, or not."""
        if not self._busy:
            self._to_credit = not self._to_credit
            self._ask_anew()
            self.speak()

    @on(Input.Changed, "#amount")
    def _ask_anew(self) -> None:
        """What is asked is another refund than what may have been sent before."""
        if not self._busy:
            self.refund_id = secrets.token_hex(ID_BYTES)

    @on(Input.Submitted)
    def action_yes(self) -> None:
        if self._busy:
            return
        text, currency = self.query_one("#amount", Input).value.strip(), self.order.currency
        try:
            self.amount = parse_money(text, currency) if text else 0
        except ValueError:
            self.query_one(Notice).say(self.t("console.pay.not_an_amount"), "warn")
            return
        if text and not 0 < self.amount <= self.order.value:
            most = self.money(self.order.value, currency)
            self.query_one(Notice).say(self.t("console.refund.no_amount", amount=most), "warn")
            return
        self._busy = True
        self.run_worker(self._refund(self.query_one("#reason", Input).value.strip()))

    async def _refund(self, reason: str) -> None:
        notice = self.query_one(Notice)
        numbers = [] if self.amount else [line.number for line in self.lines]
        notice.say(self.t("console.refund.doing"), "wait")
        try:
            client = self.console.client
            order = await client.refund(
                self.order.id, self.refund_id, numbers, reason, self.amount, self._to_credit
            )
        except Problem as problem:
            notice.say(error_words(self.t, problem), "bad")
        except ClientError as error:
            notice.say(f"{error_words(self.t, error)} {self.t('console.pay.again')}", "bad")
        else:
            self.dismiss(order)
        self._busy = False

    def action_no(self) -> None:
        if not self._busy:
            self.dismiss(None)
