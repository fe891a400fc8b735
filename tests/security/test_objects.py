"""Whose order, whose hold, whose ticket: what another session, device or house can reach of it."""

import secrets
from typing import Any

import pytest

from gateway.backend import SignatureInvalid
from gateway.doors import FORGED, Secrets
from renderers import secret
from tests.gateway.client import new_id
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for, paid_order


async def test_an_orders_id_is_its_only_key_and_is_told_to_nobody_else(gateway: Running) -> None:
    order = await paid_order(gateway, 5, 6)
    other = gateway.buyer_token()
    for id in (secrets.token_hex(16), str(order["number"]), "0" * 32, order["id"][:-1]):
        for path in ("", "/tickets.pdf", "/receipt.pdf"):
            url = f"/api/orders/{id}{path}"
            async with gateway.http.get(url, headers=bearer(other)) as answer:
                assert answer.status == 404, url
                assert (await answer.json(content_type=None))["code"] in (
                    "order_unknown",
                    "not_found",
                )
    # Neither the seat feed nor lists that others read carry it.
    socket = await gateway.socket(other)
    await socket.send("watch", 1)
    seen = repr(await socket.next("snapshot"))
    door = await gateway.fake.operator_token("Dora", "door")
    seen += repr(await gateway.json("GET", "/api/tickets?performance=1&q=1", token=door))
    async with gateway.http.get("/metrics") as answer:
        seen += await answer.text()
    assert order["id"] not in seen and "ada@example.org" not in seen


async def test_an_order_shows_no_session_and_no_payment_key(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    placed = await gateway.json("POST", "/api/orders", body, token, expect=201)
    session = (await gateway.json("GET", "/api/me", token=token))["name"]
    assert placed["session"] == "" and session not in repr(placed)


async def test_a_hold_is_its_tokens_bearers_and_its_token_is_never_published(
    gateway: Running,
) -> None:
    mine, other = await gateway.socket(), await gateway.socket()
    await other.send("watch", 1)
    token = new_id()
    assert (await mine.hold(1, 5, token=token))[0] == "held"
    for guess in (new_id(), bytes(16), token[:-1] + bytes([token[-1] ^ 1])):
        assert (await other.ask("basket", 1, guess))[:2] == ["refused", "hold_unknown"]
        assert (await other.ask("release", 1, guess))[:2] == ["refused", "hold_unknown"]
    assert (await other.hold(1, 5))[:2] == ["refused", "seat_taken"]
    await other.send("ping", 1)
    await other.next("pong")
    assert token not in repr(other.kept).encode() and not any(
        token in repr(frame).encode("latin-1", "ignore") for frame in other.kept
    )
    # Placing an order of somebody's hold without its token is refused too.
    lines = [[5, -1, "adult", 1]]
    stolen = {
        "id": secrets.token_hex(16),
        "baskets": [{"performance": 1, "token": new_id().hex(), "lines": lines}],
    }
    refused = await gateway.json("POST", "/api/orders", stolen, gateway.buyer_token(), expect=409)
    assert refused["code"] == "hold_unknown"
    assert (await mine.ask("basket", 1, token))[2] == [5]


async def test_who_places_an_order_cannot_say_who_they_are(gateway: Running) -> None:
    """Channel, session and operator come from the token, whatever the body says."""
    body, token = await order_for(gateway, 5)
    forged = body | {"channel": "box_office", "operator": "the admin", "session": "0" * 32}
    placed = await gateway.json("POST", "/api/orders", forged, token, expect=201)
    assert placed["channel"] == "web" and placed["operator"] == ""
    assert gateway.fake.desk.orders.by_id[body["id"]].session != "0" * 32


async def test_an_order_id_of_others_cannot_be_placed_again(gateway: Running) -> None:
    order = await paid_order(gateway, 5)
    body, token = await order_for(gateway, 8)
    again = await gateway.json("POST", "/api/orders", body | {"id": order["id"]}, token, expect=409)
    assert again["code"] == "id_reused"
    kept = await gateway.json("GET", f"/api/orders/{order['id']}")
    assert [line["seat"] for line in kept["lines"]] == [5]


async def test_the_refund_role_is_for_ones_own_sales(gateway: Running) -> None:
    ours = await gateway.fake.operator_token("Ada", "cashier", "refund")
    theirs = await gateway.fake.operator_token("Bob", "refund")
    body, _ = await order_for(gateway, 5, token=ours)
    await gateway.json("POST", "/api/orders", body, ours, expect=201)
    pay = {"method": "cash", "attempt": "1", "given": 2_000}
    await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay, ours)
    refund, path = {"id": "r1"}, f"/api/orders/{body['id']}/refund"
    assert (await gateway.json("POST", path, refund, theirs, expect=403))["code"] == "forbidden"
    assert (await gateway.json("POST", path, refund, ours))["state"] == "refunded"


async def test_the_refund_role_is_for_sales_of_ones_till_too(gateway: Running) -> None:
    """Who works there next hands back what was paid there, also of a session that is closed."""
    tokens = {
        name: await gateway.fake.operator_token(name, "cashier", "refund")
        for name in ("Ada", "Bob", "Eve")
    }

    async def open_till(name: str, till: str) -> str:
        shift = {"id": secrets.token_hex(16), "till": till, "currency": "EUR"}
        told = await gateway.json("POST", "/api/tills", shift, tokens[name], expect=201)
        return str(told["session"]["id"])

    session = await open_till("Ada", "Foyer")
    body, _ = await order_for(gateway, 5, token=tokens["Ada"])
    await gateway.json("POST", "/api/orders", body, tokens["Ada"], expect=201)
    pay = {"method": "cash", "attempt": "1", "given": 2_000}
    await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay, tokens["Ada"])
    closing = {"id": "c", "pieces": [[2_000, 1]]}
    await gateway.json("POST", f"/api/tills/{session}/close", closing, tokens["Ada"])
    await open_till("Bob", "foyer")
    await open_till("Eve", "Balcony")
    refund, path = {"id": "r1"}, f"/api/orders/{body['id']}/refund"
    told = await gateway.json("POST", path, refund, tokens["Eve"], expect=403)
    assert told["code"] == "forbidden"
    assert (await gateway.json("POST", path, refund, tokens["Bob"]))["state"] == "refunded"


async def test_a_sale_is_undone_by_whoever_made_it_and_not_once_it_is_on_paper(
    gateway: Running,
) -> None:
    ours = await gateway.fake.operator_token("Ada", "cashier")
    theirs = await gateway.fake.operator_token("Bob", "cashier", "refund")
    pay = {"method": "cash", "attempt": "1", "given": 2_000}
    for seat, printed in ((5, False), (6, True)):
        body, _ = await order_for(gateway, seat, token=ours)
        path = f"/api/orders/{body['id']}"
        await gateway.json("POST", "/api/orders", body, ours, expect=201)
        await gateway.json("POST", f"{path}/pay", pay, ours)
        undo = {"id": "u1"}
        told = await gateway.json("POST", f"{path}/undo", undo, theirs, expect=403)
        assert told["code"] == "forbidden"
        if printed:
            headers = {"Authorization": f"Bearer {ours}"}
            async with gateway.http.post(
                f"{path}/print", json={"id": "p1"}, headers=headers
            ) as answer:
                assert (await answer.read()).startswith(b"%PDF")
            told = await gateway.json("POST", f"{path}/undo", undo, ours, expect=409)
            assert told["code"] == "printed"
        else:
            assert (await gateway.json("POST", f"{path}/undo", undo, ours))["state"] == "refunded"
            # Undone is undone, also where the answer was lost.
            again = await gateway.json("POST", f"{path}/undo", undo, ours)
            assert again["state"] == "refunded"


async def test_a_webhook_that_nobody_signed_changes_nothing(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    event = {"type": "checkout.session.completed", "data": {"object": {"id": body["id"]}}}
    for signature in ("", "t=1,v1=00", "v1=" + "0" * 64):
        async with gateway.http.post(
            "/api/stripe/webhook", json=event, headers={"Stripe-Signature": signature}
        ) as answer:
            assert answer.status == 400
            assert (await answer.json(content_type=None))["code"] == "signature_invalid"
    assert (await gateway.json("GET", f"/api/orders/{body['id']}"))["state"] == "open"
    with pytest.raises(SignatureInvalid):
        await gateway.fake.backend.desk.webhook(b"{}", "")


async def test_a_ticket_of_another_house_or_performance_opens_no_door(gateway: Running) -> None:
    order = await paid_order(gateway, 5)
    number = order["lines"][0]["ticket"]
    foreign = secret.generate_key()
    doors = Secrets(gateway.fake.ticket_key)
    assert doors.claim(secret.sign(gateway.fake.ticket_key, 1, number, 0)).ticket == number
    for text in (
        secret.sign(foreign, 1, number, 0),
        secret.short_code(foreign, 1, number, 0),
        secret.sign(gateway.fake.ticket_key, 1, number, 0)[:-1],
    ):
        assert doors.claim(text) == FORGED
    socket = await gateway.socket(await gateway.fake.device_token("door"))

    async def scan(text: str) -> Any:
        return (await socket.ask("scan", 1, text))[1]

    assert await scan(secret.sign(foreign, 1, number, 0)) == "UNKNOWN"
    assert await scan(secret.sign(gateway.fake.ticket_key, 2, number, 0)) == "WRONG_PERFORMANCE"
    assert await scan(secret.sign(gateway.fake.ticket_key, 1, number + 7, 0)) == "UNKNOWN"
    assert await scan(secret.sign(gateway.fake.ticket_key, 1, number, 0)) == "ADMITTED"


async def test_a_device_serves_its_own_performances_and_gate(gateway: Running) -> None:
    order = await paid_order(gateway, 5)
    ticket = secret.sign(gateway.fake.ticket_key, 1, order["lines"][0]["ticket"], 0)
    other = await gateway.socket(await gateway.fake.device_token("door 2", "left", 2))
    for frame in (("watch", 1), ("scan", new_id(), 1, ticket)):
        await other.send(*frame)
        assert (await other.next("error"))[1] == "forbidden"
    own = await gateway.socket(await gateway.fake.device_token("door 1", "left", 1))
    scanned = await own.ask("scan", 1, ticket, "the gate that it says")
    assert scanned[1] == "ADMITTED"
    again = await own.ask("scan", 1, ticket)
    assert again[1] == "ALREADY_USED" and again[8] == "left"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
