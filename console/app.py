"""The console: one operator, one connection, a stack of screens.

Owns who is logged in, the link and the till, the language and the theme, and where the screens
lead. Talks to a gateway only, through `console.client` and `console.link`.

What nobody sees before the login is imported where it is opened, and beforehand while somebody
types a password: the first screen is there in under a second.
"""

import asyncio
import contextlib
import importlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette
from textual.screen import Screen

from console import looks
from console.client import Client, ClientError, OwnTill
from console.link import Link, LinkState
from console.printing import Printer
from console.programme import Performance
from console.screens.base import Dialog, TillScreen
from console.screens.login import LoginScreen
from console.screens.programme import ProgrammeScreen
from console.seating import Seating
from console.slip import AllTillsBusy, SlipFile
from console.till import Resumed, Till
from console.widgets.chrome import shown_bindings
from console.words import error_words
from engine.orders import Order
from engine.tills import TillReport
from renderers.i18n import languages, preferred_by_environment, translator
from renderers.money import format_time

LATER: Final = tuple(
    f"console.{name}"
    for name in (
        *("scan", "screens.sale", "screens.sales", "screens.sold", "screens.door"),
        *("screens.devices", "screens.listing", "screens.supervisor", "screens.help"),
        "screens.tills",
    )
)
"""What is imported once the first screen is there."""
MAX_HOUSES: Final = 8
"""Performances kept with their plans, for the words of orders' places."""
SELLING_ROLES: Final = frozenset({"admin", "supervisor", "cashier", "refund"})
LISTING_ROLES: Final = frozenset({"admin", "supervisor", "report"})
SUPERVISING_ROLES: Final = frozenset({"admin", "supervisor"})


@dataclass(frozen=True, slots=True)
class Settings:
    """How a console was started."""

    server: str
    state: Path
    printer: Printer
    login: str = ""
    language: str = ""  # empty: the terminal's until the operator's is known


class ConsoleApp(App[None]):
    """The app that `strapontin console` runs."""

    TITLE = "Strapontin"
    BINDINGS: ClassVar = [
        Binding("f1,question_mark", "help", "console.key.help", key_display="F1"),
        Binding("f2", "language", "console.key.language", show=False, priority=True),
        Binding("f12", "till_session", "console.key.till", show=False, priority=True),
        Binding("f3", "theme", "console.key.theme", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "console.key.palette", show=False, priority=True),
        Binding("ctrl+q", "leave", "console.key.quit", show=False, priority=True),
    ]
    CSS = """
    Input { background: $background; border: tall $line; }
    Input:focus { border: tall $focus; }
    DoorScreen Input, DoorScreen Input:focus, FilterDialog Input, FilterDialog Input:focus {
        border: none; height: 1; padding: 0 1; background: $surface;
    }
    FilterDialog Input { background: $background; }
    FilterDialog Input:focus { background: $line; }
    CountScreen Input, CountScreen Input:focus {
        border: none; height: 1; width: 12; margin: 0 1; padding: 0 1; background: $surface;
    }
    CountScreen Input:focus { background: $line; text-style: bold; }
    DataTable > .datatable--header { background: $background; color: $muted; text-style: bold; }
    DataTable > .datatable--cursor { background: $brass; color: $on-brass; text-style: bold; }
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.client = Client(settings.server)
        self.printer = settings.printer
        self.t = translator(settings.language or preferred_by_environment(os.environ))
        self.link: Link | None = None
        self.link_state = LinkState.CONNECTING
        self.till: Till | None = None
        self.operator_name = ""
        self.roles: frozenset[str] = frozenset()
        self.house_name = self.TITLE
        self.time_zone = "UTC"
        self.own_till: OwnTill | None = None
        self._link_task: asyncio.Task[None] | None = None
        self._slips: SlipFile | None = None
        self._houses: dict[int, tuple[Performance, Seating]] = {}

        for name in looks.THEMES:
            self.register_theme(looks.terminal_theme(name))
        self.theme = looks.DARK

    def on_mount(self) -> None:
        self.push_screen(LoginScreen(self.settings.login))
        self.call_after_refresh(self._load_later)

    def _load_later(self) -> None:
        self.run_worker(_load, thread=True, group="later")

    async def on_unmount(self) -> None:
        await self._disconnect()

    # Who is there ------------------------------------------------------------

    @property
    def may(self) -> frozenset[str]:
        """Which commands the server lets this operator send."""
        welcome = self.link.welcome if self.link else None
        return frozenset(welcome.may) if welcome else frozenset()

    @property
    def sells(self) -> bool:
        return bool(self.roles & SELLING_ROLES)

    @property
    def lists(self) -> bool:
        """May see every place that was ordered."""
        return bool(self.roles & LISTING_ROLES)

    @property
    def supervises(self) -> bool:
        return bool(self.roles & SUPERVISING_ROLES)

    async def log_in(self, name: str, password: str) -> None:
        """Log in, connect, and pick up the sale that was left behind, if any.

        Raises:
            ClientError: refused, or no answer.
        """
        from console.screens.sale import SaleScreen

        operator = await self.client.login(name, password)
        if "reseller" in operator.roles:
            await self.client.logout()
            raise ClientError(self.t("console.error.reseller"))
        house = await self.client.house()
        self.operator_name, self.roles = operator.name, frozenset(operator.roles)
        self.house_name = house.name
        self.time_zone = _known_zone(house.time_zone)
        if not self.settings.language and operator.language in languages():
            self.speak(operator.language)
        await self._connect()
        resumed = Resumed.NOTHING
        if self.till is not None and self.sells:
            resumed = await self.till.resume()
        if self.sells:
            with contextlib.suppress(ClientError):  # asked again on its own screen
                await self.ask_till()
        self.show_programme()
        if resumed is not Resumed.NOTHING and self.till is not None and self.till.house:
            self.push_screen(SaleScreen(self.till, self.till.house, resumed))

    async def _connect(self) -> None:
        await self._disconnect()
        try:
            self._slips = SlipFile(self.settings.state, self.client.server, self.operator_name)
        except (OSError, AllTillsBusy) as error:
            raise ClientError(self.t("console.error.state", why=str(error))) from error
        opened = asyncio.Event()
        self.link = Link(
            self.client.server,
            self.client.token,
            self.t.language,
            on_feed=self._fed,
            on_lost=self._lost,
            on_state=partial(self._link_changed, opened),
        )
        self.till = Till(self.client, self.link, self._slips)
        self._link_task = asyncio.create_task(self.link.run())
        await opened.wait()

    async def _disconnect(self) -> None:
        if self._link_task is not None:
            self._link_task.cancel()
            await asyncio.gather(self._link_task, return_exceptions=True)
            self._link_task = None
        if self._slips is not None:
            self._slips.close()
            self._slips = None
        self.link = self.till = None

    async def log_out(self) -> None:
        try:
            await self.client.logout()
        except ClientError:
            self.client.token = ""
        await self._disconnect()
        self.operator_name, self.roles, self.own_till = "", frozenset(), None
        self._only(LoginScreen())

    # The link ----------------------------------------------------------------

    def _fed(self, frame: bytes) -> None:
        if self.till is not None:
            self.till.feed(frame)

    def _lost(self, performance_id: int, token: bytes) -> None:
        from console.screens.sale import SaleScreen

        if self.till is not None and self.till.lost(performance_id, token):
            for screen in self.screen_stack:
                if isinstance(screen, SaleScreen):
                    screen.hold_ended()

    def _link_changed(self, opened: asyncio.Event, state: LinkState, why: str) -> None:
        from console.screens.sale import SaleScreen

        self.link_state = state
        if state in (LinkState.OPEN, LinkState.REFUSED):
            opened.set()
        for screen in self.screen_stack:
            if isinstance(screen, SaleScreen):
                screen.link_changed(state)
            elif isinstance(screen, TillScreen):
                screen.show_status()
        if state is LinkState.REFUSED:
            # The slip stays: who logs in again goes on where this stopped.
            self._only(LoginScreen(self.operator_name, self.t("console.login.ended")))

    # Where screens lead ------------------------------------------------------

    def _only(self, screen: Screen[Any]) -> None:
        """Make a screen the only one."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.push_screen(screen)

    def show_programme(self) -> None:
        self._only(ProgrammeScreen())

    async def open_sale(self, performance_id: int) -> None:
        """Raises ClientError when the performance cannot be fetched."""
        from console.screens.sale import SaleScreen

        assert self.till is not None
        house = await self.till.open(performance_id)
        self._houses[performance_id] = house.performance, house.seating
        if not isinstance(self.screen, ProgrammeScreen):
            self.show_programme()
        self.push_screen(SaleScreen(self.till, house))

    def open_sales(self, performance_id: int) -> None:
        from console.screens.sales import SalesScreen

        self.push_screen(SalesScreen(performance_id))

    def open_door(self, performance_id: int) -> None:
        self.run_worker(self._open_door(performance_id), group="open", exclusive=True)

    async def _open_door(self, performance_id: int) -> None:
        from console.scan import Scanner
        from console.screens.door import DoorScreen

        assert self.link is not None
        try:
            found, seating = await self.house_of(performance_id)
        except ClientError as error:
            self.notify(error_words(self.t, error), severity="error")
            return
        self.push_screen(DoorScreen(found, seating, Scanner(self.link, performance_id)))

    def open_supervisor(self, performance_id: int) -> None:
        self.run_worker(self._open_supervisor(performance_id), group="open", exclusive=True)

    async def _open_supervisor(self, performance_id: int) -> None:
        from console.screens.supervisor import SupervisorScreen

        try:
            found, seating = await self.house_of(performance_id)
        except ClientError as error:
            self.notify(error_words(self.t, error), severity="error")
            return
        self.push_screen(SupervisorScreen(found, seating.place_count))

    def open_list(self, performance_id: int) -> None:
        from console.screens.listing import ListScreen

        self.push_screen(ListScreen(performance_id))

    def open_devices(self) -> None:
        from console.screens.devices import DevicesScreen

        self.push_screen(DevicesScreen())

    def action_till_session(self) -> None:
        """The drawer, from wherever one is; keys of its own screens lead back."""
        from console.screens.tills import TillSessionScreen

        if not any(isinstance(screen, TillSessionScreen) for screen in self.screen_stack):
            self.push_screen(TillSessionScreen())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "till_session":
            return self.sells
        return super().check_action(action, parameters)

    def finish_sale(self, till: Till) -> None:
        """Show the change and print; the next sale begins when that is closed."""
        from console.screens.sale import SaleScreen
        from console.screens.sold import SoldDialog

        assert till.order is not None

        def closed(words: str | None) -> None:
            till.next_sale()
            for screen in self.screen_stack:
                if isinstance(screen, SaleScreen):
                    screen.sale_ended(words or "")

        self.push_screen(SoldDialog(till.order, till.exchange), closed)

    # The till session --------------------------------------------------------

    async def ask_till(self) -> OwnTill:
        """The session that the operator has open, for the line above. Raises ClientError."""
        self.own_till = await self.client.own_till()
        return self.own_till

    def till_is(self, report: TillReport) -> None:
        """A command has opened the operator's session, changed or closed it."""
        is_open = report.session.closing is None
        was = self.own_till or OwnTill(False, None)
        if is_open and was.report is not None and was.report.session.id == report.session.id:
            self.own_till = OwnTill(was.required, report, was.reader)
            return
        self.own_till = OwnTill(was.required, report if is_open else None)
        if is_open:
            self.run_worker(self._find_reader(), group="till", exclusive=True)

    async def _find_reader(self) -> None:
        """Learn which card reader stands at the till that was opened."""
        with contextlib.suppress(ClientError):
            await self.ask_till()

    def till_words(self) -> str:
        """What the line above says of the drawer."""
        if self.own_till is None or not self.sells:
            return ""
        if self.own_till.report is not None:
            return self.t("till.screen.status", till=self.own_till.report.session.till)
        return self.t("till.screen.none") if self.own_till.required else ""

    # What screens share ------------------------------------------------------

    async def house_of(self, performance_id: int) -> tuple[Performance, Seating]:
        """A performance and its plan, for the words of places and prices. Raises ClientError."""
        if performance_id not in self._houses:
            found = await self.client.performance(performance_id)
            seating = Seating(await self.client.plan(found.plan))
            if len(self._houses) >= MAX_HOUSES:
                del self._houses[next(iter(self._houses))]
            self._houses[performance_id] = found, seating
        return self._houses[performance_id]

    async def print_paper(
        self, order: Order, what: str, print_id: str, lines: Sequence[int] = ()
    ) -> Path:
        """`what` is "tickets" (of these lines, or all), "receipt" or "invoice".

        Tickets that were printed before are marked, unless that was under the same `print_id`.
        Raises ClientError or PrintError.
        """
        language = order.buyer.language or self.t.language
        if what == "invoice":
            return await self._print_invoice(order, language)
        if what == "tickets":
            pdf = await self.client.print_tickets(order.id, print_id, language, lines)
        else:
            pdf = await self.client.receipt_pdf(order.id, language)
        return await self.printer.print(pdf, f"{order.number}-{what}")

    async def _print_invoice(self, order: Order, language: str) -> Path:
        """The order's invoice, and the credit notes that followed it; where the last one is."""
        await self.client.invoice(order.id, language)
        for row in await self.client.papers_of(order.id):
            pdf = await self.client.paper_pdf(order.id, row.name)
            path = await self.printer.print(pdf, row.name)
        return path

    def clock(self) -> str:
        """The time of day in the house."""
        return format_time(time.time_ns() // 1_000_000, self.time_zone, self.t.language)

    # Language, theme, help ---------------------------------------------------

    def speak(self, language: str) -> None:
        """Change the language of everything that is on the screen."""
        self.t = translator(language)
        for screen in self.screen_stack:
            if isinstance(screen, TillScreen | Dialog) and screen.is_mounted:
                screen.speak()

    def action_language(self) -> None:
        known = languages()
        self.speak(known[(known.index(self.t.language) + 1) % len(known)])

    def action_theme(self) -> None:
        at = looks.THEMES.index(self.theme) if self.theme in looks.THEMES else -1
        self.theme = looks.THEMES[(at + 1) % len(looks.THEMES)]

    def action_help(self) -> None:
        from console.screens.help import HelpDialog

        if not isinstance(self.screen, HelpDialog):
            self.push_screen(HelpDialog(self.screen))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=self.t("console.palette.search")))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything the present screen can do, in words."""
        for binding, node in shown_bindings(screen):
            words = self.t(binding.description)
            longer = binding.description.replace(".key.", ".help.")
            yield SystemCommand(
                words[:1].upper() + words[1:],
                self.t(longer) if longer in self.t else words,
                partial(self.run_action, binding.action, node),  # type: ignore[arg-type]
            )

    def action_leave(self) -> None:
        """Quit; a sale in progress stays on its slip and in its hold, and is resumed."""
        self.exit()


def _load() -> None:
    for name in LATER:
        importlib.import_module(name)


def _known_zone(name: str) -> str:
    """The zone, or UTC where this machine's tables do not have it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
    return name
