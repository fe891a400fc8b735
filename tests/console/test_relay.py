"""A relay between its doors and the house: one used list while it is away, told later, once."""

import asyncio
import gzip
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from console import relay as relay_module
from console.alone import Desk
from console.client import Client
from console.kept import Memory
from console.link import Link
from console.relay import Relay
from gateway import serving
from gateway.session import digest_of, new_token, now_ms
from renderers import secret
from tests.console.server import House, Tangle
from tests.console.test_scan import tickets
from tests.console.test_scan_alone import admissions
from tests.gateway.client import Socket, until
from tests.security.raw import Raw

__all__ = ["tickets"]


class Running:
    """A relay with its parts."""

    def __init__(self, url: str, token: str, path: Path) -> None:
        self.memory = Memory(path)
        self.link = Link(
            url, token, on_state=lambda state, why: self.desk.link_changed(state),
            backoff_s=(0.05, 0.2),
        )  # fmt: skip
        client = Client(url, token, retry_waits_s=())
        self.desk = Desk(self.link, client, self.memory, patience_s=0.5)
        self.relay = Relay(client, self.desk, self.memory, (1,))
        self.url = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self.link.run()),
            asyncio.create_task(self.desk.keep_in_step(1)),
        ]
        await self.desk.asked_around.wait()
        self.url = f"http://127.0.0.1:{await self.relay.start('127.0.0.1', 0)}"

    async def stop(self) -> None:
        await self.relay.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.desk.stop()
        self.memory.close()


@asynccontextmanager
async def relayed(url: str, token: str, path: Path) -> AsyncIterator[Running]:
    running = Running(url, token, path)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@pytest.fixture
async def relay(
    house: House, tangle: Tangle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setattr(relay_module, "REVOCATION_CHECK_S", 0.2)
    token = await house.fake.device_token("relay")
    async with relayed(tangle.url, token, tmp_path / "relay.db") as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def door(http: aiohttp.ClientSession, relay: Running, token: str) -> Socket:
    socket = Socket(await http.ws_connect(f"{relay.url}/ws"))
    await socket.hello(token)
    return socket


def cut(tangle: Tangle) -> None:
    """The internet is gone."""
    tangle.accepting = False
    tangle.cut()


async def test_two_doors_at_one_relay_admit_a_ticket_once_and_the_house_hears_it_once(
    house: House, tangle: Tangle, relay: Running, tickets: list[str], http: aiohttp.ClientSession
) -> None:
    numbers = [secret.read_claim(text).ticket for text in tickets]
    north, south = [
        await door(http, relay, await house.fake.device_token(name, gate))
        for name, gate in (("north", "main"), ("south", "side"))
    ]
    await until(lambda: relay.desk.live)
    assert (await north.ask("scan", 1, tickets[0]))[1] == "ADMITTED"
    assert admissions(house, numbers[0]) == [-1]
    cut(tangle)
    # What was passed on before is known, and so is what the other door let in.
    assert (await south.ask("scan", 1, tickets[0]))[1] == "ALREADY_USED"
    both = await asyncio.gather(*(one.ask("scan", 1, tickets[2]) for one in (north, south)))
    answers = sorted(told[1] for told in both)
    assert answers == ["ADMITTED", "ALREADY_USED"]
    told = await south.ask("scan", 1, tickets[2])
    assert told[1] == "ALREADY_USED" and told[8] in ("main", "side")
    assert admissions(house, numbers[2]) == [] and relay.memory.kept_count == 4
    house.fake.performances.lose = 2
    tangle.accepting = True
    await asyncio.wait_for(relay.desk.all_sent.wait(), 30)
    core = house.fake.performances.live[1].core
    [sequence] = admissions(house, numbers[2])
    assert sequence > 0 and core.kept_scans == 4 and not core.disputed
    assert (await south.ask("scan", 1, tickets[2]))[1] == "ALREADY_USED"
    assert core.kept_scans == 4


async def test_an_id_asked_again_gets_its_answer_again(
    house: House, tangle: Tangle, relay: Running, tickets: list[str], http: aiohttp.ClientSession
) -> None:
    token = await house.fake.device_token("north", "main")
    first = await door(http, relay, token)
    cut(tangle)
    id = secrets.token_bytes(16)
    await first.send("scan", id, 1, tickets[0])
    assert (await first.next("reply"))[2][1] == "ADMITTED"
    other = await door(http, relay, token)
    for _ in range(2):
        await other.send("scan", id, 1, tickets[0])
        assert (await other.next("reply"))[2][1] == "ADMITTED"
    tangle.accepting = True
    await asyncio.wait_for(relay.desk.all_sent.wait(), 30)
    # Also once the house has been told, and also when the device tells it as its own.
    await other.send("scan", id, 1, tickets[0])
    assert (await other.next("reply"))[2][1] == "ADMITTED"
    await other.send("kept_scan", id, 1, tickets[0], "main", "admit", 7, now_ms(), "ADMITTED")
    assert (await other.next("reply"))[2][0] == "kept"
    number = secret.read_claim(tickets[0]).ticket
    assert len(admissions(house, number)) == 1


async def test_what_a_device_kept_while_it_was_alone_is_taken_and_told(
    house: House, tangle: Tangle, relay: Running, tickets: list[str], http: aiohttp.ClientSession
) -> None:
    north = await door(http, relay, await house.fake.device_token("north", "main"))
    cut(tangle)
    at_ms = now_ms()
    for id, number in ((secrets.token_bytes(16), 5), (secrets.token_bytes(16), 6)):
        await north.send("kept_scan", id, 1, tickets[0], "main", "admit", number, at_ms, "ADMITTED")
        kept = (await north.next("reply"))[2]
        assert kept[:2] == ["kept", "ADMITTED" if number == 5 else "ALREADY_USED"]
        assert kept[3] is (number == 6)
    assert (await north.ask("scan", 1, tickets[0]))[1] == "ALREADY_USED"
    tangle.accepting = True
    await asyncio.wait_for(relay.desk.all_sent.wait(), 30)
    number = secret.read_claim(tickets[0]).ticket
    assert len(admissions(house, number)) == 2
    assert number in house.fake.performances.live[1].core.disputed


async def test_a_relay_that_was_switched_off_goes_on_where_it_was(
    house: House, tangle: Tangle, tickets: list[str], http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    token = await house.fake.device_token("relay")
    device = await house.fake.device_token("north", "main")
    async with relayed(tangle.url, token, tmp_path / "r.db") as relay:
        north = await door(http, relay, device)
        cut(tangle)
        assert (await north.ask("scan", 1, tickets[0]))[1] == "ADMITTED"
    async with relayed(tangle.url, token, tmp_path / "r.db") as relay:
        # The house is still away: the device is known, and so is its ticket.
        north = await door(http, relay, device)
        assert (await north.ask("scan", 1, tickets[0]))[1] == "ALREADY_USED"
        stranger = Socket(await http.ws_connect(f"{relay.url}/ws"))
        await stranger.send("hello", await house.fake.device_token("new"))
        assert await stranger.closed() == 1008
        tangle.accepting = True
        await asyncio.wait_for(relay.desk.all_sent.wait(), 30)
    assert len(admissions(house, secret.read_claim(tickets[0]).ticket)) == 1


async def test_a_relay_serves_the_page_and_what_it_asks_for_with_and_without_the_house(
    house: House, tangle: Tangle, relay: Running, http: aiohttp.ClientSession
) -> None:
    code = new_token("e")
    await house.fake.access.create_device(
        1, name="Door 3", token_hash=digest_of(new_token("d")), gate="main", performances=(1,),
        now_ms=now_ms(), enrolment_hash=digest_of(code), enrolment_expires_ms=now_ms() + 60_000,
    )  # fmt: skip
    async with http.post(f"{relay.url}/api/enrol", json={"token": code}) as answer:
        made = await answer.json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    plan = (await Client(house.url).performance(1)).plan
    paths = ["/scan", "/scan-worker.js", "/static/css/scan.css", "/api/house", "/api/messages/fr",
             "/api/performances", "/api/performances/1", f"/api/plans/{plan}",
             "/api/performances/1/door-list?first=2&since=4&kept=0", "/readyz"]  # fmt: skip
    for away in (False, True):
        if away:
            cut(tangle)
        for path in paths:
            async with http.get(relay.url + path, headers=headers) as answer:
                assert answer.status == 200, (away, path)
        async with http.get(f"{relay.url}/readyz") as answer:
            told = json.loads(await answer.text())
    assert told == {"house": "away", "kept": 0}
    for path, status in (
        ("/api/performances/1/door-list", 401), ("/static/none.js", 404), ("/api/orders/1", 404),
    ):  # fmt: skip
        async with http.get(relay.url + path) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"
    async with http.post(f"{relay.url}/api/enrol", json={"token": code}) as answer:
        assert answer.status == 503


async def test_what_did_not_turn_is_taken_back_while_the_house_answers(
    house: House, tangle: Tangle, relay: Running, tickets: list[str], http: aiohttp.ClientSession
) -> None:
    number = secret.read_claim(tickets[0]).ticket
    north, south = [
        await door(http, relay, await house.fake.device_token(name, "main"))
        for name in ("north", "south")
    ]
    await until(lambda: relay.desk.live)
    assert (await north.ask("scan", 1, tickets[0]))[1] == "ADMITTED"
    assert (await north.ask("undo_scan", 1, number))[:3] == ["undone", number, "admit"]
    assert admissions(house, number) == []
    # The list here has forgotten it too: it is good at the other door, house or no house.
    cut(tangle)
    assert (await south.ask("scan", 1, tickets[0]))[1] == "ADMITTED"
    await south.send("undo_scan", secrets.token_bytes(16), 1, number)
    assert (await south.next("shed"))[2] == "unavailable"


async def test_who_may_not_scan_here_is_told_so(
    house: House, relay: Running, tickets: list[str], http: aiohttp.ClientSession
) -> None:
    elsewhere = await door(http, relay, await house.fake.device_token("x", "", 7))
    await elsewhere.send("scan", secrets.token_bytes(16), 1, tickets[0])
    assert (await elsewhere.next("error"))[1] == "forbidden"
    device = await house.fake.device_token("north", "main")
    north = await door(http, relay, device)
    for frame in (
        ("scan", secrets.token_bytes(16), 2, tickets[0]),
        ("scan", secrets.token_bytes(16), 1, tickets[0], "main", "admit", "a friend"),
        ("hold", secrets.token_bytes(16), 1, secrets.token_bytes(16), [1]),
    ):
        await north.send(*frame)
        assert (await north.next("error"))[1] == "forbidden"
    await north.send("nonsense")
    assert (await north.next("error"))[1] == "malformed"
    for token in ("d.nobody", "", await house.fake.operator_token("Bob", "cashier")):
        stranger = Socket(await http.ws_connect(f"{relay.url}/ws"))
        await stranger.send("hello", token)
        assert await stranger.closed() == 1008
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(f"{relay.url}/ws", headers={"Origin": "http://elsewhere.example"})
    [found] = [one for one in await house.fake.access.list_devices() if one.name == "north"]
    await house.fake.access.revoke_device(found.id, now_ms())
    assert await north.closed() == 1008


@pytest.mark.parametrize(
    "path",
    [
        "1%2fdoor-list",
        "1%2F..%2F1%2Fdoor-list",
        "..%2ftickets%3Fperformance=1",
        "%2e%2e%2ftickets%3fperformance=1%26q=1",
        "1%3fx=1",
        "1%23",
        "x",
        "-1",
        "9999999999",
    ],
)
async def test_nobody_asks_the_house_with_the_relays_own_token(
    house: House, relay: Running, tickets: list[str], http: aiohttp.ClientSession, path: str
) -> None:
    """What a stranger on the venue's network writes into a path is a number, or nothing."""
    address = URL(f"{relay.url}/api/performances/{path}", encoded=True)
    async with http.get(address) as answer:
        told = await answer.text()
        assert answer.status == 404, told
    assert "public_key" not in told and "tickets" not in told
    async with http.get(f"{relay.url}/api/performances/1") as answer:
        assert answer.status == 200


async def test_the_slow_and_the_too_large_are_not_waited_for(
    house: House, tangle: Tangle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue's network is the guests' too: a relay has the bounds of the house's own server."""
    monkeypatch.setattr(serving, "KEEPALIVE_S", 0.3)
    token = await house.fake.device_token("relay")
    async with relayed(tangle.url, token, tmp_path / "relay.db") as relay:
        port = URL(relay.url).port
        assert port is not None
        async with Raw(port) as raw:
            raw.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            assert await raw.rest() == b""
        body = gzip.compress(b'{"token": "e.x"}')
        async with Raw(port) as raw:
            head = f"POST /api/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            raw.send(head.encode() + b"Content-Encoding: gzip\r\n\r\n" + body)
            assert (await raw.answer())[0] == 415
        async with Raw(port) as raw:
            raw.send(b"POST /api/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n")
            assert (await raw.answer())[0] == 413
