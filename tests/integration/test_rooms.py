"""A waiting room on a real installation, while what it rests on is killed.

What must hold: whoever came keeps their place and their turn, nobody holds a seat before
theirs, and the public log proves the order. The same hold on a server without the gate is
taken, which proves that these tests can see it.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from console.room_log import read_log, verdict_of
from tests.integration.server import ServedHouse
from tests.integration.visitors import Visitor, hold_straight

pytestmark = [pytest.mark.timeout(240)]

PERFORMANCE = 3
VISITORS = 120
GATHERING_S = 35
NOT_ADMITTED = ["refused", "not_admitted", [], ""]
PATH = f"/api/performances/{PERFORMANCE}/queue"


@pytest.fixture
def data() -> Iterator[Path]:
    # Not under pytest's own folder, which it closes to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="strapontin-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


async def open_room(house: ServedHouse, gathering_s: float) -> dict[str, Any]:
    login = {"name": "admin", "password": house.logins["admin"]}
    admin = (await house.ask("/api/login", login))["token"]
    at_ms = time.time_ns() // 1_000_000
    times = {"opens_ms": at_ms, "on_sale_ms": at_ms + int(1000 * gathering_s)}
    room: dict[str, Any] = await house.ask(PATH, times, admin)
    return room


async def session(house: ServedHouse) -> str:
    token: str = (await house.ask("/api/session", {}))["token"]
    return token


async def until_all(visitors: Sequence[Visitor], what: str, within_s: float) -> None:
    """Until something is true of all of them; says of how many it was."""
    ends_s = time.monotonic() + within_s
    while (count := sum(1 for one in visitors if getattr(one, what))) < len(visitors):
        assert time.monotonic() < ends_s, f"{what}: {count} of {len(visitors)}"
        await asyncio.sleep(0.05)


async def back(visitors: Sequence[Visitor], connections: list[int], within_s: float) -> None:
    """Until everybody is connected again."""
    ends_s = time.monotonic() + within_s
    while any(one.connections <= before for one, before in zip(visitors, connections, strict=True)):
        assert time.monotonic() < ends_s, "not everybody is back"
        await asyncio.sleep(0.05)


def until_back(house: ServedHouse) -> None:
    ends_s = time.monotonic() + 20
    while not house.processes("RoomsProcess"):
        assert time.monotonic() < ends_s
        time.sleep(0.05)


async def nobody_loses_a_place(house: ServedHouse) -> None:
    """Whatever is killed: see `test_served`, whose house it is."""
    room = await open_room(house, GATHERING_S)
    assert room["phase"] == "gathering"
    intruder = await session(house)
    assert await hold_straight(house, PERFORMANCE, intruder) == NOT_ADMITTED
    visitors = [Visitor(house, PERFORMANCE, await session(house)) for _ in range(VISITORS)]
    await until_all(visitors[: VISITORS // 2], "names", 20)
    assert house.kill("RoomsProcess") == 1
    await until_all(visitors, "names", 20)
    await asyncio.to_thread(until_back, house)  # everybody may have had a name before

    # Both at once: the new gateway knows nothing until the new writer has read.
    before = [one.connections for one in visitors]
    assert house.kill("GatewayProcess") == house.kill("RoomsProcess") == 1
    await back(visitors, before, 30)
    assert await hold_straight(house, PERFORMANCE, intruder) == NOT_ADMITTED
    assert not any(one.admitted.is_set() for one in visitors)

    await asyncio.wait_for(visitors[0].admitted.wait(), GATHERING_S + 20)
    assert house.kill("RoomsProcess") == 1
    await asyncio.sleep(1.0)
    before = [one.connections for one in visitors]
    assert house.kill("GatewayProcess") == 1
    await back(visitors, before, 30)
    await until_all(visitors, "outcome", 60)
    assert await hold_straight(house, PERFORMANCE, intruder) == NOT_ADMITTED

    assert [one.outcome[0] for one in visitors] == ["held"] * VISITORS
    seats = [seat for one in visitors for seat in one.outcome[2]]
    assert len(set(seats)) == VISITORS
    assert_one_place_each(await asyncio.to_thread(public_log, house), room, visitors)
    for one in visitors:
        await one.leave()


def public_log(house: ServedHouse) -> bytes:
    return json.dumps(house.http(f"{PATH}/log")).encode()


def assert_one_place_each(data: bytes, room: dict[str, Any], visitors: Sequence[Visitor]) -> None:
    log = read_log(data)
    verdict = verdict_of(log)
    assert verdict.disagreements == ()
    assert verdict.commitment == room["commitment"], "as it was published before anybody came"
    assert (verdict.arrived, verdict.drawn, verdict.admitted) == (VISITORS,) * 3
    places = []
    for one in visitors:
        ((name, number),) = one.names
        (place,) = one.places - {-1}
        places.append(place)
        standing = verdict_of(log, bytes.fromhex(name)).visitor
        assert standing is not None and standing.admitted_ms > 0
        assert (standing.number, standing.place) == (number, place)
    assert sorted(places) == list(range(VISITORS))


@pytest.mark.soak
async def test_without_the_gate_the_same_hold_is_taken(data: Path) -> None:
    """The positive control."""
    with ServedHouse(data, module="tests.integration.open_gate_server") as house:
        assert (await open_room(house, 600))["phase"] == "gathering"
        outcome = await hold_straight(house, PERFORMANCE, await session(house))
        assert outcome[0] == "held"
