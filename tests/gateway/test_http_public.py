"""What anybody may ask over HTTP, and how the API says no."""

import asyncio
import gzip
import json
import socket

import pytest
from msgspec.structs import replace

from engine.settings import Price, PriceType, Quota, SaleStatus, TypeStatus
from gateway.session import now_ms
from renderers import i18n
from tests.actors.houses import settings, small_plan
from tests.gateway.conftest import Running, Start


async def test_the_house_tells_what_pages_need_and_no_key(gateway: Running) -> None:
    house = await gateway.json("GET", "/api/house")
    assert house["name"] == "Théâtre du Test"
    assert house["languages"] == ["fr", "en"] and house["time_zone"] == "Europe/Paris"
    assert house["payment_methods"] == ["test_card"]
    assert house["address"] == ["1 rue des Essais", "75000 Paris"]
    assert house["palette"]["seats"]["available"]["fill"] == "#009e73"
    assert set(house["palette"]["themes"]) == {"light", "dark"}
    assert "seed" not in json.dumps(house) and "secret" not in json.dumps(house)


async def test_without_a_house_the_edge_says_so(start: Start) -> None:
    gateway = await start()
    gateway.fake.catalogue.the_house = None
    problem = await gateway.json("GET", "/api/house", expect=503)
    assert problem["code"] == "unavailable" and "house" in problem["detail"]


async def test_messages_are_the_pages_words_only(gateway: Running) -> None:
    for language in ("fr", "en"):
        words = await gateway.json("GET", f"/api/messages/{language}")
        assert words == i18n.export(language, "web", "outcome", "refusal")
        assert not any(key.startswith("ticket.") for key in words)
    assert (await gateway.json("GET", "/api/messages/de", expect=404))["code"] == "not_found"


async def test_a_session_is_made_and_recognised(gateway: Running) -> None:
    first = await gateway.json("POST", "/api/session", {})
    assert set(first) == {"token", "session", "expires_ms"}
    again = await gateway.json("POST", "/api/session", {"token": first["token"]})
    assert again == first
    assert await gateway.json("POST", "/api/session", token=first["token"]) == first
    other = await gateway.json("POST", "/api/session", {"token": "b.nonsense"})
    assert other["session"] != first["session"]
    await gateway.json("GET", "/api/performances", token=other["token"])


async def test_performances_are_listed_with_their_cheapest_public_price(start: Start) -> None:
    gateway = await start()
    chosen = settings(
        price_types=(
            PriceType("adult", {"en": "Adult", "fr": "Adulte"}),
            PriceType("child", {"en": "Child", "fr": "Enfant"}, until_ms=1),
            PriceType("staff", {"en": "Staff"}, box_office_only=True),
        ),
        doors_open_ms=5,
    )
    staff_price = replace(chosen.prices[0], price_type="staff", amount=1)
    chosen = replace(chosen, prices=(*chosen.prices, staff_price))
    plan = small_plan()
    gateway.fake.add_performance(plan, chosen, "Faust")
    gateway.fake.add_performance(plan, settings(status=SaleStatus.HIDDEN), "Secret")
    (shown,) = await gateway.json("GET", "/api/performances")
    assert shown | {"starts_ms": 0} == {
        "id": 1,
        "title": {"en": "Faust", "fr": "Faust (fr)"},
        "subtitle": {},
        "starts_ms": 0,
        "doors_ms": 5,
        "venue": "Hall",
        "status": "on_sale",
        "changes_ms": 0,
        "then": "on_sale",
        "currency": "EUR",
        "price_from": 2_000,
        "plan": plan.content_hash(),
        "room": None,
    }
    at_ms = now_ms()
    assert await gateway.fake.rooms.open(1, at_ms + 60_000, at_ms + 120_000) == ""
    await gateway.edge.hub.rooms.refresh()
    (shown,) = await gateway.json("GET", "/api/performances")
    assert (shown["room"]["phase"], shown["room"]["opens_ms"]) == ("scheduled", at_ms + 60_000)
    detail = await gateway.json("GET", "/api/performances/1")
    assert [kind["id"] for kind in detail["price_types"]] == ["adult", "child"]
    assert detail["prices"] == [[0, "adult", 2_000], [0, "child", 1_000]]
    assert detail["max_per_order"] == 10 and detail["gates"] == []
    assert detail.items() >= shown.items()


async def test_what_is_hidden_is_for_staff_only(start: Start) -> None:
    gateway = await start()
    hidden = settings(
        status=SaleStatus.HIDDEN,
        price_types=(PriceType("adult", {"en": "Adult"}, box_office_only=True),),
    )
    gateway.fake.add_performance(small_plan(), hidden)
    problem = await gateway.json("GET", "/api/performances/1", expect=404)
    assert problem["code"] == "performance_unknown"
    staff = await gateway.fake.operator_token("Ada", "cashier")
    assert len(await gateway.json("GET", "/api/performances", token=staff)) == 1
    detail = await gateway.json("GET", "/api/performances/1", token=staff)
    assert [kind["id"] for kind in detail["price_types"]] == ["adult"]


async def test_times_are_told_with_what_comes_next(start: Start) -> None:
    gateway = await start()
    at_ms = now_ms()
    later_ms, soon_ms = at_ms + 7_200_000, at_ms + 3_600_000
    chosen = settings(
        price_types=(
            PriceType("adult", {"en": "Adult"}),
            PriceType("late", {"en": "Late"}, from_ms=later_ms),
            PriceType("shut", {"en": "Shut"}, status=TypeStatus.CLOSED),
            PriceType("secret", {"en": "Secret"}, status=TypeStatus.HIDDEN),
        ),
        prices=(
            Price(0, "adult", 900, until_ms=soon_ms),
            Price(0, "adult", 1_000, from_ms=soon_ms),
            Price(0, "late", 100),
            Price(0, "shut", 50),
            Price(0, "secret", 1),
        ),
        sale_opens_ms=later_ms,
        quotas=(Quota("few", {"en": "Few"}, 3),),
    )
    gateway.fake.add_performance(small_plan(), chosen)
    detail = await gateway.json("GET", "/api/performances/1")
    outlook = [detail[name] for name in ("status", "changes_ms", "then")]
    assert outlook == ["box_office", later_ms, "on_sale"]
    assert detail["price_from"] == 900, "of what is sold now"
    assert detail["prices"] == [[0, "adult", 900], [0, "late", 100], [0, "shut", 50]]
    assert detail["prices_change_ms"] == soon_ms
    assert detail["quotas"] == [{"id": "few", "names": {"en": "Few"}}]
    assert [
        (kind["id"], kind["status"], kind["changes_ms"], kind["then"])
        for kind in detail["price_types"]
    ] == [
        ("adult", "on_sale", 0, "on_sale"),
        ("late", "closed", later_ms, "on_sale"),
        ("shut", "closed", 0, "closed"),
    ]
    refused = await (await gateway.socket()).hold(1, 5)
    assert refused[:2] == ["refused", "not_on_sale"] and refused[3] == str(later_ms)


async def test_a_house_that_is_seen_to_be_sold_out_says_so(gateway: Running) -> None:
    assert (await gateway.json("GET", "/api/performances/1"))["status"] == "on_sale"
    live, seats = gateway.fake.performances.live[1].core, len(small_plan().seats)
    socket = await gateway.socket()
    await socket.send("watch", 1)
    await socket.next("snapshot")
    assert (await gateway.json("GET", "/api/performances"))[0]["status"] == "on_sale"
    admin = await gateway.fake.operator_token("Ada", "admin")
    body = {"name": "all", "channels": ["phone"], "seats": list(range(seats))}
    await gateway.json("POST", "/api/performances/1/allocations", body, admin)
    assert live.statuses() == bytes([3]) * seats
    await socket.next("delta")
    assert (await gateway.json("GET", "/api/performances/1"))["status"] == "sold_out"
    assert (await gateway.json("GET", "/api/performances"))[0]["status"] == "sold_out"


async def test_past_performances_leave_the_public_list(gateway: Running) -> None:
    gateway.fake.catalogue.performances[1].starts_ms = now_ms() - 13 * 3_600_000
    assert await gateway.json("GET", "/api/performances") == []
    staff = await gateway.fake.operator_token("Ada", "door")
    assert len(await gateway.json("GET", "/api/performances", token=staff)) == 1


async def test_a_crowd_is_one_query(gateway: Running) -> None:
    await gateway.json("GET", "/api/performances")
    calls = gateway.fake.catalogue.calls
    await asyncio.gather(*(gateway.json("GET", "/api/performances") for _ in range(50)))
    assert gateway.fake.catalogue.calls <= calls + 2


async def test_a_plan_is_compressed_once_and_cached_for_ever(gateway: Running) -> None:
    plan = small_plan()
    path = f"/api/plans/{plan.content_hash()}"
    async with gateway.http.get(path) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert "immutable" in response.headers["Cache-Control"]
        etag = response.headers["ETag"]
        columns = await response.json()
    assert len(columns["x"]) == len(plan.seats) == len(columns["label"])
    assert columns["rows"][0][2:] == [0, 20]
    async with gateway.http.get(path, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    headers = {"Accept-Encoding": "identity"}
    async with gateway.http.get(path, headers=headers, skip_auto_headers=("x",)) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.json() == columns
    packed = await gateway.edge.plans.view(plan.content_hash())
    assert json.loads(gzip.decompress(packed)) == columns


@pytest.mark.parametrize("plan_hash", ["0" * 64, "x", "..%2f..", "A" * 64, "0" * 5_000])
async def test_an_unknown_plan_is_a_problem(gateway: Running, plan_hash: str) -> None:
    problem = await gateway.json("GET", f"/api/plans/{plan_hash}", expect=404)
    assert problem["code"] in ("plan_unknown", "not_found")


# How the API says no ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/nowhere", 404, "not_found"),
        ("DELETE", "/api/house", 405, "method_not_allowed"),
        ("GET", "/api/performances/99", 404, "performance_unknown"),
        ("GET", "/api/performances/x", 404, "not_found"),
        ("GET", "/api/performances/99999999999999999999", 404, "not_found"),
        ("GET", "/api/performances/-1", 404, "not_found"),
        ("GET", "/api/orders/nonsense", 404, "order_unknown"),
        ("GET", "/api/orders/" + "0" * 32, 404, "order_unknown"),
        ("GET", "/static/../app.py", 404, "not_found"),
        ("GET", "/p/nonsense", 404, "not_found"),
        ("GET", "/api/me", 401, "unauthenticated"),
        ("GET", "/api/sales", 401, "unauthenticated"),
        ("GET", "/api/audit", 401, "unauthenticated"),
        ("POST", "/api/plans", 401, "unauthenticated"),
    ],
)
async def test_every_error_is_a_problem(
    gateway: Running, method: str, path: str, status: int, code: str
) -> None:
    problem = await gateway.json(method, path, expect=status)
    assert problem["code"] == code and problem["status"] == status
    assert problem["title"] and problem["detail"]


async def test_an_allowed_method_is_named(gateway: Running) -> None:
    async with gateway.http.delete("/api/house") as response:
        assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "PUT"}


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 400, "malformed_json", None),
        (b"\xff\xfe", 400, "malformed_json", None),
        (b'{"x":' * 20_000, 400, "malformed_json", None),
        (b"[]", 422, "invalid", "$"),
        (b'{"name": 5, "password": "x"}', 422, "invalid", "$.name"),
        (b'{"name": "x"}', 422, "invalid", "$"),
        (b'{"name": "x", "password": "' + b"x" * 201 + b'"}', 422, "invalid", "$.password"),
        (b" " * 300_000, 413, "too_large", None),
    ],
)
async def test_a_bad_body_is_named(
    gateway: Running, body: bytes, status: int, code: str, field: str | None
) -> None:
    async with gateway.http.post("/api/login", data=body) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (status, code)
    assert problem.get("field") == field


async def test_a_body_without_a_length_is_bounded_too(gateway: Running) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(40):
            yield bytes(16_384)

    async with gateway.http.post("/api/login", data=endless()) as response:
        assert response.status == 413


async def test_an_outage_is_503_and_a_bug_is_500_without_its_text(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.fake.catalogue.down = True
    async with gateway.http.get("/api/performances") as response:
        assert response.status == 503 and response.headers["Retry-After"] == "1"
    gateway.fake.catalogue.down = False

    async def broken(**_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(gateway.fake.catalogue, "list_performances", broken)
    async with gateway.http.get("/api/performances", headers={"X-Request-ID": "abc-1"}) as response:
        assert response.status == 500
        assert response.headers["X-Request-ID"] == "abc-1"
        text = await response.text()
    assert "secret detail" not in text and "abc-1" in text


async def test_a_bad_token_is_401_even_where_none_is_needed(gateway: Running) -> None:
    problem = await gateway.json("GET", "/api/performances", token="b.stale", expect=401)
    assert problem["code"] == "unauthenticated"


async def test_every_answer_has_safe_headers(gateway: Running) -> None:
    for path in ("/api/house", "/healthz", "/nowhere", "/metrics"):
        async with gateway.http.get(path) as response:
            headers = response.headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert headers["Server"] == "strapontin"
            assert len(headers["X-Request-ID"]) == 16
            assert "Access-Control-Allow-Origin" not in headers


async def test_health_readiness_and_metrics(gateway: Running) -> None:
    assert await gateway.json("GET", "/healthz") == {"alive": True}
    ready = await gateway.json("GET", "/readyz")
    assert ready == {"ready": True, "checks": {"database": True}}
    await (await gateway.socket()).hold(1, 5)
    gateway.fake.catalogue.down = True
    async with gateway.http.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["checks"] == {"database": False}
    async with gateway.http.get("/metrics") as response:
        text = await response.text()
    assert 'strapontin_commands_total{kind="hold",outcome="held",verdict="accepted"} 1.0' in text
    assert "strapontin_sockets 1.0" in text
    assert 'route="/api/performances/{performance}"' not in text


async def test_metrics_name_routes_and_never_paths(gateway: Running) -> None:
    order = "0123456789abcdef" * 2
    await gateway.json("GET", f"/api/orders/{order}", expect=404)
    async with gateway.http.get("/metrics") as response:
        text = await response.text()
    assert 'route="/api/orders/{order}"' in text and order not in text


async def test_bytes_that_are_not_http_do_not_hurt(gateway: Running) -> None:
    def poke(data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", gateway.server.port), 5) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            return peer.recv(100)

    for data in (b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 20_000, b"\r\n"):
        await asyncio.to_thread(poke, data)
    assert await gateway.json("GET", "/healthz") == {"alive": True}


async def test_a_taken_port_is_an_os_error(gateway: Running) -> None:
    from gateway import app

    other = app.build(gateway.fake.backend, gateway.edge.config)
    with pytest.raises(OSError):
        await app.serve(other, "127.0.0.1", gateway.server.port)
