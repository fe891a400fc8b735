"""What a supervisor's screen reads: journals as they are stored, for those who may."""

import msgpack
import msgspec
import pytest

from engine.commands import Event, Held, Sold
from engine.journal import Page
from engine.tally import Tally
from tests.gateway.conftest import Running
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


@pytest.mark.parametrize("role", ["cashier", "refund", "door"])
async def test_only_supervisors_and_admins_watch(gateway: Running, role: str) -> None:
    path = "/api/performances/1/journal"
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
