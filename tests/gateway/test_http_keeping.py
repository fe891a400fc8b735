"""Allocations and quotas over HTTP, and the settings that they come with."""

from typing import Any

import msgspec
import pytest

from engine.settings import Quota, Surplus
from gateway.session import now_ms
from tests.actors.houses import settings, small_plan
from tests.gateway.conftest import Running, Start

LIST = "/api/performances/1/allocations"
RELEASE = f"{LIST}/release"


async def test_seats_are_kept_listed_and_given_back(gateway: Running) -> None:
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    cashier = await gateway.fake.operator_token("Bob", "cashier")
    release_ms = now_ms() + 3_600_000
    body = {"name": "press", "channels": ["box_office"], "seats": [4, 5, 6]}
    told = await gateway.json("POST", LIST, body | {"release_ms": release_ms}, supervisor)
    press = {
        "name": "press", "channels": ["box_office"], "release_ms": release_ms,
        "seats": 3, "left": 3, "held": 0, "sold": 0,
    }  # fmt: skip
    assert told["allocations"] == [press | {"indices": [4, 5, 6]}]
    assert (await (await gateway.socket()).hold(1, 5))[:2] == ["refused", "seat_blocked"]
    assert (await (await gateway.socket(cashier)).hold(1, 4, 5))[0] == "held"
    listed = await gateway.json("GET", LIST, token=cashier)
    assert listed["allocations"] == [press | {"left": 1, "held": 2}]
    named = await gateway.json("GET", f"{LIST}?name=press", token=cashier)
    assert named["allocations"][0]["indices"] == [4, 5, 6]
    part = {"name": "press", "seats": [6], "reason": "they are fewer"}
    told = await gateway.json("POST", RELEASE, part, supervisor)
    assert told["allocations"] == [press | {"seats": 2, "left": 0, "held": 2, "indices": [4, 5]}]
    told = await gateway.json("POST", RELEASE, {"name": "press"}, supervisor)
    assert told["allocations"] == []
    audit = [(one.act, one.detail) for one in gateway.fake.access.entries[-3:]]
    assert audit == [
        ("allocate", {
            "name": "press", "seats": 3, "channels": ["box_office"], "release_ms": release_ms,
        }),
        ("release_allocation", {"name": "press", "seats": 1, "reason": "they are fewer"}),
        ("release_allocation", {"name": "press", "seats": 2, "reason": ""}),
    ]  # fmt: skip


async def test_a_surplus_is_listed_for_who_sells_it(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings(surplus=Surplus((0,))))
    cashier = await gateway.fake.operator_token("Bob", "cashier")
    told = (await gateway.json("GET", LIST, token=cashier))["surplus"]
    seats = len(small_plan().seats)
    assert (told["seats"], told["left"], told["areas"]) == (seats, seats, [])
    assert told["channels"] == ["box_office", "phone"]


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"release_ms": 1}, 422, "invalid", "$.release_ms"),
        ({"name": ""}, 422, "invalid", "$.name"),
        ({"channels": []}, 422, "invalid", "$.channels"),
        ({"channels": ["gate"]}, 422, "invalid", "$.channels[0]"),
        ({"seats": []}, 422, "invalid", "$.seats"),
        ({"seats": [10**6]}, 409, "malformed", None),
    ],
)
async def test_a_wrong_allocation_is_named(
    gateway: Running, change: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {"name": "press", "channels": ["phone"], "seats": [1]} | change
    problem = await gateway.json("POST", LIST, body, admin, expect=status)
    assert (problem["code"], problem.get("field")) == (code, field)


async def test_seats_that_cannot_be_kept_are_named(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    await (await gateway.socket()).hold(1, 4, 5)
    body = {"name": "press", "channels": ["phone"], "seats": [5, 6]}
    problem = await gateway.json("POST", LIST, body, admin, expect=409)
    assert (problem["code"], problem["seats"]) == ("seat_taken", [5])
    problem = await gateway.json("POST", RELEASE, {"name": "press"}, admin, expect=409)
    assert (problem["code"], problem["detail"]) == ("malformed", "press")


async def test_who_may(gateway: Running) -> None:
    cashier = await gateway.fake.operator_token("Bob", "cashier")
    door = await gateway.fake.operator_token("Eve", "door")
    body = {"name": "press", "channels": ["phone"], "seats": [1]}
    await gateway.json("POST", LIST, body, cashier, expect=403)
    await gateway.json("POST", RELEASE, {"name": "press"}, cashier, expect=403)
    for path in (LIST, "/api/performances/1/quotas"):
        await gateway.json("GET", path, token=door, expect=403)
        await gateway.json("GET", path.replace("1", "99"), token=cashier, expect=404)


async def test_quotas_are_told_with_what_is_left(start: Start) -> None:
    gateway = await start()
    quotas = (Quota("all", {"en": "All"}, 3), Quota("none", {"en": "None"}, 0))
    gateway.fake.add_performance(small_plan(), settings(quotas=quotas))
    cashier = await gateway.fake.operator_token("Bob", "cashier")
    told = await gateway.json("GET", "/api/performances/1/quotas", token=cashier)
    assert told == [
        {"id": "all", "names": {"en": "All"}, "limit": 3, "used": 0, "left": 3},
        {"id": "none", "names": {"en": "None"}, "limit": 0, "used": 0, "left": 0},
    ]


async def test_settings_that_contradict_themselves_are_refused_by_field(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    path = "/api/performances/1/settings"
    before = await gateway.json("GET", path, token=admin)
    twice = before | {"prices": before["prices"] * 2}
    problem = await gateway.json("PUT", path, twice, admin, expect=422)
    count = len(before["prices"])
    assert problem["field"] == f"$.prices[{count}]" and "prices[0]" in problem["detail"]
    assert await gateway.json("GET", path, token=admin) == before
    body = {
        "production": 1,
        "plan": small_plan().content_hash(),
        "starts_ms": 1,
        "settings": msgspec.to_builtins(settings(sale_opens_ms=2, sale_closes_ms=1)),
    }
    problem = await gateway.json("POST", "/api/performances", body, admin, expect=422)
    assert problem["field"] == "$.settings.sale_closes_ms"
    negative = before | {"sale_opens_ms": -1}
    problem = await gateway.json("PUT", path, negative, admin, expect=422)
    assert problem["field"] == "$.sale_opens_ms"
