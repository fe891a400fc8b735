"""The screens as pictures, at both sizes and in both languages.

After a wanted change: `pytest tests/console/test_snapshots.py --snapshot-update`, and look at the
pictures in `__snapshots__` before they are kept.
"""

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from console import till as till_module
from console.app import ConsoleApp
from console.screens import door as door_module
from console.screens import sale as sale_module
from console.screens.base import Spoken
from console.screens.order import OrderScreen
from console.screens.sales import SalesScreen
from engine.commands import SeatStatus
from renderers import secret
from tests.console.driving import Cashier, DoorScreen, PayDialog, SaleScreen, cashier
from tests.console.server import House
from tests.console.svg import SvgExtension, tidy
from tests.console.waiting import until

SMALL, LARGE = (80, 24), (140, 45)
VARIANTS = [
    pytest.param(size, language, id=f"{size[0]}x{size[1]}-{language}")
    for size in (SMALL, LARGE)
    for language in ("en", "fr")
]


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(SvgExtension)


@pytest.fixture(autouse=True)
def _one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the time of day would change."""
    monkeypatch.setattr(ConsoleApp, "clock", lambda self: "19:45")
    monkeypatch.setattr(Spoken, "when", lambda self, at_ms: "11.12. 20:00")
    monkeypatch.setattr(sale_module.SaleScreen, "_count_down", _always_a_quarter)
    monkeypatch.setattr(till_module, "CONFIRM_POLL_S", 0.01)
    monkeypatch.setattr(door_module, "COUNT_S", 0.05)


def _always_a_quarter(screen: SaleScreen) -> None:
    words = screen.t("console.sale.held_for", time="14:59") if screen.house.sale.size else ""
    screen.query_one("#countdown").update(words)  # type: ignore[attr-defined]


async def seen(me: Cashier) -> str:
    await me.pilot.pause()
    await me.pilot.pause()
    return tidy(me.app.export_screenshot())


async def busy_house(me: Cashier, house: House) -> None:
    """Some seats taken, some not on sale, and the same every time."""
    from tests.console.test_till import at_till

    seating = me.house.seating
    token = await house.operator("lea", "admin")
    async with at_till(house.url, token, me.app.settings.state / "lea") as lea:
        await lea.open(1)
        await lea.hold(seating.find_seats("stalls b 10-13, stalls d 3-6"), ())
        order = await lea.place("en")
        await lea.pay(till_module.PaymentMethod.CASH, order.total + 80, "")
        lea.next_sale()
        await lea.hold(seating.find_seats("stalls f 12-13"), ())
        await lea.block(seating.find_seats("stalls h 17-18"), "camera")
    await until(lambda: me.house.replica.statuses.count(SeatStatus.HELD) == 2)
    await until(lambda: me.house.replica.statuses.count(SeatStatus.BLOCKED) == 2)
    await me.pilot.pause(0.2)


@pytest.mark.parametrize(("size", "language"), VARIANTS)
async def test_the_sale(
    house: House, tmp_path: Path, picture: SnapshotAssertion, size: tuple[int, int], language: str
) -> None:
    async with cashier(house, tmp_path, size=size, language=language) as me:
        await me.open_sale(house.password)
        await busy_house(me, house)
        await me.press("3", "b")
        await until(lambda: me.house.sale.size == 3)
        await me.press("t")
        await until(lambda: "child" in me.house.sale.seats.values())
        await until(lambda: me.house.replica.statuses.count(SeatStatus.HELD) == 5)
        await me.pilot.pause(0.2)
        assert await seen(me) == picture


@pytest.mark.parametrize(("size", "language"), VARIANTS)
async def test_taking_the_money(
    house: House, tmp_path: Path, picture: SnapshotAssertion, size: tuple[int, int], language: str
) -> None:
    async with cashier(house, tmp_path, size=size, language=language) as me:
        await me.open_sale(house.password)
        await me.press("2", "b", "p", "c")
        await me.sees(PayDialog)
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.type("100")
        me.app.screen.query_one("#field").cursor_blink = False  # type: ignore[attr-defined]
        await me.pilot.pause(0.2)
        assert await seen(me) == picture


@pytest.mark.parametrize(("size", "language"), VARIANTS)
async def test_the_door(
    house: House, tmp_path: Path, picture: SnapshotAssertion, size: tuple[int, int], language: str
) -> None:
    async with cashier(house, tmp_path, size=size, language=language) as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "c", "enter")
        line = (await me.sold()).order.lines[0]
        await me.press("enter")
        await me.sees(SaleScreen)
        await me.press("d")
        await me.sees(DoorScreen)
        field = me.app.screen.query_one("#secret")
        field.cursor_blink = False  # type: ignore[attr-defined]
        for _ in range(2):
            field.value = secret.sign(house.fake.ticket_key, 1, line.ticket, 0)  # type: ignore[attr-defined]
            await me.press("enter")
        wanted = me.app.t("outcome.scan.ALREADY_USED")
        await until(lambda: me.app.screen.query_one("#big").text == wanted)  # type: ignore[attr-defined]
        await until(lambda: "1" in str(me.app.screen.query_one("#inside").render()))
        assert await seen(me) == picture


async def test_one_order_to_refund(
    house: House, tmp_path: Path, picture: SnapshotAssertion
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b", "p", "c", "enter")
        await me.sold()
        await me.press("enter")
        await me.sees(SaleScreen)
        await me.press("s")
        await me.sees(SalesScreen)
        await until(lambda: len(me.app.screen._orders) == 1)  # type: ignore[attr-defined]
        await me.press("enter")
        await me.sees(OrderScreen)
        await until(lambda: bool(me.app.screen._houses))  # type: ignore[attr-defined]
        await me.press("down", "space")
        assert await seen(me) == picture
