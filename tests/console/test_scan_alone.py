"""The reference scanner without its house: it judges, keeps, and tells later, exactly once."""

import asyncio
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from console.alone import CannotTell, Desk, Trouble
from console.client import Client
from console.kept import Memory, MemoryInUse
from console.link import Link, LinkState
from engine.commands import ScanMode, Scanned
from engine.door_list import DoorList, Use
from gateway.session import digest_of, new_token, now_ms
from renderers import enrolment, secret
from tests.console.server import House, Tangle
from tests.console.test_scan import device, scan, tickets
from tests.gateway.client import until

__all__ = ["device", "tickets"]


def admissions(house: House, ticket: int) -> list[int]:
    """The numbers of the scans by which it came in; -1 for one that the house answered."""
    core = house.fake.performances.live[1].core
    return [use.sequence for use in core.ticket_uses.get(ticket, []) if use.entry]


async def test_a_scanner_without_its_house_goes_on_and_tells_later(
    house: House, tangle: Tangle, tickets: list[str], device: str, tmp_path: Path
) -> None:
    numbers = [secret.read_claim(text).ticket for text in tickets]
    core = house.fake.performances.live[1].core
    common = ("--token", device, "--performance", "1", "--json",
              "--memory", str(tmp_path / "door.db"))  # fmt: skip

    async def run(*texts: str) -> tuple[int, list[dict[str, Any]], str]:
        code, out, err = await scan(*common, url=tangle.url, given="\n".join(texts))
        return code, [json.loads(line) for line in out], err

    _, [told], err = await run(tickets[0])
    assert told["result"] == "ADMITTED" and "alone" not in told and not err
    tangle.accepting = False
    tangle.cut()
    short = secret.short_code(house.fake.ticket_key, 1, numbers[2], 0)
    forged = tickets[1][:-1] + ("W" if tickets[1][-1] != "W" else "Y")
    code, lines, err = await run(tickets[0], tickets[1], tickets[1], forged, short)
    assert [line["result"] for line in lines] == [
        "ALREADY_USED", "ADMITTED", "ALREADY_USED", "UNKNOWN", "network",
    ]  # fmt: skip
    assert lines[1]["alone"] and lines[1]["place"].startswith("Stalls")
    assert code == 0 and "4 scans are kept" in err
    assert admissions(house, numbers[1]) == []
    # Another process, still without the house, knows what the one before let in.
    _, [told], _ = await run(tickets[1])
    assert told["result"] == "ALREADY_USED"
    tangle.accepting = True
    house.fake.performances.lose = 2
    _, lines, err = await run()
    assert lines == [] and "kept" not in err
    [sequence] = admissions(house, numbers[1])
    assert sequence > 0 and core.kept_scans == 5 and not core.disputed
    _, [told], _ = await run(tickets[1])
    assert told["result"] == "ALREADY_USED" and "alone" not in told
    assert core.kept_scans == 5


async def test_two_that_were_alone_both_admit_and_the_house_hears_of_both(
    house: House, tangle: Tangle, tickets: list[str], tmp_path: Path
) -> None:
    number = secret.read_claim(tickets[0]).ticket
    runs = []
    for name in ("north", "south"):
        token = await house.fake.device_token(name, "main")
        runs.append(("--token", token, "--performance", "1", "--json",
                     "--memory", str(tmp_path / f"{name}.db")))  # fmt: skip
    for common in runs:
        await scan(*common, url=tangle.url)
    tangle.accepting = False
    tangle.cut()
    for common in runs:
        _, [line], _ = await scan(*common, url=tangle.url, given=tickets[0])
        assert json.loads(line)["result"] == "ADMITTED"
    tangle.accepting = True
    errors = [(await scan(*common, url=tangle.url))[2] for common in reversed(runs)]
    assert "elsewhere" not in errors[0] and "elsewhere" in errors[1]
    core = house.fake.performances.live[1].core
    assert [use.device for use in core.ticket_uses[number]] == ["north", "south"]
    assert number in core.disputed


async def test_a_machine_enrols_once_and_is_known_afterwards(
    house: House, tickets: list[str], tmp_path: Path
) -> None:
    code = new_token("e")
    await house.fake.access.create_device(
        1, name="Door 9", token_hash=digest_of(new_token("d")), gate="main", performances=(1,),
        now_ms=now_ms(), enrolment_hash=digest_of(code), enrolment_expires_ms=now_ms() + 60_000,
    )  # fmt: skip
    link = enrolment.link_of(enrolment.Offer(house.url, code, performances=(1,)))
    state = {"XDG_STATE_HOME": str(tmp_path)}
    _, [line], _ = await scan("--enrol", link, "--json", given=tickets[0], environ=state)
    assert json.loads(line)["result"] == "ADMITTED"
    assert os.stat(tmp_path / "strapontin" / "device.json").st_mode & 0o77 == 0
    _, [line], _ = await scan("--json", given=tickets[0], environ=state)
    assert json.loads(line)["used_gate"] == "main"
    again, _, err = await scan("--enrol", link, environ=state)
    assert again == 2 and "ask for another" in err
    for bad, words in (("https://box/scan", "link"), (link + "&f=" + "0" * 64, "")):
        code_, _, err = await scan("--enrol", bad, environ=state)
        assert code_ == 2 and words in err


async def test_an_answer_that_comes_too_late_counts_once(
    house: House, tickets: list[str], device: str, tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "door.db")
    opened = asyncio.Event()

    def state_changed(state: LinkState, why: str) -> None:
        desk.link_changed(state)
        opened.set()

    link = Link(house.url, device, on_state=state_changed)
    desk = Desk(link, Client(house.url, device), memory, patience_s=0.3)
    running = asyncio.create_task(link.run())
    await desk.sync(1)
    await opened.wait()
    house.fake.performances.delay_s = 0.6
    told, by_house = await desk.present(1, tickets[0], "main", ScanMode.ADMIT)
    assert isinstance(told, Scanned) and told.result == "ADMITTED" and not by_house
    again, by_house = await desk.present(1, tickets[0], "main", ScanMode.ADMIT)
    assert isinstance(again, Scanned) and again.result == "ALREADY_USED" and not by_house
    house.fake.performances.delay_s = 0.0
    await asyncio.wait_for(desk.all_sent.wait(), 10)
    number = secret.read_claim(tickets[0]).ticket
    assert admissions(house, number) == [-1]
    assert house.fake.performances.live[1].core.kept_scans == 1  # the second one
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await desk.stop()
    memory.close()


async def test_a_memory_has_one_owner_and_survives_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "door.db"
    memory = Memory(path)
    with pytest.raises(MemoryInUse):
        Memory(path)
    first = memory.next_sequence()
    assert abs(first - now_ms()) < 60_000
    memory.keep_use(1, 5, Use(10, "main", True))
    memory.close()
    memory = Memory(path)
    assert memory.next_sequence() == first + 1
    assert len({memory.id_of(number) for number in range(100)}) == 100
    memory.close()


async def test_without_a_list_nobody_is_judged(house: House, device: str, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "door.db")
    desk = Desk(Link(house.url, device), Client(house.url, device), memory)
    with pytest.raises(CannotTell) as caught:
        await desk.present(1, "ST1", "", ScanMode.ADMIT)
    assert caught.value.trouble is Trouble.LIST
    memory.close()


async def test_what_cannot_be_kept_lets_nobody_in(
    house: House, tangle: Tangle, tickets: list[str], device: str, tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "door.db")
    link = Link(tangle.url, device)
    desk = Desk(link, Client(tangle.url, device, retry_waits_s=()), memory)
    await desk.sync(1)
    [(pages,)] = memory._file.execute("PRAGMA page_count")
    memory._file.execute(f"PRAGMA max_page_count = {pages}")
    # Until the disk is full, whoever is let in is kept.
    judged = []
    for text in itertools.chain(itertools.repeat("ST1UNKNOWN", 1_000), tickets):
        try:
            await desk.present(1, text, "main", ScanMode.ADMIT)
        except CannotTell as error:
            assert error.trouble is Trouble.MEMORY
        else:
            judged.append(text)
    assert memory.kept_count == len(judged) < 1_000
    memory._file.execute("PRAGMA max_page_count = 100000")
    doors = desk.doors(1)
    assert doors is not None and doors.used == {}
    told, _ = await desk.present(1, tickets[0], "main", ScanMode.ADMIT)
    assert isinstance(told, Scanned) and told.result == "ADMITTED"
    await desk.stop()
    memory.close()


async def test_who_came_in_while_the_list_was_on_its_way_is_not_forgotten(
    house: House, tickets: list[str], device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first list is a whole one, and a relay's is one every time."""
    memory, client = Memory(tmp_path / "door.db"), Client(house.url, device)
    link = Link(house.url, device, on_state=lambda state, why: desk.link_changed(state))
    desk = Desk(link, client, memory)
    await desk.sync(1)
    running = asyncio.create_task(link.run())
    await until(lambda: desk.live)
    ask, listed, arrived = client.door_list, asyncio.Event(), asyncio.Event()

    async def late(performance: int, since: int, first: int, kept: int) -> DoorList:
        told = await ask(performance, 0, first, kept)
        listed.set()
        await arrived.wait()
        return told

    monkeypatch.setattr(client, "door_list", late)
    syncing = asyncio.create_task(desk.sync(1))
    await listed.wait()
    _, by_house = await desk.present(1, tickets[0], "main", ScanMode.ADMIT)
    assert by_house
    arrived.set()
    await syncing
    doors, number = desk.doors(1), secret.read_claim(tickets[0]).ticket
    assert doors is not None and doors.used[number].inside
    kept = memory.doors(1)
    assert kept is not None and kept.used == doors.used
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await desk.stop()
    memory.close()
