"""The sale is made: the change in large figures, the tickets on their way to paper."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from console.client import ClientError
from console.printing import PrintError
from console.screens.base import Dialog
from console.slip import Exchange
from console.till import new_id
from console.widgets.big_text import BigText
from console.widgets.chrome import Notice
from console.words import error_words
from engine.currency import cash_rounded
from engine.orders import Order
from engine.payments import TILL_METHODS, PaymentMethod

GUARD_S = 0.5
"""A key pressed twice must not wipe the change off the screen before it was seen."""


class SoldDialog(Dialog):
    """Returns one line that tells the sale again."""

    BINDINGS: ClassVar = [
        Binding("enter,n", "next", "console.key.next_sale", key_display="⏎"),
        Binding("r", "print_tickets", "console.key.print_again"),
        Binding("e", "print_receipt", "console.key.receipt"),
        Binding("escape", "next", show=False),
    ]
    DEFAULT_CSS = """
    SoldDialog > #box { border: heavy $success; }
    SoldDialog #label { text-align: center; text-style: bold; height: 1; }
    SoldDialog BigText { height: 8; color: $success; background: $surface; }
    """

    def __init__(self, order: Order, exchange: Exchange | None = None) -> None:
        """With `exchange` it was none of its own: what came with it is told."""
        super().__init__()
        self.order = order
        self._ready = False
        self._print_id = new_id().hex()
        done = [one for one in order.exchanges if exchange is not None and one.id == exchange.id]
        self._lines = done[0].coming if done else ()
        self._payments = order.payments[exchange.payments if exchange is not None else 0 :]
        self._back = [
            back.amount
            for payment in order.payments
            for back in payment.refunds
            if done and back.key == done[0].id and payment.method in TILL_METHODS
        ]

    @property
    def change(self) -> int:
        """Cash to give back, as the server recorded it; -1 where no cash was taken."""
        paid = [pay for pay in self._payments if pay.captured]
        cash = [pay.change for pay in paid if pay.method is PaymentMethod.CASH]
        return sum(cash) if cash else -1

    @property
    def back(self) -> int:
        """What is to be handed back of what was paid before."""
        return cash_rounded(sum(self._back), self.order.currency)

    def compose_body(self) -> ComposeResult:
        yield Static(id="label")
        yield BigText(id="big")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_timer(GUARD_S, self._open)
        self.action_print_tickets()

    def _open(self) -> None:
        self._ready = True

    def speak(self) -> None:
        super().speak()
        order, t = self.order, self.t
        places = t("gift_card.title")
        if order.lines:
            places = t.plural("console.sale.places", len(self._lines) or len(order.lines))
        key = "console.exchange.done" if self._lines else "console.sold.title"
        self.entitle(t(key, number=order.number, places=places))
        big = self.query_one(BigText)
        if self.back:
            label = t("console.exchange.back", currency=order.currency)
            self.query_one("#label", Static).update(label)
            big.say(self.figures(self.back, order.currency))
        elif self.change > 0:
            label = t("console.sold.change", currency=order.currency)
            self.query_one("#label", Static).update(label)
            big.say(self.figures(self.change, order.currency))
        else:
            key = "no_change" if self.change == 0 else "by_card" if order.total else "free"
            total = self.money(order.total, order.currency)
            self.query_one("#label", Static).update(t(f"console.sold.{key}", amount=total))
            big.say(t("console.sold.sold"), "good")

    def action_print_tickets(self) -> None:
        self.run_worker(self._print("tickets"), group="print", exclusive=True)

    def action_print_receipt(self) -> None:
        self.run_worker(self._print("receipt"), group="print", exclusive=True)

    async def _print(self, what: str) -> None:
        notice, t = self.query_one(Notice), self.t
        notice.say(t("console.print.doing"), "wait")
        try:
            path = await self.console.print_paper(self.order, what, self._print_id, self._lines)
        except PrintError as error:
            notice.say(t("console.print.failed", why=str(error)), "bad")
        except ClientError as error:
            notice.say(f"{error_words(t, error)} {t('console.print.retry')}", "bad")
        else:
            self._print_id = new_id().hex()  # what is printed again is a copy
            key = "printed" if self.console.printer.command else "kept"
            notice.say(t(f"console.print.{key}", path=str(path)), "good")

    def action_next(self) -> None:
        if self._ready:
            key = "told_change" if self.change > 0 else "told"
            change = self.money(max(self.change, 0), self.order.currency)
            self.dismiss(self.t(f"console.sold.{key}", number=self.order.number, change=change))
