"""Sales at once over the websocket."""

import asyncio
from typing import Any

import pytest

from engine.commands import Channel
from engine.orders import OrderState
from gateway import counter as counter_module
from tests.gateway.client import Socket, new_id
from tests.gateway.conftest import Running
from tests.gateway.test_http_tills import in_cash, opening, require


async def till(gateway: Running, name: str = "Ada") -> tuple[Socket, str]:
    token = await gateway.fake.operator_token(name, "cashier")
    return await gateway.socket(token), token


def basket(*seats: int) -> list[Any]:
    return [1, new_id(), [[seat, -1, "adult"] for seat in seats]]


async def buy(socket: Socket, *asked: Any, id: bytes = b"") -> list[Any]:
    id = id or new_id()
    await socket.send("buy", id, *asked)
    while (frame := await socket.receive())[0] not in ("bought", "not_bought", "shed", "error"):
        pass
    assert frame[3 if frame[0] == "error" else 1] == id
    return frame


async def test_a_till_sells_with_one_frame(gateway: Running) -> None:
    socket, token = await till(gateway)
    id = new_id()
    asked = ([basket(5, 6)], 5_000, "Zoé", "zoe@example.org", "fr")
    frame = await buy(socket, *asked, id=id)
    tag, _, number, total, change, tickets = frame
    assert (tag, total, change) == ("bought", 4_000, 1_000)
    assert [(one[0], one[2], one[4], one[5]) for one in tickets] == [
        (1, 5, "adult", 2_000),
        (1, 6, "adult", 2_000),
    ]
    order = gateway.fake.desk.orders.by_id[id.hex()]
    assert (order.number, order.operator, order.channel) == (number, "Ada", Channel.BOX_OFFICE)
    assert (order.buyer.name, order.buyer.language) == ("Zoé", "fr")
    assert await buy(socket, *asked, id=id) == frame, "the same again is the same sale"
    assert order.state is OrderState.PAID
    await asyncio.sleep(0)
    acts = [(one.who, one.act, one.subject) for one in gateway.fake.access.entries]
    assert set(acts) == {("Ada", "sell", str(number))}
    pay = await gateway.json("POST", f"/api/orders/{id.hex()}/pay", in_cash(1), token, expect=409)
    assert pay["code"] == "order_closed"
    text = await (await gateway.http.get("/metrics")).text()
    assert 'kind="buy",outcome="bought"' in text.replace(" ", "")


async def test_what_is_held_is_bought_and_what_is_not_is_refused(gateway: Running) -> None:
    socket, _ = await till(gateway)
    other, _ = await till(gateway, "Bob")
    token = new_id()
    assert (await socket.hold(1, 5, 6, token=token))[0] == "held"
    refused = await buy(other, [basket(6)], 5_000)
    assert (refused[0], refused[2:]) == ("not_bought", ["seat_taken", "", 1, [6]])
    mine = [1, token, [[5, -1, "adult"], [6, -1, "adult"]]]
    assert (await buy(socket, [mine], 3_000))[2] == "given_too_little"
    assert (await buy(socket, [mine], 4_000))[0] == "bought"
    assert (await buy(socket, [], 1))[2] == "malformed"


async def test_a_sale_belongs_to_the_till_session_of_now(gateway: Running) -> None:
    await require(gateway)
    socket, token = await till(gateway)
    first = basket(5)
    assert (await buy(socket, [first], 2_000))[2] == "till_closed"
    report = await gateway.json("POST", "/api/tills", opening(1), token, expect=201)
    assert (await buy(socket, [first], 2_000))[0] == "bought"
    path = f"/api/tills/{report['session']['id']}"
    report = await gateway.json("GET", path, token=token)
    assert report["expected"] == 12_000
    await gateway.json(
        "POST", f"{path}/close", {"id": "c", "pieces": [[10_000, 1], [2_000, 1]]}, token
    )
    assert (await buy(socket, [basket(7)], 2_000))[2] == "till_closed"


async def test_a_desk_that_is_away_sheds_and_the_same_id_sells_later(gateway: Running) -> None:
    socket, _ = await till(gateway)
    id, asked = new_id(), [basket(5)]
    gateway.fake.desk.down = True
    assert (await buy(socket, asked, 2_000, id=id))[2] == "unavailable"
    gateway.fake.desk.down = False
    assert (await buy(socket, asked, 2_000, id=id))[0] == "bought"


async def test_sales_are_bounded_and_a_closed_connection_stops_none(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter_module, "MAX_SALES", 1)
    may_go_on = asyncio.Event()
    buying = gateway.fake.desk.buy

    async def slowly(*asked: object) -> object:
        await may_go_on.wait()
        return await buying(*asked)

    monkeypatch.setattr(gateway.edge.hub.counter, "_desk", type("Slow", (), {"buy": slowly}))
    leaving, _ = await till(gateway)
    await leaving.send("buy", new_id(), [basket(1)], 2_000)
    await leaving.send("ping", 1)
    await leaving.next("pong")
    waiting, _ = await till(gateway, "Bob")
    assert (await buy(waiting, [basket(2)], 2_000))[2] == "busy"
    await leaving.websocket.close()
    may_go_on.set()
    await asyncio.gather(*gateway.edge.hub.counter._sales)
    assert [order.state for order in gateway.fake.desk.orders.by_id.values()] == [OrderState.PAID]
