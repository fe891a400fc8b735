"""A card at the reader: the amount in large figures, how it goes on, and a way to stop it.

Owns the dialog while a card reader of the provider asks for a card. It looks at the order, and
every while asks for the same attempt again: that shows nothing twice, finds what no notice told,
and goes through where the line was lost.
"""

import asyncio
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from console.client import ClientError, Problem
from console.screens.base import Dialog
from console.till import Till
from console.widgets.big_text import BigText
from console.widgets.chrome import Notice
from console.words import error_words
from engine.payments import PaymentMethod

POLL_S: Final = 0.5
"""Between two looks at the order while it waits for its card."""
LOOKS_PER_ASK: Final = 4
"""Looks before the attempt is asked for again: then the desk asks the provider."""


class ReaderDialog(Dialog):
    """Ends with the order when money came or it is not to be paid any more; None: another way."""

    BINDINGS: ClassVar = [
        Binding("enter", "again", "console.key.card_again"),
        Binding("escape", "stop", "console.key.card_stop"),
    ]
    DEFAULT_CSS = """
    ReaderDialog > #box { min-height: 15; }
    ReaderDialog BigText { height: 7; color: $foreground; background: $surface; }
    ReaderDialog #currency { text-align: center; color: $muted; height: 1; }
    ReaderDialog #doing { text-align: center; text-style: bold; color: $brass-text; height: 1; }
    """

    def __init__(self, till: Till, reader: str, part: int = 0) -> None:
        """Pays what is due of the till's order, or `part` of it."""
        super().__init__()
        self.till = till
        self._reader = reader
        self._part = part
        self._asking = False
        assert till.order is not None
        self._amount = part or till.order.due
        self._currency = till.order.currency

    def compose_body(self) -> ComposeResult:
        yield Static(id="currency")
        yield BigText(id="total")
        yield Static(id="doing")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self._begin()

    def speak(self) -> None:
        super().speak()
        assert self.till.order is not None
        self.entitle(self.t("reader.screen.title", number=self.till.order.number))
        words = self.t("console.pay.to_pay", currency=self._currency)
        self.query_one("#currency", Static).update(words)
        self.query_one(BigText).say(self.figures(self._amount, self._currency))
        doing = "asking" if self._asking else "over"
        self.query_one("#doing", Static).update(self.t(f"reader.screen.{doing}"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        return action != "again" or not self._asking

    def _show(self, *, asking: bool) -> None:
        self._asking = asking
        self.refresh_bindings()
        self.speak()

    def _begin(self) -> None:
        self._show(asking=True)
        self.query_one(Notice).say(self.t("reader.screen.wait"), "wait")
        self.run_worker(self._read(), group="read", exclusive=True)

    async def _read(self) -> None:
        notice = self.query_one(Notice)
        while True:
            try:
                order = await self.till.pay(
                    PaymentMethod.STRIPE_TERMINAL, 0, self._reader, self._part
                )
            except Problem as problem:
                if problem.refused:
                    notice.say(error_words(self.t, problem), "bad")
                    self._show(asking=False)
                    return
                notice.say(self.t("reader.screen.silence"), "warn")
            except ClientError as error:
                notice.say(
                    f"{error_words(self.t, error)} {self.t('reader.screen.silence')}", "warn"
                )
            else:
                if not self.till.at_reader:
                    self.dismiss(order)
                    return
                notice.say(self.t("reader.screen.wait"), "wait")
            await self._watch()

    async def _watch(self) -> None:
        """Until the order tells that something came of it, or it is time to ask."""
        for _ in range(LOOKS_PER_ASK):
            await asyncio.sleep(POLL_S)
            try:
                await self.till.look_up_order()
            except ClientError:
                self.query_one(Notice).say(self.t("reader.screen.silence"), "warn")
                return
            if not self.till.at_reader:
                return

    def action_again(self) -> None:
        """Try another card, or the same."""
        self._begin()

    def action_stop(self) -> None:
        if not self._asking:
            self.dismiss(None)
            return
        self.query_one(Notice).say(self.t("reader.screen.stopping"), "wait")
        # In place of the worker that asks: an answer that is under way changes nothing.
        self.run_worker(self._stop(), group="read", exclusive=True)

    async def _stop(self) -> None:
        try:
            order = await self.till.stop_reader()
        except ClientError as error:
            # Nobody knows whether a card was charged: go on looking.
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            await asyncio.sleep(POLL_S)
            self._begin()
        else:
            self.dismiss(None if self.till.waits else order)
