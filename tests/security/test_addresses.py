"""How much one address may take, and whose address is believed."""

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway import addresses as addresses_module
from gateway import hub as hub_module
from gateway import serving as serving_module
from gateway.addresses import Addresses, Allowance, Crowd, key_of
from tests.gateway.client import until
from tests.gateway.conftest import Start

PROXY = "10.0.0.7"


def asked(peer: str, *forwarded: str) -> Any:
    from multidict import CIMultiDict

    class Transport:
        def get_extra_info(self, name: str, default: object = None) -> object:
            return (peer, 1) if name == "peername" else default

        def is_closing(self) -> bool:
            return False

    headers = CIMultiDict([("X-Forwarded-For", one) for one in forwarded])
    return make_mocked_request("GET", "/", headers, transport=Transport())


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.1", (), "198.51.100.1"),
        ("198.51.100.1", ("203.0.113.9",), "198.51.100.1"),  # no proxy of ours: not believed
        (PROXY, ("203.0.113.9",), "203.0.113.9"),
        (PROXY, ("192.0.2.1, 203.0.113.9",), "203.0.113.9"),  # the first was the client's word
        (PROXY, ("192.0.2.1", "203.0.113.9, 10.0.0.8"), "203.0.113.9"),  # two proxies, two lines
        (PROXY, ("203.0.113.9, nonsense",), PROXY),
        (PROXY, ("", " "), PROXY),
        (PROXY, (), PROXY),
        (PROXY, ("127.0.0.1",), "127.0.0.1"),
    ],
)
def test_whose_address_is_believed(peer: str, forwarded: tuple[str, ...], address: str) -> None:
    assert Addresses(["10.0.0.0/29", "10.0.0.8"]).of(asked(peer, *forwarded)) == address


def test_without_a_configured_proxy_no_header_is_believed() -> None:
    assert Addresses().of(asked("127.0.0.1", "203.0.113.9")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_what_counts_as_one_address(address: str, key: str) -> None:
    assert key_of(address) == key


def test_a_proxy_itself_has_no_bounds() -> None:
    addresses = Addresses(["10.0.0.0/8"])
    assert addresses.key(PROXY) == "" and addresses.key("203.0.113.9") == "203.0.113.9"


def test_a_crowd_is_bounded_and_leaves_nothing_behind() -> None:
    crowd = Crowd(2)
    assert [crowd.enter("a") for _ in range(3)] == [True, True, False]
    assert crowd.enter("b") and all(crowd.enter("") for _ in range(10))
    for key in ("a", "a", "b", ""):
        crowd.leave(key)
    assert len(crowd) == 0 and crowd.enter("a")


def test_an_allowance_refills_and_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses_module, "MAX_REMEMBERED_ADDRESSES", 5)
    allowance = Allowance(burst=3, per_s=0.5)
    for _ in range(3):
        assert allowance.wait_s("a", 100.0) == 0.0
        allowance.take("a", 100.0)
    assert allowance.wait_s("a", 100.0) == 2.0
    assert allowance.wait_s("a", 102.0) == 0.0 and allowance.wait_s("b", 100.0) == 0.0
    for number in range(100):
        allowance.take(str(number), 200.0)
        allowance.take("", 200.0)
    assert len(allowance) <= 5


# Through a gateway that trusts a proxy on this machine ---------------------------------------


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_one_address_cannot_take_all_sockets(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MAX_SOCKETS_PER_ADDRESS", 3)
    gateway = await start(trusted_proxies=("127.0.0.1",))
    crowd = [await gateway.socket(**from_address("203.0.113.9")) for _ in range(2)]
    await gateway.bare_socket(**from_address("203.0.113.9"))  # has not said hello: counts too
    async with gateway.http.get("/ws", headers=UPGRADE | from_address("203.0.113.9")) as refused:
        assert refused.status == 503 and (await refused.json(content_type=None))["code"] == "busy"
    await gateway.socket(**from_address("203.0.113.10"))
    await crowd[0].websocket.close()
    await until(lambda: gateway.edge.hub._crowd._there["203.0.113.9"] == 2)
    await gateway.socket(**from_address("203.0.113.9"))


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


async def test_every_way_out_gives_the_place_back(start: Start) -> None:
    gateway = await start(trusted_proxies=("127.0.0.1",), hello_timeout_s=0.1)
    one = from_address("203.0.113.9")
    await (await gateway.socket(**one)).websocket.close()
    await (await gateway.bare_socket(**one)).closed()  # too late for hello
    slow = await gateway.bare_socket(**one)  # a part of hello is none
    slow.websocket._conn.transport.write(b"\x82\xca\x00")  # type: ignore[attr-defined]
    await slow.closed()
    bad = await gateway.bare_socket(**one)
    await bad.send("hello", "o.nobody")
    await bad.closed()
    gone = await gateway.bare_socket(**one)
    gone.websocket._conn.transport.abort()  # type: ignore[attr-defined]
    async with gateway.http.get("/ws", headers=one) as refused:
        assert refused.status == 400  # no upgrade at all
    await until(lambda: len(gateway.edge.hub._crowd) == 0)


async def test_a_house_behind_one_address_is_served(start: Start) -> None:
    """A school: two hundred pupils with a page each, at the same moment, through one address."""
    gateway = await start(trusted_proxies=("127.0.0.1",))
    headers = from_address("203.0.113.9")

    async def pupil() -> None:
        async with gateway.http.post("/api/session", json={}, headers=headers) as answer:
            token = (await answer.json())["token"]
        await gateway.socket(token, **headers)

    await asyncio.gather(*(pupil() for _ in range(200)))
    assert len(gateway.edge.hub._connections) == 200


async def test_sessions_of_one_address_are_bounded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start(trusted_proxies=("127.0.0.1",))
    monkeypatch.setattr(gateway.edge.sessions, "_burst", 5)
    monkeypatch.setattr(gateway.edge.sessions, "_per_s", 0.001)

    async def ask(address: str, token: str = "") -> Any:
        body, headers = {"token": token}, from_address(address)
        async with gateway.http.post("/api/session", json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    for _ in range(5):
        status, told, _ = await ask("203.0.113.9")
        assert status == 200
    status, problem, headers = await ask("203.0.113.9")
    assert (status, problem["code"]) == (429, "too_many_attempts")
    assert int(headers["Retry-After"]) > 0
    assert (await ask("203.0.113.9", told["token"]))[0] == 200  # a session that is known is kept
    assert (await ask("203.0.113.10"))[0] == 200
    async with gateway.http.post("/api/session", json={}) as own:
        assert own.status == 200  # this machine's own address has no bound


async def test_http_connections_of_one_address_are_bounded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "MAX_HTTP_CONNECTIONS_PER_ADDRESS", 2)
    monkeypatch.setattr(Addresses, "key", lambda self, address: "one address")
    gateway = await start()
    streams = [await asyncio.open_connection("127.0.0.1", gateway.server.port) for _ in range(2)]
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(1)
    writer.close()
    for _, open_writer in streams:
        open_writer.close()
        await open_writer.wait_closed()
    await asyncio.sleep(0.05)
    assert (await gateway.json("GET", "/healthz"))["alive"]
    assert gateway.edge.metrics.closed["too_many_connections"] == 1


async def test_connections_are_bounded_in_all(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "MAX_HTTP_CONNECTIONS", 1)
    gateway = await start()
    _, kept = await asyncio.open_connection("127.0.0.1", gateway.server.port)
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    kept.close()
    writer.close()
