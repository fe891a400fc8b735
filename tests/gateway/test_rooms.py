"""Waiting rooms at the edge: who is held back, who is told what, and what no failure takes away."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.limits import ADMISSION_MS
from engine.waiting import Arrived, Phase
from engine.waiting_room import rebuild, visitor_of
from gateway.config import Config
from gateway.pace import EDGES_MS, Pace
from tests.actors.houses import settings, small_plan
from tests.gateway.client import Socket, new_id, until
from tests.gateway.conftest import SESSION_KEY, Running, Start

MINUTE_MS = 60_000
REFUSED = ["refused", "not_admitted", [], ""]


async def open_room(
    gateway: Running, opens_in_ms: int = -1_000, on_sale_in_ms: int = MINUTE_MS
) -> None:
    rooms = gateway.fake.rooms
    at_ms = rooms.clock_ms()
    assert await rooms.open(1, at_ms + opens_in_ms, at_ms + on_sale_in_ms) == ""
    await gateway.edge.hub.rooms.refresh()


def go_on_sale(gateway: Running) -> None:
    gateway.fake.rooms.advance(MINUTE_MS)


async def queued(gateway: Running, token: str = "") -> tuple[Socket, list[Any]]:
    """A buyer in the room of performance 1, and its first "placed"."""
    socket = await gateway.socket(token)
    await socket.send("queue", 1)
    return socket, await socket.next("placed")


async def admitted(gateway: Running) -> tuple[Socket, list[Any]]:
    """A buyer who was let in, and its "admitted"; the sale is on."""
    socket, _ = await queued(gateway)
    go_on_sale(gateway)
    return socket, await socket.next("admitted")


@contextlib.asynccontextmanager
async def another(gateway: Running) -> AsyncIterator[Running]:
    """A second gateway of the same house."""
    other = Running(gateway.fake, Config(session_key=SESSION_KEY, ticket_key=b"t" * 32))
    await other.start()
    try:
        yield other
    finally:
        await other._stack.aclose()
        await other.http.close()
        await other.server.stop()


# Who is held back -----------------------------------------------------------------------


async def test_without_a_room_everybody_may_buy(gateway: Running) -> None:
    buyer = await gateway.socket()
    await buyer.send("queue", 1)
    told = await buyer.next("room")
    assert told[:3] == ["room", 1, "closed"]
    assert (await buyer.hold(1, 5))[0] == "held"


async def test_no_buyer_holds_before_it_is_their_turn(gateway: Running) -> None:
    buyer = await gateway.socket()
    token = new_id()
    assert (await buyer.hold(1, 5, token=token))[0] == "held"
    await open_room(gateway)
    batches = len(gateway.fake.performances.batches)
    assert await buyer.hold(1, 6) == REFUSED
    assert await buyer.ask("best", 1, new_id(), 2) == REFUSED
    await buyer.send("queue", 1)
    await buyer.next("placed")
    assert await buyer.hold(1, 6) == REFUSED
    assert len(gateway.fake.performances.batches) == batches, "the engine was not asked"
    # What is held already is theirs.
    assert (await buyer.ask("basket", 1, token))[2] == [5]
    assert (await buyer.ask("release", 1, token))[0] == "released"
    metrics = await (await gateway.http.get("/metrics")).text()
    assert 'kind="hold",outcome="not_admitted",verdict="refused"} 2.0' in metrics
    assert 'kind="best",outcome="not_admitted",verdict="refused"} 1.0' in metrics
    assert "strapontin_rooms 1.0" in metrics
    assert "strapontin_room_waiting 1.0" in metrics
    assert "strapontin_room_admitted 0.0" in metrics


async def test_the_same_hold_is_taken_where_nobody_stands_at_the_gate(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""
    await open_room(gateway)
    buyer = await gateway.socket()
    assert await buyer.hold(1, 6) == REFUSED
    monkeypatch.setattr("gateway.socket.Connection._is_held_back", lambda *_: False)
    assert (await buyer.hold(1, 6))[0] == "held"


@pytest.mark.parametrize("role", ["cashier", "supervisor", "admin"])
async def test_tills_do_not_wait(gateway: Running, role: str) -> None:
    await open_room(gateway)
    till = await gateway.socket(await gateway.fake.operator_token("anna", role))
    assert (await till.hold(1, 5))[0] == "held"
    await till.send("queue", 1)
    assert (await till.next("error"))[1] == "forbidden"


async def test_other_performances_are_not_held_back(gateway: Running) -> None:
    assert gateway.fake.add_performance(small_plan(), settings()) == 2
    await open_room(gateway)
    buyer = await gateway.socket()
    assert (await buyer.hold(2, 5))[0] == "held"


# Place, turn and token ------------------------------------------------------------------


async def test_a_visitor_is_placed_drawn_and_admitted(gateway: Running) -> None:
    await open_room(gateway)
    buyer, placed = await queued(gateway)
    session = buyer.welcome[2]
    assert placed == ["placed", 1, visitor_of(1, session).hex(), 1, -1]
    room = await buyer.next("room")
    assert room[2] == "gathering"
    go_on_sale(gateway)
    assert await buyer.next("placed") == ["placed", 1, visitor_of(1, session).hex(), 1, 0]
    _, performance, token, expires_ms = await buyer.next("admitted")
    assert performance == 1 and token and expires_ms > gateway.fake.rooms.clock_ms()
    assert (await buyer.hold(1, 5))[0] == "held"
    assert (await buyer.ask("best", 1, new_id(), 2))[0] == "held"


async def test_a_room_that_is_announced_takes_who_waits_when_it_opens(gateway: Running) -> None:
    await open_room(gateway, opens_in_ms=30_000)
    buyer = await gateway.socket()
    await buyer.send("queue", 1)
    assert (await buyer.next("room"))[2] == "scheduled"
    assert await buyer.hold(1, 5) == REFUSED
    gateway.fake.rooms.advance(30_000)
    assert (await buyer.next("placed"))[3:] == [1, -1]


async def test_a_reload_and_a_second_tab_change_nothing(gateway: Running) -> None:
    await open_room(gateway)
    token = gateway.buyer_token()
    first, placed = await queued(gateway, token)
    await queued(gateway)  # somebody comes behind
    await first.websocket.close()
    back, again = await queued(gateway, token)
    tab, third = await queued(gateway, token)
    assert placed == again == third
    go_on_sale(gateway)
    one, other = await back.next("admitted"), await tab.next("admitted")
    assert one == other
    arrivals = [event for event in await gateway.fake.rooms.events(1) if isinstance(event, Arrived)]
    assert sum(len(event.visitors) for event in arrivals) == 2
    assert (await tab.hold(1, 5))[0] == "held"


async def test_who_was_let_in_may_buy_on_a_connection_that_never_queued(gateway: Running) -> None:
    await open_room(gateway)
    token = gateway.buyer_token()
    socket, _ = await queued(gateway, token)
    go_on_sale(gateway)
    await socket.next("admitted")
    assert (await (await gateway.socket(token)).hold(1, 5))[0] == "held"


async def test_a_token_is_good_at_a_gateway_that_has_not_heard(gateway: Running) -> None:
    await open_room(gateway)
    token = gateway.buyer_token()
    async with another(gateway) as other:
        socket, _ = await queued(gateway, token)
        await until(lambda: other.edge.hub.rooms.room(1).line.arrived == 1)
        elsewhere = await other.socket(token)
        other.edge.hub.rooms._tasks[0].cancel()  # it hears nothing from now on
        go_on_sale(gateway)
        _, _, admission, expires_ms = await socket.next("admitted")
        assert await elsewhere.hold(1, 5) == REFUSED
        await elsewhere.send("queue", 1, admission)
        assert await elsewhere.next("admitted") == ["admitted", 1, admission, expires_ms]
        assert (await elsewhere.hold(1, 5))[0] == "held"
        # Bound to the session: of no use to anybody else.
        thief = await other.socket()
        await thief.send("queue", 1, admission)
        assert await thief.hold(1, 6) == REFUSED


async def test_forged_and_foreign_tokens_open_nothing(gateway: Running) -> None:
    await open_room(gateway)
    buyer, told = await admitted(gateway)
    good = told[2]
    tokens = gateway.edge.hub.rooms._tokens
    room = gateway.edge.hub.rooms.room(1)
    assert room is not None
    session, at_ms = buyer.welcome[2], told[3] - 1

    def check(token: str, performance: int = 1, commitment: bytes = room.commitment) -> int:
        return tokens.check(token, performance, commitment, session, at_ms)

    assert check(good) == told[3]
    flipped = ("A" if good[0] != "A" else "B") + good[1:]
    for bad in ("", "x", "é", "=" * 8, good[:-4], flipped):
        assert check(bad) == 0, bad
    assert check(good, performance=2) == 0
    assert check(good, commitment=b"\0" * 32) == 0, "of another room"
    assert tokens.check(good, 1, room.commitment, session, told[3]) == 0, "it is over"


async def test_an_admission_that_is_over_needs_another_turn(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_room(gateway)
    buyer, told = await admitted(gateway)
    _, _, admission, expires_ms = told
    buyer.kept.clear()
    token = new_id()
    assert (await buyer.hold(1, 5, token=token))[0] == "held"
    gateway.fake.rooms.advance(ADMISSION_MS + MINUTE_MS)
    monkeypatch.setattr("gateway.rooms.now_ms", lambda: expires_ms)
    assert await buyer.hold(1, 6, token=token) == REFUSED
    assert (await buyer.ask("basket", 1, token))[2] == [5]
    await buyer.send("queue", 1, admission)
    assert (await buyer.next("placed"))[3:] == [1, 0]
    assert (await buyer.next("placed"))[3:] == [2, 1], "behind everybody else"
    assert (await buyer.next("admitted"))[3] > expires_ms
    assert (await buyer.hold(1, 6, token=token))[0] == "held"


async def test_who_is_away_when_their_turn_comes_is_let_in_when_they_are_back(
    gateway: Running,
) -> None:
    await open_room(gateway)
    token = gateway.buyer_token()
    socket, placed = await queued(gateway, token)
    await socket.websocket.close()
    await until(lambda: not gateway.edge.hub.rooms.room(1).guests)
    await gateway.edge.hub.rooms.refresh()
    go_on_sale(gateway)
    await queued(gateway)
    await until(lambda: gateway.edge.hub.rooms.room(1).line.admitted == 1)
    back, again = await queued(gateway, token)
    assert again[:4] == placed[:4]
    await back.next("admitted")


async def test_who_waits_for_hours_is_not_idle(start: Start) -> None:
    gateway = await start(idle_timeout_s=0.4, heartbeat_s=30.0)
    gateway.fake.add_performance(small_plan(), settings())
    await open_room(gateway)
    patient, _ = await queued(gateway)
    idler = await gateway.socket()
    assert await idler.closed() == 1008
    await until(lambda: len(gateway.edge.hub._connections) == 1)
    go_on_sale(gateway)
    await patient.next("admitted")


# What everybody is told -----------------------------------------------------------------


async def test_everybody_gets_the_same_bytes_every_second(gateway: Running) -> None:
    await open_room(gateway)
    one, _ = await queued(gateway)
    other, _ = await queued(gateway)

    async def next_common(socket: Socket) -> list[Any]:
        while True:
            room = await socket.next("room")
            if room[6] == 2:
                return room

    first, second = await next_common(one), await next_common(one)
    assert 800 <= second[3] - first[3] <= 3_000
    seen = [await next_common(other) for _ in range(2)]
    assert first in seen or second in seen
    assert first[4:6] == [gateway.edge.hub.rooms.room(1).line.opened.opens_ms, first[5]]


async def test_a_house_that_sells_out_tells_who_still_waits(gateway: Running) -> None:
    gateway.fake.rooms.places = (0, 4)
    await open_room(gateway)
    buyer, _ = await queued(gateway)
    go_on_sale(gateway)

    async def phase(wanted: str) -> list[Any]:
        while (room := await buyer.next("room"))[2] != wanted:
            pass
        return room

    assert (await phase("full"))[9] == 0
    gateway.fake.rooms.places = (0, 0)
    await phase("sold_out")
    assert await buyer.hold(1, 5) == REFUSED
    gateway.fake.rooms.places = (3, 0)
    await phase("admitting")
    await buyer.next("admitted")


async def test_closing_lets_everybody_in(gateway: Running) -> None:
    await open_room(gateway)
    buyer, _ = await queued(gateway)
    assert await gateway.fake.rooms.close(1)
    while (await buyer.next("room"))[2] != "closed":
        pass
    assert (await buyer.hold(1, 5))[0] == "held"
    # Another room is another line: nothing of the first opens it.
    await open_room(gateway)
    assert await buyer.hold(1, 6) == REFUSED


async def test_a_room_that_follows_another_unseen_begins_anew(gateway: Running) -> None:
    await open_room(gateway)
    buyer, _ = await queued(gateway)
    rooms = gateway.edge.hub.rooms
    rooms._tasks[0].cancel()
    assert await gateway.fake.rooms.close(1)
    at_ms = gateway.fake.rooms.clock_ms()
    assert await gateway.fake.rooms.open(1, at_ms - 1_000, at_ms + MINUTE_MS) == ""
    before = rooms.room(1)
    await rooms._exchange()
    after = rooms.room(1)
    assert after is not None and before is not after and after.line.arrived == 0
    while (await buyer.next("room"))[2] != "closed":
        pass
    assert await buyer.hold(1, 6) == REFUSED


async def test_a_reader_who_stalls_misses_frames_and_nobody_waits_for_it(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_room(gateway)
    await queued(gateway)
    other, _ = await queued(gateway)
    room = gateway.edge.hub.rooms.room(1)
    stalled = next(iter(room.guests.values()))[0]
    posted = []

    class Full:
        def post(self, frame: bytes) -> bool:
            posted.append(frame)
            return False

        def __getattr__(self, name: str) -> Any:
            return getattr(out, name)

    out = stalled.out
    monkeypatch.setattr(stalled, "out", Full())
    other.kept.clear()
    await other.next("room")
    await until(lambda: len(posted) >= 2)


async def test_a_connection_stands_in_so_many_rooms(gateway: Running) -> None:
    for number in range(2, 10):
        assert gateway.fake.add_performance(small_plan(), settings()) == number
    at_ms = gateway.fake.rooms.clock_ms()
    for number in range(1, 10):
        assert await gateway.fake.rooms.open(number, at_ms, at_ms + MINUTE_MS) == ""
    await gateway.edge.hub.rooms.refresh()
    buyer = await gateway.socket()
    for number in (1, 1, *range(2, 10)):
        await buyer.send("queue", number)
    assert (await buyer.next("error"))[1:3] == ["too_many_queues", "8 at most"]
    assert gateway.edge.hub.rooms.room(8).guests and not gateway.edge.hub.rooms.room(9).guests


async def test_a_room_takes_so_many_visitors(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.waiting_room.MAX_ARRIVALS_PER_ROOM", 1)
    await open_room(gateway)
    first, _ = await queued(gateway)
    late = await gateway.socket()
    await late.send("queue", 1)
    assert (await late.next("error"))[1] == "busy"
    await first.send("queue", 1)
    assert (await first.next("placed"))[3:] == [1, -1]


# Failures -------------------------------------------------------------------------------


async def test_a_gateway_that_never_heard_lets_no_buyer_hold(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: Any) -> Any:
        raise ConnectionError("the writer is not there yet")

    monkeypatch.setattr("gateway.rooms.FIRST_EXCHANGE_S", 0.05)
    with monkeypatch.context() as down:
        down.setattr("tests.fakes.rooms.FakeRooms.exchange", silent)
        gateway = await start()
        gateway.fake.add_performance(small_plan(), settings())
        buyer = await gateway.socket()
        id = new_id()
        await buyer.send("hold", id, 1, new_id(), [5])
        assert (await buyer.next("shed"))[1:3] == [id, "unavailable"]
        await buyer.send("queue", 1)
        till = await gateway.socket(await gateway.fake.operator_token("anna", "cashier"))
        assert (await till.hold(1, 5))[0] == "held"
        await gateway.json("GET", "/api/performances/1/queue", expect=503)
    assert (await buyer.next("room"))[2] == "closed"
    assert (await buyer.hold(1, 6))[0] == "held"


async def test_losing_the_writer_takes_nothing_away(gateway: Running) -> None:
    await open_room(gateway)
    inside, _ = await admitted(gateway)
    gateway.fake.rooms.places = (0, 1)
    await gateway.edge.hub.rooms.refresh()
    waiting, placed = await queued(gateway)
    gateway.fake.rooms.unavailable = True
    await gateway.edge.hub.rooms.refresh()
    assert (await inside.hold(1, 5))[0] == "held"
    assert await waiting.hold(1, 6) == REFUSED
    newcomer = await gateway.socket()
    await newcomer.send("queue", 1)
    assert (await newcomer.next("room"))[0] == "room"
    await waiting.send("queue", 1)
    assert await waiting.next("placed") == placed
    gateway.fake.rooms.unavailable = False
    assert (await newcomer.next("placed"))[3] == 3
    gateway.fake.rooms.places = (9, 0)
    await waiting.next("admitted")
    await newcomer.next("admitted")


async def test_a_writer_that_dies_forgets_nobody(gateway: Running) -> None:
    await open_room(gateway)
    crowd = [await queued(gateway) for _ in range(5)]
    await gateway.fake.rooms.restart()
    go_on_sale(gateway)
    for socket, placed in crowd:
        drawn = await socket.next("placed")
        assert drawn[:4] == placed[:4]
        await socket.next("admitted")
    line = gateway.edge.hub.rooms.room(1).line
    assert (line.arrived, line.admitted) == (5, 5)


async def test_an_answer_that_is_lost_is_asked_for_again(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_room(gateway)
    buyer, _ = await admitted(gateway)
    real = gateway.fake.rooms.exchange
    lost = []

    async def lose(report: Any) -> Any:
        news = await real(report)
        if len(lost) < 2:
            lost.append(report)
            raise ConnectionError("the answer was lost")
        return news

    monkeypatch.setattr(gateway.fake.rooms, "exchange", lose)
    assert (await buyer.hold(1, 5, 6))[0] == "held"
    await until(lambda: len(lost) == 2)
    rooms = gateway.edge.hub.rooms
    await rooms.refresh()
    whole = [report.rooms[0] for report in gateway.fake.rooms.reports if report.rooms][-1]
    took = [room for report in gateway.fake.rooms.reports for room in report.rooms if room.took]
    assert took[-1].took == (visitor_of(1, buyer.welcome[2]),)
    assert took[-1].places == 2
    assert whole.room == 1


async def test_an_event_that_does_not_fit_makes_the_gateway_begin_again(gateway: Running) -> None:
    await open_room(gateway)
    buyer, placed = await queued(gateway)
    room = gateway.edge.hub.rooms.room(1)
    stranger = b"s" * 16
    opened = room.line.opened
    room.line = rebuild([opened, Arrived(room.line.at_ms, (stranger,))])  # as if told wrong
    go_on_sale(gateway)
    await buyer.next("admitted")
    assert room.is_complete and room.line.standing(stranger) is None
    assert (await buyer.next("placed"))[:4] == placed[:4]


# What the writer is told ----------------------------------------------------------------


async def test_the_writer_hears_of_the_house(gateway: Running) -> None:
    await open_room(gateway)
    buyer, _ = await admitted(gateway)
    till = await gateway.socket(await gateway.fake.operator_token("anna", "cashier"))
    assert (await till.hold(1, 0, 1))[0] == "held"
    assert (await buyer.hold(1, 5, 6, 7))[0] == "held"
    assert (await buyer.hold(1, 8))[0] == "held"

    def reports() -> list[Any]:
        return [room for report in gateway.fake.rooms.reports for room in report.rooms]

    await until(lambda: any(room.held == 6 for room in reports()))
    last = reports()[-1]
    assert (last.available, last.held) == (154, 6)
    took = [room for room in reports() if room.took]
    assert [room.took for room in took] == [(visitor_of(1, buyer.welcome[2]),)]
    assert took[0].places == 3, "of the first hold alone, and no till's"
    assert any(room.latency_ms > 0 for room in reports())
    assert all(room.shed == 0 for room in reports())


async def test_the_writer_hears_what_was_not_served(start: Start) -> None:
    gateway = await start(retry_for_s=0.05)
    gateway.fake.add_performance(small_plan(), settings())
    await open_room(gateway)
    buyer, _ = await admitted(gateway)
    gateway.fake.performances.down = True
    await buyer.send("hold", new_id(), 1, new_id(), [5])
    assert (await buyer.next("shed"))[2] == "unavailable"
    await gateway.edge.hub.rooms.refresh()
    told = [room.shed for report in gateway.fake.rooms.reports for room in report.rooms]
    assert sum(told) == 1


def test_the_percentile_is_of_the_last_moments() -> None:
    pace = Pace()
    assert pace.take() == (0.0, 0)
    for _ in range(94):
        pace.answered(0.002)
    for _ in range(6):
        pace.answered(0.2)
    pace.not_served(3)
    p95_ms, shed = pace.take()
    assert 200 <= p95_ms <= 240 and shed == 3
    for _ in range(10_000):
        pace.answered(0.002)
    p95_ms, shed = pace.take()
    assert 2 <= p95_ms <= 2.4 and shed == 0
    for _ in range(4):
        p95_ms, _ = pace.take()
    assert p95_ms == 0.0, "what is long past counts no more"
    pace.answered(3_600.0)
    assert pace.take()[0] == EDGES_MS[-1]


# HTTP -----------------------------------------------------------------------------------


async def test_a_house_opens_and_closes_a_room(gateway: Running) -> None:
    supervisor = await gateway.fake.operator_token("sue", "supervisor")
    at_ms = gateway.fake.rooms.clock_ms()
    times = {"opens_ms": at_ms - 1_000, "on_sale_ms": at_ms + MINUTE_MS}
    path = "/api/performances/1/queue"
    assert (await gateway.json("GET", "/api/performances/1"))["room"] is None
    assert (await gateway.json("GET", path, expect=404))["code"] == "no_room"
    room = await gateway.json("POST", path, times, supervisor, 201)
    public = {name: room[name] for name in ("phase", "opens_ms", "on_sale_ms", "commitment")}
    assert public | {"commitment": ""} == times | {"phase": "gathering", "commitment": ""}
    assert len(room["commitment"]) == 64
    assert (await gateway.json("GET", "/api/performances/1"))["room"] == public
    await queued(gateway)
    told = await gateway.json("GET", path)
    assert told == public | {"arrived": 1, "front": 0, "available": told["available"]}
    await gateway.json("POST", path, times, supervisor, 201)
    other = times | {"on_sale_ms": at_ms + 2 * MINUTE_MS}
    assert (await gateway.json("POST", path, other, supervisor, 409))["code"] == "room_open"
    assert await gateway.json("DELETE", path, token=supervisor) == {}
    assert (await gateway.json("DELETE", path, token=supervisor, expect=404))["code"] == "no_room"
    assert (await gateway.json("GET", "/api/performances/1"))["room"] is None
    acts = [(act.who, act.act, act.subject) for act in await gateway.fake.access.list_audit()]
    assert ("sue", "open_room", "1") in acts and ("sue", "close_room", "1") in acts


async def test_a_room_that_cannot_be_is_refused(gateway: Running) -> None:
    admin = await gateway.fake.operator_token("ada", "admin")
    at_ms = gateway.fake.rooms.clock_ms()
    good = {"opens_ms": at_ms, "on_sale_ms": at_ms + MINUTE_MS}
    path = "/api/performances/1/queue"
    for bad, status, code in (
        ({"opens_ms": at_ms + MINUTE_MS, "on_sale_ms": at_ms + MINUTE_MS}, 422, "room_times"),
        ({"opens_ms": at_ms}, 422, "invalid"),
        ({"opens_ms": -1, "on_sale_ms": at_ms + MINUTE_MS}, 422, "invalid"),
    ):
        assert (await gateway.json("POST", path, bad, admin, status))["code"] == code
    unknown = await gateway.json("POST", "/api/performances/77/queue", good, admin, 404)
    assert unknown["code"] == "performance_unknown"
    cashier = await gateway.fake.operator_token("anna", "cashier")
    for token, status in (("", 401), (cashier, 403), (gateway.buyer_token(), 403)):
        await gateway.json("POST", path, good, token, status)
        await gateway.json("DELETE", path, token=token, expect=status)


async def test_the_public_log_tells_everything_and_the_seed_after_the_draw(
    gateway: Running,
) -> None:
    path = "/api/performances/1/queue/log"
    assert (await gateway.json("GET", path, expect=404))["code"] == "no_room"
    await open_room(gateway)
    buyer, placed = await queued(gateway)
    before = await gateway.json("GET", path)
    assert before["seed"] is None
    assert [row[0] for row in before["events"]] == ["arrived"]
    assert before["events"][0][2] == [placed[2]]
    go_on_sale(gateway)
    _, _, _, expires_ms = await buyer.next("admitted")
    assert await gateway.fake.rooms.close(1)
    gateway.edge.room_logs._kept.clear()
    after = await gateway.json("GET", path)
    assert [row[0] for row in after["events"]] == ["arrived", "drawn", "admitted", "closed"]
    assert after["events"][1][2] == after["seed"]
    assert after["events"][2][2:] == [expires_ms, [placed[2]]]
    from hashlib import sha256

    assert sha256(bytes.fromhex(after["seed"])).hexdigest() == after["commitment"]


def test_phases_on_the_wire_are_the_engines() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    for phase in Phase:
        assert f"| `{phase.value}` |" in page
