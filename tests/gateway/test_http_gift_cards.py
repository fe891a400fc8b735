"""Gift cards over HTTP: sold, printed, spent, and given back."""

import secrets
from typing import Any

import pypdfium2
import pytest

from engine.credit import spaced
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for


def wanted(*amounts: int, **changes: Any) -> dict[str, Any]:
    told = {"id": secrets.token_hex(16), "baskets": [], "performance": 1, "gift_cards": amounts}
    return told | changes


async def sold(gateway: Running, token: str, *amounts: int) -> dict[str, Any]:
    placed = await gateway.json("POST", "/api/orders", wanted(*amounts), token, expect=201)
    assert (placed["state"], placed["due"], placed["currency"]) == ("open", sum(amounts), "EUR")
    assert [one["card"] for one in placed["charges"]] == [""] * len(amounts), "not paid yet"
    pay = {"method": "cash", "attempt": "1", "given": sum(amounts)}
    path = f"/api/orders/{placed['id']}/pay"
    order: dict[str, Any] = (await gateway.json("POST", path, pay, token))["order"]
    assert (order["state"], order["tickets_ready"], order["performances"]) == ("paid", False, [])
    return order


async def pdf_text(gateway: Running, path: str, **asked: Any) -> list[str]:
    method, body, token = (asked.get(name) for name in ("method", "body", "token"))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with gateway.http.request(method or "GET", path, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        document = pypdfium2.PdfDocument(await response.read())
    return [page.get_textpage().get_text_range() for page in document]


async def test_a_gift_card_from_the_till_to_a_place(gateway: Running) -> None:
    till = await gateway.fake.operator_token("ada", "cashier", "refund")
    order = await sold(gateway, till, 5_000, 2_500)
    codes = [one["card"] for one in order["charges"]]
    path = f"/api/orders/{order['id']}"
    pages = await pdf_text(gateway, f"{path}/gift-cards.pdf?lang=fr")
    assert len(pages) == 2 and all(
        spaced(code) in page for code, page in zip(codes, pages, strict=True)
    )
    [receipt] = await pdf_text(gateway, f"{path}/receipt.pdf?lang=fr")
    assert "Carte cadeau" in receipt
    credit = await gateway.json("GET", f"/api/credits/{codes[0]}", None, till)
    assert credit["credit"]["balance"] == 5_000
    # It is spent on a place, by whoever has the code.
    body, token = await order_for(gateway, 5)
    place = await gateway.json("POST", "/api/orders", body, token, expect=201)
    pay = {"method": "store_credit", "attempt": "1", "reference": spaced(codes[0])}
    paid = await gateway.json("POST", f"/api/orders/{place['id']}/pay", pay)
    assert paid["order"]["state"] == "paid"
    left = 5_000 - place["total"]
    back = {"id": "r", "gift_cards": [1]}
    part = await gateway.json("POST", f"{path}/refund", back, till)
    assert (part["state"], part["paid"]) == ("part_refunded", 7_500 - left)
    again = await gateway.json("POST", f"{path}/refund", back | {"id": "s"}, till, expect=409)
    assert again["code"] == "gift_card_spent"


async def test_a_sale_is_undone_until_its_card_is_printed(gateway: Running) -> None:
    till = await gateway.fake.operator_token("ada", "cashier")
    order = await sold(gateway, till, 5_000)
    path = f"/api/orders/{order['id']}"
    undone = await gateway.json("POST", f"{path}/undo", {"id": "u"}, till)
    assert (undone["state"], undone["paid"]) == ("refunded", 0)
    other = await sold(gateway, till, 5_000)
    path = f"/api/orders/{other['id']}"
    for number in (1, 2):
        body = {"id": f"p{number}"}
        [page] = await pdf_text(gateway, f"{path}/print", method="POST", body=body, token=till)
        assert ("Copie 1" in page) is (number == 2)
    refused = await gateway.json("POST", f"{path}/undo", {"id": "u"}, till, expect=409)
    assert refused["code"] == "printed"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"gift_cards": [499]}, 422, "malformed"),
        ({"gift_cards": [100_001]}, 422, "malformed"),
        ({"performance": 99}, 404, "performance_unknown"),
        ({"performance": -1}, 404, "performance_unknown"),
        ({"gift_cards": []}, 422, "malformed"),
    ],
)
async def test_what_is_no_gift_card(
    gateway: Running, changes: dict[str, Any], status: int, code: str
) -> None:
    till = await gateway.fake.operator_token("ada", "cashier")
    body = wanted(5_000) | changes | {"currency": "JPY"}
    refused = await gateway.json("POST", "/api/orders", body, till, expect=status)
    assert refused["code"] == code


async def test_the_currency_is_the_houses_whatever_a_client_says(gateway: Running) -> None:
    token = gateway.buyer_token()
    body = wanted(5_000, currency="JPY")
    placed = await gateway.json("POST", "/api/orders", body, token, expect=201)
    assert placed["currency"] == "EUR"
    async with gateway.http.get(f"/api/orders/{placed['id']}/gift-cards.pdf") as response:
        assert response.status == 409, "it is not paid"


async def test_an_invoice_of_a_gift_card_says_why_it_has_no_vat(gateway: Running) -> None:
    till = await gateway.fake.operator_token("ada", "cashier")
    order = await sold(gateway, till, 5_000)
    path = f"/api/orders/{order['id']}"
    issued = await gateway.json("POST", f"{path}/invoice", {"name": "Zoé"})
    [page] = await pdf_text(gateway, f"{path}/papers/{issued['name']}?lang=fr")
    assert "Carte cadeau" in page and "bon à usages multiples" in page
