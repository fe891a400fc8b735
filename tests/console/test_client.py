"""HTTP as the till uses it: addresses, refusals, and what is sent again."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from console import client as client_module
from console.client import BadAddress, Client, Problem, Unreachable, server_address
from engine.orders import PlaceOrder
from tests.console.server import CASHIER, House


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_WAITS_S", (0.01, 0.01))


@asynccontextmanager
async def scripted(*answers: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these raw answers in turn; None hangs up. Yields URL and requests."""
    requests: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        requests.append(head + await reader.readexactly(length))
        answer = left.pop(0) if left else None
        if answer is None:
            writer.transport.abort()
            return
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        server.close()


def raw(status: int, body: object) -> bytes:
    content = json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    ).encode() + content


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("https://box.example/", "https://box.example"),
        (" http://[::1]:9 ", "http://[::1]:9"),
        ("http://host/behind/a/path/", "http://host/behind/a/path"),
    ],
)
def test_an_address_may_leave_out_what_is_usual(given: str, address: str) -> None:
    assert server_address(given) == address


@pytest.mark.parametrize(
    "given", ["", "http://", "ftp://host", "host:99999", "host:0", "http:///x"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(BadAddress):
        server_address(given)


async def test_a_wrong_password_is_a_problem_with_its_code(house: House) -> None:
    with pytest.raises(Problem) as raised:
        await Client(house.url).login(CASHIER, "wrong")
    assert (raised.value.status, raised.value.code) == (401, "login_failed")


async def test_after_a_login_the_token_is_used(house: House) -> None:
    client = Client(house.url)
    operator = await client.login(CASHIER, house.password)
    assert operator.name == CASHIER and "cashier" in operator.roles
    assert await client.sales(-1, "", 10) == []
    await client.logout()
    with pytest.raises(Problem) as raised:
        await client.sales(-1, "", 10)
    assert raised.value.code == "unauthenticated"


async def test_a_refused_order_names_performance_and_seats() -> None:
    refused = {"code": "seat_taken", "detail": "gone", "seats": [4, 5], "performance": 1}
    async with scripted(raw(409, refused)) as (url, _):
        with pytest.raises(Problem) as raised:
            await Client(url).place(PlaceOrder("0" * 32, ()))
    problem = raised.value
    assert (problem.code, problem.seats, problem.performance) == ("seat_taken", (4, 5), 1)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 502 X\r\nContent-Length: 5\r\n\r\n<oh/>", raw(502, [])]
)
async def test_an_error_that_is_not_ours_still_has_a_code(answer: bytes) -> None:
    async with scripted(answer) as (url, _):
        with pytest.raises(Problem) as raised:
            await Client(url).house()
    assert raised.value.code == "http_502"


async def test_a_lost_answer_is_asked_for_again_with_the_same_body() -> None:
    async with scripted(None, raw(503, {"code": "busy"}), raw(200, {"order": {}})) as (url, seen):
        with pytest.raises(Problem) as raised:
            await Client(url).pay("1" * 32, "cash", "a" * 32, 500, "")
    assert raised.value.code == "unexpected"  # the scripted order is empty
    bodies = [request.split(b"\r\n\r\n", 1)[1] for request in seen]
    assert len(bodies) == 3 and len(set(bodies)) == 1
    assert json.loads(bodies[0]) == {"method": "cash", "attempt": "a" * 32, "given": 500}


async def test_a_refusal_is_not_asked_again() -> None:
    async with scripted(raw(409, {"code": "in_payment"})) as (url, seen):
        with pytest.raises(Problem):
            await Client(url).cancel("1" * 32)
    assert len(seen) == 1


async def test_a_login_is_sent_once_only() -> None:
    async with scripted(None) as (url, seen):
        with pytest.raises(Unreachable):
            await Client(url).login("a", "b")
    assert len(seen) == 1


async def test_nobody_there_says_which_server_and_why(unused_port: Callable[[], int]) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(Unreachable) as raised:
        await Client(url).house()
    assert raised.value.server == url
    assert "refused" in raised.value.reason.lower()


async def test_a_server_that_says_nothing_times_out() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(Unreachable) as raised:
        await Client(url, timeout_s=0.1).login("a", "b")
    server.close()
    assert raised.value.reason == "timeout"


@pytest.mark.parametrize("body", [[], {"name": 3}, {"name": "x"}, "<html>"])
async def test_an_answer_of_another_shape_is_told_and_not_believed(body: object) -> None:
    async with scripted(raw(200, body)) as (url, _):
        with pytest.raises(Problem) as raised:
            await Client(url).house()
    assert raised.value.code == "unexpected"


async def test_performances_are_listed_by_their_time() -> None:
    common = {"title": {"en": "x"}, "plan": "p", "currency": "EUR", "of_a_newer_server": 1}
    told = [common | {"id": 2, "starts_ms": 20}, common | {"id": 3, "starts_ms": 10}]
    async with scripted(raw(200, told)) as (url, _):
        assert [one.id for one in await Client(url).performances()] == [3, 2]
