"""The drawer at the console: opened, counted and closed by keys, its state in the line above."""

from pathlib import Path

import pytest
from textual.widgets import DataTable, Input, Static

from console.screens.ask import AskDialog
from console.screens.count import CountScreen
from console.screens.pay import PayDialog
from console.screens.programme import ProgrammeScreen
from console.screens.sale import SaleScreen
from console.screens.tills import MoveDialog, OpenTillDialog, TillListScreen, TillSessionScreen
from console.widgets.chrome import StatusBar
from engine.tills import TillSession
from tests.console.driving import Cashier, cashier
from tests.console.server import House, Tangle
from tests.console.waiting import until
from tests.fakes.tills import decided, opening


def above(me: Cashier) -> str:
    return str(me.app.screen.query_one(StatusBar).render())


def shown(me: Cashier, part: str = "#report") -> str:
    return str(me.app.screen.query_one(part, Static).render()).replace("\u00a0", " ")


def session(house: House) -> TillSession:
    (found,) = house.fake.tills.sessions.values()
    return found


async def open_till(me: Cashier, amount: str = "200") -> None:
    """From any screen."""
    await me.press("f12")
    await me.sees(TillSessionScreen)
    await until(lambda: me.app.screen._asked)  # type: ignore[attr-defined]
    await me.press("o")
    await me.sees(OpenTillDialog)
    for field, text in (("#till", "Caisse 1"), ("#float", amount)):
        me.app.screen.query_one(field, Input).value = text
    await me.press("enter")
    await me.sees(TillSessionScreen)
    await me.told("Caisse 1 is open")


async def count(me: Cashier, **pieces: int) -> None:
    await me.press("c")
    await me.sees(CountScreen)
    for kind, many in pieces.items():
        me.app.screen.query_one(f"#{kind}", Input).value = str(many)
    await me.pilot.pause()


async def test_a_shift_by_keys_alone(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        assert "F12" not in above(me)
        await open_till(me)
        await me.press("i")
        await me.sees(MoveDialog)
        await me.type("50")
        await me.press("enter")
        await me.type("bar")
        await me.press("enter")
        await me.sees(TillSessionScreen)
        await me.told("50.00 in")
        await me.press("escape")
        await me.sees(SaleScreen)
        assert "F12 Caisse 1" in above(me), "the sale says at which till"
        await me.press("2", "b", "p", "c", "enter")
        order = (await me.sold()).order
        assert order.payments[0].till == session(house).id
        await me.press("enter")
        await me.sees(SaleScreen)
        await me.press("f12")
        await me.sees(TillSessionScreen)
        expected = 25_000 + order.payments[0].amount
        await until(lambda: "1 order paid" in shown(me))
        await me.press("c")
        await me.sees(CountScreen)
        await me.press("down", "1", "enter", "enter", "1", "backspace")
        assert me.app.screen.query_one("#kind-20000", Input).value == "1"
        assert str(me.app.focused.id) == "kind-5000"  # type: ignore[union-attr]
        rest = expected - 20_000
        me.app.screen.query_one("#kind-5", Input).value = str(rest // 5)
        await me.pilot.pause()
        assert "The drawer is right" in shown(me, "#verdict")
        await me.press("f9")
        await me.sees(AskDialog)
        await me.press("enter")
        await me.sees(TillSessionScreen)
        await me.told("closed")
        closing = session(house).closing
        assert closing is not None and (closing.amount, closing.difference) == (expected, 0)
        assert "F12" not in above(me)
        await me.press("p")
        await me.told("till-1.pdf")
        assert (tmp_path / "papers" / "till-1.pdf").read_bytes().startswith(b"%PDF")


async def test_a_difference_wants_to_be_explained(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await open_till(me)
        await count(me, **{"kind-10000": 1})
        assert "100.00 missing" in shown(me, "#verdict")
        await me.press("f8")
        await me.sees(TillSessionScreen)
        await me.told("Difference: −CHF\u00a0100.00")
        assert "Count, difference −CHF 100.00" in shown(me)
        await count(me, **{"kind-10000": 3})
        assert "Over by CHF 100.00" in shown(me, "#verdict")
        await me.press("f9")
        await me.sees(AskDialog)
        await me.press("escape")
        await me.sees(CountScreen)
        assert session(house).closing is None
        await me.press("f9")
        await me.sees(AskDialog)
        await me.press("enter")
        await me.sees(CountScreen)
        assert session(house).closing is None, "without a word it stays open"
        await me.press("f9")
        await me.sees(AskDialog)
        await me.type("tips")
        await me.press("enter")
        await me.sees(TillSessionScreen)
        await me.told("closed")
        closing = session(house).closing
        assert closing is not None
        assert (closing.explanation, closing.difference) == ("tips", 10_000)


async def test_what_moved_meanwhile_is_counted_before_closing(house: House, tmp_path: Path) -> None:
    """The screen of the count is old by the time its key is pressed."""
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await open_till(me)
        await count(me, **{"kind-20000": 1})
        assert "The drawer is right" in shown(me, "#verdict")
        client, found = me.app.client, session(house)
        from engine.tills import AddEntry, EntryKind

        await client.enter_till(found.id, AddEntry("m", EntryKind.OUT, "", 5_000, "safe"))
        await me.press("f9")
        await me.sees(AskDialog)
        assert "+CHF\u00a050.00" in str(me.app.screen.query_one("#box").border_title)
        await me.press("escape")
        await me.sees(CountScreen)
        assert "Over by CHF 50.00" in shown(me, "#verdict")


async def test_without_a_session_the_money_is_refused_and_the_way_out_is_a_key(
    house: House, tmp_path: Path
) -> None:
    the_house = house.fake.catalogue.the_house
    assert the_house is not None
    the_house.settings["till_sessions_required"] = True
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        assert "F12 no till open" in above(me)
        await me.press("1", "b", "p", "c", "enter")
        await me.sees(PayDialog)
        await me.told("F12")
        await open_till(me)
        await me.press("escape")
        await me.sees(PayDialog)
        await me.press("enter")
        order = (await me.sold()).order
        assert order.payments[0].till == session(house).id


async def test_sessions_of_before_are_looked_at_and_printed_again(
    house: House, tmp_path: Path
) -> None:
    tills = house.fake.tills
    decided(await tills.open(opening(1, "Caisse 2", "paul"), 1_790_000_000_000))
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await me.press("f12")
        await me.sees(TillSessionScreen)
        await until(lambda: "No till session is open" in shown(me, "#head"))
        await me.press("l")
        await me.sees(TillListScreen)
        await until(lambda: me.app.screen.query_one(DataTable).row_count == 1)
        await me.press("enter")
        await me.sees(TillSessionScreen)
        await until(lambda: "Caisse 2 · paul" in shown(me, "#head"))
        await me.press("f12")
        await me.pilot.pause()
        await me.press("p")
        await me.told("till-1.pdf")
        await me.press("escape", "escape")
        await me.sees(TillSessionScreen)
        await me.press("escape")
        await me.sees(ProgrammeScreen)


async def test_a_lost_answer_opens_one_session_and_moves_once(
    house: House, tangle: Tangle, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path, url=tangle.url) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        tangle.drop_answer_after = b"POST /api/tills "
        await open_till(me)
        tangle.drop_answer_after = b"/entries"
        await me.press("u")
        await me.sees(MoveDialog)
        await me.type("20")
        await me.press("enter")
        await me.type("safe")
        await me.press("enter")
        await me.sees(TillSessionScreen)
        await me.told("20.00 out")
        assert len(house.fake.tills.entries[session(house).id]) == 1


@pytest.mark.parametrize(("field", "text"), [("#float", "many"), ("#till", " ")])
async def test_what_cannot_be_read_is_not_sent(
    house: House, tmp_path: Path, field: str, text: str
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await me.press("f12")
        await me.sees(TillSessionScreen)
        await until(lambda: me.app.screen._asked)  # type: ignore[attr-defined]
        await me.press("o")
        await me.sees(OpenTillDialog)
        for name, value in (("#till", "Caisse 1"), ("#float", "20"), (field, text)):
            me.app.screen.query_one(name, Input).value = value
        await me.press("enter", "enter")
        await me.pilot.pause()
        assert isinstance(me.app.screen, OpenTillDialog)
        assert house.fake.tills.sessions == {}
        await me.press("escape")
        await me.sees(TillSessionScreen)


async def test_who_does_not_sell_has_no_till(house: House, tmp_path: Path) -> None:
    await house.operator("dora", "door")
    async with cashier(house, tmp_path, name="dora") as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await me.press("f12")
        await me.pilot.pause()
        assert isinstance(me.app.screen, ProgrammeScreen)
