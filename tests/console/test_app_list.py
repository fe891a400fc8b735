"""The list of places in the console: read on, filtered by one form, written into a file."""

import csv
import io
from pathlib import Path

import openpyxl
import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import DataTable, Input, Static

from console.app import ConsoleApp
from console.screens import listing as screen_module
from console.screens.ask import AskDialog
from console.screens.list_filter import CHOICES, FIELDS, FilterDialog, Unknown, asked, typed
from console.screens.listing import ListScreen
from console.screens.order import OrderScreen
from console.screens.programme import ProgrammeScreen
from console.widgets.chrome import Notice
from engine.commands import Channel
from engine.orders import Buyer, LineState, Order, OrderLine, OrderState
from gateway.list_query import FILTERS
from renderers.i18n import languages, translator
from tests.console.driving import Cashier, cashier
from tests.console.server import House
from tests.console.svg import SvgExtension, tidy
from tests.console.test_snapshots import VARIANTS
from tests.console.waiting import until

BUYERS = ("Ada Lovelace", "Grace Hopper", "Éléonore d'Aquitaine")
STATES = (LineState.SOLD, LineState.RESERVED, LineState.REFUNDED, LineState.CANCELLED)
AT_MS = 1_790_000_000_000


def sell(house: House, orders: int) -> None:
    """Two places each: Ada's are sold, Grace's not paid, Éléonore's refunded, and so on."""
    for number in range(1001, 1001 + orders):
        state = STATES[number % 4]
        ticketed = state is not LineState.CANCELLED
        lines = tuple(
            OrderLine(
                line,
                1,
                (2 * number + line) % 60,
                -1,
                "full",
                2_550,
                state,
                ticket=2 * number + line if ticketed else -1,
            )
            for line in (1, 2)
        )
        house.fake.desk.orders.by_id[f"{number:032x}"] = Order(
            id=f"{number:032x}",
            number=number,
            state=OrderState.PAID,
            channel=Channel.BOX_OFFICE if number % 3 else Channel.WEB,
            currency="EUR",
            total=5_100,
            created_ms=AT_MS + number,
            expires_ms=0,
            buyer=Buyer(BUYERS[number % 3], "someone@example.org"),
            operator="marie" if number % 3 else "",
            session="",
            holds=(),
            lines=lines,
        )


async def open_list(me: Cashier, password: str) -> ListScreen:
    await me.log_in(password)
    await me.sees(ProgrammeScreen)
    await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
    await me.press("t")
    await me.sees(ListScreen)
    screen = me.app.screen
    assert isinstance(screen, ListScreen)
    await until(lambda: screen._totals is not None)
    await me.pilot.pause()
    return screen


def rows(me: Cashier) -> list[list[str]]:
    table = me.app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def shown(me: Cashier, part: str) -> str:
    return str(me.app.screen.query_one(part, Static).render())


async def fill(me: Cashier, **texts: str) -> None:
    await me.press("f")
    await me.sees(FilterDialog)
    for name, text in texts.items():
        me.app.screen.query_one(f"#{name}", Input).value = text
    await me.press("enter")


# The form's words ---------------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
def test_the_form_has_every_filter_and_reads_what_it_writes(language: str) -> None:
    t = translator(language)
    assert set(FIELDS) == set(FILTERS)
    filters = [(name, value) for name, choices in CHOICES.items() for value, _ in choices[:1]]
    filters += [("performance", "1"), ("performance", "2"), ("q", "b 12, left"), ("operator", "x")]
    found = asked(t, typed(t, filters))
    assert not isinstance(found, Unknown)
    assert sorted(found) == sorted(filters)


def test_choices_are_known_by_their_beginnings() -> None:
    t = translator("fr")
    assert asked(t, {"status": "imp, remb", "used": "o"}) == [
        ("status", "unpaid"),
        ("status", "refunded"),
        ("used", "yes"),
    ]
    # "annulé" is a word and the beginning of none other; "va" is one's, "b" another's.
    assert asked(t, {"status": "annulé,VAL,b"}) == [
        ("status", "cancelled"),
        ("status", "valid"),
        ("status", "blocked"),
    ]
    assert asked(t, {"status": "payé"}) == Unknown("status", "payé")
    assert asked(t, {"channel": "w,x"}) == Unknown("channel", "x")
    assert asked(t, {"q": " ", "performance": ", ,"}) == []


# The screen ---------------------------------------------------------------------------------


async def test_the_list_is_read_on_to_its_end(house: House, tmp_path: Path) -> None:
    sell(house, 130)
    async with cashier(house, tmp_path) as me:
        screen = await open_list(me, house.password)
        assert len(rows(me)) == screen_module.PAGE
        assert "260 places" in shown(me, "#totals")
        while len(rows(me)) < 260:
            count = len(rows(me))
            await me.press("ctrl+end")
            await until(lambda before=count: len(rows(me)) > before)
        assert [row[0] for row in rows(me)] == [
            str(number) for number in range(1130, 1000, -1) for _ in (1, 2)
        ]
        assert not screen._next


async def test_no_more_is_shown_than_somebody_reads(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen_module, "MOST", 100)
    sell(house, 60)
    async with cashier(house, tmp_path) as me:
        await open_list(me, house.password)
        await me.press("ctrl+end")
        await me.told("100")
        assert len(rows(me)) == 100


async def test_a_form_filters_and_x_takes_it_back(house: House, tmp_path: Path) -> None:
    sell(house, 12)
    async with cashier(house, tmp_path) as me:
        await open_list(me, house.password)
        assert len(rows(me)) == 24 and "Cyrano" in shown(me, "#asked")
        await fill(me, q="lovelace", status="valid")
        await me.sees(ListScreen)
        await until(lambda: len(rows(me)) == 2)
        assert "lovelace" in shown(me, "#asked")
        assert {row[5] for row in rows(me)} == {"Ada Lovelace"}
        await until(lambda: "€51.00" in shown(me, "#totals"))
        await me.press("x")
        await until(lambda: len(rows(me)) == 24)
        assert shown(me, "#asked") == me.app.t("console.list.everything")


async def test_what_cannot_be_asked_leads_back_to_its_field(house: House, tmp_path: Path) -> None:
    sell(house, 4)
    async with cashier(house, tmp_path) as me:
        await open_list(me, house.password)
        await fill(me, status="lost")
        await until(lambda: "lost" in me.app.screen.query_one(Notice).said)
        assert isinstance(me.app.screen, FilterDialog)
        assert me.app.screen.focused is me.app.screen.query_one("#status")
        await me.press("ctrl+x")
        me.app.screen.query_one("#ordered_from", Input).value = "yesterday"
        await me.press("enter")
        # The server's word: the form is there again, with what was typed.
        await until(
            lambda: (
                isinstance(me.app.screen, FilterDialog)
                and me.app.screen.is_mounted
                and "ordered_from" in me.app.screen.query_one(Notice).said
            )
        )
        field = me.app.screen.query_one("#ordered_from", Input)
        assert field.value == "yesterday" and me.app.screen.focused is field
        await me.press("escape")
        await me.sees(ListScreen)


async def test_a_line_opens_its_order(house: House, tmp_path: Path) -> None:
    sell(house, 3)
    async with cashier(house, tmp_path) as me:
        await open_list(me, house.password)
        await me.press("down", "down", "enter")
        await me.sees(OrderScreen)
        assert me.app.screen.order.number == 1002  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_the_list_is_written_into_a_file(house: House, tmp_path: Path, kind: str) -> None:
    sell(house, 150)
    file = tmp_path / f"places.{kind}"
    file.write_text("of yesterday")
    async with cashier(house, tmp_path, language="fr") as me:
        await open_list(me, house.password)
        await me.press("e")
        await me.sees(AskDialog)
        me.app.screen.query_one(Input).value = str(file)
        await me.press("enter")
        await until(lambda: not me.app.screen.query(Input) and isinstance(me.app.screen, AskDialog))
        await me.press("enter")
        await me.sees(ListScreen)
        await me.told(me.app.t("tickets.cli.written", file=str(file)))
    if kind == "csv":
        text = file.read_text("utf-8-sig")
        found = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    else:
        found = list(openpyxl.load_workbook(file).worksheets[0].iter_rows(values_only=True))
    assert len(found) == 301 and found[0][0] == "Commande"
    assert names(tmp_path) == [file.name, "state"]


async def test_a_file_with_a_wrong_name_and_one_that_is_stopped_leave_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(house, 3)
    async with cashier(house, tmp_path) as me:
        screen = await open_list(me, house.password)
        await me.press("e")
        await me.sees(AskDialog)
        me.app.screen.query_one(Input).value = str(tmp_path / "places.pdf")
        await me.press("enter")
        await me.sees(ListScreen)
        await me.told("places.pdf")
        heard = screen_module._Export.heard

        def stopping(export: screen_module._Export, lines: int, size: int) -> None:
            screen.action_back()  # as Esc does while the file is on its way
            heard(export, lines, size)

        monkeypatch.setattr(screen_module._Export, "heard", stopping)
        await me.press("e")
        await me.sees(AskDialog)
        me.app.screen.query_one(Input).value = str(tmp_path / "places.csv")
        await me.press("enter")
        await me.sees(ListScreen)
        await me.told(me.app.t("console.list.stopped"))
        assert names(tmp_path) == ["state"]
        await me.press("escape")
        await me.sees(ProgrammeScreen)


async def test_who_may_not_see_the_list_has_no_key_for_it(house: House, tmp_path: Path) -> None:
    await house.operator("dora", "cashier")
    async with cashier(house, tmp_path, name="dora") as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await me.press("t")
        await me.pilot.pause()
        assert isinstance(me.app.screen, ProgrammeScreen)


async def test_who_only_reports_reads_and_opens_no_order(house: House, tmp_path: Path) -> None:
    sell(house, 3)
    await house.operator("rita", "report")
    async with cashier(house, tmp_path, name="rita") as me:
        await open_list(me, house.password)
        await me.press("enter")
        await me.pilot.pause()
        assert isinstance(me.app.screen, ListScreen) and len(rows(me)) == 6


# As pictures --------------------------------------------------------------------------------


@pytest.fixture
def picture(snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> SnapshotAssertion:
    monkeypatch.setattr(ConsoleApp, "clock", lambda self: "19:45")
    return snapshot.use_extension(SvgExtension)


@pytest.mark.parametrize(("size", "language"), VARIANTS)
async def test_the_list(
    house: House, tmp_path: Path, picture: SnapshotAssertion, size: tuple[int, int], language: str
) -> None:
    sell(house, 40)
    async with cashier(house, tmp_path, size=size, language=language) as me:
        await open_list(me, house.password)
        await me.press("down")
        await me.pilot.pause(0.2)
        assert tidy(me.app.export_screenshot()) == picture


@pytest.mark.parametrize(("size", "language"), VARIANTS)
async def test_the_form(
    house: House, tmp_path: Path, picture: SnapshotAssertion, size: tuple[int, int], language: str
) -> None:
    sell(house, 40)
    async with cashier(house, tmp_path, size=size, language=language) as me:
        await open_list(me, house.password)
        await me.press("f")
        await me.sees(FilterDialog)
        for field in me.app.screen.query(Input):
            field.cursor_blink = False
        me.app.screen.query_one("#q", Input).value = "lovelace"
        await me.press("tab")
        await me.pilot.pause(0.2)
        assert tidy(me.app.export_screenshot()) == picture
