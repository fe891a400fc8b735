"""Login, sales, searches and refunds, by role; and setting a house up."""

import asyncio
import base64
import io
import json
from typing import Any

import msgspec
import pytest
from PIL import Image

from engine.plan_io import dump_plan
from gateway.plans import find_seats
from gateway.programme import style_of
from tests.actors.houses import settings, small_plan
from tests.fakes.backend import PASSWORD, PASSWORD_HASH
from tests.gateway.conftest import Running
from tests.gateway.test_http_orders import order_for, paid_order


async def login(gateway: Running, name: str, password: str = PASSWORD, expect: int = 200) -> Any:
    body = {"name": name, "password": password}
    return await gateway.json("POST", "/api/login", body, expect=expect)


async def add_operator(gateway: Running, name: str, *roles: str) -> None:
    await gateway.fake.access.create_operator(
        1, name=name, password_hash=PASSWORD_HASH, roles=roles, language="fr", now_ms=0
    )


# Login ---------------------------------------------------------------------------------


async def test_login_me_and_logout(gateway: Running) -> None:
    await add_operator(gateway, "Ada", "cashier", "refund")
    answer = await login(gateway, "ada")
    assert answer["operator"]["name"] == "Ada"
    assert answer["operator"]["roles"] == ["cashier", "refund"]
    assert answer["operator"]["language"] == "fr"
    token = answer["token"]
    assert (await gateway.json("GET", "/api/me", token=token))["name"] == "Ada"
    socket = await gateway.socket(token)
    await gateway.json("POST", "/api/logout", {}, token)
    assert await socket.closed() == 1008
    await gateway.json("GET", "/api/me", token=token, expect=401)


async def test_a_wrong_name_and_a_wrong_password_look_the_same(gateway: Running) -> None:
    await add_operator(gateway, "Ada", "cashier")
    wrong = await login(gateway, "Ada", "guess", expect=401)
    unknown = await login(gateway, "Nobody", "guess", expect=401)
    assert wrong == unknown and wrong["code"] == "login_failed"
    for _ in range(5):
        await login(gateway, "Ada", "guess", expect=401)
    slowed = await login(gateway, "Ada", expect=429)
    assert slowed["code"] == "too_many_attempts"


async def test_passwords_and_tokens_are_in_no_log(
    gateway: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await add_operator(gateway, "Ada", "cashier")
    token = (await login(gateway, "Ada"))["token"]
    order = await paid_order(gateway, 5)
    await gateway.json("GET", f"/api/orders/{order['id']}")
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert "/api/orders/{order}" in text
    for secret in (PASSWORD, token, order["id"], "ada@example.org"):
        assert secret not in text


# Sales and tickets -------------------------------------------------------------------------


async def test_sales_are_found_by_what_a_cashier_has_to_go_by(gateway: Running) -> None:
    first = await paid_order(gateway, 5, 6)
    second = await paid_order(gateway, 21)
    cashier = await gateway.fake.operator_token("Ada", "cashier")

    async def found(query: str) -> list[int]:
        orders = await gateway.json("GET", f"/api/sales?{query}", token=cashier)
        return [order["number"] for order in orders]

    assert await found("") == [second["number"], first["number"]]
    assert await found("limit=1") == [second["number"]]
    assert await found(f"before={second['number']}") == [first["number"]]
    assert await found(f"q={first['number']}") == [first["number"]]
    assert await found("q=lovelace") == [second["number"], first["number"]]
    plan = small_plan()
    row = plan.rows[1].label.split()[-1]
    seat = plan.seats[21].label.split()[-1]
    assert await found(f"performance=1&q={row}+{seat}") == [second["number"]]
    assert await found("performance=1&q=nobody") == []
    order = (await gateway.json("GET", "/api/sales?limit=1", token=cashier))[0]
    assert order["lines"][0]["seat"] == 21 and order["performances"][0]["id"] == 1
    for query in ("limit=0", "limit=999", "limit=x", "before=-1", "performance=x"):
        await gateway.json("GET", f"/api/sales?{query}", token=cashier, expect=422)


@pytest.mark.parametrize(
    ("role", "sales", "tickets"), [("door", 403, 200), ("refund", 200, 200), ("admin", 200, 200)]
)
async def test_who_may_look_at_sales_and_tickets(
    gateway: Running, role: str, sales: int, tickets: int
) -> None:
    token = await gateway.fake.operator_token("Ada", role)
    await gateway.json("GET", "/api/sales", token=token, expect=sales)
    await gateway.json("GET", "/api/tickets?performance=1", token=token, expect=tickets)
    buyer = gateway.buyer_token()
    await gateway.json("GET", "/api/sales", token=buyer, expect=403)
    await gateway.json("GET", "/api/tickets?performance=1", token=buyer, expect=403)


async def test_tickets_are_found_by_number_seat_and_name(gateway: Running) -> None:
    await paid_order(gateway, 5, 6)
    cashier = await gateway.fake.operator_token("Ada", "cashier")

    async def found(query: str) -> list[int]:
        answer = await gateway.json("GET", f"/api/tickets?{query}", token=cashier)
        return [ticket["number"] for ticket in answer["tickets"]]

    assert await found("performance=1") == [2, 1]
    assert await found("q=1-000002") == [2]
    assert await found("q=1-2-ABCDEF") == [2]
    assert await found("performance=1&q=2") == [2]
    assert await found("performance=1&q=lovelace") == [2, 1]
    assert await found("performance=1&q=nobody") == []
    missing = await gateway.json("GET", "/api/tickets?q=lovelace", token=cashier, expect=422)
    assert missing["field"] == "performance"
    await gateway.json("GET", "/api/tickets?performance=99&q=a+b", token=cashier, expect=404)


async def test_a_door_sees_no_order_key_and_a_device_its_performances(gateway: Running) -> None:
    await paid_order(gateway, 5)
    door = await gateway.fake.operator_token("Dora", "door")
    answer = await gateway.json("GET", "/api/tickets?performance=1", token=door)
    assert "order" not in answer["tickets"][0] and answer["tickets"][0]["buyer_name"]
    device = await gateway.fake.device_token("door", "", 2)
    await gateway.json("GET", "/api/tickets?performance=1", token=device, expect=403)


def test_seats_are_found_as_people_name_them() -> None:
    plan = small_plan()
    row, seat = plan.rows[1], plan.seats[23]
    name = row.label.split()[-1]
    number = seat.label.split()[-1]
    for text in (f"{name} {number}", f"{name}{number}", f"{name.lower()}-{number}"):
        assert find_seats(plan, text) == [23], text
    assert find_seats(plan, f"stalls {name} {number}") == [23]
    assert find_seats(plan, f"circle {name} {number}") == []
    for text in ("", number, name, "Z 1", f"{name} 999", "lovelace ada"):
        assert find_seats(plan, text) == []


# Refunds -----------------------------------------------------------------------------------


async def sold_by(gateway: Running, cashier: str, *seats: int) -> dict[str, Any]:
    body, _ = await order_for(gateway, *seats, token=cashier)
    await gateway.json("POST", "/api/orders", body, cashier, expect=201)
    pay = {"method": "card_terminal", "attempt": "1", "reference": "R-1"}
    answer = await gateway.json("POST", f"/api/orders/{body['id']}/pay", pay, cashier)
    order: dict[str, Any] = answer["order"]
    return order


async def test_a_line_and_then_the_rest_are_refunded_once(gateway: Running) -> None:
    order = await paid_order(gateway, 5, 6, 7)
    admin = await gateway.fake.operator_token("Ada", "admin")
    path = f"/api/orders/{order['id']}/refund"
    body = {"id": "r1", "lines": [order["lines"][0]["number"]], "reason": "ill"}
    partly = await gateway.json("POST", path, body, admin)
    assert [line["state"] for line in partly["lines"]] == ["refunded", "sold", "sold"]
    assert partly["paid"] == 4_000
    assert await gateway.json("POST", path, body, admin) == partly
    rest = await gateway.json("POST", path, {"id": "r2"}, admin)
    assert rest["state"] == "refunded" and rest["tickets_ready"] is False
    again = await gateway.json("POST", path, {"id": "r3"}, admin, expect=409)
    assert again["code"] == "nothing_to_refund"
    await asyncio.sleep(0.2)  # the picture that refuses sold seats follows the engine
    socket = await gateway.socket()
    assert (await socket.hold(1, 5, 6, 7))[0] == "held"


async def test_the_list_of_performances_tells_operators_what_is_sold(gateway: Running) -> None:
    ada = await gateway.fake.operator_token("Ada", "cashier", "refund")
    order = await sold_by(gateway, ada, 5, 6, 7)
    line = {"id": "r", "lines": [order["lines"][0]["number"]]}
    await gateway.json("POST", f"/api/orders/{order['id']}/refund", line, ada)
    (listed,) = await gateway.json("GET", "/api/performances", None, ada)
    assert listed["sold"] == 2 and listed["places"] > 100
    device = await gateway.fake.device_token("Door")
    for token in (device, ""):
        (seen,) = await gateway.json("GET", "/api/performances", None, token)
        assert "sold" not in seen and "places" not in seen


async def test_the_refund_role_is_for_ones_own_sales(gateway: Running) -> None:
    ada = await gateway.fake.operator_token("Ada", "cashier", "refund")
    bob = await gateway.fake.operator_token("Bob", "cashier", "refund")
    cleo = await gateway.fake.operator_token("Cleo", "cashier", "supervisor")
    order = await sold_by(gateway, ada, 5)
    path = f"/api/orders/{order['id']}/refund"
    for token in (bob, cleo):
        assert (await gateway.json("POST", path, {"id": "r1"}, token, expect=403))["code"] == (
            "forbidden"
        )
    assert (await gateway.json("POST", path, {"id": "r1"}, ada))["state"] == "refunded"
    web = await paid_order(gateway, 9)
    await gateway.json("POST", f"/api/orders/{web['id']}/refund", {"id": "r"}, ada, expect=403)


@pytest.mark.parametrize("order", ["0" * 32, "nonsense"])
async def test_a_refund_of_nothing_is_404(gateway: Running, order: str) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    problem = await gateway.json(
        "POST", f"/api/orders/{order}/refund", {"id": "r"}, admin, expect=404
    )
    assert problem["code"] == "order_unknown"


# Setting a house up --------------------------------------------------------------------------


async def test_a_house_is_set_up_and_sells(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    plan = small_plan(rows="AB", seats=4)
    headers = {"Authorization": f"Bearer {admin}"}
    async with gateway.http.post("/api/plans", data=dump_plan(plan), headers=headers) as response:
        assert response.status == 201
        added = await response.json()
    assert added["hash"] == plan.content_hash() and added["seats"] == 8
    async with gateway.http.post("/api/plans", data=dump_plan(plan), headers=headers) as response:
        assert response.status == 200 and not (await response.json())["added"]
    plans = await gateway.json("GET", "/api/plans", token=admin)
    assert plan.content_hash() in [one["hash"] for one in plans]
    made = await gateway.json(
        "POST",
        "/api/productions",
        {"titles": {"fr": "Phèdre", "en": "Phaedra"}, "currency": "EUR"},
        admin,
        expect=201,
    )
    body = {
        "production": made["id"],
        "plan": plan.content_hash(),
        "starts_ms": 1_900_000_000_000,
        "settings": msgspec.to_builtins(settings()),
    }
    number = (await gateway.json("POST", "/api/performances", body, admin, expect=201))["id"]
    listed = await gateway.json("GET", "/api/performances")
    assert number in [one["id"] for one in listed]
    acts = [entry["act"] for entry in await gateway.json("GET", "/api/audit", token=admin)]
    assert acts == ["add_performance", "add_production", "add_plan", "add_plan"]
    page = await gateway.json("GET", "/api/audit?limit=1&before=3", token=admin)
    assert [entry["id"] for entry in page] == [2]


LOOK = {
    "name": "Le Petit Théâtre",
    "time_zone": "Europe/Zurich",
    "languages": ["fr"],
    "address": ["3 rue du Lac", "1200 Genève"],
    "accent": "#123456",
    "country": "CH",
    "vat_bp": 260,
}


async def test_a_house_gets_its_own_name_and_colours(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    await gateway.json("GET", "/api/house")
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "#123456").save(picture, "PNG")
    logo = base64.b64encode(picture.getvalue()).decode()
    await gateway.json("PUT", "/api/house", LOOK | {"logo": logo}, admin)
    shown = await gateway.json("GET", "/api/house")
    assert (shown["name"], shown["time_zone"]) == ("Le Petit Théâtre", "Europe/Zurich")
    assert (shown["languages"], shown["address"]) == (["fr"], ["3 rue du Lac", "1200 Genève"])
    assert shown["style"]["accent"] == "#123456" and "demo" not in shown
    house = await gateway.fake.catalogue.house()
    assert house is not None and style_of(house).logo == picture.getvalue()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"time_zone": "Europe/Atlantis"}, "$.time_zone"),
        ({"languages": ["xx"]}, "$.languages"),
        ({"logo": base64.b64encode(b"no picture").decode()}, "$.logo"),
        ({"accent": "red"}, "$.accent"),
        ({"name": ""}, "$.name"),
    ],
)
async def test_a_wrong_look_is_named(
    gateway: Running, wrong: dict[str, object], field: str
) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    problem = await gateway.json("PUT", "/api/house", LOOK | wrong, admin, expect=422)
    assert problem["field"] == field


async def test_a_plan_with_problems_is_not_kept_and_says_where(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    plans = len(gateway.fake.catalogue.plans)
    document = json.loads(dump_plan(small_plan()))
    document["sections"] = "nonsense"
    for body in (json.dumps(document).encode(), b"", b"\x00", b"{}", b"[" * 100_000):
        headers = {"Authorization": f"Bearer {admin}"}
        async with gateway.http.post("/api/plans", data=body, headers=headers) as response:
            problem = await response.json(content_type=None)
        assert response.status == 422 and problem["code"] == "plan_invalid"
        assert problem["problems"][0]["code"]
    assert len(gateway.fake.catalogue.plans) == plans


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"production": 99}, "$.production", "invalid"),
        ({"plan": "0" * 64}, None, "plan_unknown"),
        ({"starts_ms": "soon"}, "$.starts_ms", "invalid"),
        ({"settings": {}}, "$.settings", "invalid"),
    ],
)
async def test_a_wrong_performance_is_named(
    gateway: Running, change: dict[str, Any], field: str | None, code: str
) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {
        "production": 1,
        "plan": small_plan().content_hash(),
        "starts_ms": 1,
        "settings": msgspec.to_builtins(settings()),
    } | change
    status = 404 if code == "plan_unknown" else 422
    problem = await gateway.json("POST", "/api/performances", body, admin, expect=status)
    assert (problem["code"], problem.get("field")) == (code, field)


async def test_another_currency_than_the_productions_is_refused(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {
        "production": 1,
        "plan": small_plan().content_hash(),
        "starts_ms": 1,
        "settings": msgspec.to_builtins(settings(currency="CHF")),
    }
    problem = await gateway.json("POST", "/api/performances", body, admin, expect=422)
    assert problem["field"] == "$.settings.currency"
    body = {"titles": {"en": "X"}, "currency": "nonsense"}
    problem = await gateway.json("POST", "/api/productions", body, admin, expect=422)
    assert problem["field"] == "$.currency"


async def test_settings_change_through_the_performance(gateway: Running) -> None:
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    path = "/api/performances/1/settings"
    before = await gateway.json("GET", path, token=supervisor)
    changed = before | {"status": "closed"}
    assert await gateway.json("PUT", path, changed, supervisor) == changed
    assert gateway.fake.performances.live[1].core.settings.status == "closed"
    assert (await (await gateway.socket()).hold(1, 5))[:2] == ["refused", "not_on_sale"]
    wrong = await gateway.json("PUT", path, before | {"status": "x"}, supervisor, expect=422)
    assert wrong["field"] == "$.status"
    gateway.fake.performances.down = True
    await gateway.json("PUT", path, before, supervisor, expect=503)
    cashier = await gateway.fake.operator_token("Bob", "cashier")
    await gateway.json("PUT", path, before, cashier, expect=403)


async def test_operators_are_added_and_removed_at_once(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {"name": "Bob", "password": "long enough", "roles": ["door", "cashier"]}
    bob = await gateway.json("POST", "/api/operators", body, admin, expect=201)
    assert bob["roles"] == ["cashier", "door"]
    taken = await gateway.json("POST", "/api/operators", body | {"name": "BOB"}, admin, expect=409)
    assert taken["code"] == "conflict"
    token = (await login(gateway, "Bob", "long enough"))["token"]
    socket = await gateway.socket(token)
    await gateway.json("DELETE", f"/api/operators/{bob['id']}", token=admin)
    assert await socket.closed() == 1008
    await gateway.json("GET", "/api/me", token=token, expect=401)
    await login(gateway, "Bob", "long enough", expect=401)
    await gateway.json("DELETE", f"/api/operators/{bob['id']}", token=admin, expect=404)
    listed = await gateway.json("GET", "/api/operators", token=admin)
    assert [(one["name"], one["active"]) for one in listed] == [("Ada", True), ("Bob", False)]
    assert "hash" not in json.dumps(listed)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"password": "short"}, "$.password"),
        ({"roles": []}, "$.roles"),
        ({"roles": ["king"]}, "$.roles[0]"),
        ({"roles": ["buyer"]}, "$.roles"),
        ({"name": ""}, "$.name"),
        ({"language": "de"}, "$.language"),
    ],
)
async def test_a_wrong_operator_is_named(
    gateway: Running, change: dict[str, Any], field: str
) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {"name": "Bob", "password": "long enough", "roles": ["door"]} | change
    problem = await gateway.json("POST", "/api/operators", body, admin, expect=422)
    assert problem["field"] == field


ADMIN_ONLY = [
    ("PUT", "/api/house"),
    ("POST", "/api/plans"),
    ("POST", "/api/productions"),
    ("POST", "/api/performances"),
    ("GET", "/api/operators"),
    ("POST", "/api/operators"),
    ("DELETE", "/api/operators/1"),
    ("GET", "/api/audit"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
async def test_what_is_an_admins_is_nobody_elses(gateway: Running, method: str, path: str) -> None:
    tokens = [
        await gateway.fake.operator_token("Ada", "supervisor", "cashier", "refund", "door"),
        await gateway.fake.device_token("door"),
        gateway.buyer_token(),
    ]
    for token in tokens:
        assert (await gateway.json(method, path, {}, token, expect=403))["code"] == "forbidden"
    await asyncio.sleep(0)
    assert gateway.fake.access.entries == []
