"""The machines at the doors in the console: a code for a new one, who is there, an end at once."""

from pathlib import Path

import aiohttp
from textual.widgets import DataTable, Static

from console.client import Client
from console.screens.ask import AskDialog
from console.screens.devices import CodeDialog, DevicesScreen
from console.screens.programme import ProgrammeScreen
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


async def test_a_device_is_added_seen_and_revoked_at_once(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path, size=LARGE) as me:
        await open_devices(me, house.password)
        await me.press("n")
        await me.sees(AskDialog)
        await me.type("Door 3")
        await me.press("enter")
        await until(lambda: "gate" in shown(me, "#text").lower())
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
        await me.sees(AskDialog)
        await me.type("Door 4")
        await me.press("enter")
        await until(lambda: "gate" in shown(me, "#text").lower())
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


async def test_who_supervises_nothing_has_no_devices(house: House, tmp_path: Path) -> None:
    await house.operator("dora", "door")
    async with cashier(house, tmp_path, name="dora", size=LARGE) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await me.press("m")
        await me.pilot.pause()
        assert isinstance(me.app.screen, ProgrammeScreen)
