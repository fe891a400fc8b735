"""The programme over HTTP: what is refused and where, what is told, and what is written down."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine.season import PerformanceFound
from engine.settings import Price, SaleStatus, Settings
from tests.gateway.conftest import Running

START_MS = 2_000_000_000_000


async def state(gateway: Running, token: str, *keys: str) -> Any:
    return await gateway.json("POST", "/api/programme/named", {"keys": keys}, token)


async def programme(
    gateway: Running, token: str, *days: int, id: str = "1" * 32, **changes: Any
) -> dict[str, Any]:
    """A change to a production with the first performance's plan and settings on these days."""
    shown = (await gateway.json("GET", "/api/programme", None, token))["productions"][0]
    first = msgspec.convert(shown["performances"][0], PerformanceFound)
    settings = replace(first.settings, **changes)
    made = {"key": "play", "titles": {"en": "Play"}, "currency": settings.currency}
    made["performances"] = [
        {
            "key": f"day {day}",
            "starts_ms": START_MS + day,
            "plan": first.plan,
            "settings": msgspec.to_builtins(settings),
        }
        for day in days
    ]
    found = await state(gateway, token, "play")
    return {
        "id": id,
        "fingerprint": found["fingerprint"],
        "programme": {"productions": [made]},
    }


async def test_a_programme_is_applied_listed_and_in_the_audit_log(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    change = await programme(gateway, admin, 1, 2)
    assert await gateway.json("POST", "/api/programme", change, admin) == {
        "added": 2, "changed": 0, "withdrawn": 0,
    }  # fmt: skip
    # Sent again after a lost answer, it is the same change.
    assert (await gateway.json("POST", "/api/programme", change, admin))["added"] == 2
    (play,) = (await state(gateway, admin, "play", "no such play"))["productions"]
    assert [one["key"] for one in play["performances"]] == ["day 1", "day 2"]
    listed = await gateway.json("GET", "/api/performances", None, admin)
    assert {"en": "Play"} in [one["title"] for one in listed]
    acts = await gateway.json("GET", "/api/audit", None, admin)
    (act,) = [one for one in acts if one["act"] == "apply_programme"]
    assert (act["who"], act["detail"]["added"]) == ("Ada", 2)


async def test_running_performances_take_new_settings_between_their_sales(
    gateway: Running,
) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    await gateway.json("POST", "/api/programme", await programme(gateway, admin, 1), admin)
    (play,) = (await state(gateway, admin, "play"))["productions"]
    number = play["performances"][0]["id"]
    change = await programme(gateway, admin, 1, id="2" * 32, status=SaleStatus.CLOSED)
    done = await gateway.json("POST", "/api/programme", change, admin)
    assert done == {"added": 0, "changed": 1, "withdrawn": 0}
    settings = gateway.fake.performances.live[number].core.settings
    assert settings.status is SaleStatus.CLOSED


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"currency": "XYZ"}, 409, "programme_faulty", None),
        ({"prices": (Price(99, "adult", 5),)}, 422, "invalid",
         "$.programme.productions[0].performances[0].settings.prices[0].category"),
        ({"sale_opens_ms": 9, "sale_closes_ms": 8}, 422, "invalid",
         "$.programme.productions[0].performances[0].settings.sale_closes_ms"),
    ],
)  # fmt: skip
async def test_a_contradiction_is_named(
    gateway: Running, changes: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    change = await programme(gateway, admin, 1, **changes)
    if code == "programme_faulty":
        change["programme"]["productions"][0]["currency"] = "CHF"
    told = await gateway.json("POST", "/api/programme", change, admin, expect=status)
    assert told["code"] == code and told.get("field") == field
    if code == "programme_faulty":
        assert [one["flaw"] for one in told["faults"]] == ["other_currency"]
    assert (await state(gateway, admin, "play"))["productions"] == []


async def test_what_is_stale_reused_or_unknown_is_refused(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    change = await programme(gateway, admin, 1)
    unknown = await programme(gateway, admin, 1, id="3" * 32)
    unknown["programme"]["productions"][0]["performances"][0]["plan"] = "0" * 64
    told = await gateway.json("POST", "/api/programme", unknown, admin, expect=404)
    assert told["code"] == "plan_unknown"
    await gateway.json("POST", "/api/programme", change, admin)
    stale = change | {"id": "4" * 32}
    told = await gateway.json("POST", "/api/programme", stale, admin, expect=409)
    assert told["code"] == "programme_changed"
    other = await programme(gateway, admin, 1, 2)
    told = await gateway.json("POST", "/api/programme", other, admin, expect=409)
    assert (told["code"], told["field"]) == ("conflict", "$.id")


async def test_who_was_not_told_is_told_by_the_next_request(gateway: Running) -> None:
    """The edge dies after the change is written: its control is that the actor knows nothing."""
    admin = await gateway.fake.operator_token("Ada", "admin")
    await gateway.json("POST", "/api/programme", await programme(gateway, admin, 1), admin)
    change = await programme(gateway, admin, 1, id="5" * 32, max_per_order=3)
    (play,) = (await state(gateway, admin, "play"))["productions"]
    live = gateway.fake.performances.live[play["performances"][0]["id"]]
    gateway.fake.performances.down = True
    await gateway.json("POST", "/api/programme", change, admin, expect=503)
    assert live.core.settings.max_per_order != 3
    gateway.fake.performances.down = False
    (play,) = (await state(gateway, admin, "play"))["productions"]
    assert live.core.settings.max_per_order == 3
    told = msgspec.convert(play["performances"][0]["settings"], Settings)
    assert told.max_per_order == 3
