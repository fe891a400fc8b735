"""The websocket link against a server with faults: nothing is asked twice, nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve

from console.link import Link, LinkState, NotServed, TooManyUnanswered
from console.till import new_id
from engine.commands import Refusal, Refused, Released
from gateway.wire import AskRelease
from tests.console.waiting import until

Script = Callable[[ServerConnection, int], Coroutine[Any, Any, None]]
FAST = (0.01,)


@asynccontextmanager
async def faulty(script: Script, welcome: bool = True) -> AsyncIterator[str]:
    """A websockets server; `script` gets each connection after its hello, and its number."""
    count = 0

    async def handle(connection: ServerConnection) -> None:
        nonlocal count
        count += 1
        hello = msgpack.unpackb(await connection.recv())
        assert hello[0] == "hello"
        if welcome:
            await send(connection, "welcome", 1, hello[1], ["release"], 0)
        await script(connection, count)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def send(connection: ServerConnection, *frame: Any) -> None:
    await connection.send(msgpack.packb(list(frame)))


async def next_frame(connection: ServerConnection) -> list[Any]:
    frame: list[Any] = msgpack.unpackb(await connection.recv())
    return frame


@asynccontextmanager
async def running(link: Link) -> AsyncIterator[Link]:
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def release(id: bytes = b"") -> AskRelease:
    return AskRelease(id or new_id(), 1, b"t" * 16)


async def answered(link: Link, ask: AskRelease) -> Any:
    return await asyncio.wait_for(link.ask(ask), 5)


async def test_answers_may_come_in_another_order() -> None:
    async def script(connection: ServerConnection, _: int) -> None:
        first, second = await next_frame(connection), await next_frame(connection)
        await send(connection, "reply", second[1], ["refused", "busy", [], ""])
        await send(connection, "reply", first[1], ["released", b"t" * 16, [3], []])
        await connection.wait_closed()

    async with faulty(script) as url, running(Link(url, "tok")) as link:
        one, two = await asyncio.gather(answered(link, release()), answered(link, release()))
    assert one == Released(b"t" * 16, (3,), ())
    assert two == Refused(Refusal.BUSY)


async def test_a_command_without_answer_is_sent_again_with_its_id_on_the_next_connection() -> None:
    seen: list[bytes] = []

    async def script(connection: ServerConnection, number: int) -> None:
        frame = await next_frame(connection)
        seen.append(frame[1])
        if number < 3:
            connection.transport.abort()
            return
        await send(connection, "reply", frame[1], ["released", b"t" * 16, [], []])
        await connection.wait_closed()

    async with faulty(script) as url, running(Link(url, "tok", backoff_s=FAST)) as link:
        ask = release()
        assert isinstance(await answered(link, ask), Released)
    assert seen == [ask.id] * 3


async def test_what_is_asked_while_there_is_no_connection_waits_for_one() -> None:
    order: list[bytes] = []

    async def script(connection: ServerConnection, _: int) -> None:
        for _ in range(3):
            frame = await next_frame(connection)
            order.append(frame[1])
            await send(connection, "reply", frame[1], ["released", b"t" * 16, [], []])
        await connection.wait_closed()

    async with faulty(script) as url:
        link = Link(url, "tok")
        asks = [release() for _ in range(3)]
        waiting = [asyncio.create_task(answered(link, ask)) for ask in asks]
        await until(lambda: link.unanswered == 3)
        async with running(link):
            await asyncio.gather(*waiting)
    assert order == [ask.id for ask in asks]


async def test_shed_load_is_asked_again_later_with_the_same_id() -> None:
    seen: list[tuple[bytes, float]] = []

    async def script(connection: ServerConnection, _: int) -> None:
        for _ in range(2):
            frame = await next_frame(connection)
            seen.append((frame[1], asyncio.get_running_loop().time()))
            if len(seen) == 1:
                await send(connection, "shed", frame[1], "busy", 60)
        await send(connection, "reply", seen[-1][0], ["released", b"t" * 16, [], []])
        await connection.wait_closed()

    async with faulty(script) as url, running(Link(url, "tok")) as link:
        await answered(link, release())
    assert seen[0][0] == seen[1][0]
    assert seen[1][1] - seen[0][1] >= 0.055


async def test_a_second_answer_to_the_same_command_is_ignored() -> None:
    async def script(connection: ServerConnection, _: int) -> None:
        frame = await next_frame(connection)
        for _ in range(2):
            await send(connection, "reply", frame[1], ["released", b"t" * 16, [], []])
        await send(connection, "reply", b"x" * 16, ["released", b"t" * 16, [], []])
        frame = await next_frame(connection)
        await send(connection, "reply", frame[1], ["refused", "busy", [], ""])
        await connection.wait_closed()

    async with faulty(script) as url, running(Link(url, "tok")) as link:
        assert isinstance(await answered(link, release()), Released)
        assert isinstance(await answered(link, release()), Refused)


async def test_a_command_that_is_not_served_says_so() -> None:
    async def script(connection: ServerConnection, _: int) -> None:
        frame = await next_frame(connection)
        await send(connection, "error", "forbidden", "this token may not", frame[1])
        await connection.wait_closed()

    async with faulty(script) as url, running(Link(url, "tok")) as link:
        with pytest.raises(NotServed) as raised:
            await answered(link, release())
    assert raised.value.code == "forbidden"
    assert link.unanswered == 0


async def test_an_answer_of_a_newer_server_fails_only_its_command() -> None:
    async def script(connection: ServerConnection, _: int) -> None:
        frame = await next_frame(connection)
        await send(connection, "fireworks", 3)
        await send(connection, "reply", frame[1], ["exchanged", 1, 2])
        frame = await next_frame(connection)
        await send(connection, "reply", frame[1], ["released", b"t" * 16, [], []])
        await connection.wait_closed()

    async with faulty(script) as url, running(Link(url, "tok")) as link:
        with pytest.raises(NotServed) as raised:
            await answered(link, release())
        assert raised.value.code == "unexpected"
        assert isinstance(await answered(link, release()), Released)


async def test_watching_resumes_from_where_the_picture_stands() -> None:
    watches: list[list[Any]] = []
    position = [0, 0]

    async def script(connection: ServerConnection, number: int) -> None:
        watches.append(await next_frame(connection))
        position[:] = [7, 40 + number]
        if number == 1:
            connection.transport.abort()
        else:
            await connection.wait_closed()

    async with faulty(script) as url:
        link = Link(url, "tok", backoff_s=FAST)
        link.watch(3, lambda: (position[0], position[1]))
        async with running(link):
            await until(lambda: len(watches) == 2)
    assert watches == [["watch", 3, 0, 0], ["watch", 3, 7, 41]]


async def test_feed_frames_pass_untouched_and_the_end_of_a_hold_is_told() -> None:
    frames: list[bytes] = []
    lost: list[tuple[int, bytes]] = []
    feed = [
        msgpack.packb(["snapshot", 1, 2, 3, b"\x00", []]),
        msgpack.packb(["delta", 1, 2, 3, 4, b"", []]),
    ]

    async def script(connection: ServerConnection, _: int) -> None:
        for frame in feed:
            await connection.send(frame)
        await send(connection, "lost", 1, b"h" * 16)
        await connection.wait_closed()

    def on_lost(performance: int, token: bytes) -> None:
        lost.append((performance, token))

    async with faulty(script) as url:
        async with running(Link(url, "tok", on_feed=frames.append, on_lost=on_lost)):
            await until(lambda: bool(lost))
    assert frames == feed
    assert lost == [(1, b"h" * 16)]


async def test_a_feed_that_does_not_fit_ends_the_connection_and_not_the_link() -> None:
    connections = 0

    async def script(connection: ServerConnection, number: int) -> None:
        nonlocal connections
        connections = number
        if number == 1:
            await connection.send(msgpack.packb(["snapshot", 1, 2, 3, b"", []]))
        await connection.wait_closed()

    def on_feed(frame: bytes) -> None:
        raise ValueError("0 bytes of statuses for 9 seats")

    states: list[tuple[LinkState, str]] = []
    async with faulty(script) as url:
        link = Link(
            url, "t", on_feed=on_feed, on_state=lambda *told: states.append(told), backoff_s=FAST
        )
        async with running(link):
            await until(lambda: connections == 2 and link.state is LinkState.OPEN)
    assert (LinkState.LOST, "0 bytes of statuses for 9 seats") in states


async def test_a_refused_token_ends_the_link() -> None:
    states: list[tuple[LinkState, str]] = []

    async def script(connection: ServerConnection, _: int) -> None:
        await send(connection, "error", "unauthenticated", "no such token")
        await connection.wait_closed()

    async with faulty(script, welcome=False) as url:
        link = Link(url, "tok", on_state=lambda *told: states.append(told))
        await asyncio.wait_for(link.run(), 5)
    assert states == [(LinkState.REFUSED, "unauthenticated")]


async def test_a_server_that_is_away_is_tried_again_until_it_is_there(
    unused_port: Callable[[], int],
) -> None:
    port = unused_port()
    states: list[LinkState] = []
    link = Link(f"127.0.0.1:{port}", "t", on_state=lambda s, _: states.append(s), backoff_s=(0.02,))

    async def handle(connection: ServerConnection) -> None:
        await connection.recv()
        await send(connection, "welcome", 1, "me", [], 0)
        await connection.wait_closed()

    async with running(link):
        await until(lambda: states.count(LinkState.LOST) >= 2)
        async with serve(handle, "127.0.0.1", port):
            await until(lambda: link.state is LinkState.OPEN)
    assert set(states) == {LinkState.LOST, LinkState.OPEN}


async def test_commands_without_answer_are_bounded() -> None:
    link = Link("127.0.0.1:1", "tok")
    waiting = [asyncio.create_task(link.ask(release())) for _ in range(64)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyUnanswered):
        await link.ask(release())
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert link.unanswered == 0
