"""Cancelling a performance over HTTP: what it costs, that it is done, and who is left to people."""

import time
from typing import Any

import msgspec
import pytest

from engine.settings import SaleStatus
from gateway import http_cancellation
from tests.console.waiting import until
from tests.fakes.cancellations import FakeCancellations, check_cancellations
from tests.fakes.desk import MemoryOrders
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for, paid_order
from tests.persistence.test_orders import new_order

PATH = "/api/performances/1/cancellation"
QUEUE = "/api/performances/1/queue"


async def test_the_fake_keeps_the_contract() -> None:
    orders = MemoryOrders()
    saved = await orders.save([new_order(7, seat) for seat in (1, 2, 3)])
    book = FakeCancellations(orders.by_id.values)
    await check_cancellations(
        book, 7, saved, lambda: {str(mail) for each in book.mails.values() for mail in each}
    )


async def in_cash(gateway: Running, seat: int) -> dict[str, Any]:
    """Bought at the till by somebody who left no address."""
    cashier = await gateway.fake.operator_token("Bea", "cashier")
    body, _ = await order_for(gateway, seat, token=cashier, buyer={"name": "Zoé"})
    await gateway.json("POST", "/api/orders", body, cashier, expect=201)
    pay = {"method": "cash", "attempt": "1", "given": 5_000}
    paid = await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay, cashier)
    order: dict[str, Any] = paid["order"]
    return order


async def test_it_is_looked_at_done_and_looked_at_again(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_cancellation, "PAGE", 1)
    admin = await gateway.fake.operator_token("Ada", "admin")
    card, cash = await paid_order(gateway, 5, 6), await in_cash(gateway, 8)
    preview = await gateway.json("GET", f"{PATH}/preview", token=admin)
    assert preview == {
        "performance": 1,
        "currency": "EUR",
        "orders": 2,
        "places": 3,
        "free": 0,
        "reserved": 0,
        "open": 0,
        "back": {"test_card": 4_000},
        "fees": 0,
        "left": {"by_hand": 1},
        "by_hand": cash["total"],
        "untold": 1,
    }
    problem = await gateway.json("GET", PATH, token=admin, expect=404)
    assert problem["code"] == "not_found"
    soon = int(time.time() * 1_000) + 60_000
    times = {"opens_ms": soon, "on_sale_ms": soon + 60_000}
    await gateway.json("POST", QUEUE, times, admin, expect=201)
    begun = await gateway.json("POST", PATH, {"reason": "ill"}, admin, expect=202)
    assert (begun["operator"], begun["reason"], begun["ended_ms"]) == ("Ada", "ill", 0)

    canceller = gateway.fake.canceller()
    await until(lambda: bool(gateway.fake.cancellations.asked[1].ended_ms))
    await canceller.close()
    # Nobody waits for it any more.
    assert (await gateway.json("DELETE", QUEUE, token=admin, expect=404))["code"] == "no_room"
    done = await gateway.json("GET", PATH, token=admin)
    assert done["orders"] == {"todo": 0, "waiting": 0, "done": 1, "left": 1}
    assert (done["amount"], done["untold"]) == (4_000, 1) and done["ended_ms"]
    page = await gateway.json("GET", f"{PATH}/orders", token=admin)
    assert page["orders"] == [
        {
            "number": cash["number"],
            "progress": "left",
            "why": "by_hand",
            "amount": 0,
            "told": False,
            "buyer": "Zoé",
        }
    ]
    after = await gateway.json("GET", f"{PATH}/orders?after={page['next']}", token=admin)
    assert after == {"orders": [], "next": 0}
    order = await gateway.json("GET", f"/api/orders/{card['id']}")
    assert (order["state"], order["paid"]) == ("refunded", 0)
    acts = [
        (one["act"], one["subject"]) for one in await gateway.json("GET", "/api/audit", token=admin)
    ]
    assert ("cancel_performance", "1") in acts

    again = await gateway.json("POST", PATH, {}, admin, expect=202)
    assert again["orders"]["todo"] == 1 and again["reason"] == "ill"


async def test_buyers_see_that_it_will_not_take_place(gateway: Running) -> None:
    fake = gateway.fake
    card = await paid_order(gateway, 5)
    await fake.cancellations.begin(1, "Ada", "ill")
    canceller = fake.canceller()
    await until(lambda: bool(fake.cancellations.asked[1].ended_ms))
    await canceller.close()
    core = fake.performances.live[1].core
    # The journal keeps what was configured; the fakes share nothing.
    fake.catalogue.performances[1].settings = msgspec.json.encode(core.settings)
    gateway.edge.programme.changed()
    shown = await gateway.json("GET", "/api/performances/1")
    assert (shown["status"], shown["changes_ms"]) == ("cancelled", 0)
    order = await gateway.json("GET", f"/api/orders/{card['id']}")
    assert order["performances"][0]["status"] == "cancelled" and order["returnable"] == []
    socket = await gateway.socket()
    held = await socket.hold(1, 6)
    assert held[:2] == ["refused", "not_on_sale"]


async def test_settings_neither_cancel_nor_bring_back(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    path = "/api/performances/1/settings"
    settings = await gateway.json("GET", path, token=admin)
    wrong = settings | {"status": "cancelled"}
    problem = await gateway.json("PUT", path, wrong, admin, expect=422)
    assert problem["field"] == "$.status" and "its own command" in problem["detail"]
    made = {"production": 1, "plan": gateway.fake.catalogue.performances[1].plan, "starts_ms": 1}
    problem = await gateway.json(
        "POST", "/api/performances", made | {"settings": wrong}, admin, expect=422
    )
    assert problem["field"] == "$.settings.status"
    entry = gateway.fake.catalogue.performances[1]
    known = gateway.fake.performances.live[1].core.settings
    entry.settings = msgspec.json.encode(
        msgspec.structs.replace(known, status=SaleStatus.CANCELLED)
    )
    gateway.edge.programme.changed()
    await gateway.json("PUT", path, settings, admin, expect=422)
    await gateway.json("PUT", path, wrong, admin)
