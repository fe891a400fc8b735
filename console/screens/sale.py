"""The sale: the live house on the left, the basket on the right, one line saying what is next.

Owns the keys of a sale. What they mean to the server is `console.till`'s business; while one
command waits for its answer the next keys wait their turn, so that a cashier may type ahead.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from console.client import ClientError
from console.link import LinkState, NotServed, TooManyUnanswered
from console.looks import GLYPHS, Mark
from console.programme import text_in
from console.sale import places_by_area
from console.screens.ask import AskDialog
from console.screens.base import TillScreen
from console.screens.pay import PayDialog
from console.till import House, Resumed, SaleInProgress, Till, now_ms
from console.widgets.basket_view import BasketView
from console.widgets.chrome import Notice
from console.widgets.seat_map import SeatMap
from console.words import error_words, outcome_words
from engine.commands import BasketIs, Blocked, Held, Outcome, Refusal, Refused, Released, Unblocked
from engine.gift_cards import MAX_AMOUNT, MIN_AMOUNT
from engine.limits import MAX_TEXT_CHARS
from renderers.money import parse_money

REPAINT_S: Final = 1 / 11
"""New colours are gathered and painted at most this often."""
SECOND_DIGIT_S: Final = 0.8
"""A digit this soon after another belongs to the same number."""
USUAL_PARTY: Final = 2
MAX_PARTY: Final = 99
WAITING_S: Final = 0.4
"""An answer that takes longer is said to be awaited."""
SIDE_FRAME_LINES: Final = 14
"""Lines of the screen that are neither map nor basket lines, the legend's included."""
NO_ID: Final = ""
"""Of an order that is only asked about."""
LAST_MINUTES_MS: Final = 2 * 60_000


class SaleScreen(TillScreen):
    """One performance on sale."""

    BINDINGS: ClassVar = [
        Binding("1", "party(1)", "console.key.party", key_display="1-9"),
        *(Binding(digit, f"party({digit})", show=False) for digit in "234567890"),
        Binding("b", "best(False)", "console.key.best"),
        Binding("p", "pay", "console.key.pay"),
        Binding("t", "price", "console.key.price"),
        Binding("backspace,delete", "give_back", "console.key.give_back"),
        Binding("g", "go_to", "console.key.go_to"),
        Binding("n", "buyer", "console.key.buyer"),
        Binding("G", "gift_card", "console.key.gift_card", show=False),
        Binding("f", "phone", "console.key.phone", show=False),
        Binding("x", "empty", "console.key.empty"),
        Binding("s", "sales", "console.key.sales"),
        Binding("tab", "switch", "console.key.switch", show=False, priority=True),
        Binding("T", "price_all", "console.key.price_all", show=False),
        Binding("B", "best(True)", "console.key.best_here", show=False),
        Binding("c", "category", "console.key.category", show=False),
        Binding("w", "wheelchair", "console.key.wheelchair", show=False),
        Binding("k", "block", "console.key.block", show=False),
        Binding("u", "unblock", "console.key.unblock", show=False),
        Binding("d", "door", "console.key.door", show=False),
        Binding("escape", "leave", "console.key.back", show=False),
    ]
    KEY_ORDER: ClassVar = tuple(
        f"console.key.{key}"
        for key in ("party", "best", "choose", "pay", "price", "zoom", "give_back", "go_to")
    )
    """The order in which keys are named where not all fit."""
    DEFAULT_CSS = """
    SaleScreen #middle { height: 1fr; }
    SaleScreen #side { width: 30; border-left: vkey $line; }
    SaleScreen #side.-wide { width: 44; }
    SaleScreen #basket-title { height: 1; padding: 0 1; color: $brass-text; text-style: bold; }
    SaleScreen #countdown { height: 1; padding: 0 1; color: $muted; }
    SaleScreen #countdown.-soon { color: $background; background: $warning; text-style: bold; }
    SaleScreen #total { height: auto; min-height: 2; padding: 0 1; text-align: right;
                        text-style: bold; border-top: solid $line; }
    SaleScreen #legend { height: 5; padding: 0 1; color: $muted; }
    SaleScreen #place { height: 1; padding: 0 1; background: $surface; }
    """

    def __init__(self, till: Till, house: House, resumed: Resumed = Resumed.NOTHING) -> None:
        super().__init__()
        self.till = till
        self.house = house
        self._resumed = resumed
        self._turn = asyncio.Lock()
        self._party = USUAL_PARTY
        self._party_typed_s = 0.0
        self._category = -1
        self._wheelchairs = 0
        self._begun = False

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="middle"):
            yield SeatMap(id="map")
            with Vertical(id="side"):
                yield Static(id="basket-title")
                yield Static(id="countdown")
                yield BasketView(id="basket")
                yield Static(id="total")
                yield Static(id="legend")
        yield Static(id="place")
        yield Notice(id="notice")

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._begin)
        self.set_interval(REPAINT_S, self._repaint)
        self.set_interval(1.0, self._count_down)

    def _begin(self) -> None:
        seat_map = self.query_one(SeatMap)
        seat_map.show(self.house.seating, self.house.replica)
        seat_map.focus()
        self._begun = True
        self.show_basket()
        match self._resumed:
            case Resumed.BASKET:
                seat_map.go_to(next(iter(self.house.sale.seats), seat_map.cursor))
                self.tell(self.t("console.resume.basket"), "warn")
            case Resumed.TO_PAY:
                self.action_pay()
            case Resumed.SOLD:
                self.console.finish_sale(self.till)
            case Resumed.GONE:
                self.tell(self.t("console.resume.gone"), "warn")

    def on_resize(self) -> None:
        self.query_one("#side").set_class(self.app.size.width >= 110, "-wide")
        self._show_legend()
        self.show_status()

    # Words -------------------------------------------------------------------

    def place_words(self) -> str:
        performance = self.house.performance
        title = text_in(performance.title, self.t.language)
        return f"{title} · {self.when(performance.starts_ms)}"

    def speak(self) -> None:
        super().speak()
        self.query_one("#legend", Static).update(
            "\n".join(
                f"{GLYPHS[mark]} {self.t(f'console.seat.{mark.name.lower()}')}"
                for mark in (Mark.FREE, Mark.MINE, Mark.HELD, Mark.SOLD, Mark.OFF)
            )
        )
        if self._begun:
            self.show_basket()

    def tell(self, text: str, kind: str = "info") -> None:
        self.query_one("#notice", Notice).say(text, kind)

    def show_basket(self) -> None:
        """Draw everything that depends on the sale."""
        sale, t = self.house.sale, self.t
        self.query_one(SeatMap).own(sale.seats, places_by_area(sale))
        self.query_one(BasketView).show(sale)
        size = t.plural("console.sale.places", sale.size)
        exchange = self.till.exchange
        basket = t("console.sale.basket")
        if exchange is not None:
            basket = t("console.exchange.basket", number=exchange.number)
        phone = t("console.channel.phone") if sale.by_phone else ""
        title = "  ".join(filter(None, (basket, phone, size, sale.buyer)))
        self.query_one("#basket-title", Static).update(Content(title))
        total = self.money(sale.total, sale.performance.currency)
        self.query_one("#total", Static).update(
            f"{t('console.sale.total')}  {total}" if sale.size else ""
        )
        if sale.size and sale.performance.fees and exchange is None:
            self.run_worker(self._show_cost(), group="cost", exclusive=True)
        self._count_down()
        self._show_legend()
        self._show_place()
        self._hint()

    async def _show_cost(self) -> None:
        """The total with its fees, as the server reckons them; without an answer, the prices'."""
        sale, t = self.house.sale, self.t
        asked = sale.order(NO_ID, t.language)
        with suppress(ClientError):
            cost = await self.till.client.would_cost(asked)
            if asked == sale.order(NO_ID, t.language):
                fees = sum(fee.amount for fee in cost.fees)
                rows = [("fees", fees)] if fees else []
                told = [
                    f"{t(f'console.sale.{name}')}  {self.money(amount, cost.currency)}"
                    for name, amount in [*rows, ("total", cost.total)]
                ]
                self.query_one("#total", Static).update("\n".join(told))

    def _show_legend(self) -> None:
        """Unless the basket needs the room."""
        rest = self.app.size.height - SIDE_FRAME_LINES - self.house.sale.size
        self.query_one("#legend").display = rest >= 0

    def _hint(self) -> None:
        """What to do next."""
        exchange = self.till.exchange
        if self.house.sale.size:
            self.tell(self.t("console.sale.hint_pay"))
        elif exchange is not None:
            places = self.t.plural("console.sale.places", len(exchange.lines))
            words = self.t("console.exchange.hint", number=exchange.number, places=places)
            self.tell(words, "warn")
        else:
            self._hint_start()

    def _hint_start(self) -> None:
        t = self.t
        party = t.plural("console.sale.places", self._party)
        more = []
        if self._category >= 0:
            more.append(self.house.seating.plan.categories[self._category].name)
        if self._wheelchairs:
            more.append(t("console.sale.with_wheelchair"))
        only = f" ({', '.join(more)})" if more else ""
        self.tell(t("console.sale.hint_start", party=party + only))

    def _show_place(self) -> None:
        """The place under the cursor, in words: where, what it is, what it costs."""
        seat_map, seating, t = self.query_one(SeatMap), self.house.seating, self.t
        spot = seat_map.cursor
        category = seating.category_of(spot)
        words = [seating.words(spot, t)]
        area = seating.area_of(spot)
        if area >= 0:
            words.append(t.plural("console.sale.free_places", self.house.replica.areas[area]))
        else:
            mark = seat_map.mark(spot)
            words.append(f"{GLYPHS[mark]} {t(f'console.seat.{mark.name.lower()}')}")
        words.append(seating.plan.categories[category].name)
        choices = self.house.performance.choices(category, now_ms())
        if choices:
            choice, amount = choices[0]
            name = text_in(choice.names, t.language)
            words.append(f"{name} {self.money(amount, self.house.performance.currency)}")
        self.query_one("#place", Static).update(Content(" · ".join(words)))

    def _count_down(self) -> None:
        sale, label = self.house.sale, self.query_one("#countdown", Static)
        left_ms = sale.expires_ms - now_ms()
        label.set_class(bool(sale.size) and left_ms < LAST_MINUTES_MS, "-soon")
        if not sale.size or not sale.expires_ms:
            label.update("")
            return
        minutes, seconds = divmod(max(0, left_ms) // 1000, 60)
        label.update(self.t("console.sale.held_for", time=f"{minutes}:{seconds:02d}"))

    def _repaint(self) -> None:
        """Paint what the feed brought since the last time."""
        if not self._begun:
            return
        dirt = self.house.dirt.take()
        seat_map = self.query_one(SeatMap)
        if dirt.all:
            seat_map.refresh()
        else:
            seat_map.changed(dirt.seats, dirt.areas)
        if dirt.all or dirt.areas or seat_map.cursor in dirt.seats:
            self._show_place()

    # What the server is asked ------------------------------------------------

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        self.run_worker(self._in_turn(work), group="till")

    async def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        """One command at a time, in the order of the keys, with its failures in words."""
        async with self._turn:
            waiting = self.set_timer(WAITING_S, self._say_waiting)
            try:
                await work()
            except (ClientError, NotServed) as error:
                self.tell(error_words(self.t, error), "bad")
            except TooManyUnanswered:
                self.tell(self.t("console.error.too_many"), "bad")
            finally:
                waiting.stop()

    async def idle(self) -> None:
        """Wait until every key typed so far has had its answer."""
        async with self._turn:
            pass

    def _say_waiting(self) -> None:
        lost = self.console.link_state is not LinkState.OPEN
        self.tell(self.t("console.sale.waiting_lost" if lost else "console.sale.waiting"), "wait")

    def _answered(self, outcome: Outcome) -> None:
        """Show what a command did to the basket."""
        self.show_basket()
        seating, t = self.house.seating, self.t
        match outcome:
            case Refused(code=code, seats=seats):
                named = ", ".join(seating.short(seat) for seat in seats[:8])
                words = outcome_words(t, outcome)
                if code is Refusal.NOT_ON_SALE and outcome.detail:
                    begins = self.when(int(outcome.detail))
                    words = t("refusal.not_on_sale.from", when=begins)
                if named:
                    words = t("console.sale.refused", places=named, why=words)
                self.tell(words, "warn")
                if code in (Refusal.HOLD_UNKNOWN, Refusal.NOT_IN_HOLD):
                    self._do(self._look_again)
            case Held(seats=seats, rung=rung) if rung is not None:
                named = ", ".join(seating.short(seat) for seat in seats[:8])
                how = t(f"outcome.rung.{rung.value}")
                self.tell(t("console.sale.found", how=how, places=named), "good")
                if seats:
                    self.query_one(SeatMap).go_to(seats[0])

    async def _look_again(self) -> None:
        if self.till.in_payment:
            return
        outcome = await self.till.refresh_basket()
        if not isinstance(outcome, BasketIs):
            self.till.next_sale()
        self.show_basket()

    def hold_ended(self) -> None:
        """The seats went back on sale because time was up."""
        self.show_basket()
        self.tell(self.t("console.sale.expired"), "bad")
        self.app.bell()

    def sale_ended(self, words: str) -> None:
        """Sold and closed: the basket is empty again."""
        self._party = USUAL_PARTY
        self.show_basket()
        if words:
            self.tell(words, "good")

    def link_changed(self, state: LinkState) -> None:
        self.show_status()
        if state is LinkState.OPEN and self.house.sale.size:
            # What was held may have run out while nobody listened; this also subscribes again.
            self._do(self._look_again)

    # Keys --------------------------------------------------------------------

    def action_party(self, digit: int) -> None:
        """How many places `b` finds and Enter takes in an area; two quick digits are one."""
        now_s = time.monotonic()
        joined = self._party * 10 + digit
        if now_s - self._party_typed_s < SECOND_DIGIT_S and joined <= MAX_PARTY:
            self._party = joined
        elif digit:
            self._party = digit
        self._party_typed_s = now_s
        self._hint_start()

    def action_best(self, here: bool) -> None:
        seating, party = self.house.seating, self._party
        self._party_typed_s = 0.0  # the number is said: the next digit begins another
        sections = (seating.section_of(self.query_one(SeatMap).cursor),) if here else ()
        categories = (self._category,) if self._category >= 0 else ()
        accessible = min(self._wheelchairs, party)

        async def work() -> None:
            self._answered(await self.till.best(party, categories, sections, accessible))

        self._do(work)

    @on(SeatMap.Chosen)
    def _choose(self, event: SeatMap.Chosen) -> None:
        spot, party = event.spot, self._party

        async def work() -> None:
            sale, seating = self.house.sale, self.house.seating
            area = seating.area_of(spot)
            if area >= 0:
                self._answered(await self.till.hold((), [(area, party)]))
            elif spot in sale.seats:
                self._answered(await self.till.release(seating.sold_with(spot)))
            else:
                self._answered(await self.till.hold(seating.sold_with(spot), ()))

        self._do(work)

    @on(SeatMap.CursorMoved)
    def _moved(self, event: SeatMap.CursorMoved) -> None:
        self._show_place()
        self.query_one(BasketView).select_spot(event.spot)

    @on(BasketView.Selected)
    def _selected(self, event: BasketView.Selected) -> None:
        self.query_one(SeatMap).go_to(event.spot)

    def action_switch(self) -> None:
        basket = self.query_one(BasketView)
        (self.query_one(SeatMap) if basket.has_focus else basket).focus()

    def action_give_back(self) -> None:
        line = self.query_one(BasketView).line()
        if line is None:
            return
        seating, area = self.house.seating, self.house.seating.area_of(line.spot)

        async def work() -> None:
            if area >= 0:
                self._answered(await self.till.release((), [(area, 1)]))
            elif line.spot in self.house.sale.seats:
                self._answered(await self.till.release(seating.sold_with(line.spot)))

        self._do(work)

    def action_empty(self) -> None:
        async def work() -> None:
            if self.house.sale.size:
                self._answered(await self.till.release())

        self._do(work)

    def action_price(self) -> None:
        async def work() -> None:
            line = self.query_one(BasketView).line()
            if line is not None:
                self.house.sale.next_price(line, now_ms())
                await self._keep_details()

        self._do(work)

    def action_price_all(self) -> None:
        async def work() -> None:
            if self.house.sale.size:
                self.house.sale.next_price_for_all(now_ms())
                await self._keep_details()

        self._do(work)

    def action_category(self) -> None:
        count = len(self.house.seating.plan.categories)
        self._category = (self._category + 2) % (count + 1) - 1
        self.query_one(SeatMap).look_at(self._category)
        self._hint()

    def action_wheelchair(self) -> None:
        self._wheelchairs = 0 if self._wheelchairs else 1
        self._hint()

    def action_pay(self) -> None:
        """Open the dialog at once: keys typed ahead are meant for it."""
        self.app.push_screen(PayDialog(self.till, self.house, self.idle), self._paid)

    def action_gift_card(self) -> None:
        """Ask for an amount, and take the money for a gift card: an order of its own."""
        currency = self.house.performance.currency

        def answered(text: str | None) -> None:
            if not text:
                return
            try:
                amount = parse_money(text, currency)
            except ValueError:
                self.tell(self.t("console.pay.not_an_amount"), "warn")
                return
            self._do(lambda: self._sell_gift_card(amount))

        self.app.push_screen(AskDialog("console.gift_card"), answered)

    async def _sell_gift_card(self, amount: int) -> None:
        if not MIN_AMOUNT <= amount <= MAX_AMOUNT:
            least, most = (
                self.money(one, self.house.performance.currency) for one in (MIN_AMOUNT, MAX_AMOUNT)
            )
            self.tell(self.t("console.gift_card.bounds", least=least, most=most), "warn")
            return
        try:
            sale = self.house.sale
            await self.till.place_gift_cards((amount,), sale.buyer, self.t.language)
        except SaleInProgress:
            self.tell(self.t("console.gift_card.basket"), "warn")
            return
        self.app.push_screen(PayDialog(self.till, self.house), self._gift_card_paid)

    def _gift_card_paid(self, why: str | None) -> None:
        if self.till.order is None:  # it was given up
            self.till.next_sale()
        self._paid(why)

    def _paid(self, why: str | None) -> None:
        self.show_basket()
        if why:
            self.tell(why, "warn")

    def action_go_to(self) -> None:
        def found(text: str | None) -> None:
            near = self.house.seating.section_of(self.query_one(SeatMap).cursor)
            spot = self.house.seating.find(text, near) if text else None
            if spot is not None:
                self.query_one(SeatMap).go_to(spot)
            elif text:
                self.tell(self.t("console.sale.no_such_place", text=text), "warn")

        self.app.push_screen(AskDialog("console.go_to"), found)

    def action_buyer(self) -> None:
        """A name on the order, by which it is found again."""

        def named(name: str | None) -> None:
            if name:
                self.house.sale.buyer = name[:MAX_TEXT_CHARS]
                self._do(self._keep_details)

        self.app.push_screen(AskDialog("console.buyer", self.house.sale.buyer), named)

    def action_phone(self) -> None:
        """This sale is by phone, or at the box office again."""

        async def work() -> None:
            self.house.sale.by_phone = not self.house.sale.by_phone
            await self._keep_details()
            key = "console.sale.by_phone" if self.house.sale.by_phone else "console.sale.at_desk"
            self.tell(self.t(key))

        self._do(work)

    async def _keep_details(self) -> None:
        self.till.details_changed()
        self.show_basket()

    def action_block(self) -> None:
        self._ask_seats("console.block", self._block)

    def action_unblock(self) -> None:
        self._ask_seats("console.unblock", self._unblock)

    def _ask_seats(self, key: str, work: Callable[[list[int], str], Awaitable[None]]) -> None:
        seating = self.house.seating
        cursor = self.query_one(SeatMap).cursor
        here = seating.short(cursor) if seating.area_of(cursor) < 0 else ""

        def answered(text: str | None) -> None:
            if not text:
                return
            named, _, reason = text.partition(":")
            try:
                seats = seating.find_seats(named, seating.section_of(cursor))
            except ValueError as error:
                self.tell(self.t("console.sale.no_such_place", text=str(error)), "warn")
                return
            self._do(lambda: work(seats, reason.strip()[:MAX_TEXT_CHARS]))

        self.app.push_screen(AskDialog(key, here), answered)

    async def _block(self, seats: list[int], reason: str) -> None:
        outcome = await self.till.block(seats, reason or self.console.operator_name)
        self._answered(outcome)
        if isinstance(outcome, Blocked):
            self.tell(self.t.plural("console.sale.blocked", len(outcome.seats)), "good")

    async def _unblock(self, seats: list[int], _: str) -> None:
        outcome = await self.till.unblock(seats)
        self._answered(outcome)
        if isinstance(outcome, Unblocked):
            self.tell(self.t.plural("console.sale.unblocked", len(outcome.seats)), "good")

    def action_sales(self) -> None:
        self.console.open_sales(self.house.performance.id)

    def action_door(self) -> None:
        self.console.open_door(self.house.performance.id)

    def action_leave(self) -> None:
        """Back to the performances; a basket is given back first, not left to run out."""

        async def work() -> None:
            if self.house.sale.size:
                outcome = await self.till.release()
                if not isinstance(outcome, Released | Refused):
                    return
            exchange = self.till.exchange
            self.till.next_sale()
            self.till.exchange = exchange  # perhaps for places of another performance
            self.till.close()
            self.console.show_programme()

        if not self.house.sale.size:
            self._do(work)
            return

        def sure(answer: str | None) -> None:
            if answer is not None:
                self._do(work)

        self.app.push_screen(AskDialog("console.leave", confirm=True), sure)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        if action == "door":
            return "scan" in self.console.may
        if action in ("block", "unblock"):
            return action in self.console.may
        return action != "phone" or self.till.exchange is None
