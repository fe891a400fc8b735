"""The HTTP server against who does not keep to HTTP: smuggling, bombs, the slow, the too large."""

import asyncio
import gzip
import re
import socket
import time
from pathlib import Path

import msgpack
import psutil
import pytest

from engine.limits import MAX_FRAME_BYTES
from gateway import http as http_module
from gateway import serving as serving_module
from gateway.http import API_POLICY
from gateway.limits import MAX_JSON_BYTES
from gateway.pages import PAGE_POLICY, WEB_DIR, Site
from tests.gateway.client import until
from tests.gateway.conftest import Running, Start
from tests.security.raw import Raw, statuses

# Smuggling: where a proxy and we could disagree where a request ends, there is no request -------

SMUGGLED = b"GET /api/house HTTP/1.1\r\nHost: x\r\n\r\n"
AMBIGUOUS = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 37\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 37\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a space before the colon": b"Content-Length : 0\r\n\r\n",
    "a folded header": b"X: a\r\n Content-Length: 37\r\nContent-Length: 0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n",
    "chunked, and then more": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size that is none": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "an endless chunk": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "a bare line feed": b"X: a\nContent-Length: 0\r\n\r\n",
    "a zero byte": b"X: a\x00b\r\n\r\n",
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_ambiguous_request_ends_its_connection(gateway: Running, headers: bytes) -> None:
    async with Raw(gateway.server.port) as raw:
        raw.send(b"POST /api/session HTTP/1.1\r\nHost: x\r\n" + headers + SMUGGLED)
        answered = await raw.rest()
    assert 200 not in statuses(answered) or statuses(answered)[0] == 400, answered
    assert b"payment_methods" not in answered, "what stood behind it was served as a request"
    assert all(400 <= status < 500 for status in statuses(answered))


async def test_two_plain_requests_on_one_connection_are_two_answers(gateway: Running) -> None:
    """The control: pipelining itself works."""
    async with Raw(gateway.server.port) as raw:
        raw.send(b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + SMUGGLED)
        assert (await raw.answer())[0] == 200
        assert b"payment_methods" in (await raw.answer())[2]


async def test_a_body_that_nobody_read_is_not_the_next_request(gateway: Running) -> None:
    for path in ("/api/house", "/nothing"):
        async with Raw(gateway.server.port) as raw:
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n"
            raw.send(head.encode() + SMUGGLED + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await raw.answer()
            assert (await raw.answer())[2] == b'{"alive":true}'


async def test_no_header_of_ours_can_be_made_by_a_client(gateway: Running) -> None:
    async with Raw(gateway.server.port) as raw:
        raw.send(b"GET /api/house HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\nX-Evil: 1\r\n\r\n")
        _, headers, _ = await raw.answer()
        assert "x-evil" not in headers and headers["x-request-id"] == "a"
    async with gateway.http.get(
        "/api/house", headers={"X-Request-ID": "a b\tc" + "d" * 80}
    ) as answer:
        assert len(answer.headers["X-Request-ID"]) == 16


async def test_what_is_no_request_is_answered_without_an_echo(
    gateway: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for nonsense in (
        b"GET /marked\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /marked HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: marked\r\n\r\n",
        b"\x16\x03\x01 marked\r\n\r\n",
    ):
        async with Raw(gateway.server.port) as raw:
            raw.send(nonsense)
            status, headers, body = await raw.answer()
            assert (status, headers["content-type"]) == (400, "application/problem+json")
            assert headers["x-content-type-options"] == "nosniff" and b"marked" not in body
            assert headers["content-security-policy"] == API_POLICY
            assert await raw.rest() == b""
    told = capsys.readouterr()
    assert "marked" not in told.out + told.err and "Traceback" not in told.out + told.err
    assert (told.out + told.err).count("no request") == 4


# Too large ------------------------------------------------------------------------------------


async def test_oversize_heads_bodies_and_addresses_are_refused(gateway: Running) -> None:
    port = gateway.server.port
    heads = (
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 2_000 + b"\r\n",
    )
    for head in heads:
        async with Raw(port) as raw:
            raw.send(head)
            # A connection that is closed on what was not read may lose the answer on its way.
            assert statuses(await raw.rest()) in ([400], [])
    for path, most in (("/api/session", MAX_JSON_BYTES), ("/api/orders", MAX_JSON_BYTES)):
        headers = {"Authorization": f"Bearer {gateway.buyer_token()}"}
        if path == "/api/session":
            headers = {}
        body = b" " * (most + 1)
        async with gateway.http.post(path, data=body, headers=headers) as answer:
            assert answer.status == 413
    async with Raw(port) as raw:  # in chunks, without saying how much
        raw.send(b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (60_000, b" " * 60_000)
        raw.send(chunk * 6)
        assert (await raw.answer())[0] == 413


async def test_oversize_frames_end_their_connection_before_they_are_there(
    gateway: Running,
) -> None:
    socket = await gateway.socket()
    await socket.websocket.send_bytes(b"\x00" * (MAX_FRAME_BYTES + 1))
    assert await socket.closed() == 1009
    # One that says it is endless is not waited for; one in parts is counted together.
    part = b"\xfe\x10\x00" + bytes(4) + bytes(4_096)
    parts = b"\x02" + part + b"".join(b"\x00" + part for _ in range(4))
    for attack in (b"\x82\xff" + b"\x7f" + b"\xff" * 7 + bytes(4), parts):
        socket = await gateway.socket()
        socket.websocket._conn.transport.write(attack)  # type: ignore[attr-defined]
        assert await socket.closed() == 1009


# Compression bombs ----------------------------------------------------------------------------


async def test_compressed_bodies_are_not_unpacked(gateway: Running) -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    assert len(bomb) < MAX_JSON_BYTES
    process = psutil.Process()
    before, began_s = process.memory_info().rss, time.monotonic()
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
        headers = {"Content-Encoding": coding}
        async with gateway.http.post("/api/session", data=bomb, headers=headers) as answer:
            assert answer.status == 415, coding
            assert (await answer.json(content_type=None))["code"] == "encoded_body"
    assert process.memory_info().rss - before < 40 * 1024 * 1024
    assert time.monotonic() - began_s < 5


async def test_the_websocket_offers_no_compression(gateway: Running) -> None:
    async with gateway.http.ws_connect("/ws", compress=15) as socket:
        assert socket.compress == 0
        hello = msgpack.packb(["hello", gateway.buyer_token()])
        # A frame that says it is compressed all the same.
        socket._conn.transport.write(  # type: ignore[attr-defined]
            bytes([0xC2, 0x80 | len(hello)]) + bytes(4) + hello
        )
        message = await socket.receive(5)
        assert message.type.name in ("CLOSE", "CLOSED") and socket.close_code == 1002


# The slow -------------------------------------------------------------------------------------


async def test_a_head_that_does_not_come_is_not_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "KEEPALIVE_S", 0.5)
    gateway = await start()
    for begin in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        async with Raw(gateway.server.port) as raw:
            raw.send(begin)
            began_s = time.monotonic()

            async def drip(raw: Raw = raw, drop: bytes = b"X: a\r\n" if begin else b"") -> None:
                while True:
                    await asyncio.sleep(0.1)
                    raw.send(drop)

            dripping = asyncio.create_task(drip())
            assert statuses(await raw.rest(within_s=8)) == []
            dripping.cancel()
            assert time.monotonic() - began_s < 5


async def test_a_body_that_does_not_come_is_not_waited_for(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "BODY_TIMEOUT_S", 0.3)
    async with Raw(gateway.server.port) as raw:
        raw.send(b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        status, _, body = await raw.answer()
        assert status == 408 and b'"timeout"' in body


async def test_an_answer_that_nobody_reads_is_not_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "MAX_STALL_S", 0.5)
    gateway = await start()
    admin = await gateway.fake.operator_token("Ada", "admin")
    gateway.fake.catalogue.the_house.settings["address"] = ["x" * 8_000_000]  # type: ignore[union-attr]
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", gateway.server.port))
    await loop.sock_sendall(deaf, SMUGGLED * 3)
    try:
        await until(lambda: gateway.edge.metrics.closed["does_not_read"] == 1)
    finally:
        deaf.close()
    assert (await gateway.json("GET", "/api/me", token=admin))["name"] == "Ada"


async def test_many_slow_clients_keep_nobody_else_waiting(gateway: Running) -> None:
    slow = [Raw(gateway.server.port) for _ in range(200)]
    for one in slow:
        await one.__aenter__()
        one.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    began_s = time.monotonic()
    for _ in range(20):
        await gateway.json("GET", "/healthz")
    assert time.monotonic() - began_s < 2
    for one in slow:
        await one.__aexit__(None, None, None)


# Paths ----------------------------------------------------------------------------------------

TRAVERSALS = (
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static/%2e%2e%2f%2e%2e%2fpyproject.toml",
    "/static/..\\app.py",
    "/static/....//app.py",
    "/static//etc/passwd",
    "/static/%00",
    "/static/index.html%00.js",
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
)


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_leads_out_of_the_pages(gateway: Running, path: str) -> None:
    async with Raw(gateway.server.port) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answered = await raw.rest()
    assert statuses(answered)[0] in (400, 404)
    assert b"root:" not in answered and b"import " not in answered


async def test_a_link_in_the_pages_folder_that_leads_out_is_served_at_no_other_time(
    tmp_path: Path,
) -> None:
    """Pages are read once, at the start: nothing that appears later is served."""
    (tmp_path / "page.js").write_text("1")
    site = Site(tmp_path)
    (tmp_path / "later.js").write_text("2")
    assert set(site._files) == {"page.js"}


# What browsers are told ------------------------------------------------------------------------


async def test_every_answer_carries_the_safe_headers(gateway: Running) -> None:
    for path in ("/", "/api/house", "/nothing", "/healthz", "/p/1", "/api/me"):
        async with gateway.http.get(path) as answer:
            headers = answer.headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["Referrer-Policy"] == "no-referrer", path
            policy = PAGE_POLICY if answer.content_type == "text/html" else API_POLICY
            assert headers["Content-Security-Policy"] == policy, path
            assert "Set-Cookie" not in headers and "Access-Control-Allow-Origin" not in headers
    assert "unsafe" not in PAGE_POLICY and "frame-ancestors 'none'" in PAGE_POLICY
    assert "default-src 'self'" in PAGE_POLICY and "http" not in PAGE_POLICY


async def test_the_scanner_page_is_as_strict_as_the_others(gateway: Running) -> None:
    """But for its decoder, which is WebAssembly; and the worker that keeps it may do no more."""
    allowed = "; script-src 'self' 'wasm-unsafe-eval'"
    for path, more in (("/scan", allowed), ("/scan-worker.js", ""), ("/", ""), ("/p/1", "")):
        async with gateway.http.get(path) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Security-Policy"] == PAGE_POLICY + more, path
            assert "Service-Worker-Allowed" not in answer.headers


async def test_pages_have_nothing_inline_that_the_policy_would_have_to_allow() -> None:
    for path in WEB_DIR.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), path
        for address in re.findall(r"""(?:src|href|action)=["']([^"']+)""", text):
            assert not address.startswith(("http:", "https:", "//")), (path, address)


async def test_no_answer_is_a_script_of_another_sites_choosing(gateway: Running) -> None:
    """JSON with its type and nosniff: a page cannot be made to run what a client wrote."""
    name = "<script>alert(1)</script>"
    async with gateway.http.get(f"/api/messages/{name}") as answer:
        assert answer.content_type == "application/problem+json"
    async with gateway.http.get("/api/tickets", params={"q": name}) as answer:
        assert answer.content_type == "application/problem+json"


# Memory ----------------------------------------------------------------------------------------


async def test_five_hundred_connections_leave_nothing_open(gateway: Running) -> None:
    before = psutil.Process().num_fds()
    for _ in range(5):
        batch = [Raw(gateway.server.port) for _ in range(100)]
        for one in batch:
            await one.__aenter__()
            one.send(b"GET / HT")
        for one in batch:
            await one.__aexit__(None, None, None)
    await asyncio.sleep(0.2)
    assert psutil.Process().num_fds() - before < 20
