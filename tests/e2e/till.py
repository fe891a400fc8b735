"""A person at a real console, in the words of the tests: keys in, what the screen shows out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rich.color import Color
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from console.app import ConsoleApp, Settings
from console.looks import GLYPHS, Mark
from console.map_layout import Zoom
from console.printing import Printer
from console.screens.door import DoorScreen
from console.screens.login import LoginScreen
from console.screens.order import OrderScreen, RefundDialog
from console.screens.programme import ProgrammeScreen
from console.screens.sale import SaleScreen
from console.screens.sales import SalesScreen
from console.screens.sold import SoldDialog
from console.screens.supervisor import SupervisorScreen
from console.widgets.big_text import BigText
from console.widgets.chrome import Notice
from console.widgets.seat_map import SeatMap
from engine.plan import Plan
from renderers.palette import DARK

SIZE = (120, 40)
PATIENCE_S = 30.0
"""Longest wait for one thing to appear: the machine may be busy."""


class Clerk:
    """Whoever stands at this console. `plan` is the house that they look at."""

    def __init__(self, pilot: Pilot[None], plan: Plan) -> None:
        self._pilot = pilot
        self._plan = plan

    @property
    def app(self) -> ConsoleApp:
        app = self._pilot.app
        assert isinstance(app, ConsoleApp)
        return app

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def until(self, true: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not true():
                    await self._pilot.pause(0.05)
        except TimeoutError:
            raise AssertionError(f"never at the console: {what}; {self.notice()!r}") from None

    async def arrive(self, screen: type[Screen[object]]) -> None:
        await self.until(lambda: isinstance(self.app.screen, screen), screen.__name__)

    # Ways through the console ------------------------------------------------

    async def log_in(self, name: str, password: str) -> None:
        await self.arrive(LoginScreen)
        await self.press(*name, "enter", *password, "enter")
        await self.arrive(ProgrammeScreen)
        await self.until(lambda: self.notice() == self.app.t("console.programme.hint"), "a choice")

    async def log_out(self) -> None:
        """From a sale with an empty basket."""
        await self.press("escape")
        await self.arrive(ProgrammeScreen)
        await self.press("l")
        await self.arrive(LoginScreen)

    async def open_sale(self, place: int) -> None:
        """The performance at this place of the programme, from 0, at the zoom that shows rows."""
        await self.press(*["down"] * place, "enter")
        await self.arrive(SaleScreen)
        seat_map = self.app.screen.query_one(SeatMap)
        await self.until(lambda: bool(self.place()), "the house")
        while seat_map.zoom is not Zoom.ROWS:
            await self.press("plus")

    async def look_at(self, seat: int) -> None:
        """Puts the cursor there."""
        label = self._plan.seat_label(seat)
        await self.press("g")
        await self.press(*f"{label.section} {label.row} {label.seat}", "enter")
        words = f"{label.section}, row {label.row}, seat {label.seat} "
        await self.until(lambda: self.place().startswith(words), words)

    async def open_door(self, place: int) -> None:
        """The door screen of the performance at this place of the programme, from 0."""
        await self.press(*["down"] * place, "d")
        await self.arrive(DoorScreen)

    async def open_supervisor(self, place: int) -> None:
        """The supervisor's screen of the performance at this place of the programme, from 0."""
        await self.press(*["down"] * place, "w")
        await self.arrive(SupervisorScreen)

    async def present(self, code: str) -> tuple[str, str]:
        """A ticket at this door: the word that is read from afar, and the small ones below."""
        before = self._door()
        await self.press(*code, "enter")
        waiting = (before, ("…", self.app.t("console.door.asking")))
        await self.until(lambda: self._door() not in waiting, "an answer")
        return self._door()

    def _door(self) -> tuple[str, str]:
        big = self.app.screen.query_one(BigText).text
        return big, str(self.app.screen.query_one("#details", Static).render())

    async def sell_for_cash(self, places: int, given: str) -> SoldDialog:
        """The best places there are; ends before the change on the screen."""
        await self.press(str(places), "b", "p", "c", *given, "enter")
        await self.arrive(SoldDialog)
        dialog = self.app.screen
        assert isinstance(dialog, SoldDialog)
        await self.until(lambda: dialog._ready, "time to see the change")
        return dialog

    async def open_latest_order(self) -> None:
        """From a sale, the newest order of its performance."""
        await self.press("s")
        await self.arrive(SalesScreen)
        await self.until(lambda: self.notice() == self.app.t("console.sales.hint"), "the orders")
        await self.press("enter")
        await self.arrive(OrderScreen)

    async def refund_line(self, number: int, reason: str) -> str:
        """Asks for the money of one line of the order on the screen; what the console answers."""
        await self.press(*["down"] * number, "space", "r")
        await self.arrive(RefundDialog)
        await self.press(*reason, "enter")
        waiting = ("", self.app.t("console.refund.doing"))
        await self.until(lambda: self.notice() not in waiting, "an answer")
        return self.notice()

    def why_no_refund(self) -> str:
        """What the order on the screen says of this operator's right to refund it."""
        return str(self.app.screen.query_one("#no-refund", Static).render())

    def words_around(self, key: str, placeholder: str) -> str:
        """The longer of the words before and after a message's only placeholder."""
        return max(self.app.t(key, **{placeholder: "\0"}).split("\0"), key=len)

    async def back_to_sale(self) -> None:
        """From the order."""
        for screen in (SalesScreen, SaleScreen):
            await self.press("escape")
            await self.arrive(screen)

    # What the screen shows ---------------------------------------------------

    def notice(self) -> str:
        found = self.app.screen.query(Notice)
        return found.last().said if found else ""

    def place(self) -> str:
        """The line under the map: the place under the cursor, in words."""
        return str(self.app.screen.query_one("#place", Static).render())

    def basket(self) -> int:
        """Places in the sale under way."""
        till = self.app.till
        return till.house.sale.size if till and till.house else 0

    async def sees(self, mark: Mark) -> None:
        """Under the cursor, as a sign on the map and in words below it."""
        words = f"{GLYPHS[mark]} {self.app.t(f'console.seat.{mark.name.lower()}')}"

        def there() -> bool:
            return self._sign() == GLYPHS[mark] and words in self.place().split(" · ")

        await self.until(there, f"{words!r} under the cursor")

    def _sign(self) -> str:
        """What is painted on the cursor's ground."""
        seat_map = self.app.screen.query_one(SeatMap)
        cells = [cell for y in range(seat_map.size.height) for cell in seat_map.render_line(y)]
        ground = Color.parse(DARK.focus)
        return "".join(cell.text for cell in cells if cell.style and cell.style.bgcolor == ground)


@asynccontextmanager
async def console_at(
    server: str, folder: Path, plan: Plan, size: tuple[int, int] = SIZE
) -> AsyncIterator[Clerk]:
    """A console that has just been started, in English; its papers and its slip go to `folder`."""
    app = ConsoleApp(Settings(server, folder, Printer(folder / "papers"), language="en"))
    async with app.run_test(size=size) as pilot:
        yield Clerk(pilot, plan)
