"""The machines at the doors in the console: a code for a new one, who is there, an end at once."""

from pathlib import Path

import aiohttp
import pytest
from textual.widgets import DataTable, Static

from console.client import Client
from console.screens.ask import AskDialog
from console.screens.devices import CodeDialog, DevicesScreen, NewDeviceDialog, is_here_only
from console.screens.programme import ProgrammeScreen
from console.widgets.chrome import Notice
from renderers import enrolment
from tests.console.driving import Cashier, cashier
from tests.console.server import House
from tests.console.waiting import until
from tests.gateway.client import Socket

LARGE = (140, 60)
SMALL = (80, 24)


def shown(me: Cashier, part: str) -> str:
    return str(me.app.screen.query_one(part, Static).render())


def rows(me: Cashier) -> list[list[str]]:
    table = me.app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


async def open_devices(me: Cashier, password: str) -> None:
    await me.log_in(password)
    await me.sees(ProgrammeScreen)
    await me.press("m")
    await me.sees(DevicesScreen)


async def give_address(me: Cashier, address: str, instead_of: str) -> None:
    await me.press("a")
    await me.sees(AskDialog)
    for _ in instead_of:
        await me.press("backspace")
    await me.type(address)
    await me.press("enter")
    await me.sees(CodeDialog)


async def test_a_device_is_added_seen_and_revoked_at_once(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path, size=LARGE) as me:
        await open_devices(me, house.password)
        await me.press("n")
        await me.sees(NewDeviceDialog)
        await me.type("Door 3")
        await me.press("tab")
        await me.type("main")
        await me.press("enter")
        await me.sees(CodeDialog)
        link = shown(me, "#link")
        assert shown(me, "#code").splitlines() == enrolment.half_blocks(link)
        offer = enrolment.read_link(link)
        assert (offer.server, offer.language, offer.camera) == (house.url, "en", "back")
        made = await Client(house.url).enrol(offer.token)
        await me.press("enter")
        await me.sees(DevicesScreen)
        await until(lambda: [row[:2] for row in rows(me)] == [["Door 3", "main"]])
        async with aiohttp.ClientSession() as http:
            door = Socket(await http.ws_connect(f"{house.url}/ws"))
            await door.hello(made.token)
            await me.press("r")
            await until(lambda: any(character.isdigit() for character in rows(me)[0][3]))
            # Not without being asked again; then its open line is cut.
            await me.press("x")
            await me.sees(AskDialog)
            await me.press("escape")
            await me.sees(DevicesScreen)
            assert (await door.ask("scan", 1, "x"))[1] == "UNKNOWN"
            await me.press("x")
            await me.sees(AskDialog)
            await me.press("enter")
            assert await door.closed() == 1008
        await until(lambda: rows(me)[0][5] == "revoked")


async def test_a_code_that_does_not_fit_is_told_as_a_link(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path, size=SMALL) as me:
        await open_devices(me, house.password)
        await me.press("n")
        await me.sees(NewDeviceDialog)
        await me.type("Door 4")
        await me.press("enter")
        await me.sees(CodeDialog)
        assert shown(me, "#code") == ""
        assert enrolment.read_link(shown(me, "#link")).token.startswith("e.")
        await me.press("escape")
        await me.sees(DevicesScreen)
        # Another code for the device that is there, which has none to show any more.
        await until(lambda: len(rows(me)) == 1)
        await me.press("enter")
        await me.sees(CodeDialog)


async def test_a_form_that_cannot_be_read_is_not_sent(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path, size=LARGE) as me:
        await open_devices(me, house.password)
        await me.press("n", "enter")
        assert "name" in me.app.screen.query_one(Notice).said
        await me.type("Door 5")
        await me.press("tab", "tab")
        await me.type("12;13")
        await me.press("enter")
        assert "12;13" in me.app.screen.query_one(Notice).said
        await me.press("escape")
        await me.sees(DevicesScreen)
        assert await me.app.client.devices() == []
        await me.press("n")
        await me.type("Door 5")
        await me.press("tab", "tab")
        await me.type("12,13")
        await me.press("enter")
        await me.sees(CodeDialog)
        assert enrolment.read_link(shown(me, "#link")).performances == (12, 13)


async def test_a_code_says_the_address_that_the_device_can_reach(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path, size=LARGE) as me:
        await open_devices(me, house.password)
        await me.press("n")
        await me.type("Door 6")
        await me.press("enter")
        await me.sees(CodeDialog)
        assert "Only this machine" in me.app.screen.query_one(Notice).said
        await give_address(me, "box.example:port", instead_of=house.url)
        await until(lambda: "box.example:port" in me.app.screen.query_one(Notice).said)
        await give_address(me, "box.example:8123", instead_of=house.url)
        await until(lambda: "box.example" in shown(me, "#link"))
        await me.press("c", "l")
        first = enrolment.read_link(shown(me, "#link"))
        assert first[:4] == ("http://box.example:8123", first.token, "fr", "front")
        assert not me.app.screen.query_one(Notice).said
        assert shown(me, "#code").splitlines() == enrolment.half_blocks(shown(me, "#link"))
        # The next code is for a device at the same place.
        await me.press("enter")
        await me.sees(DevicesScreen)
        await until(lambda: len(rows(me)) == 1)
        await me.press("enter")
        await me.sees(CodeDialog)
        again = enrolment.read_link(shown(me, "#link"))
        assert again == first._replace(token=again.token) and again.token != first.token


@pytest.mark.parametrize(
    ("server", "here"),
    [
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", True),
        ("https://[::1]", True),
        ("http://192.168.1.10:8000", False),
        ("https://box.example", False),
    ],
)
def test_an_address_that_leads_every_machine_to_itself_is_known(server: str, here: bool) -> None:
    assert is_here_only(server) is here


async def test_who_supervises_nothing_has_no_devices(house: House, tmp_path: Path) -> None:
    await house.operator("dora", "door")
    async with cashier(house, tmp_path, name="dora", size=LARGE) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await me.press("m")
        await me.pilot.pause()
        assert isinstance(me.app.screen, ProgrammeScreen)
