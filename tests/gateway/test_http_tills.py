"""Till sessions over HTTP: whose they are, what they come to, and sales that need one."""

from typing import Any

import pypdfium2
import pytest

from tests.fakes.tills import FakeTills, check_tills
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for
from tests.security.endpoints import LOOK


def opening(number: int, till: str = "Till 1", **more: Any) -> dict[str, Any]:
    return {"id": f"{number:032x}", "till": till, "currency": "EUR", "opening_float": 10_000} | more


async def person(gateway: Running, name: str, *roles: str) -> str:
    return await gateway.fake.operator_token(name, *(roles or ("cashier",)))


async def placed(gateway: Running, token: str, *seats: int) -> dict[str, Any]:
    order, _ = await order_for(gateway, *seats, token=token)
    made: dict[str, Any] = await gateway.json("POST", "/api/orders", order, token, expect=201)
    return made


def in_cash(given: int, attempt: str = "1") -> dict[str, Any]:
    return {"method": "cash", "attempt": attempt, "given": given}


async def require(gateway: Running) -> None:
    admin = await person(gateway, "the admin", "admin")
    look = LOOK | {"till_sessions_required": True}
    await gateway.json("PUT", "/api/house", look, admin)


async def test_the_fake_keeps_the_contract(gateway: Running) -> None:
    await check_tills(FakeTills(gateway.fake.desk.orders))


async def test_a_shift_from_its_float_to_its_count(gateway: Running) -> None:
    ada = await person(gateway, "Ada")
    assert await gateway.json("GET", "/api/tills/mine", token=ada) == {
        "required": False,
        "report": None,
        "reader": "",
    }
    report = await gateway.json("POST", "/api/tills", opening(1), ada, expect=201)
    session = report["session"]
    assert (session["till"], session["operator"], report["expected"]) == ("Till 1", "Ada", 10_000)
    assert await gateway.json("POST", "/api/tills", opening(1), ada, expect=201) == report
    order = await placed(gateway, ada, 5)
    total = order["total"]
    paid = await gateway.json("POST", f"/api/orders/{order['id']}/pay", in_cash(total + 500), ada)
    assert paid["order"]["payments"][0]["till"] == session["id"]
    path = f"/api/tills/{session['id']}"
    moves = {"id": "m", "kind": "out", "amount": 2_000, "reason": "to the safe"}
    moved = await gateway.json("POST", f"{path}/entries", moves, ada)
    assert moved["expected"] == 10_000 + total - 2_000
    assert await gateway.json("POST", f"{path}/entries", moves, ada) == moved
    mine = await gateway.json("GET", "/api/tills/mine", token=ada)
    assert mine["report"] == moved == await gateway.json("GET", path, token=ada)
    short = {"id": "x", "pieces": [[moved["expected"] - 100, 1]]}
    wrong = await gateway.json("POST", f"{path}/close", short, ada, expect=422)
    assert (wrong["code"], wrong["detail"][:7]) == ("malformed", "pieces:")
    count = [[100, moved["expected"] // 100 - 1]]
    refused = await gateway.json("POST", f"{path}/close", {"id": "x", "pieces": count}, ada, 409)
    assert (refused["code"], refused["detail"]) == ("difference_unexplained", "-100")
    closing = {"id": "x", "pieces": count, "explanation": "a coin on the floor"}
    closed = await gateway.json("POST", f"{path}/close", closing, ada)
    assert closed["session"]["closing"]["difference"] == -100
    assert await gateway.json("POST", f"{path}/close", closing, ada) == closed
    late = await gateway.json("POST", f"{path}/entries", moves | {"id": "m2"}, ada, expect=409)
    assert late["code"] == "till_closed"
    [listed] = await gateway.json("GET", "/api/tills", token=ada)
    assert listed == closed["session"]
    await gateway.edge.auditor.stop(5.0)
    acts = [(entry.act, entry.subject) for entry in await gateway.fake.access.list_audit()]
    for act in ("open_till", "till_out", "close_till"):
        assert (act, str(session["number"])) in acts


async def test_another_hands_the_money_back_out_of_another_drawer(gateway: Running) -> None:
    ada, bob = await person(gateway, "Ada"), await person(gateway, "Bob", "admin")
    for number, token in ((1, ada), (2, bob)):
        body = opening(number, f"Till {number}")
        await gateway.json("POST", "/api/tills", body, token, expect=201)
    order = await placed(gateway, ada, 5)
    total, pay = order["total"], f"/api/orders/{order['id']}/pay"
    await gateway.json("POST", pay, in_cash(total), ada)
    await gateway.json("POST", f"/api/orders/{order['id']}/refund", {"id": "r"}, bob)
    told = [await gateway.json("GET", "/api/tills/mine", token=token) for token in (ada, bob)]
    assert [one["report"]["expected"] for one in told] == [10_000 + total, 10_000 - total]
    assert [one["report"]["sales"] for one in told] == [1, 0]
    assert [one["report"]["refunds"] for one in told] == [0, 1]
    assert told[1]["report"]["methods"] == [
        {"method": "cash", "payments": 0, "taken": 0, "refunds": 1, "handed_back": total}
    ]


async def test_a_house_may_ask_for_a_session(gateway: Running) -> None:
    await require(gateway)
    assert (await gateway.json("GET", "/api/house"))["till_sessions_required"] is True
    ada = await person(gateway, "Ada")
    assert (await gateway.json("GET", "/api/tills/mine", token=ada))["required"] is True
    order = await placed(gateway, ada, 5)
    pay = f"/api/orders/{order['id']}/pay"
    refused = await gateway.json("POST", pay, in_cash(order["total"]), ada, expect=409)
    assert refused["code"] == "till_closed"
    francs = opening(1, currency="CHF")
    await gateway.json("POST", "/api/tills", francs, ada, expect=201)
    refused = await gateway.json("POST", pay, in_cash(order["total"]), ada, expect=409)
    assert refused["code"] == "till_closed", "there are no euros in this drawer"
    close = {"id": "x", "pieces": [[10_000, 1]]}
    await gateway.json("POST", f"/api/tills/{francs['id']}/close", close, ada)
    await gateway.json("POST", "/api/tills", opening(2), ada, expect=201)
    paid = await gateway.json("POST", pay, in_cash(order["total"]), ada)
    assert paid["order"]["state"] == "paid"
    buyer = await placed(gateway, gateway.buyer_token(), 25)
    card = {"method": "test_card", "attempt": "1"}
    paid = await gateway.json("POST", f"/api/orders/{buyer['id']}/pay", card)
    assert paid["order"]["state"] == "paid", "buyers have no till"
    admin = await person(gateway, "Root", "admin")
    path = f"/api/orders/{order['id']}/refund"
    refused = await gateway.json("POST", path, {"id": "r"}, admin, expect=409)
    assert refused["code"] == "till_closed"


async def test_sessions_of_others_are_for_those_who_supervise(gateway: Running) -> None:
    ada, bob = await person(gateway, "Ada"), await person(gateway, "Bob")
    await gateway.json("POST", "/api/tills", opening(1), ada, expect=201)
    path = f"/api/tills/{1:032x}"
    count = {"id": "c", "kind": "count", "pieces": [[10_000, 1]]}
    for method, rest, body in (
        ("GET", "", None),
        ("GET", "/report.pdf", None),
        ("POST", "/entries", count),
        ("POST", "/close", {"id": "x"}),
    ):
        problem = await gateway.json(method, path + rest, body, bob, expect=403)
        assert problem["code"] == "forbidden"
    assert await gateway.json("GET", "/api/tills?operator=Ada", token=bob) == []
    refused = await gateway.json("POST", "/api/tills", opening(2), bob, expect=409)
    assert (refused["code"], refused["detail"]) == ("till_taken", "Ada")
    sue = await person(gateway, "Sue", "supervisor")
    [listed] = await gateway.json("GET", "/api/tills?open=1&operator=Ada", token=sue)
    assert listed["operator"] == "Ada"
    counted = await gateway.json("POST", f"{path}/entries", count, sue)
    assert counted["entries"][0]["operator"] == "Sue"
    closed = await gateway.json("POST", f"{path}/close", {"id": "x", "pieces": [[10_000, 1]]}, sue)
    assert closed["session"]["closing"]["operator"] == "Sue"
    rita = await person(gateway, "Rita", "report")
    assert (await gateway.json("GET", path, token=rita)) == closed
    assert await gateway.json("GET", "/api/tills?open=1", token=rita) == []
    await gateway.json("GET", f"/api/tills/{9:032x}", token=sue, expect=404)
    await gateway.json("GET", "/api/tills/nonsense", token=sue, expect=404)


@pytest.mark.parametrize(("lang", "words"), [("fr", "Fond de caisse"), ("en", "Float")])
async def test_the_report_is_a_page(gateway: Running, lang: str, words: str) -> None:
    ada = await person(gateway, "Ada")
    await gateway.json("POST", "/api/tills", opening(1), ada, expect=201)
    path = f"/api/tills/{1:032x}/report.pdf?lang={lang}"
    async with gateway.http.get(path, headers={"Authorization": f"Bearer {ada}"}) as response:
        assert (response.status, response.content_type) == (200, "application/pdf")
        document = pypdfium2.PdfDocument(await response.read())
    text = document[0].get_textpage().get_text_range()
    document.close()
    assert words in text and "Till 1 · Ada" in text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"id": "x", "till": "T", "currency": "EUR"}),
        ("", opening(2, "x" * 41)),
        ("", opening(2, currency="euro")),
        ("", opening(2, opening_float=-1)),
        (f"/{1:032x}/entries", {"id": "1", "kind": "take", "amount": 1, "reason": "x"}),
        (f"/{1:032x}/entries", {"id": "1", "kind": "in", "amount": 1}),
        (f"/{1:032x}/close", {"id": "1", "pieces": [[1, -1]]}),
        (f"/{1:032x}/close", {"id": "1", "amount": 5}),
    ],
)
async def test_what_makes_no_sense_is_refused(gateway: Running, path: str, body: Any) -> None:
    ada = await person(gateway, "Ada")
    await gateway.json("POST", "/api/tills", opening(1), ada, expect=201)
    await gateway.json("POST", f"/api/tills{path}", body, ada, expect=422)
