"""Taking the money: the total in large figures, cash with change, a card terminal, or nothing.

Owns the dialog between the basket and the tickets. It opens before the server has priced the
order and keeps what is typed meanwhile, so that an experienced cashier need not wait.
"""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from console.client import ClientError, Problem
from console.screens.base import Dialog
from console.screens.reader import ReaderDialog
from console.till import House, Till
from console.widgets.big_text import BigText
from console.widgets.chrome import Notice
from console.words import error_words
from engine.currency import cash_rounded
from engine.orders import SOLD_STATES, Order, OrderState
from engine.payments import PaymentMethod
from renderers.money import parse_money

_WAYS: Final = ("cash", "card", "note", "cheque", "transfer", "credit")
_WITH_OWN_WORDS: Final = (
    PaymentMethod.CHEQUE,
    PaymentMethod.BANK_TRANSFER,
    PaymentMethod.STORE_CREDIT,
)
"""Methods whose reference is called as the method says."""


async def _at_once() -> None:
    """Nothing is waited for."""


class PayDialog(Dialog):
    """Ends with None for "back to the seats", or with the sale sold."""

    # The field must not take the keys that choose the way to pay.
    AUTO_FOCUS = ""
    BINDINGS: ClassVar = [
        Binding("c", "cash", "console.key.cash"),
        Binding("t", "card", "console.key.card"),
        Binding("n", "note", show=False),  # it stands among the ways
        Binding("k", "cheque", "console.key.cheque"),
        Binding("v", "transfer", "console.key.transfer"),
        Binding("g", "credit", "console.key.credit"),
        Binding("p", "part", "console.key.part"),
        Binding("l", "later", "console.key.later"),
        Binding("enter", "finish", "console.key.finish"),
        Binding("escape", "back", "console.key.to_seats"),
    ]
    DEFAULT_CSS = """
    PayDialog BigText { height: 7; color: $foreground; background: $surface; }
    PayDialog #currency { text-align: center; color: $muted; height: 1; }
    PayDialog #ways { text-align: center; text-style: bold; color: $brass-text; height: auto; }
    PayDialog #field-label { color: $muted; height: 1; }
    PayDialog #change { height: 1; text-align: center; text-style: bold; color: $success; }
    PayDialog #change.-missing { color: $warning; }
    """

    def __init__(
        self, till: Till, house: House | None = None, idle: Callable[[], Awaitable[None]] = _at_once
    ) -> None:
        """Pays the basket of a house, or without one the order that the till has taken up."""
        super().__init__()
        self.till = till
        self._house = house
        self._idle = idle
        self._method: PaymentMethod | None = None
        self._part = 0  # of what is due, 0 for all of it
        self._parting = False  # how much of it, is being asked
        self._entered = False  # Enter came before the total did
        self._read_when_placed = False  # the reader was wanted before there was an order
        self._typed = ""  # before there was a field to type in
        self._free = False  # there is nothing to pay: Enter sells
        self._busy = False

    @property
    def currency(self) -> str:
        if self.till.order is not None:
            return self.till.order.currency
        return self.house.performance.currency

    @property
    def house(self) -> House:
        assert self._house is not None, "an order that is taken up needs no basket"
        return self._house

    @property
    def reader(self) -> str:
        """The card reader at this till, "" for none."""
        own = self.console.own_till
        return "" if own is None else own.reader

    @property
    def amount(self) -> int:
        """What this payment is of."""
        assert self.till.order is not None
        return self._part or self.till.order.due

    def compose_body(self) -> ComposeResult:
        yield Static(id="currency")
        yield BigText(id="total")
        yield Static(id="ways")
        yield Static(id="field-label")
        yield Input(id="field")
        yield Static(id="change")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.run_worker(self._place(), group="place")

    def speak(self) -> None:
        super().speak()
        order = self.till.order
        is_reserved = order is not None and order.state is not OrderState.OPEN
        ways = "free" if self._free else "ways_reserved" if is_reserved else "ways"
        words = self.t(f"console.pay.{ways}")
        if not self._free:
            if self.reader:
                words = f"{words}  {self.t('reader.screen.way_note')}"
            # A line ends between two ways, and not between a key and its word.
            words = "  ".join(way.replace(" ", "\u00a0") for way in words.split("  "))
        self.query_one("#ways", Static).update(words)
        self._show_method()
        if order is not None:
            places = self.t("gift_card.title")
            if order.lines:
                places = self.t.plural("console.sale.places", len(order.lines))
            key = "console.pay.title" if order.exchange is None else "console.exchange.pay"
            self.entitle(self.t(key, number=order.number, places=places))
            self._show_total(self.amount)
            self._show_change()
        elif self._free:
            self.entitle(self.t.plural("console.sale.places", self.house.sale.size))
            self._show_total(0)
        else:
            self.entitle(self.t("console.pay.asking"))

    def _show_total(self, total: int) -> None:
        key = "part_of" if self._part else "to_pay"
        order = self.till.order
        due = "" if order is None else self.money(order.due, self.currency)
        words = self.t(f"console.pay.{key}", currency=self.currency, amount=due)
        self.query_one("#currency", Static).update(words)
        self.query_one(BigText).say(self.figures(total, self.currency))

    # The order ---------------------------------------------------------------

    async def _place(self) -> None:
        """Wait for the keys before, then have the basket priced and locked."""
        await self._idle()
        if self.till.order is None or self._free:
            if not self.house.sale.size:
                self.dismiss(self.t("console.pay.nothing"))
                return
            if self.till.costs_nothing:
                # Placing it sells it, which waits for the key that finishes the sale.
                self._offer()
                if not self._entered:
                    return
            if not await self._ask_for_order():
                return
        elif self.till.slip is not None and self.till.slip.payment is not None:
            self._take_up(self.till.slip.payment)
        self.speak()
        if self._entered:
            self._entered = False
            self._submit()
        if self._read_when_placed:
            self._read_when_placed = False
            self._ask_reader(self.reader)

    def _offer(self) -> None:
        self._free, self._method, self._typed = True, None, ""
        self.set_focus(None)
        self.query_one(Input).value = ""
        self.refresh_bindings()
        self.speak()

    def action_finish(self) -> None:
        """Sell what costs nothing."""
        self._submit()

    async def _ask_for_order(self) -> bool:
        """Whether there is an order now that waits for money."""
        self._busy = self._free
        try:
            order = await self.till.place(self.t.language)
        except ClientError as error:
            if isinstance(error, Problem) and error.refused:
                self._cannot(error)
            else:
                words = error_words(self.t, error)
                self.query_one(Notice).say(f"{words} {self.t('console.pay.again')}", "bad")
            return False
        finally:
            self._busy = self._busy and not self._free
        if not order.waits:
            await self._ended(order)
            return False
        self._free = False
        self.refresh_bindings()
        return True

    def _cannot(self, problem: Problem) -> None:
        words = error_words(self.t, problem)
        seats = ", ".join(self.house.seating.short(seat) for seat in problem.seats[:8])
        if seats:
            words = self.t("console.sale.refused", places=seats, why=words)
        self.dismiss(words)

    def _take_up(self, payment) -> None:  # type: ignore[no-untyped-def]
        """A payment that the console before this one was recording: Enter finishes it."""
        self._method = PaymentMethod(payment.method)
        if self._method is PaymentMethod.STRIPE_TERMINAL:
            self._method, self._part = None, payment.amount
            self._ask_reader(payment.reference)
            return
        field = self.query_one(Input)
        if self._method is PaymentMethod.CASH:
            digits = parse_money("1", self.currency)
            field.value = f"{payment.given / digits:g}"
        else:
            field.value = payment.reference
        self.query_one(Notice).say(self.t("console.resume.payment"), "warn")
        self._show_method()

    # The money ---------------------------------------------------------------

    def action_cash(self) -> None:
        self._choose(PaymentMethod.CASH)

    def action_card(self) -> None:
        if not self.reader:
            self._choose(PaymentMethod.CARD_TERMINAL)
        elif self.till.order is None:
            self._read_when_placed = True
        elif not self._busy and not self._parting:
            self._ask_reader(self.reader)

    def action_note(self) -> None:
        """A terminal of its own, though there is a reader."""
        self._choose(PaymentMethod.CARD_TERMINAL)

    def _ask_reader(self, reader: str) -> None:
        self._method = None
        self._entered = False
        self.query_one(Notice).say("")
        self.app.push_screen(ReaderDialog(self.till, reader, self._part), self._was_read)

    async def _was_read(self, order: Order | None) -> None:
        if order is None:
            self._choose_anew()
        else:
            await self._ended(order)

    def action_cheque(self) -> None:
        self._choose(PaymentMethod.CHEQUE)

    def action_transfer(self) -> None:
        self._choose(PaymentMethod.BANK_TRANSFER)

    def action_credit(self) -> None:
        self._choose(PaymentMethod.STORE_CREDIT)

    def action_part(self) -> None:
        """Ask how much of what is due is paid now."""
        if not self._busy and self.till.order is not None and self._method is None:
            self._parting, self._part = True, 0
            self.query_one(Notice).say("")
            self.speak()

    def action_later(self) -> None:
        """Keep the seats until the performance, for somebody who comes for them."""
        order = self.till.order
        if self._busy or order is None or order.state is not OrderState.OPEN or self._parting:
            return
        self._busy = True
        self.query_one(Notice).say(self.t("console.pay.reserving"), "wait")
        self.run_worker(self._reserve(), group="pay")

    async def _reserve(self) -> None:
        notice = self.query_one(Notice)
        try:
            order = await self.till.reserve(self.house.performance.starts_ms)
        except Problem as problem:
            notice.say(error_words(self.t, problem), "bad")
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
        else:
            self._leave_reserved(order)
        finally:
            self._busy = False

    def _leave_reserved(self, order: Order) -> None:
        self.till.next_sale()
        due = self.money(order.due, order.currency)
        self.dismiss(self.t("console.pay.reserved", number=order.number, amount=due))

    def _choose(self, method: PaymentMethod) -> None:
        if not self._busy and not self._parting:
            self._read_when_placed = False
            self._method = method
            self._entered = False
            if self.is_mounted:
                self.query_one(Notice).say("")
                self._show_method()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        order = self.till.order
        if action == "later" and order is not None and order.state is not OrderState.OPEN:
            return False
        if action == "part" and order is not None and order.exchange is not None:
            return False
        if action == "note" and not self.reader:
            return False
        if action in (*_WAYS, "part", "later", "finish"):
            return self._free is (action == "finish")
        return True

    def on_key(self, event: events.Key) -> None:
        """Keep what is typed faster than the field appears."""
        if isinstance(self.focused, Input):
            return
        if event.key == "enter":
            self._submit()
            event.stop()
        elif self._method is not None and event.is_printable and event.character:
            self._typed += event.character
            event.stop()

    def _show_method(self) -> None:
        field, chosen = self.query_one(Input), self._method is not None or self._parting
        self.query_one("#ways").display = not chosen
        self.query_one("#field-label").display = field.display = chosen
        if not chosen:
            return
        cash = self._method is PaymentMethod.CASH
        if self._typed:
            field.value, self._typed = field.value + self._typed, ""
        label, hint = ("given", "exact") if cash else ("reference", "reference_hint")
        if self._parting:
            label, hint = "how_much", "how_much_hint"
        elif self._method is not None and self._method in _WITH_OWN_WORDS:
            label, hint = f"{self._method.value}_reference", f"{self._method.value}_hint"
        self.query_one("#field-label", Static).update(self.t(f"console.pay.{label}"))
        field.placeholder = self.t(f"console.pay.{hint}")
        field.focus()
        self._show_change()

    @on(Input.Changed)
    def _show_change(self) -> None:
        """What goes back, while it is being typed."""
        label, order = self.query_one("#change", Static), self.till.order
        label.remove_class("-missing")
        if order is None or self._method is not PaymentMethod.CASH:
            label.update("")
            return
        due = cash_rounded(self.amount, self.currency)
        try:
            given = self._given(due)
        except ValueError:
            label.update(self.t("console.pay.not_an_amount"))
            return
        if given < due:
            missing = self.money(due - given, self.currency)
            label.update(self.t("console.pay.missing", amount=missing))
            label.add_class("-missing")
        elif given > due:
            label.update(
                self.t("console.pay.change", amount=self.money(given - due, self.currency))
            )
        elif due != self.amount:
            label.update(self.t("console.pay.rounded", amount=self.money(due, self.currency)))
        else:
            label.update("")

    def _given(self, due: int) -> int:
        """What was typed, in minor units; nothing typed is the exact sum."""
        text = self.query_one(Input).value.strip()
        return parse_money(text, self.currency) if text else due

    @on(Input.Submitted)
    def _submit(self) -> None:
        order = self.till.order
        if self._busy:
            return
        if order is None or self._free:
            self._entered = True
            if not any(worker.group == "place" for worker in self.workers if worker.is_running):
                self.run_worker(self._place(), group="place")
            return
        text, notice = self.query_one(Input).value.strip(), self.query_one(Notice)
        if self._parting:
            self._take_part(text, order.due)
            return
        if self._method is None:
            return
        if self._method is PaymentMethod.CASH:
            due = cash_rounded(self.amount, self.currency)
            try:
                given = self._given(due)
            except ValueError:
                notice.say(self.t("console.pay.not_an_amount"), "warn")
                return
            if given < due:
                self.app.bell()  # what is missing stands below the field
                return
            self._record(PaymentMethod.CASH, given, "")
        elif not text:
            notice.say(self.query_one(Input).placeholder, "warn")
        else:
            self._record(self._method, 0, text)

    def _take_part(self, text: str, due: int) -> None:
        notice = self.query_one(Notice)
        try:
            part = parse_money(text, self.currency)
        except ValueError:
            notice.say(self.t("console.pay.not_an_amount"), "warn")
            return
        if not 0 < part < due:
            words = self.t("console.pay.no_part", amount=self.money(due, self.currency))
            notice.say(words, "warn")
            return
        self._parting, self._part = False, part
        self._choose_anew()

    def _choose_anew(self) -> None:
        """Back to the ways to pay."""
        self._method = None
        self.query_one(Input).value = ""
        self.set_focus(None)
        self.query_one("#change", Static).update("")
        self.speak()

    def _record(self, method: PaymentMethod, given: int, reference: str) -> None:
        self._busy = True
        self.query_one(Notice).say(self.t("console.pay.recording"), "wait")
        self.run_worker(self._pay(method, given, reference), group="pay")

    async def _pay(self, method: PaymentMethod, given: int, reference: str) -> None:
        notice = self.query_one(Notice)
        try:
            order = await self.till.pay(method, given, reference, self._part)
        except Problem as problem:
            notice.say(error_words(self.t, problem), "bad")
        except ClientError as error:
            words = error_words(self.t, error)
            notice.say(f"{words} {self.t('console.pay.again')}", "bad")
        else:
            await self._ended(order)
            return
        finally:
            self._busy = False
        self.query_one(Input).focus()

    async def _ended(self, order: Order) -> None:
        if order.state in SOLD_STATES and not self.till.has_lost_exchange:
            self.dismiss(None)
            self.console.finish_sale(self.till)
            return
        if order.waits and order.payments[-1].captured:
            self._next_part(order)
            return
        slow = order.state in (OrderState.SELLING, OrderState.EXCHANGING)
        key = "slow" if slow else "failed"
        self.query_one(Notice).say(self.t(f"console.pay.{key}", number=order.number), "bad")

    def _next_part(self, order: Order) -> None:
        """A part is recorded; the rest is still to be paid."""
        last = order.payments[-1]
        self._part = 0
        self._choose_anew()
        words = self.t(
            "console.pay.part_taken",
            amount=self.money(last.captured, self.currency),
            due=self.money(order.due, self.currency),
        )
        if last.change:
            change = self.money(last.change, self.currency)
            words = f"{words} {self.t('console.pay.change', amount=change)}"
        self.query_one(Notice).say(words, "good")

    # Back --------------------------------------------------------------------

    def action_back(self) -> None:
        """From the field to the choice, from there to the seats."""
        if self._busy:
            return
        order = self.till.order
        if self._method is not None or self._parting or self._part:
            self._parting, self._part = False, self._part if self._method is not None else 0
            self._choose_anew()
        elif order is not None and order.state is OrderState.AWAITING_PAYMENT:
            # Its seats cannot be lost, and perhaps there is money in it: it is not given up so.
            self._leave_reserved(order)
        else:
            self._busy = True
            self.run_worker(self._give_up(), group="pay")

    async def _give_up(self) -> None:
        try:
            await self.till.back_to_basket()
        except Problem as problem:
            await self._too_late(problem)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            self._busy = False
        else:
            self.dismiss(None)

    async def _too_late(self, problem: Problem) -> None:
        """The order cannot be given up: it was paid meanwhile, or its time ran out."""
        try:
            order = await self.till.look_up_order()
        except ClientError:
            order = None
        sold = order is not None and order.state in (OrderState.SELLING, *SOLD_STATES)
        if order is not None and sold and not self.till.has_lost_exchange:
            await self._ended(order)
            return
        self.till.next_sale()
        self.dismiss(error_words(self.t, problem))
