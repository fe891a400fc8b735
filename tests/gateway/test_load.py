"""Many connections, slow readers, storms: bounded, fair, and nobody left with an old picture."""

import asyncio
import socket as sockets
from typing import Any

import msgpack
import pytest

from engine.feed import Applied, Replica
from gateway import hub as hub_module
from gateway import outbound as outbound_module
from gateway import replica as replica_module
from gateway import socket as socket_module
from tests.actors.houses import settings, small_plan
from tests.gateway.client import PATIENCE_S, Closed, Socket, new_id, until
from tests.gateway.conftest import Running, Start

SEATS = 160


async def test_two_hundred_buyers_share_a_house_and_see_the_same(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings())
    crowd = await asyncio.gather(*(gateway.socket() for _ in range(200)))
    for socket in crowd:
        await socket.send("watch", 1)
    for seat, socket in enumerate(crowd):
        await socket.send("hold", new_id(), 1, new_id(), [seat % SEATS])
    outcomes = [(await socket.next("reply"))[2] for socket in crowd]
    assert sum(outcome[0] == "held" for outcome in outcomes) == SEATS
    assert sum(outcome[1] == "seat_taken" for outcome in outcomes) == 40
    feed = gateway.fake.performances.live[1].feed
    expected = gateway.fake.performances.live[1].core.statuses()
    for socket in crowd:
        assert (await picture_at(socket, feed.seq)).statuses[:SEATS] == expected
    # Two hundred clients asked at once; they went together, not one by one.
    assert len(gateway.fake.performances.batches) < 100


async def picture_at(socket: Socket, seq: int) -> Replica:
    """The client's picture once it has reached `seq`."""
    replica = Replica(1, SEATS, 0)
    async with asyncio.timeout(PATIENCE_S):
        while replica.seq < seq or replica.epoch == 0:
            frame = await socket.next("snapshot", "delta")
            assert replica.apply(msgpack.packb(frame)) is not Applied.GAP
    return replica


async def test_a_storm_of_reconnects_resumes_without_snapshots(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings())
    stays = await gateway.socket()
    await stays.send("watch", 1)
    await stays.next("snapshot")
    for seat in range(3):
        token = new_id()
        assert (await stays.hold(1, seat, token=token))[0] == "held"
        await stays.next("delta")

    async def come_back() -> list[Any]:
        socket = await gateway.socket()
        await socket.send("watch", 1, 1, 1)
        return [(await socket.next("snapshot", "delta"))[0] for _ in range(2)]

    polls = gateway.fake.performances.polls
    frames = await asyncio.gather(*(come_back() for _ in range(100)))
    assert frames == [["delta", "delta"]] * 100
    assert gateway.fake.performances.polls < polls + 20


async def test_killing_the_performance_loses_no_answer(start: Start) -> None:
    gateway = await start(retry_for_s=10.0)
    gateway.fake.add_performance(small_plan(), settings())
    crowd = await asyncio.gather(*(gateway.socket() for _ in range(40)))
    asked = [asyncio.create_task(crowd[seat].hold(1, seat)) for seat in range(20)]
    await asyncio.sleep(0.01)
    gateway.fake.performances.lose = 1
    gateway.fake.performances.down = True
    asked += [asyncio.create_task(crowd[seat].hold(1, seat)) for seat in range(20, 40)]
    await asyncio.sleep(0.3)
    gateway.fake.performances.down = False
    gateway.fake.performances.restart(1)
    outcomes = await asyncio.gather(*asked)
    assert [outcome[0] for outcome in outcomes] == ["held"] * 40


class Deaf:
    """A client that asks and never reads, with a small receive buffer."""

    def __init__(self, port: int, token: str) -> None:
        self.socket = sockets.socket()
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert b" 101 " in self.socket.recv(1_000)
        self.send("hello", token)
        self.send("watch", 1)

    def send(self, *frame: Any) -> None:
        data = msgpack.packb(list(frame))
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
        self.socket.sendall(b"\x82" + size + bytes(4) + data)

    def close(self) -> None:
        self.socket.close()


def slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits, so that the kernel's own buffers are not what is tested."""
    for module in (outbound_module, replica_module):
        monkeypatch.setattr(module, "LAG_BYTES", 2_000)
    monkeypatch.setattr(socket_module, "PAUSE_BYTES", 20_000)


async def test_a_slow_reader_slows_nobody_else(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch)
    gateway = await start(buyer_commands_per_s=1e6, staff_commands_per_s=1e6)
    gateway.fake.add_performance(small_plan(), settings())
    token = await gateway.fake.operator_token("Ada", "cashier")
    deaf = await asyncio.to_thread(Deaf, gateway.server.port, gateway.buyer_token())
    try:
        await until(lambda: len(gateway.edge.hub._connections) == 1)
        (connection,) = gateway.edge.hub._connections
        transport = connection.out._transport
        transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4_096)
        watcher = await gateway.socket()
        await watcher.send("watch", 1)
        cashier = await gateway.socket(token)
        # Fill what the deaf client does not read.
        await asyncio.to_thread(lambda: [deaf.send("ping", n) for n in range(1_500)])
        await until(lambda: connection.out.unsent_bytes() > 2_000)
        for turn in range(6):
            seats = list(range(turn * 20, turn * 20 + 20))
            assert (await cashier.ask("block", 1, seats))[0] == "blocked"
            await asyncio.sleep(0.05)
        replica = await picture_at(watcher, 6)
        assert bytes(replica.statuses[:120]) == bytes([3]) * 120
        assert connection in [one for _, one in gateway.edge.hub.feeds._lagging]
        assert connection.out.unsent_bytes() < 100_000
    finally:
        deaf.close()
    await until(lambda: connection not in gateway.edge.hub._connections)
    assert connection not in [one for _, one in gateway.edge.hub.feeds._lagging]


async def test_who_never_reads_is_cut_off(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch)
    monkeypatch.setattr(socket_module, "MAX_STALL_S", 0.3)
    gateway = await start(buyer_commands_per_s=1e6)
    gateway.fake.add_performance(small_plan(), settings())
    deaf = await asyncio.to_thread(Deaf, gateway.server.port, gateway.buyer_token())
    try:
        await until(lambda: len(gateway.edge.hub._connections) == 1)
        (connection,) = gateway.edge.hub._connections

        def shout() -> None:
            while True:
                deaf.send("ping", 1)

        with pytest.raises(OSError):
            await asyncio.wait_for(asyncio.to_thread(shout), 20)
        await until(lambda: connection not in gateway.edge.hub._connections)
        assert gateway.edge.metrics.closed["does_not_read"] == 1
    finally:
        deaf.close()


async def test_a_full_gateway_says_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_SOCKETS", 2)
    gateway = await start()
    kept = [await gateway.socket() for _ in range(2)]
    async with gateway.http.get("/ws") as response:
        assert response.status == 503 and response.headers["Retry-After"] == "5"
    await kept[0].websocket.close()
    await until(lambda: len(gateway.edge.hub._connections) == 1)
    await gateway.socket()


async def test_one_connection_cannot_fill_the_queue(start: Start) -> None:
    gateway = await start(staff_commands_per_s=1e6)
    gateway.fake.add_performance(small_plan(), settings())
    gateway.fake.performances.delay_s = 1.0
    socket = await gateway.socket(await gateway.fake.operator_token("Ada", "cashier"))
    for _ in range(1_005):
        await socket.send("basket", new_id(), 1, new_id())
    sheds = [await socket.next("shed") for _ in range(5)]
    assert {shed[2] for shed in sheds} == {"busy"}
    gateway.fake.performances.delay_s = 0.0


async def test_watches_and_followed_holds_are_bounded(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "MAX_WATCHES_PER_SOCKET", 1)
    monkeypatch.setattr(socket_module, "MAX_HOLDS_PER_SOCKET", 2)
    socket = await gateway.socket()
    await socket.send("watch", 1)
    await socket.next("snapshot")
    await socket.send("watch", 2)
    assert (await socket.next("error"))[1] == "too_many_watches"
    for seat in range(4):
        assert (await socket.hold(1, seat))[0] == "held"
    (connection,) = gateway.edge.hub._connections
    assert len(connection.followed) == 2
    assert len(gateway.edge.hub.feeds._feeds[1].holds) == 2


async def test_an_address_that_leaves_in_the_middle_is_no_error(
    gateway: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        socket = await gateway.socket()
        await socket.send("watch", 1)
        for seat in range(5):
            await socket.send("hold", new_id(), 1, new_id(), [seat])
        connection = socket.websocket._conn  # type: ignore[attr-defined]
        connection.transport.abort()
    await until(lambda: not gateway.edge.hub._connections)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    with pytest.raises((Closed, ConnectionError)):
        await socket.hold(1, 5)
