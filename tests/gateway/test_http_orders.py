"""Orders over HTTP: from the hold to the ticket and back, by who may."""

import asyncio
import secrets
from typing import Any

import pypdfium2
import pytest

from engine.credit import CODE_BYTES, code_of
from engine.settings import Price, Returns, ReturnWay
from gateway import paper as paper_module
from tests.actors.houses import settings, small_plan
from tests.fakes.desk import GOOD_SIGNATURE
from tests.gateway.client import new_id
from tests.gateway.conftest import Running, Start


async def order_for(
    gateway: Running, *seats: int, token: str = "", buyer: dict[str, str] | None = None
) -> tuple[dict[str, Any], str]:
    """A hold of these seats over the websocket; answers the PlaceOrder body and the token used."""
    token = token or gateway.buyer_token()
    socket = await gateway.socket(token)
    hold = new_id()
    held = await socket.hold(1, *seats, token=hold)
    assert held[0] == "held", held
    body = {
        "id": secrets.token_hex(16),
        "baskets": [
            {
                "performance": 1,
                "token": hold.hex(),
                "lines": [[seat, -1, "adult", 1] for seat in seats],
            }
        ],
        "buyer": buyer or {"name": "Ada Lovelace", "email": "ada@example.org", "language": "en"},
    }
    return body, token


async def paid_order(gateway: Running, *seats: int) -> dict[str, Any]:
    body, token = await order_for(gateway, *seats)
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    pay = {"method": "test_card", "attempt": "1"}
    answer = await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay)
    order: dict[str, Any] = answer["order"]
    assert order["state"] == "paid"
    return order


async def test_an_order_with_nothing_to_pay_is_sold_by_placing_it(gateway: Running) -> None:
    free = settings(prices=(Price(0, "adult", 0), Price(1, "adult", 0)))
    gateway.fake.performances.add(1, small_plan(), free)
    body, token = await order_for(gateway, 5, 6)
    path = f"/api/orders/{body['id']}"
    order = await gateway.json("POST", "/api/orders", body, token, expect=201)
    assert (order["state"], order["total"], order["payments"]) == ("paid", 0, [])
    assert order["tickets_ready"] is True
    assert await gateway.json("POST", "/api/orders", body, token, expect=201) == order
    # A page that pays all the same is answered as if it had.
    paid = await gateway.json("POST", f"{path}/pay", {"method": "test_card", "attempt": "1"})
    assert paid["order"] == order
    seen = await gateway.json("GET", path)
    assert [ticket["line"] for ticket in seen["tickets"]] == [1, 2]
    assert (await gateway.json("POST", f"{path}/cancel", expect=409))["code"] == "order_closed"
    for paper in ("tickets", "receipt"):
        async with gateway.http.get(f"{path}/{paper}.pdf") as response:
            assert (await response.read()).startswith(b"%PDF")


async def test_an_order_from_basket_to_ticket(gateway: Running) -> None:
    body, token = await order_for(gateway, 5, 6)
    path = f"/api/orders/{body['id']}"
    order = await gateway.json("POST", "/api/orders", body, token, expect=201)
    assert (order["state"], order["total"], order["currency"]) == ("open", 4_000, "EUR")
    assert order["channel"] == "web" and order["operator"] == "" and order["session"] == ""
    assert order["tickets_ready"] is False and order["paid"] == 0
    assert [one["id"] for one in order["performances"]] == [1]
    again = await gateway.json("POST", "/api/orders", body, token, expect=201)
    assert again == order
    problem = await gateway.json("GET", f"{path}/tickets.pdf", expect=409)
    assert problem["code"] == "tickets_not_ready"
    assert (await gateway.json("GET", f"{path}/receipt.pdf", expect=409))["code"] == (
        "receipt_not_ready"
    )

    pay = {"method": "test_card", "attempt": "1"}
    paid = await gateway.json("POST", f"{path}/pay", pay)
    assert "redirect_url" not in paid
    assert paid["order"]["state"] == "paid" and paid["order"]["paid"] == 4_000
    assert paid["order"]["payments"][0]["state"] == "paid"
    assert await gateway.json("POST", f"{path}/pay", pay) == paid
    seen = await gateway.json("GET", path)
    assert seen["tickets_ready"] is True
    assert [ticket["number"][:9] for ticket in seen["tickets"]] == ["1-000001-", "1-000002-"]

    door = await gateway.socket(await gateway.fake.device_token("door"))
    for ticket, expected in zip(seen["tickets"], ("ADMITTED", "ADMITTED"), strict=True):
        assert (await door.ask("scan", 1, ticket["secret"]))[1] == expected
    assert (await door.ask("scan", 1, seen["tickets"][0]["number"]))[1] == "ALREADY_USED"


async def test_a_cashier_takes_an_order_in_parts(gateway: Running) -> None:
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    body, _ = await order_for(gateway, 5, 6, token=cashier)
    path = f"/api/orders/{body['id']}"
    await gateway.json("POST", "/api/orders", body, cashier, expect=201)
    part = {"method": "cash", "attempt": "1", "given": 2_000, "amount": 1_500}
    order = (await gateway.json("POST", f"{path}/pay", part, cashier))["order"]
    assert (order["state"], order["due"], order["paid"]) == ("awaiting_payment", 2_500, 1_500)
    assert order["payments"][0]["change"] == 500
    assert {line["state"] for line in order["lines"]} == {"reserved"}
    assert order["tickets_ready"] is False
    assert (await gateway.json("POST", f"{path}/cancel", {}, expect=401))["code"] == (
        "unauthenticated"
    )
    rest = {"method": "card_terminal", "attempt": "2", "reference": "4711"}
    order = (await gateway.json("POST", f"{path}/pay", rest, cashier))["order"]
    assert (order["state"], order["due"], order["paid"]) == ("paid", 0, 4_000)
    receipt = await pdf_text(gateway, f"{path}/receipt.pdf?lang=en")
    assert "15.00" in receipt and "25.00" in receipt and "4711" in receipt


async def test_a_buyer_pays_later_where_the_house_offers_it_and_approves(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Root", "admin")
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    body, token = await order_for(gateway, 5)
    path = f"/api/orders/{body['id']}"
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    later = {"kind": "invoice"}
    problem = await gateway.json("POST", f"{path}/reserve", later, token, expect=409)
    assert problem["code"] == "terms_not_offered"
    look = {"name": "House", "time_zone": "Europe/Paris", "languages": ["fr", "en"]}
    terms = {"first_days": 10, "interval_days": 7, "reminders": 2}
    await gateway.json("PUT", "/api/house", look | {"invoice": terms}, admin)
    assert (await gateway.json("GET", "/api/house"))["terms"] == ["invoice"]

    order = await gateway.json("POST", f"{path}/reserve", later, token)
    assert order["state"] == "awaiting_approval"
    pay = {"method": "test_card", "attempt": "1"}
    assert (await gateway.json("POST", f"{path}/pay", pay, expect=409))["code"] == "not_approved"
    await gateway.json("POST", f"{path}/approve", {}, cashier, expect=403)
    order = await gateway.json("POST", f"{path}/approve", {}, admin)
    assert order["state"] == "awaiting_payment"
    told = order["terms"]
    assert told["until_ms"] - told["since_ms"] == (10 + 2 * 7) * 24 * 60 * 60 * 1_000
    by_bank = {"method": "bank_transfer", "attempt": "2", "reference": "SEPA 5"}
    order = (await gateway.json("POST", f"{path}/pay", by_bank, cashier))["order"]
    assert order["state"] == "paid" and order["tickets_ready"] is True


async def test_what_is_ordered_by_phone_waits_for_its_buyer(gateway: Running) -> None:
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    body, _ = await order_for(gateway, 5, token=cashier)
    path = f"/api/orders/{body['id']}"
    await gateway.json("POST", "/api/orders", body, cashier, expect=201)
    until = {"kind": "pick_up", "until_ms": 1}
    problem = await gateway.json("POST", f"{path}/reserve", until, cashier, expect=422)
    assert problem["field"] == "$.until_ms"
    until["until_ms"] = 2**50
    await gateway.json("POST", f"{path}/reserve", until, gateway.buyer_token(), expect=403)
    order = await gateway.json("POST", f"{path}/reserve", until, cashier)
    assert (order["state"], order["due"]) == ("awaiting_payment", 2_000)
    assert await gateway.json("POST", f"{path}/reserve", until, cashier) == order
    given_up = await gateway.json("POST", f"{path}/cancel", {}, cashier)
    assert given_up["state"] == "cancelled"
    assert {line["state"] for line in given_up["lines"]} == {"cancelled"}


async def test_tickets_and_receipt_are_readable(gateway: Running) -> None:
    order = await paid_order(gateway, 5, 6)
    path = f"/api/orders/{order['id']}"
    english = await pdf_text(gateway, f"{path}/tickets.pdf?lang=en")
    assert "The Test" in english and "Ada Lovelace" in english and "Stalls" in english
    assert "1-000001-" in english and "1-000002-" in english
    french = await pdf_text(gateway, f"{path}/tickets.pdf?lang=fr&line=2")
    assert "The Test (fr)" in french and "1-000002-" in french and "1-000001-" not in french
    assert "Adulte" in french
    receipt = await pdf_text(gateway, f"{path}/receipt.pdf?lang=en")
    assert "2 × Adult" in receipt and "40.00" in receipt and str(order["number"]) in receipt
    assert "Stalls, row" in receipt
    await gateway.json("GET", f"{path}/tickets.pdf?line=99", expect=409)
    assert (await gateway.json("GET", f"{path}/tickets.pdf?line=x", expect=422))["field"] == "line"


async def pdf_text(gateway: Running, path: str) -> str:
    async with gateway.http.get(path) as response:
        assert response.status == 200
        assert response.content_type == "application/pdf"
        assert response.headers["Cache-Control"] == "no-store"
        body = await response.read()
    document = pypdfium2.PdfDocument(body)
    return "\n".join(page.get_textpage().get_text_bounded() for page in document)


async def test_a_refused_order_is_409_with_the_seats(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    body["baskets"][0]["lines"] = [[7, -1, "adult", 1]]
    problem = await gateway.json("POST", "/api/orders", body, token, expect=409)
    assert problem["code"] == "not_in_hold"
    assert problem["performance"] == 1
    body["baskets"][0]["token"] = "nonsense"
    problem = await gateway.json("POST", "/api/orders", body, token, expect=422)
    assert problem["code"] == "malformed"


async def test_nobody_places_an_order_without_a_token_or_the_role(gateway: Running) -> None:
    body, _ = await order_for(gateway, 5)
    assert (await gateway.json("POST", "/api/orders", body, expect=401))["code"] == (
        "unauthenticated"
    )
    door = await gateway.fake.operator_token("Dora", "door")
    assert (await gateway.json("POST", "/api/orders", body, door, expect=403))["code"] == (
        "forbidden"
    )
    device = await gateway.fake.device_token("door")
    await gateway.json("POST", "/api/orders", body, device, expect=403)


async def test_who_asks_comes_from_the_token_and_not_from_the_body(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    body |= {"channel": "box_office", "operator": "Ada", "session": "f" * 32}
    order = await gateway.json("POST", "/api/orders", body, token, expect=201)
    assert (order["channel"], order["operator"]) == ("web", "")
    stored = gateway.fake.desk.orders.by_id[body["id"]]
    assert stored.session not in ("", "f" * 32)


async def test_texts_are_bounded(gateway: Running) -> None:
    body, token = await order_for(gateway, 5, buyer={"name": "x" * 201})
    problem = await gateway.json("POST", "/api/orders", body, token, expect=422)
    assert problem["field"] == "$.buyer.name"


async def test_cash_is_a_cashiers(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    cash = {"method": "cash", "attempt": "1", "given": 2_000}
    path = f"/api/orders/{body['id']}/pay"
    assert (await gateway.json("POST", path, cash, expect=401))["code"] == "unauthenticated"
    assert (await gateway.json("POST", path, cash, token, expect=403))["code"] == "forbidden"

    cashier = await gateway.fake.operator_token("Ada", "cashier")
    body, _ = await order_for(gateway, 9, token=cashier)
    order = await gateway.json("POST", "/api/orders", body, cashier, expect=201)
    assert (order["channel"], order["operator"]) == ("box_office", "Ada")
    path = f"/api/orders/{body['id']}/pay"
    little = await gateway.json("POST", path, cash | {"given": 100}, cashier, expect=409)
    assert little["code"] == "given_too_little"
    paid = await gateway.json("POST", path, cash | {"given": 5_000}, cashier)
    assert paid["order"]["payments"][0]["change"] == 3_000
    await asyncio.sleep(0.01)
    assert {entry.act for entry in gateway.fake.access.entries} >= {"place_order", "take_payment"}


@pytest.mark.parametrize(
    ("payment", "field"),
    [
        ({"method": "gold", "attempt": "1"}, "$.method"),
        ({"method": "cash", "attempt": ""}, "$.attempt"),
        ({"method": "cash", "attempt": "1", "given": -1}, "$.given"),
        ({"method": "cash", "attempt": "1", "given": 1.5}, "$.given"),
        ({"method": "card_terminal", "attempt": "1", "reference": "x" * 201}, "$.reference"),
        ({"attempt": "1"}, "$"),
    ],
)
async def test_a_bad_payment_names_its_field(
    gateway: Running, payment: dict[str, Any], field: str
) -> None:
    problem = await gateway.json("POST", f"/api/orders/{'0' * 32}/pay", payment, expect=422)
    assert problem["field"] == field


async def test_an_order_given_up_is_a_basket_again(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    await gateway.json("POST", "/api/orders", body, token, expect=201)
    order = await gateway.json("POST", f"/api/orders/{body['id']}/cancel", {})
    assert order["state"] == "cancelled"
    socket = await gateway.socket(token)
    hold = bytes.fromhex(body["baskets"][0]["token"])
    assert (await socket.hold(1, 6, token=hold))[0] == "held"


async def test_a_till_order_is_given_up_at_a_till(gateway: Running) -> None:
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    body, _ = await order_for(gateway, 5, token=cashier)
    await gateway.json("POST", "/api/orders", body, cashier, expect=201)
    path = f"/api/orders/{body['id']}/cancel"
    await gateway.json("POST", path, {}, expect=401)
    await gateway.json("POST", path, {}, gateway.buyer_token(), expect=403)
    assert (await gateway.json("POST", path, {}, cashier))["state"] == "cancelled"


async def test_a_webhook_reaches_the_desk_as_it_came(gateway: Running) -> None:
    payload = b'{"id": "evt_1",   "odd spacing": true}'
    headers = {"Stripe-Signature": GOOD_SIGNATURE}
    async with gateway.http.post("/api/stripe/webhook", data=payload, headers=headers) as response:
        assert response.status == 200
    assert gateway.fake.desk.events == [payload]
    for bad in ({}, {"Stripe-Signature": "forged"}):
        async with gateway.http.post("/api/stripe/webhook", data=payload, headers=bad) as response:
            assert response.status == 400
            assert (await response.json(content_type=None))["code"] == "signature_invalid"
    assert len(gateway.fake.desk.events) == 1


async def test_a_desk_that_is_away_is_503(gateway: Running) -> None:
    body, token = await order_for(gateway, 5)
    gateway.fake.desk.down = True
    assert (await gateway.json("POST", "/api/orders", body, token, expect=503))["code"] == (
        "unavailable"
    )
    gateway.fake.desk.down = False
    await gateway.json("POST", "/api/orders", body, token, expect=201)


async def test_too_many_documents_at_once_are_turned_away(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await paid_order(gateway, 5)
    monkeypatch.setattr(paper_module, "MAX_WAITING_PDFS", 0)
    path = f"/api/orders/{order['id']}/tickets.pdf"
    assert (await gateway.json("GET", path, expect=503))["code"] == "busy"


async def test_an_order_over_two_performances(start: Start) -> None:
    gateway = await start()
    for title in ("Faust", "Carmen"):
        gateway.fake.add_performance(small_plan(), settings(), title)
    token = gateway.buyer_token()
    socket = await gateway.socket(token)
    holds = [new_id(), new_id()]
    for performance, hold in enumerate(holds, 1):
        await socket.hold(performance, 5, token=hold)
    body = {
        "id": secrets.token_hex(16),
        "baskets": [
            {"performance": number, "token": hold.hex(), "lines": [[5, -1, "child", 1]]}
            for number, hold in enumerate(holds, 1)
        ],
    }
    order = await gateway.json("POST", "/api/orders", body, token, expect=201)
    assert order["total"] == 2_000
    assert [one["title"]["en"] for one in order["performances"]] == ["Faust", "Carmen"]
    path = f"/api/orders/{body['id']}"
    await gateway.json("POST", f"{path}/pay", {"method": "test_card", "attempt": "1"})
    text = await pdf_text(gateway, f"{path}/tickets.pdf?lang=en")
    assert "Faust" in text and "Carmen" in text
    receipt = await pdf_text(gateway, f"{path}/receipt.pdf?lang=en")
    assert "Faust" in receipt and "Carmen" in receipt


async def test_a_buyer_gives_places_back_as_the_performance_says(start: Start) -> None:
    gateway = await start()
    returns = Returns(fee=300, way=ReturnWay.CREDIT)
    gateway.fake.add_performance(small_plan(), settings(returns=returns), "Faust")
    order = await paid_order(gateway, 5, 6)
    path = f"/api/orders/{order['id']}"
    assert order["returnable"] == [{"line": line, "fee": 300, "way": "credit"} for line in (1, 2)]
    asked = {"id": "r1", "lines": [2]}
    problem = await gateway.json("POST", f"{path}/return", asked, expect=409)
    assert (problem["code"], problem["field"]) == ("not_returnable", "$.to_credit")
    asked |= {"to_credit": True}
    changed = await gateway.json("POST", f"{path}/return", asked)
    price = order["lines"][1]["amount"]
    assert changed["state"] == "part_refunded"
    assert [one["amount"] for one in changed["charges"]] == [300, price - 300]
    assert changed["charges"][1]["card"] and changed["paid"] == order["paid"]
    assert [one["line"] for one in changed["returnable"]] == [1]
    assert await gateway.json("POST", f"{path}/return", asked) == changed, "asked twice, done once"
    other = {"id": "r2", "lines": [1, 2], "to_credit": True}
    problem = await gateway.json("POST", f"{path}/return", other, expect=409)
    assert problem["code"] == "not_returnable"


async def test_without_a_policy_nothing_is_taken_back(gateway: Running) -> None:
    order = await paid_order(gateway, 5)
    assert order["returnable"] == []
    wanted = {"id": "r1", "lines": [1], "to_credit": True}
    path = f"/api/orders/{order['id']}/return"
    problem = await gateway.json("POST", path, wanted, expect=409)
    assert problem["code"] == "not_returnable"


async def test_the_code_of_a_credit_is_not_shown_to_whoever_sees_what_it_paid(
    gateway: Running,
) -> None:
    code = code_of(bytes(range(CODE_BYTES)))
    credits = gateway.fake.desk.orders.credits
    body, token = await order_for(gateway, 5)
    order = await gateway.json("POST", "/api/orders", body, token, expect=201)
    credits.balances[code], credits.currencies[code] = 500, order["currency"]
    pay = {"method": "store_credit", "attempt": "1", "reference": code}
    paid = await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay)
    assert (paid["order"]["state"], paid["order"]["due"]) == ("open", order["total"] - 500)
    assert code not in str(paid) and paid["order"]["payments"][0]["reference"].endswith(code[-4:])


async def test_lost_tickets_are_made_anew_by_a_cashier(gateway: Running) -> None:
    cashier = await gateway.fake.operator_token("Ada", "cashier")
    order = await paid_order(gateway, 5, 6)
    path = f"/api/orders/{order['id']}"
    before = (await gateway.json("GET", path))["tickets"]
    await gateway.json("POST", f"{path}/reissue", {"id": "n1", "lines": [2]}, expect=401)
    await gateway.json("POST", f"{path}/reissue", {"id": "n1", "lines": [2]}, cashier)
    after = (await gateway.json("GET", path))["tickets"]
    assert after[0] == before[0] and after[1]["secret"] != before[1]["secret"]


async def exchange_for(
    gateway: Running, token: str, *seats: int, id: str = "x1", lines: tuple[int, ...] = (2,)
) -> dict[str, Any]:
    """What asks to give lines for these seats, which are held by whose token it is."""
    body, _ = await order_for(gateway, *seats, token=token)
    return {"id": id, "lines": list(lines), "basket": body["baskets"][0]}


async def test_a_buyer_exchanges_as_the_performance_says(start: Start) -> None:
    gateway = await start()
    exchanges = Returns(fee=300, way=ReturnWay.CREDIT)
    gateway.fake.add_performance(small_plan(), settings(exchanges=exchanges), "Faust")
    order = await paid_order(gateway, 5, 6)
    path = f"/api/orders/{order['id']}"
    assert order["exchangeable"] == [{"line": line, "fee": 300} for line in (1, 2)]
    token = gateway.buyer_token()
    # What a buyer says of the fee counts for nothing.
    asked = await exchange_for(gateway, token, 7) | {"fee": 0}
    await gateway.json("POST", f"{path}/exchange", asked, expect=401)
    changed = await gateway.json("POST", f"{path}/exchange", asked, token)
    assert (changed["state"], changed["due"]) == ("exchanging", 300)
    assert changed["tickets_ready"] is True
    assert await gateway.json("POST", f"{path}/exchange", asked, token) == changed
    pay = {"method": "test_card", "attempt": "2"}
    done = (await gateway.json("POST", f"{path}/pay", pay))["order"]
    assert (done["state"], done["due"]) == ("exchanged", 0)
    seen = await gateway.json("GET", path)
    assert [ticket["line"] for ticket in seen["tickets"]] == [1, 3]
    text = await pdf_text(gateway, f"{path}/tickets.pdf?lang=en&line=1&line=3")
    assert text.count("Faust") == 2
    # Two for none, and for what is not sold: refused.
    wrong = await exchange_for(gateway, token, 8, id="x2")
    problem = await gateway.json("POST", f"{path}/exchange", wrong, token, expect=409)
    assert problem["code"] == "not_exchangeable"


async def test_a_buyer_gives_an_exchange_up(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings(exchanges=Returns(fee=300)), "Faust")
    order = await paid_order(gateway, 5, 6)
    path, token = f"/api/orders/{order['id']}", gateway.buyer_token()
    asked = await exchange_for(gateway, token, 7)
    await gateway.json("POST", f"{path}/exchange", asked, token)
    closed = await gateway.json("POST", f"{path}/cancel", {}, token, expect=409)
    assert closed["code"] == "order_closed", "the order is sold"
    kept = await gateway.json("POST", f"{path}/cancel?exchange=x1")
    assert (kept["state"], kept["due"]) == ("paid", 0)
    # Asked once more under its id, it is told that it came to nothing.
    problem = await gateway.json("POST", f"{path}/exchange", asked, token, expect=409)
    assert problem["code"] == "cancelled"


async def test_the_same_seat_gets_another_price(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings(exchanges=Returns()), "Faust")
    order = await paid_order(gateway, 5, 6)
    path, token = f"/api/orders/{order['id']}", gateway.buyer_token()
    before = (await gateway.json("GET", path))["tickets"]
    line = order["lines"][1]
    places = [[line["seat"], -1, "child"]]
    basket = {"performance": line["performance"], "token": "", "lines": places}
    asked = {"id": "x1", "lines": [2], "basket": basket}
    done = await gateway.json("POST", f"{path}/exchange", asked, token)
    assert done["state"] == "exchanged" and [one["amount"] for one in done["charges"]] == [1_000]
    after = (await gateway.json("GET", path))["tickets"]
    assert [ticket["line"] for ticket in after] == [1, 3]
    assert after[1]["secret"] != before[1]["secret"]
    assert await gateway.json("POST", f"{path}/exchange", asked, token) == done
    wrong = asked | {"id": "x2", "lines": [1]}
    problem = await gateway.json("POST", f"{path}/exchange", wrong, token, expect=422)
    assert problem["code"] == "malformed"


async def test_without_a_policy_a_buyer_exchanges_nothing_and_a_seller_does(
    gateway: Running,
) -> None:
    order = await paid_order(gateway, 5, 6)
    path = f"/api/orders/{order['id']}"
    assert order["exchangeable"] == []
    token = gateway.buyer_token()
    asked = await exchange_for(gateway, token, 7)
    problem = await gateway.json("POST", f"{path}/exchange", asked, token, expect=409)
    assert problem["code"] == "not_exchangeable"
    seller = await gateway.fake.operator_token("Bob", "cashier")
    # Two for one: without the right to refund, what is left over becomes a credit.
    asked = await exchange_for(gateway, seller, 8, lines=(1, 2))
    done = await gateway.json("POST", f"{path}/exchange", asked | {"fee": 100}, seller)
    assert done["state"] == "exchanged"
    kept = {one["kind"]: one["amount"] for one in done["charges"]}
    assert kept == {"exchange": 100, "credit": order["total"] // 2 - 100}
    # Nobody but a seller gives up what a seller began.
    wanted = await exchange_for(gateway, seller, 1, 2, id="x2", lines=(3,))
    waits = await gateway.json("POST", f"{path}/exchange", wanted, seller)
    assert waits["state"] == "exchanging"
    await gateway.json("POST", f"{path}/cancel", expect=401)
    given_up = await gateway.json("POST", f"{path}/cancel?exchange=x2", {}, seller)
    assert given_up["state"] == "exchanged"
