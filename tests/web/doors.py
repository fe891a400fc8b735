"""A performance's doors for the scanner page: tickets, codes for devices, enrolled phones."""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest_asyncio
from msgspec.structs import replace
from playwright.async_api import Page, expect

from engine.commands import (
    Channel,
    Checkout,
    Command,
    Hold,
    Line,
    Refund,
    Refused,
    Scan,
    ScanMode,
    Sell,
    SetTickets,
    TicketState,
)
from engine.settings import Gate
from gateway.session import digest_of, new_token, now_ms
from renderers import enrolment, secret
from renderers.enrolment import Offer
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import Stand, settings_for

GATES = (Gate("main", "Main door"), Gate("side", "Side door"))


class Doors:
    """A performance with its tickets, and devices for it."""

    def __init__(self, stand: Stand, number: int) -> None:
        self.stand = stand
        self.number = number
        self.orders: dict[int, str] = {}
        self._token = ""

    async def sell(self, *seats: int) -> list[str]:
        """The secrets of new tickets."""
        token = secrets.token_bytes(16)
        key = self.stand.fake.ticket_key
        before = len(self.core.tickets)
        lines = tuple(Line(seat, -1, "full") for seat in seats)
        for command in (
            Hold(secrets.token_bytes(16), token, "x", Channel.BOX_OFFICE, seats),
            Checkout(secrets.token_bytes(16), token, token.hex(), "", lines),
            Sell(secrets.token_bytes(16), token, token.hex()),
        ):
            await self.command(command)
        numbers = range(before + 1, before + 1 + len(seats))
        self.orders |= dict.fromkeys(numbers, token.hex())
        return [secret.sign(key, self.number, number, 0) for number in numbers]

    async def command(self, command: Command) -> None:
        outcome = await self.stand.fake.performances.ask(self.number, command)
        assert not isinstance(outcome, Refused), outcome

    async def set_tickets(self, state: TicketState, *numbers: int) -> None:
        await self.command(SetTickets(secrets.token_bytes(16), numbers, state, "a test"))

    async def refund(self, number: int) -> None:
        await self.command(Refund(secrets.token_bytes(16), self.orders[number], (number,)))

    async def scanned_elsewhere(self, number: int) -> None:
        """Another device, that is never alone, lets it in."""
        id = secrets.token_bytes(16)
        await self.command(Scan(id, "side", "Turnstile", self.number, number, 0, ScanMode.ADMIT))

    async def staff(self, method: str, path: str, body: Any = None) -> Any:
        """What a supervisor is answered over HTTP."""
        if not self._token:
            self._token = await self.stand.fake.operator_token("Ada", "supervisor")
        headers = {"Authorization": f"Bearer {self._token}"}
        async with (
            aiohttp.ClientSession(self.stand.url, headers=headers) as http,
            http.request(method, path, json=body) as answer,
        ):
            assert answer.ok, await answer.text()
            return await answer.json()

    @property
    def core(self) -> Any:
        return self.stand.fake.performances.live[self.number].core

    async def link(
        self, name: str = "Door 3", gate: str = "main", language: str = "en", url: str = ""
    ) -> str:
        """A link that enrols a device, with the house or by another way to it."""
        code = new_token("e")
        await self.stand.fake.access.create_device(
            1, name=name, token_hash=digest_of(new_token("d")), gate=gate,
            performances=(self.number,), now_ms=now_ms(),
            enrolment_hash=digest_of(code), enrolment_expires_ms=now_ms() + 60_000,
        )  # fmt: skip
        server = url or self.stand.url
        return enrolment.link_of(Offer(server, code, language, performances=(self.number,)))

    def admissions(self, ticket: int) -> list[tuple[str, int]]:
        """(gate, the device's number of the scan or -1) of everyone who came in with it."""
        uses = self.core.ticket_uses.get(ticket, [])
        return [(use.gate, use.sequence) for use in uses if use.entry]


@pytest_asyncio.fixture(loop_scope="module")
async def doors() -> AsyncIterator[Doors]:
    stand = await Stand.open()
    rules = replace(settings_for(THEATRE), gates=GATES, max_per_order=50, orphan_rule=False)
    number = stand.add(THEATRE, rules, days=0)
    core = stand.fake.performances.live[number].core
    core.configure(replace(core.settings, doors_open_ms=0))
    entry = stand.fake.catalogue.performances[number]
    told = json.loads(entry.settings) | {"doors_open_ms": 0}
    entry.settings = json.dumps(told).encode()
    yield Doors(stand, number)
    await stand.close()


async def at_the_door(open_page: OpenPage, doors: Doors, **options: Any) -> Page:
    """An enrolled phone, ready."""
    names = {key: options.pop(key) for key in ("name", "gate", "url") if key in options}
    link = await doors.link(language=options.get("language", "en"), **names)
    page = await open_page(link, phone=True, ready=False, **options)
    await page.locator("body[data-ready]").wait_for(state="attached")
    await expect(page.locator("#state")).to_have_class("pill online")
    return page


async def kept_by_worker(page: Page) -> None:
    """The page itself is on the phone."""
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")


async def closed(*pages: Page, faults: list[str]) -> None:
    """Ends pages whose house is gone, and forgets that the browser told of it."""
    for page in pages:
        await page.close()
    faults.clear()


async def scan(page: Page, text: str, result: str) -> None:
    """Types as a reader does, and waits for the answer."""
    await page.locator("#number").fill(text)
    await page.locator("#number").press("Enter")
    await expect(page.locator("#result")).to_have_attribute("data-result", result)
