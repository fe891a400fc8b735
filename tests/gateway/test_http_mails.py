"""Mails over HTTP: looked up and tried again by sellers; tickets again, once for each asking."""

from typing import Any

from msgspec import structs

from engine.mails import Mail, MailKind, MailState
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for, paid_order

LOOK = {"name": "Le Rond-Point", "time_zone": "Europe/Paris", "languages": ["fr"]}


async def kept(gateway: Running, *kinds: MailKind) -> None:
    """A paid order, and a mail of each kind to its buyer: the last has failed."""
    await paid_order(gateway, 5)
    [order] = gateway.fake.desk.orders.by_id.values()
    for kind in kinds:
        state = MailState.FAILED if kind is kinds[-1] else MailState.WAITING
        gateway.fake.mails.add(order, Mail(kind), state)


async def test_mails_are_listed_and_shown(gateway: Running) -> None:
    await kept(gateway, MailKind.RESERVED, MailKind.PAID)
    token = await gateway.fake.operator_token("ada", "cashier")
    mails = await gateway.json("GET", "/api/mails", token=token)
    assert [mail["kind"] for mail in mails] == ["paid", "reserved"]
    failed = mails[0]
    assert failed["tries"] == [[failed["ended_ms"], "550 no such user"]]
    assert failed["recipient"] == "ada@example.org"
    assert await gateway.json("GET", f"/api/mails/{failed['id']}", token=token) == failed
    for query, ids in (
        ("?state=failed", [2]),
        ("?state=sent", []),
        (f"?order={failed['order_number']}&limit=1", [2]),
        ("?before=2", [1]),
        ("?order=7", []),
    ):
        found = await gateway.json("GET", f"/api/mails{query}", token=token)
        assert [mail["id"] for mail in found] == ids, query
    await gateway.json("GET", "/api/mails?state=lost", token=token, expect=422)
    problem = await gateway.json("GET", "/api/mails/9", token=token, expect=404)
    assert problem["code"] == "mail_unknown"


async def test_a_mail_that_failed_is_tried_again(gateway: Running) -> None:
    await kept(gateway, MailKind.PAID)
    token = await gateway.fake.operator_token("ada", "cashier", "admin")
    retried = await gateway.json("POST", "/api/mails/1/retry", {}, token)
    assert retried["state"] == "waiting" and retried["due_ms"]
    [row] = gateway.fake.mails.rows
    sent = structs.replace(gateway.fake.mails.rows[row], state=MailState.SENT)
    gateway.fake.mails.rows[row] = sent
    problem = await gateway.json("POST", "/api/mails/1/retry", {}, token, expect=409)
    assert problem["code"] == "mail_not_retried"
    await gateway.json("POST", "/api/mails/9/retry", {}, token, expect=404)
    await gateway.edge.auditor._acts.join()
    acts = [entry["act"] for entry in await gateway.json("GET", "/api/audit", token=token)]
    assert acts.count("retry_mail") == 1


async def test_tickets_are_sent_again_once_for_each_asking(gateway: Running) -> None:
    order = await paid_order(gateway, 5)
    path = f"/api/orders/{order['id']}/mail"
    token = await gateway.fake.operator_token("ada", "cashier")

    async def send(id: str, expect: int = 200) -> Any:
        return await gateway.json("POST", path, {"id": id}, token, expect)

    first = await send("a")
    assert (first["kind"], first["order"], first["state"]) == ("tickets", order["id"], "waiting")
    assert await send("a") == first
    assert (await send("b"))["id"] != first["id"]
    await send("a/b", expect=422)
    body, buyer = await order_for(gateway, 9)
    await gateway.json("POST", "/api/orders", body, buyer, expect=201)
    path = f"/api/orders/{body['id']}/mail"
    assert (await send("a", expect=409))["code"] == "tickets_not_ready"
    path = f"/api/orders/{'f' * 32}/mail"
    assert (await send("a", expect=404))["code"] == "order_unknown"


async def test_an_order_without_an_address_says_so(gateway: Running) -> None:
    nobody = {"name": "Ada", "email": "", "language": "fr"}
    body, buyer = await order_for(gateway, 9, buyer=nobody)
    await gateway.json("POST", "/api/orders", body, buyer, expect=201)
    pay = {"method": "test_card", "attempt": "1"}
    await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay)
    token = await gateway.fake.operator_token("ada", "cashier")
    path = f"/api/orders/{body['id']}/mail"
    problem = await gateway.json("POST", path, {"id": "a"}, token, expect=409)
    assert problem["code"] == "no_address"


async def test_a_house_says_who_hears_of_its_sales(gateway: Running) -> None:
    token = await gateway.fake.operator_token("ada", "admin")

    async def put(sales_mail: Any, expect: int = 200) -> None:
        await gateway.json("PUT", "/api/house", LOOK | {"sales_mail": sales_mail}, token, expect)

    await put({"to": ["a@house.example"]})
    house = gateway.fake.catalogue.the_house
    assert house is not None
    assert house.settings["sales_mail"] == {"to": ("a@house.example",), "when": "daily"}
    await put({"to": ["b@house.example"], "when": "at_once"})
    await put(None)
    for wrong in ({"to": []}, {"to": ["a"]}, {"to": ["a@b.example"] * 11}, {"when": "daily"}):
        await put(wrong, expect=422)
    await put({"to": ["a@b.example"], "when": "weekly"}, expect=422)
