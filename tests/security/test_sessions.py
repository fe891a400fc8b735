"""Sessions and logins: fixation, other sites, guessing."""

import asyncio
import base64
import statistics
import time
from pathlib import Path

import pytest

from gateway import addresses as addresses_module
from gateway import admissions, login, session
from gateway.session import BuyerTokens, now_ms
from renderers import secret
from tests.fakes.backend import PASSWORD, PASSWORD_HASH
from tests.gateway.conftest import Running, Start
from tests.gateway.test_http_operators import add_operator
from tests.gateway.test_http_operators import login as log_in

# Fixation: nobody can choose another's token -------------------------------------------------


async def test_a_session_is_never_the_one_that_a_client_chose(gateway: Running) -> None:
    # One that is right but for its proof: a session, a day far away, and a MAC of nobody's.
    body = b"chosen-by-a-tout" + (now_ms() + 10**9).to_bytes(6, "big") + bytes(16)
    right = "b." + base64.urlsafe_b64encode(body).decode()
    for chosen in (right, "b.chosen", "chosen", "b." + "A" * 51, "o." + "A" * 43):
        made = await gateway.json("POST", "/api/session", {"token": chosen})
        assert made["token"] != chosen and chosen not in made["session"]
        assert made["session"] != b"chosen-by-a-tout".hex()
    many = {(await gateway.json("POST", "/api/session", {}))["session"] for _ in range(50)}
    assert len(many) == 50


async def test_a_login_makes_a_new_token_whatever_was_sent_along(gateway: Running) -> None:
    await add_operator(gateway, "Ada", "cashier")
    first = (await log_in(gateway, "Ada"))["token"]
    body = {"name": "Ada", "password": PASSWORD, "token": first}
    again = (await gateway.json("POST", "/api/login", body, token=first))["token"]
    assert again != first and len(again) >= 43
    await gateway.json("POST", "/api/logout", {}, token=first)
    await gateway.json("GET", "/api/me", token=first, expect=401)
    await gateway.json("GET", "/api/me", token=again)


async def test_a_buyers_token_gives_no_operators_rights_after_a_login(gateway: Running) -> None:
    await add_operator(gateway, "Ada", "admin")
    buyer = gateway.buyer_token()
    await gateway.json("POST", "/api/login", {"name": "Ada", "password": PASSWORD}, token=buyer)
    await gateway.json("GET", "/api/audit", token=buyer, expect=403)


# Other sites: there is nothing that a browser adds by itself ----------------------------------


async def test_a_foreign_page_gets_nothing_done_with_its_visitors_browser(gateway: Running) -> None:
    """No cookie is ever set or read, no form body is understood, no answer is shared."""
    admin = await gateway.fake.operator_token("Ada", "admin")
    foreign = {"Origin": "https://evil.example", "Cookie": f"token={admin}"}
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
        headers = foreign | {"Content-Type": kind}
        async with gateway.http.post("/api/operators", data=b"name=x", headers=headers) as answer:
            assert answer.status == 401
    async with gateway.http.get("/api/audit", headers=foreign) as answer:
        assert answer.status == 401 and "Access-Control-Allow-Origin" not in answer.headers
    async with gateway.http.get(f"/api/audit?token={admin}", headers=foreign) as answer:
        assert answer.status == 401  # a token in an address would be in every log
    async with gateway.http.options("/api/orders", headers=foreign) as answer:
        assert answer.status == 405 and "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://127.0.0.1.evil.example:{port}",
        "http://evil.example@127.0.0.1",
        "http://127.0.0.1:{port}.evil.example",
        "file://",
        "",
        "http://[",
    ],
)
async def test_the_websocket_opens_for_our_own_pages_only(gateway: Running, origin: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "Origin": origin.format(port=gateway.server.port),
    }
    async with gateway.http.get("/ws", headers=upgrade) as answer:
        assert answer.status == 403
        assert (await answer.json(content_type=None))["code"] == "origin_not_allowed"
    await gateway.bare_socket(Origin=gateway.url)


# Guessing ---------------------------------------------------------------------------------------


async def test_guessing_a_password_is_slowed_by_name_and_by_address(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a guess costs is not asked here, and there are thirty of them.
    monkeypatch.setattr(login, "_decoy", lambda: PASSWORD_HASH)
    gateway = await start(trusted_proxies=("127.0.0.1",))
    await add_operator(gateway, "Ada", "admin")

    async def guess(name: str, address: str, password: str = "guess") -> int:
        body, headers = {"name": name, "password": password}, {"X-Forwarded-For": address}
        async with gateway.http.post("/api/login", json=body, headers=headers) as answer:
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) > 0
            return answer.status

    by_name = [await guess("Ada", f"203.0.113.{number}") for number in range(8)]
    assert by_name == [401] * 6 + [429] * 2  # from as many addresses as one likes
    assert await guess("ada", "203.0.113.99", PASSWORD) == 429
    by_address = [await guess(f"name {number}", "198.51.100.1") for number in range(23)]
    assert by_address == [401] * 21 + [429] * 2  # for as many names as one likes
    assert await guess("Eve", "198.51.100.2") == 401


async def test_guessing_tokens_is_slowed_and_keeps_out_nobody_who_is_in(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start(trusted_proxies=("127.0.0.1",))
    monkeypatch.setattr(gateway.edge.identities._guesses, "_burst", 5)
    monkeypatch.setattr(gateway.edge.identities._guesses, "_per_s", 0.001)
    cashier = await gateway.fake.operator_token("Ada", "cashier")

    async def me(token: str, address: str = "203.0.113.9") -> int:
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
        async with gateway.http.get("/api/me", headers=headers) as answer:
            return answer.status

    assert await me(cashier) == 200
    assert [await me(f"o.guess{number}") for number in range(8)] == [401] * 5 + [429] * 3
    look_ups = gateway.fake.access.look_ups
    assert await me("d.guess") == 429 and gateway.fake.access.look_ups == look_ups
    assert await me(cashier) == 200
    assert await me(gateway.buyer_token()) == 200  # proves itself: nobody has to be asked
    assert await me("o.guess", "203.0.113.10") == 401
    socket = await gateway.bare_socket(**{"X-Forwarded-For": "203.0.113.9"})
    await socket.send("hello", "o.another guess")
    assert (await socket.next("error"))[1] == "rate"
    assert await socket.closed() == 1008


async def test_the_memory_of_guesses_is_bounded(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses_module, "MAX_REMEMBERED_ADDRESSES", 10)
    monkeypatch.setattr(session, "MAX_CACHED_IDENTITIES", 10)
    for number in range(200):
        await gateway.edge.identities.identify(f"o.{number}", f"203.0.113.{number}")
    assert len(gateway.edge.identities._guesses) <= 10
    assert len(gateway.edge.identities._cache) <= 10


async def test_names_cannot_be_told_by_answer_or_clock(gateway: Running) -> None:
    await add_operator(gateway, "Ada", "cashier")
    gateway.fake.access.hashes[1] = login.hash_password(PASSWORD)  # as costly as a real one

    async def took(name: str) -> float:
        began_s = time.perf_counter()
        await gateway.json("POST", "/api/login", {"name": name, "password": "guess"}, expect=401)
        return time.perf_counter() - began_s

    await took("warm")
    known = [await took("Ada") for _ in range(4)]
    unknown = [await took(f"nobody {number}") for number in range(4)]
    ratio = statistics.median(known) / statistics.median(unknown)
    assert 0.3 < ratio < 3, "a name that exists answers as slowly as one that does not"


def test_secrets_are_compared_in_constant_time() -> None:
    """Every module that checks a MAC does so by hmac.compare_digest, and never by ==."""
    for module in (session, admissions, secret):
        source = Path(module.__file__).read_text()
        assert "hmac.compare_digest(" in source, module.__name__
        assert " mac ==" not in source and "== mac" not in source, module.__name__
    assert "argon2" in Path(login.__file__).read_text()


async def test_passwords_are_kept_as_argon2_and_tokens_as_digests(gateway: Running) -> None:
    await add_operator(gateway, "Ada", "admin")
    token = (await log_in(gateway, "Ada"))["token"]
    body = {"name": "Eve", "password": "another horse", "roles": ["door"]}
    await gateway.json("POST", "/api/operators", body, token, expect=201)
    access = gateway.fake.access
    assert access.hashes[2].startswith("$argon2id$") and "horse" not in access.hashes[2]
    kept = repr((access.sessions, access.operators, access.devices, access.entries))
    assert token not in kept and "another horse" not in kept


async def test_short_passwords_are_refused(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {"name": "Eve", "password": "1234567", "roles": ["door"]}
    await gateway.json("POST", "/api/operators", body, admin, expect=422)


async def test_a_revoked_token_ends_its_connections_at_once(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("Ada", "admin")
    made = await gateway.json("POST", "/api/devices", {"name": "lost"}, admin, expect=201)
    socket = await gateway.socket(made["token"])
    async with asyncio.timeout(2):
        await gateway.json("DELETE", f"/api/devices/{made['id']}", token=admin)
        assert await socket.closed() == 1008
    await gateway.json("GET", "/api/me", token=made["token"], expect=401)


def test_a_token_of_one_kind_is_no_token_of_another() -> None:
    """Every use of a key has a context of its own: a MAC of one is worth nothing as another."""
    key = b"k" * 32
    at_ms = now_ms()
    token, buyer = BuyerTokens(key).new(at_ms)
    admission = admissions.AdmissionTokens(key).token(1, b"c" * 32, buyer.who, at_ms + 1_000)
    assert BuyerTokens(key).check(f"b.{admission}", at_ms) is None
    tokens = admissions.AdmissionTokens(key)
    assert tokens.check(token[2:], 1, b"c" * 32, buyer.who, at_ms) == 0
    assert tokens.check(admission, 1, b"c" * 32, buyer.who, at_ms) == at_ms + 1_000
    assert tokens.check(admission, 2, b"c" * 32, buyer.who, at_ms) == 0
    assert tokens.check(admission, 1, b"c" * 32, "another session", at_ms) == 0
