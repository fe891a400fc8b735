"""One connection: who may send what, and what comes back."""

import asyncio

import aiohttp
import msgpack
import pytest

from engine.commands import Channel, Checkout, Hold, Line, Sell
from engine.limits import MAX_FRAME_BYTES
from engine.settings import SaleStatus
from gateway.batcher import Receiver
from renderers.secret import short_code, sign
from tests.actors.houses import settings, small_plan
from tests.gateway.client import Closed, Socket, changes_of, new_id, seats_of
from tests.gateway.conftest import Running, Start

SEATS = 160


async def test_a_buyer_is_welcomed_with_what_it_may_do(gateway: Running) -> None:
    socket = await gateway.socket()
    tag, protocol, who, may, server_ms = socket.welcome
    assert (tag, protocol) == ("welcome", 1)
    assert len(who) == 32
    assert may == ["basket", "best", "hold", "ping", "queue", "release", "unwatch", "watch"]
    assert server_ms > 1_700_000_000_000


async def test_a_seat_is_held_for_one_and_refused_to_the_other(gateway: Running) -> None:
    one, other = await gateway.socket(), await gateway.socket()
    token = new_id()
    tag, held_token, seats, areas, expires_ms, rung = await one.hold(1, 5, 6, token=token)
    assert (tag, held_token, seats, areas, rung) == ("held", token, [5, 6], [], None)
    assert expires_ms > 0
    assert (await other.hold(1, 6, 7))[:3] == ["refused", "seat_taken", [6]]


async def test_a_repeated_id_gets_the_same_outcome(gateway: Running) -> None:
    socket = await gateway.socket()
    id, token = new_id(), new_id()
    first = await socket.ask("hold", 1, token, [5], id=id)
    assert await socket.ask("hold", 1, token, [5], id=id) == first
    assert (await socket.ask("hold", 1, token, [6], id=id))[:2] == ["refused", "id_reused"]


async def test_commands_may_be_sent_without_waiting(gateway: Running) -> None:
    socket = await gateway.socket()
    ids = [new_id() for _ in range(50)]
    token = new_id()
    for seat, id in enumerate(ids):
        await socket.send("hold", id, 1, token, [seat])
    replies = [await socket.next("reply") for _ in ids]
    assert [reply[1] for reply in replies] == ids
    assert sum(reply[2][0] == "held" for reply in replies) == 10  # max_per_order
    assert len(gateway.fake.performances.batches) < 50


async def test_best_basket_and_release(gateway: Running) -> None:
    socket = await gateway.socket()
    token = new_id()
    best = await socket.ask("best", 1, token, 2)
    assert best[0] == "held" and len(best[2]) == 2 and best[5] == "adjacent"
    assert (await socket.ask("basket", 1, token))[2] == best[2]
    assert (await socket.ask("release", 1, token))[0] == "released"
    assert (await socket.ask("basket", 1, token))[:2] == ["refused", "hold_unknown"]


async def test_watchers_see_a_snapshot_and_then_changes(gateway: Running) -> None:
    watcher, buyer = await gateway.socket(), await gateway.socket()
    await watcher.send("watch", 1, 0, 0)
    snapshot = await watcher.next("snapshot")
    assert snapshot[1:4] == [1, 1, 0]
    assert seats_of(snapshot, SEATS) == [0] * SEATS
    await buyer.hold(1, 3, 4)
    delta = await watcher.next("delta")
    assert delta[1:5] == [1, 1, 0, 1]
    assert changes_of(delta) == {3: 1, 4: 1}
    await watcher.send("unwatch", 1)
    await watcher.send("ping", 7)
    assert (await watcher.next("pong"))[1] == 7
    await buyer.hold(1, 8)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watcher.next("delta"), 0.3)


async def test_a_refused_frame_says_which_right_is_missing(gateway: Running) -> None:
    socket = await gateway.socket()
    id = new_id()
    await socket.send("scan", id, 1, "secret")
    error = await socket.next("error")
    assert error[1] == "forbidden" and "scan" in error[2] and error[3] == id
    await socket.send("block", new_id(), 1, [1])
    assert (await socket.next("error"))[1] == "forbidden"


DOOR_FRAMES = {"scan", "undo_scan", "kept_scan"}
ROLE_FRAMES = {
    "cashier": {"watch", "unwatch", "ping", "hold", "best", "release", "basket", "buy"}
    | {"block", "unblock"},
    "door": {"watch", "unwatch", "ping"} | DOOR_FRAMES,
    "refund": {"watch", "unwatch", "ping"},
}


@pytest.mark.parametrize("role", ROLE_FRAMES)
async def test_an_operator_may_what_the_role_says(gateway: Running, role: str) -> None:
    token = await gateway.fake.operator_token("Ada", role)
    socket = await gateway.socket(token)
    assert socket.welcome[2] == "Ada"
    assert set(socket.welcome[3]) == ROLE_FRAMES[role]


async def test_admins_and_supervisors_may_everything(gateway: Running) -> None:
    for role in ("admin", "supervisor"):
        socket = await gateway.socket(await gateway.fake.operator_token(role, role))
        assert set(socket.welcome[3]) == ROLE_FRAMES["cashier"] | DOOR_FRAMES


async def test_a_cashier_blocks_and_the_act_is_audited(gateway: Running) -> None:
    socket = await gateway.socket(await gateway.fake.operator_token("Ada", "cashier"))
    assert await socket.ask("block", 1, [1, 2], [], "camera") == ["blocked", [1, 2], []]
    assert await socket.ask("unblock", 1, [1]) == ["unblocked", [1], []]
    await asyncio.sleep(0)
    acts = [(entry.who, entry.act, entry.subject) for entry in gateway.fake.access.entries]
    assert acts == [("Ada", "block", "1"), ("Ada", "unblock", "1")]


async def test_web_and_box_office_are_different_channels(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings(status=SaleStatus.BOX_OFFICE))
    buyer = await gateway.socket()
    cashier = await gateway.socket(await gateway.fake.operator_token("Ada", "cashier"))
    assert (await buyer.hold(1, 5))[:2] == ["refused", "not_on_sale"]
    assert (await cashier.hold(1, 5))[0] == "held"


async def test_a_scanner_burns_a_ticket_once(gateway: Running) -> None:
    number = await sell_one(gateway)
    secret = sign(gateway.fake.ticket_key, 1, number, 0)
    socket = await gateway.socket(await gateway.fake.device_token("door 1", "main"))
    assert (await socket.ask("scan", 1, secret, "", "look_up"))[1] == "ADMITTED"
    admitted = await socket.ask("scan", 1, secret + "\r\n")
    assert admitted[0:3] == ["scanned", "ADMITTED", number]
    again = await socket.ask("scan", 1, short_code(gateway.fake.ticket_key, 1, number, 0))
    assert again[1] == "ALREADY_USED" and again[8] == "main" and again[7] == admitted[7]


async def test_a_forged_secret_is_unknown(gateway: Running) -> None:
    number = await sell_one(gateway)
    socket = await gateway.socket(await gateway.fake.device_token("door 1"))
    for forged in (sign(b"x" * 32, 1, number, 0), "1-000001-0000000000", "", "https://x.example"):
        assert (await socket.ask("scan", 1, forged))[:2] == ["scanned", "UNKNOWN"]


async def test_a_device_serves_its_performances_only(gateway: Running) -> None:
    gateway.fake.add_performance(small_plan(), settings())
    socket = await gateway.socket(await gateway.fake.device_token("door 2", "", 2))
    assert (await socket.ask("scan", 2, "x"))[1] == "UNKNOWN"
    id = new_id()
    await socket.send("scan", id, 1, "x")
    error = await socket.next("error")
    assert (error[1], error[3]) == ("forbidden", id)
    await socket.send("watch", 1)
    assert (await socket.next("error"))[1] == "forbidden"


async def test_an_unknown_performance_is_refused(gateway: Running) -> None:
    socket = await gateway.socket()
    for _ in range(2):  # the second is answered from memory
        refused = await socket.hold(99, 1)
        assert refused[:2] == ["refused", "malformed"] and "99" in refused[3]
    await socket.send("watch", 99)
    assert (await socket.next("error"))[1] == "performance_unknown"


async def test_frames_that_are_not_ours_get_an_error_and_then_the_door(gateway: Running) -> None:
    socket = await gateway.socket()
    id = new_id()
    await socket.send("hold", id, "one", new_id(), [1])
    error = await socket.next("error")
    assert error[1] == "malformed" and error[3] == id
    for _ in range(19):
        await socket.websocket.send_bytes(b"\xc1")
    assert await socket.closed() == 1008


@pytest.mark.parametrize("token", ["", "b.forged", "o.unknown", "d.unknown", "x", "b." + "A" * 80])
async def test_a_bad_token_is_refused_at_hello(gateway: Running, token: str) -> None:
    socket = await gateway.bare_socket()
    await socket.send("hello", token)
    assert (await socket.receive())[1] == "unauthenticated"
    assert await socket.closed() == 1008


async def test_the_first_frame_is_hello(gateway: Running) -> None:
    socket = await gateway.bare_socket()
    await socket.send("watch", 1)
    assert (await socket.receive())[:2] == ["error", "hello_missing"]
    assert await socket.closed() == 1008


async def test_hello_comes_in_time(start: Start) -> None:
    gateway = await start(hello_timeout_s=0.05)
    socket = await gateway.bare_socket()
    assert (await socket.receive())[1] == "hello_missing"
    assert await socket.closed() == 1008


async def test_hello_comes_once(gateway: Running) -> None:
    socket = await gateway.socket()
    await socket.send("hello", gateway.buyer_token())
    assert (await socket.next("error"))[1] == "malformed"


async def test_text_frames_are_not_spoken_here(gateway: Running) -> None:
    socket = await gateway.socket()
    await socket.websocket.send_str("hello")
    assert await socket.closed() == 1003
    bare = await gateway.bare_socket()
    await bare.websocket.send_str("hello")
    assert await bare.closed() == 1003


async def test_a_frame_over_the_limit_ends_the_connection(gateway: Running) -> None:
    socket = await gateway.socket()
    await socket.websocket.send_bytes(bytes(MAX_FRAME_BYTES + 1))
    assert await socket.closed() == 1009


async def test_over_the_rate_commands_are_shed_then_the_connection_closed(start: Start) -> None:
    gateway = await start(buyer_commands_per_s=5.0)
    gateway.fake.add_performance(small_plan(), settings())
    socket = await gateway.socket()
    for seat in range(12):
        await socket.send("hold", new_id(), 1, new_id(), [seat])
    shed = await socket.next("shed")
    assert shed[2] == "rate" and 0 < shed[3] <= 2_000
    await socket.send("ping", 1)
    assert (await socket.next("error"))[1] == "rate"
    with pytest.raises((ConnectionResetError, Closed)):
        for _ in range(3_000):
            await socket.send("ping", 1)
            if socket.websocket.closed:
                raise Closed(None)
        raise Closed(await socket.closed())


async def test_pings_faster_than_anybody_needs_end_the_connection(start: Start) -> None:
    gateway = await start(buyer_commands_per_s=5.0)
    calm, hasty = await gateway.socket(), await gateway.socket()
    for _ in range(900):
        await calm.websocket.ping()
    with pytest.raises((ConnectionResetError, Closed)):
        for _ in range(3_000):
            await hasty.websocket.ping()
        raise Closed(await hasty.closed())
    assert gateway.edge.metrics.closed["rate"] == 1
    await calm.send("ping", 1)
    await calm.next("pong", "error")


async def test_an_idle_buyer_is_closed_and_a_scanner_is_not(start: Start) -> None:
    gateway = await start(idle_timeout_s=0.2)
    buyer = await gateway.socket()
    device = await gateway.socket(await gateway.fake.device_token("door 1"))
    assert await buyer.closed() == 1008
    await device.send("ping", 1)
    assert (await device.next("pong"))[1] == 1


async def test_a_silent_peer_is_pinged_and_dropped_when_it_does_not_answer(start: Start) -> None:
    gateway = await start(heartbeat_s=0.1)
    answers = await gateway.socket()
    listening = asyncio.create_task(answers.next("pong"))  # aiohttp answers pings meanwhile
    deaf = await gateway.http.ws_connect("/ws", autoping=False)
    await deaf.send_bytes(msgpack.packb(["hello", gateway.buyer_token()]))
    assert (await deaf.receive()).type is aiohttp.WSMsgType.BINARY
    assert (await deaf.receive()).type is aiohttp.WSMsgType.PING
    while (message := await deaf.receive()).type is aiohttp.WSMsgType.PING:
        pass
    assert message.type is aiohttp.WSMsgType.CLOSED
    await answers.send("ping", 1)
    assert (await listening)[1] == 1


async def test_a_ping_before_and_after_hello_is_answered(gateway: Running) -> None:
    websocket = await gateway.http.ws_connect("/ws", autoping=False)
    await websocket.ping(b"one")
    assert (await websocket.receive()).data == b"one"
    await websocket.send_bytes(msgpack.packb(["hello", gateway.buyer_token()]))
    await websocket.receive()
    await websocket.ping(b"two")
    message = await websocket.receive()
    assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"two")
    await websocket.close()


async def test_a_revoked_token_ends_its_connections(start: Start) -> None:
    gateway = await start(revocation_check_s=0.05)
    token = await gateway.fake.operator_token("Ada", "cashier")
    stays = await gateway.socket()
    goes = await gateway.socket(token)
    await gateway.fake.access.disable_operator(1)
    assert await goes.closed() == 1008
    assert goes.kept[-1][1] == "unauthenticated"
    await stays.send("ping", 1)
    assert (await stays.next("pong"))[1] == 1


async def test_the_database_being_away_ends_no_connection(start: Start) -> None:
    gateway = await start(revocation_check_s=0.02)
    socket = await gateway.socket(await gateway.fake.operator_token("Ada", "cashier"))
    gateway.fake.access.down = True
    await asyncio.sleep(0.1)
    await socket.send("ping", 1)
    assert (await socket.next("pong"))[1] == 1
    late = await gateway.bare_socket()
    await late.send("hello", "o.anything")
    assert await late.closed() == 1013


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:{port}", 101),
        ("https://house.example", 101),
        ("https://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_pages_of_other_sites_may_not_connect(start: Start, origin: str, status: int) -> None:
    gateway = await start(origins=("https://house.example",))
    headers = {
        "Origin": origin.format(port=gateway.server.port),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    }
    async with gateway.http.get("/ws", headers=headers) as response:
        assert response.status == status
        if status == 403:
            assert (await response.json(content_type=None))["code"] == "origin_not_allowed"


async def test_a_get_without_upgrade_is_told_so(gateway: Running) -> None:
    problem = await gateway.json("GET", "/ws", expect=400)
    assert problem["code"] == "bad_request"


async def test_lost_is_told_when_a_hold_expires(gateway: Running) -> None:
    holder, other = await gateway.socket(), await gateway.socket()
    token = new_id()
    await holder.hold(1, 5, token=token)
    await other.hold(1, 9)
    gateway.fake.performances.ahead_ms = 16 * 60_000
    gateway.fake.performances.wake()
    assert await holder.next("lost") == ["lost", 1, token]


async def test_a_basket_asked_for_is_followed_too(gateway: Running) -> None:
    first = await gateway.socket()
    token = new_id()
    await first.hold(1, 5, token=token)
    await first.websocket.close()
    second = await gateway.socket()
    assert (await second.ask("basket", 1, token))[0] == "basket_is"
    gateway.fake.performances.ahead_ms = 16 * 60_000
    gateway.fake.performances.wake()
    assert await second.next("lost") == ["lost", 1, token]


async def test_a_stopping_gateway_says_going_away(start: Start) -> None:
    gateway = await start()
    gateway.fake.add_performance(small_plan(), settings())
    sockets = [await gateway.socket() for _ in range(5)]
    gateway.fake.performances.delay_s = 0.2
    await sockets[0].send("hold", new_id(), 1, new_id(), [5])
    await sockets[0].send("ping", 1)
    await sockets[0].next("pong")
    stopping = asyncio.create_task(gateway.server.stop())
    assert (await sockets[0].next("reply"))[2][0] == "held"
    assert await asyncio.gather(*(socket.closed() for socket in sockets)) == [1001] * 5
    await stopping


async def test_stopping_does_not_wait_for_who_has_not_said_hello(start: Start) -> None:
    gateway = await start()
    bare = await gateway.bare_socket()
    stopping = asyncio.create_task(gateway.server.stop())
    assert await bare.closed() == 1001
    await asyncio.wait_for(stopping, 2.0)


async def sell_one(gateway: Running, seat: int = 5) -> int:
    """Sell a seat past the desk; answers the ticket's number."""
    ask = gateway.fake.performances.ask
    token = new_id()
    await ask(1, Hold(new_id(), token, "somebody", Channel.WEB, (seat,)))
    lines = (Line(seat, -1, "adult"),)
    await ask(1, Checkout(new_id(), token, "order", "somebody", lines))
    sold = await ask(1, Sell(new_id(), token, "order"))
    return sold.tickets[0].number


async def test_a_sold_seat_is_refused_from_the_feed(gateway: Running) -> None:
    await sell_one(gateway, 5)
    socket = await gateway.socket()
    await socket.send("watch", 1)
    await socket.next("snapshot")
    before = len(gateway.fake.performances.batches)
    assert await socket.hold(1, 5, 6) == ["refused", "seat_taken", [5], ""]
    assert len(gateway.fake.performances.batches) == before
    # A malformed list is the engine's to judge, sold seat or not.
    assert (await socket.hold(1, 5, 5))[:2] == ["refused", "malformed"]
    assert (await socket.hold(1, 5, 9_999))[:2] == ["refused", "malformed"]


def test_the_test_client_reads_frames_as_the_page_says() -> None:
    snapshot = msgpack.unpackb(msgpack.packb(["snapshot", 1, 1, 0, b"\xe4\x01", []]))
    assert seats_of(snapshot, 5) == [0, 1, 2, 3, 1]
    assert isinstance(Socket, type)


async def test_who_has_seats_goes_before_who_has_none(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    batcher = gateway.edge.hub.batcher
    offer = batcher.offer

    def noting(
        performance: int, receiver: Receiver, id: bytes, kind: str, command: bytes, engaged: bool
    ) -> None:
        seen.append((kind, engaged))
        offer(performance, receiver, id, kind, command, engaged)

    monkeypatch.setattr(batcher, "offer", noting)
    buyer, cashier = (
        await gateway.socket(),
        await gateway.socket(await gateway.fake.operator_token("Ada", "cashier")),
    )
    token = new_id()
    await buyer.send("hold", new_id(), 1, token, [3], [])
    await buyer.send("basket", new_id(), 1, token)
    await buyer.next("reply")
    await buyer.next("reply")
    await buyer.ask("basket", 1, token)
    await cashier.ask("basket", 1, token)
    # What was sent before the hold was answered stays behind it.
    assert seen == [("hold", False), ("basket", False), ("basket", True), ("basket", True)]
