"""The console app against a served house, driven by keys as a cashier presses them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import DataTable, Input

from console.app import ConsoleApp, Settings
from console.link import LinkState
from console.printing import Printer
from console.screens.door import DoorScreen
from console.screens.login import LoginScreen
from console.screens.order import OrderScreen
from console.screens.pay import PayDialog
from console.screens.programme import ProgrammeScreen
from console.screens.sale import SaleScreen
from console.screens.sales import SalesScreen
from console.screens.sold import SoldDialog
from console.till import House as TillHouse
from console.widgets.chrome import KeyBar, Notice
from engine.orders import Order
from tests.console.server import CASHIER, House
from tests.console.waiting import until

NAMES = {" ": "space", ".": "full_stop", ",": "comma", "-": "minus", ":": "colon"}


class Cashier:
    """Presses keys, and looks at the screen."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot
        self.pressed = 0

    async def press(self, *keys: str) -> None:
        self.pressed += len(keys)
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.press(*(NAMES.get(letter, letter) for letter in text))

    async def sees(self, screen: type) -> None:
        await until(lambda: isinstance(self.app.screen, screen) and self.app.screen.is_mounted)
        await self.pilot.pause()

    async def log_in(self, password: str) -> None:
        """The password is put in at once: typing it key by key is not what is tested."""
        await self.sees(LoginScreen)
        self.app.screen.query_one("#password", Input).value = password
        await self.press("enter")

    async def open_sale(self, password: str) -> None:
        await self.log_in(password)
        await self.sees(ProgrammeScreen)
        await until(lambda: bool(self.app.screen._performances))  # type: ignore[attr-defined]
        await self.press("enter")
        await self.sees(SaleScreen)
        await until(lambda: self.house.replica.seq > 0 or self.house.replica.epoch > 0)
        await self.pilot.pause()

    async def sold(self) -> SoldDialog:
        await self.sees(SoldDialog)
        dialog = self.app.screen
        assert isinstance(dialog, SoldDialog)
        await until(lambda: dialog._ready)
        return dialog

    @property
    def house(self) -> TillHouse:
        assert self.app.till is not None and self.app.till.house is not None
        return self.app.till.house

    @property
    def notice(self) -> str:
        return self.app.screen.query_one(Notice).said

    @property
    def keys(self) -> str:
        """The line of keys at the bottom."""
        return self.app.screen.query_one(KeyBar).render().plain

    async def told(self, part: str) -> None:
        """Wait until the line that speaks says something."""
        await until(lambda: part in self.notice)


@asynccontextmanager
async def cashier(
    house: House,
    tmp: Path,
    *,
    url: str = "",
    name: str = CASHIER,
    language: str = "en",
    size: tuple[int, int] = (80, 24),
    printer: str = "",
) -> AsyncIterator[Cashier]:
    settings = Settings(
        server=url or house.url,
        state=tmp / "state",
        printer=Printer(tmp / "papers", printer),
        login=name,
        language=language,
    )
    app = ConsoleApp(settings)
    async with app.run_test(size=size) as pilot:
        yield Cashier(app, pilot)


__all__ = [
    "Cashier",
    "DoorScreen",
    "LinkState",
    "LoginScreen",
    "PayDialog",
    "ProgrammeScreen",
    "SaleScreen",
    "SoldDialog",
    "cashier",
]


async def a_sold_order(me: Cashier, seats: int = 3) -> Order:
    await me.press(str(seats), "b", "p", "c", "enter")
    order = (await me.sold()).order
    await me.press("enter")
    await me.sees(SaleScreen)
    return order


async def open_order(me: Cashier) -> OrderScreen:
    await me.press("s")
    await me.sees(SalesScreen)
    await until(lambda: me.app.screen.query_one(DataTable).row_count > 0)
    await me.press("enter")
    await me.sees(OrderScreen)
    screen = me.app.screen
    assert isinstance(screen, OrderScreen)
    await until(lambda: bool(screen._houses))
    await me.pilot.pause()
    return screen
