"""Devices: made, enrolled once by a code, seen, revoked at once; and nobody guesses a code."""

import asyncio
import json
import secrets

from engine.commands import Channel, Checkout, Hold, Line, Refused, Sell
from gateway.limits import ENROLMENT_LIFE_S, FREE_ENROLMENT_FAILURES_PER_ADDRESS
from gateway.session import digest_of, now_ms
from renderers import secret
from tests.gateway.conftest import Running, Start


async def test_devices_are_made_and_revoked_at_once(gateway: Running) -> None:
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    body = {"name": "door 1", "gate": "main", "performances": [1, 1]}
    made = await gateway.json("POST", "/api/devices", body, supervisor, expect=201)
    socket = await gateway.socket(made["token"])
    assert (await socket.ask("scan", 1, "x"))[1] == "UNKNOWN"
    await gateway.json("DELETE", f"/api/devices/{made['id']}", token=supervisor)
    assert await socket.closed() == 1008
    late = await gateway.bare_socket()
    await late.send("hello", made["token"])
    assert await late.closed() == 1008
    await gateway.json("DELETE", f"/api/devices/{made['id']}", token=supervisor, expect=404)
    (listed,) = await gateway.json("GET", "/api/devices", token=supervisor)
    assert listed["gate"] == "main" and listed["performances"] == [1] and listed["revoked_ms"]
    assert "token" not in json.dumps(listed)


async def made_device(gateway: Running, supervisor: str) -> dict[str, object]:
    body = {"name": "door 1", "gate": "main", "performances": [1]}
    made: dict[str, object] = await gateway.json(
        "POST", "/api/devices", body, supervisor, expect=201
    )
    return made


async def test_a_code_makes_a_device_once_and_replaces_its_token(gateway: Running) -> None:
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    made = await made_device(gateway, supervisor)
    assert abs(made["enrolment_expires_ms"] - now_ms() - ENROLMENT_LIFE_S * 1000) < 60_000
    before = await gateway.socket(made["token"])
    body = {"token": made["enrolment"]}
    enrolled = await gateway.json("POST", "/api/enrol", body)
    assert (enrolled["name"], enrolled["gate"], enrolled["performances"]) == ("door 1", "main", [1])
    assert await before.closed() == 1008
    socket = await gateway.socket(enrolled["token"])
    assert (await socket.ask("scan", 1, "x"))[1] == "UNKNOWN"
    refused = await gateway.json("POST", "/api/enrol", body, expect=401)
    assert refused["code"] == "enrolment_failed"
    assert (await socket.ask("scan", 1, "x"))[1] == "UNKNOWN"
    (listed,) = await gateway.json("GET", "/api/devices", token=supervisor)
    assert listed["seen_ms"] > now_ms() - 60_000
    assert "enrolment" not in json.dumps(listed)


async def test_of_many_who_show_one_code_at_once_one_becomes_the_device(gateway: Running) -> None:
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    body = {"token": (await made_device(gateway, supervisor))["enrolment"]}

    async def enrol() -> int:
        async with gateway.http.post("/api/enrol", json=body) as answer:
            return answer.status

    assert sorted(await asyncio.gather(*(enrol() for _ in range(6)))) == [200] + [401] * 5


async def test_a_code_is_good_for_its_time_only_and_a_later_one_replaces_it(
    gateway: Running,
) -> None:
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    made = await made_device(gateway, supervisor)
    again = f"/api/devices/{made['id']}/enrolment"
    other = await gateway.json("POST", again, {}, supervisor, expect=201)
    await gateway.json("POST", "/api/enrol", {"token": made["enrolment"]}, expect=401)
    hashed = digest_of(other["enrolment"])
    number, _ = gateway.fake.access.enrolments[hashed]
    gateway.fake.access.enrolments[hashed] = (number, now_ms())
    await gateway.json("POST", "/api/enrol", {"token": other["enrolment"]}, expect=401)
    good = await gateway.json("POST", again, {}, supervisor, expect=201)
    await gateway.json("DELETE", f"/api/devices/{made['id']}", token=supervisor)
    await gateway.json("POST", "/api/enrol", {"token": good["enrolment"]}, expect=401)
    await gateway.json("POST", again, {}, supervisor, expect=404)


async def test_who_guesses_codes_waits(start: Start) -> None:
    gateway = await start(trusted_proxies=("127.0.0.1",))
    supervisor = await gateway.fake.operator_token("Ada", "supervisor")
    right = (await made_device(gateway, supervisor))["enrolment"]

    async def enrol(code: object, address: str) -> int:
        headers = {"X-Forwarded-For": address}
        body = {"token": code}
        async with gateway.http.post("/api/enrol", json=body, headers=headers) as answer:
            return answer.status

    for _ in range(FREE_ENROLMENT_FAILURES_PER_ADDRESS + 1):
        assert await enrol("e.guess", "203.0.113.7") == 401
    assert await enrol(right, "203.0.113.7") == 429
    assert await enrol(right, "203.0.113.8") == 200


async def test_only_supervisors_make_codes(gateway: Running) -> None:
    for token in (
        await gateway.fake.operator_token("Bob", "cashier", "door", "refund"),
        await gateway.fake.device_token("door"),
        gateway.buyer_token(),
    ):
        for path in ("/api/devices", "/api/devices/1/enrolment"):
            await gateway.json("POST", path, {"name": "x"}, token, expect=403)


async def test_a_device_is_told_what_it_must_know_to_be_alone(gateway: Running) -> None:
    fake = gateway.fake
    supervisor = await fake.operator_token("Ada", "supervisor")
    device = (await made_device(gateway, supervisor))["token"]
    token = secrets.token_bytes(16)
    for command in (
        Hold(secrets.token_bytes(16), token, "x", Channel.BOX_OFFICE, (0, 1)),
        Checkout(
            secrets.token_bytes(16), token, "o", "", (Line(0, -1, "adult"), Line(1, -1, "adult"))
        ),
        Sell(secrets.token_bytes(16), token, "o"),
    ):
        assert not isinstance(await fake.performances.ask(1, command), Refused)
    socket = await gateway.socket(device)
    assert (await socket.ask("scan", 1, secret.sign(fake.ticket_key, 1, 2, 0)))[1] == "ADMITTED"
    path = "/api/performances/1/door-list"
    told = await gateway.json("GET", f"{path}?kept=3", token=device)
    assert told["public_key"] == secret.public_key(fake.ticket_key).hex()
    assert (told["tickets"], told["whole"], told["places"]) == (2, True, [0, 1])
    assert list(told["used"]) == ["2"] and told["used"]["2"][1:] == ["main", True]
    assert len(told["sections"]) == 2 and told["re_entry"] == "none"
    since = await gateway.json("GET", f"{path}?since={told['seq']}&first=3", token=device)
    assert (since["whole"], since["places"], since["first"]) == (False, [], 3)
    (listed,) = await gateway.json("GET", "/api/devices", token=supervisor)
    assert listed["kept_scans"] == 0
    for other, status in (
        (await fake.device_token("elsewhere", "", 7), 403),
        (await fake.operator_token("Bob", "cashier"), 403),
        (gateway.buyer_token(), 403),
        ("", 401),
    ):
        await gateway.json("GET", path, token=other, expect=status)
    await gateway.json("GET", "/api/performances/99/door-list", token=supervisor, expect=404)
