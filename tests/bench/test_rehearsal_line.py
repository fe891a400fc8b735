"""A bot's way to the server: the same ids over lost connections, and nothing given up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import msgpack
import pytest
from aiohttp import WSMsgType, web

from bench.rehearsal import line as line_module
from bench.rehearsal.history import Book
from bench.rehearsal.line import Http, Line

ID = bytes(16)
Answers = Callable[[web.WebSocketResponse, list[Any], int], Awaitable[None]]


class Server:
    """Welcomes everybody; then `answers` does, given the frame and the connection's number."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.heard: list[list[Any]] = []
        self.connections = 0
        self.refused = 0
        self.statuses = [200]
        self.url = ""

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        number = self.connections
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            frame = msgpack.unpackb(message.data)
            if frame[0] == "hello":
                await socket.send_bytes(msgpack.packb(["welcome", 1, "s", [], 0]))
                continue
            self.heard.append(frame)
            await self.answers(socket, frame, number)
        return socket

    async def http(self, request: web.Request) -> web.Response:
        status = self.statuses.pop(0)
        return web.json_response({"code": "busy" if status == 503 else "x"}, status=status)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(line_module, "FIRST_PAUSE_S", 0.001)

    async def silent(socket: web.WebSocketResponse, frame: list[Any], number: int) -> None:
        pass

    made = Server(silent)
    app = web.Application()
    app.router.add_get("/ws", made.socket)
    app.router.add_route("*", "/thing", made.http)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


async def opened(server: Server, book: Book, *, watch: bool = False) -> Line:
    line = Line(server.url, "t", 4, watch=watch, book=book, chance=Random(1))
    await line.open()
    return line


async def reply(socket: web.WebSocketResponse, id: bytes, outcome: list[Any]) -> None:
    await socket.send_bytes(msgpack.packb(["reply", id, outcome]))


async def test_a_command_is_asked_again_with_its_id_over_a_new_connection(server: Server) -> None:
    async def dies_first(socket: web.WebSocketResponse, frame: list[Any], number: int) -> None:
        if number == 1:
            await socket.close()
        else:
            await reply(socket, frame[1], ["held", b"", [1], [], 0, None])

    server.answers = dies_first
    book = Book()
    line = await opened(server, book)
    async with asyncio.timeout(5):
        assert (await line.ask(["hold", ID, 4, ID, [1], []]))[0] == "held"
    line.close()
    assert [frame[1] for frame in server.heard] == [ID, ID]
    assert (book.asked, book.repeats) == (1, 1)


async def test_what_is_shed_is_asked_again_with_its_id_and_counted(server: Server) -> None:
    async def sheds_first(socket: web.WebSocketResponse, frame: list[Any], number: int) -> None:
        if len(server.heard) == 1:
            await socket.send_bytes(msgpack.packb(["shed", frame[1], "busy", 10]))
        else:
            await reply(socket, frame[1], ["refused", "seat_taken", [1], ""])

    server.answers = sheds_first
    book = Book()
    line = await opened(server, book)
    async with asyncio.timeout(5):
        assert (await line.ask(["hold", ID, 4, ID, [1], []]))[1] == "seat_taken"
    line.close()
    assert book.sheds == {"busy": 1} and len(server.heard) == 2


async def test_a_double_click_sends_twice_and_hears_once(server: Server) -> None:
    async def answers(socket: web.WebSocketResponse, frame: list[Any], number: int) -> None:
        await reply(socket, frame[1], ["released", ID, [], []])

    server.answers = answers
    line = await opened(server, Book())
    async with asyncio.timeout(5):
        await line.ask(["release", ID, 4, ID], twice=True)
        await line.ask(["release", bytes(15) + b"1", 4, ID])
    line.close()
    assert [frame[1] for frame in server.heard][:2] == [ID, ID]


async def test_coming_back_resumes_the_feed_and_says_so(server: Server) -> None:
    watched_again, has_delta = asyncio.Event(), asyncio.Event()

    async def feeds(socket: web.WebSocketResponse, frame: list[Any], number: int) -> None:
        if number == 1:
            await socket.send_bytes(msgpack.packb(["snapshot", 4, 7, 30, b"", []]))
            await socket.send_bytes(msgpack.packb(["delta", 4, 7, 30, 31, b"", []]))
        else:
            watched_again.set()

    server.answers = feeds
    line = await opened(server, Book(), watch=True)
    came: list[int] = []
    line.opened = lambda: came.append(server.connections)
    line.also = lambda frame: has_delta.set() if frame[0] == "delta" else None
    async with asyncio.timeout(5):
        await has_delta.wait()
        await line.come_back()
        await watched_again.wait()
    line.close()
    assert server.heard == [["watch", 4, 0, 0], ["watch", 4, 7, 31]]
    assert came == [2]


async def test_an_error_frame_is_an_answer_with_its_code(server: Server) -> None:
    async def errs(socket: web.WebSocketResponse, frame: list[Any], number: int) -> None:
        await socket.send_bytes(msgpack.packb(["error", "forbidden", "", frame[1]]))

    server.answers = errs
    book = Book()
    line = await opened(server, book)
    async with asyncio.timeout(5):
        assert (await line.ask(["scan", ID, 4, "x", ""]))[:2] == ["refused", "forbidden"]
    line.close()
    assert book.failures == {"error frame: forbidden": 1}


async def test_http_is_asked_again_until_it_decides(server: Server) -> None:
    server.statuses = [503, 500, 409]
    book = Book()
    async with Http(server.url, book) as http:
        assert await http.ask("POST", "/thing", {}) == (409, {"code": "x"})
    assert book.sheds == {"busy": 1} and book.failures == {"HTTP 500": 1}
    assert (book.asked, book.repeats) == (1, 2)
