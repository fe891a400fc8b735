"""What a supervisor's screen reads: journals as they are stored, and how this gateway is."""

import asyncio
from typing import Any

import msgpack
import msgspec
import pytest

from engine.commands import Event, Held, Sold
from engine.journal import Page
from engine.tally import Tally
from gateway.session import now_ms
from tests.actors.houses import settings, small_plan
from tests.gateway.client import new_id
from tests.gateway.conftest import Running, Start
from tests.gateway.test_http_orders import paid_order


async def page_of(gateway: Running, token: str, after: int = 0, performance: int = 1) -> bytes:
    path = f"/api/performances/{performance}/journal?after={after}"
    headers = {"Authorization": f"Bearer {token}"}
    async with gateway.http.get(path, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "application/msgpack"
        assert response.headers["Cache-Control"] == "no-store"
        return await response.read()


async def test_a_journal_is_read_page_by_page_to_its_head(gateway: Running) -> None:
    gateway.fake.performances.page_batches = 2
    await paid_order(gateway, 5, 6)
    await paid_order(gateway, 21)
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    tally, seq, pages = Tally(), 0, 0
    while True:
        page = msgspec.msgpack.decode(await page_of(gateway, supervisor, seq), type=Page)
        pages += 1
        for batch in page.batches:
            assert batch.prev_seq == seq and batch.epoch == 1
            seq = batch.seq
            for event in msgspec.msgpack.decode(batch.events, type=list[Event]):
                tally.fold(event)
        assert page.first_ms <= page.last_ms
        if seq == page.head_seq:
            break
    assert pages == 3
    figures = tally.figures()
    assert (figures.total.sold, figures.total.amount) == (3, 6_000)
    assert figures.events == seq


async def test_a_page_reads_without_our_types(gateway: Running) -> None:
    await paid_order(gateway, 5)
    admin = await gateway.fake.operator_token("Ada", "admin")
    head_seq, first_ms, last_ms, batches = msgpack.unpackb(await page_of(gateway, admin))
    seq, prev_seq, epoch, at_ms, _ = batches[-1]
    assert seq == head_seq and prev_seq < seq and epoch == 1
    assert first_ms <= at_ms <= last_ms
    kinds = [event[2][0] for batch in batches for event in msgpack.unpackb(batch[4])]
    assert kinds == [Held.__struct_config__.tag, "quoted", Sold.__struct_config__.tag]
    assert msgpack.unpackb(await page_of(gateway, admin, head_seq))[3] == []


@pytest.mark.parametrize("path", ["/api/performances/1/journal", "/api/status"])
@pytest.mark.parametrize("role", ["cashier", "refund", "door"])
async def test_only_supervisors_and_admins_watch(gateway: Running, role: str, path: str) -> None:
    token = await gateway.fake.operator_token("Bob", role)
    assert (await gateway.json("GET", path, token=token, expect=403))["code"] == "forbidden"
    await gateway.json("GET", path, token=gateway.buyer_token(), expect=403)
    device = await gateway.fake.device_token("door")
    await gateway.json("GET", path, token=device, expect=403)
    await gateway.json("GET", path, expect=401)


async def test_what_cannot_be_read_is_said(gateway: Running) -> None:
    token = await gateway.fake.operator_token("Ada", "supervisor")
    unknown = await gateway.json("GET", "/api/performances/9/journal", token=token, expect=404)
    assert unknown["code"] == "performance_unknown"
    for after in ("-1", "x", "9" * 40, str(2**53 + 1)):
        path = f"/api/performances/1/journal?after={after}"
        told = await gateway.json("GET", path, token=token, expect=422)
        assert (told["code"], told["field"]) == ("invalid", "after")


# The status --------------------------------------------------------------------------------


async def status_of(gateway: Running, token: str, performance: int = 1) -> Any:
    return await gateway.json("GET", f"/api/status?performance={performance}", token=token)


async def test_the_status_counts_what_this_gateway_answered(gateway: Running) -> None:
    token = await gateway.fake.operator_token("Ada", "supervisor")
    before = await status_of(gateway, token)
    one, other = await gateway.socket(), await gateway.socket()
    await one.send("watch", 1, 0, 0)
    assert (await one.next("snapshot"))[1] == 1
    assert (await one.hold(1, 5, 6))[0] == "held"
    assert (await other.hold(1, 6))[:2] == ["refused", "seat_taken"]
    after = await status_of(gateway, token)
    assert after["gateway"] == before["gateway"] and after["at_ms"] >= before["at_ms"]
    assert (before["now"]["sockets"], after["now"]["sockets"]) == (0, 2)
    assert after["now"]["watchers"] == 1 and after["now"]["commands_waiting"] == 0
    assert after["outcomes"] == {"held": 1, "seat_taken": 1}
    edges, counts = after["latency"]["edges_s"], after["latency"]["counts"]
    assert len(counts) == len(edges) + 1 and sum(counts) == 2 + sum(before["latency"]["counts"])
    assert edges == sorted(edges)


async def test_the_status_names_what_was_not_served(start: Start) -> None:
    gateway = await start(buyer_commands_per_s=1.0)
    gateway.fake.add_performance(small_plan(), settings())
    token = await gateway.fake.operator_token("Ada", "admin")
    socket = await gateway.socket()
    for seat in range(8):
        await socket.send("hold", new_id(), 1, new_id(), [seat], [])
    assert (await socket.next("shed"))[2] == "rate"
    await socket.send("scan", new_id(), 1, "x")
    told = await status_of(gateway, token)
    assert told["sheds"]["rate"] >= 1


async def test_the_status_shows_the_waiting_room_that_was_asked_for(gateway: Running) -> None:
    token = await gateway.fake.operator_token("Ada", "admin")
    assert (await status_of(gateway, token))["room"] is None
    at_ms = now_ms()
    times = {"opens_ms": at_ms, "on_sale_ms": at_ms + 600_000}
    await gateway.json("POST", "/api/performances/1/queue", times, token, expect=201)
    room = (await status_of(gateway, token))["room"]
    assert (room["opens_ms"], room["on_sale_ms"]) == (at_ms, at_ms + 600_000)
    assert (room["arrived"], room["front"], room["waiting_here"]) == (0, 0, 0)
    assert (await status_of(gateway, token, performance=2))["room"] is None


async def test_the_status_tells_of_the_engine_and_of_its_silence(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings())
    token = await gateway.fake.operator_token("Ada", "supervisor")
    gateway.fake.status.silent.add("journal")
    engine = (await status_of(gateway, token))["engine"]
    assert engine["up"]["directory"] is True and engine["up"]["journal"] is False
    (actor,) = engine["directory"]["performances"]
    assert (actor["performance"], actor["epoch"], actor["ready"]) == (1, 1, True)


async def test_however_many_watch_the_engine_is_asked_once_a_second(gateway: Running) -> None:
    token = await gateway.fake.operator_token("Ada", "supervisor")
    await asyncio.gather(*(status_of(gateway, token) for _ in range(20)))
    assert gateway.fake.status.asked <= 2
