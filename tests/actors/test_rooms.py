"""The writer of the waiting rooms: commit before answer, crashes, twins, and who is let in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from engine.actors import NotReady, rooms
from engine.actors.rooms import RoomsActor
from engine.limits import MAX_VISITORS_PER_EVENT
from engine.waiting import News, Phase, Report, RoomNews, RoomReport
from engine.waiting_room import Standing, WaitingRoom, commitment_of, rebuild, verify
from tests.fakes.rooms import MemoryRooms, end

OPENS_MS, SALE_MS = 1_000_000, 1_060_000
BY_HAND_S = 3_600.0
HOUSE = 7


class Clock:
    def __init__(self) -> None:
        self.ms = OPENS_MS

    def __call__(self) -> int:
        return self.ms


class Gateway:
    """A gateway by the book: it rebuilds its room of the news, and tells who is there."""

    def __init__(self, name: bytes = b"north") -> None:
        self.name = name
        self.room: WaitingRoom | None = None
        self.number = 0
        self.life = b""
        self.news: RoomNews | None = None
        self.there: set[bytes] = set()
        self._told: set[bytes] = set()

    async def exchange(self, actor: RoomsActor, **told: Any) -> News:
        room = self.room
        arrivals = [one for one in sorted(self.there) if room is None or room.standing(one) is None]
        whole = not self.life
        came = self.there.difference(arrivals, () if whole else self._told)
        report = RoomReport(
            HOUSE,
            room=self.number,
            seq=room.seq if room else 0,
            arrivals=tuple(arrivals),
            came=tuple(sorted(came)),
            left=tuple(sorted(self._told - self.there)),
            whole=whole,
            **told,
        )
        answer = await actor.exchange(Report(self.name, (report,)))
        self._told = set(self.there)
        self.news = next((news for news in answer.rooms if news.performance == HOUSE), None)
        if self.news is not None:
            if self.news.room != self.number:
                self.room, self.number = rebuild(self.news.events), self.news.room
            else:
                assert self.room is not None and self.news.seq == self.room.seq
                for event in self.news.events:
                    self.room.apply(event)
            if self.news.life != self.life:
                self.life = b"" if self.life else self.news.life
        return answer

    async def catch_up(self, actor: RoomsActor) -> WaitingRoom:
        await self.exchange(actor)
        assert self.room is not None and self.news is not None
        while self.room.seq < self.news.head:
            await self.exchange(actor)
        return self.room

    def standings(self) -> dict[bytes, Standing]:
        assert self.room is not None
        known = {one: self.room.standing(one) for one in self.there}
        return {one: standing for one, standing in known.items() if standing is not None}


def visitors(*numbers: int) -> set[bytes]:
    return {number.to_bytes(16, "big") for number in numbers}


@pytest.fixture
def store() -> MemoryRooms:
    return MemoryRooms([HOUSE, HOUSE + 1, HOUSE + 2])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def actor(store: MemoryRooms, clock: Clock) -> AsyncIterator[RoomsActor]:
    """With a room whose sale begins in a minute; ticks are made by hand."""
    actor = RoomsActor(store, clock, BY_HAND_S)
    await actor.tick()
    assert await actor.open(HOUSE, OPENS_MS, SALE_MS) == ""
    yield actor
    await end(actor)


async def another(store: MemoryRooms, clock: Clock) -> RoomsActor:
    twin = RoomsActor(store, clock, BY_HAND_S)
    await twin.tick()
    return twin


async def arrive(actor: RoomsActor, gateway: Gateway, *numbers: int) -> None:
    gateway.there |= visitors(*numbers)
    await gateway.exchange(actor)
    await actor.tick()
    await gateway.exchange(actor)


async def on_sale(actor: RoomsActor, gateway: Gateway, clock: Clock) -> WaitingRoom:
    clock.ms = max(clock.ms, SALE_MS)
    await actor.tick()
    return await gateway.catch_up(actor)


def admitted(gateway: Gateway) -> set[bytes]:
    return {one for one, standing in gateway.standings().items() if standing.expires_ms}


# Commit before answer -----------------------------------------------------------


async def test_nobody_hears_before_the_commit(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway
) -> None:
    gateway.there = visitors(1, 2)
    await gateway.exchange(actor)
    store.gate.clear()
    ticking = asyncio.create_task(actor.tick())
    await asyncio.sleep(0.02)
    await gateway.exchange(actor)
    assert store.appends == 1 and gateway.standings() == {}
    store.gate.set()
    await ticking
    await gateway.exchange(actor)
    assert [gateway.standings()[one].number for one in sorted(gateway.there)] == [1, 2]


@pytest.mark.parametrize("lose", ["before", "after"])
async def test_an_unknown_commit_is_read_before_the_next_decision(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, lose: str
) -> None:
    store.lose = lose
    await arrive(actor, gateway, 1, 2)
    assert gateway.standings() == {}, "nobody knows, nobody is told"
    await arrive(actor, gateway, 3)
    await arrive(actor, gateway)
    room = await gateway.catch_up(actor)
    assert room.arrived == 3
    assert {gateway.standings()[one].number for one in visitors(1, 2)} == {1, 2}
    assert verify(await actor.events(HOUSE)) == []


async def test_the_database_may_be_away(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, 1)
    store.down = True
    await arrive(actor, gateway, 2)
    assert gateway.standings().keys() == visitors(1), "what is known goes on being told"
    for refused in (actor.open(HOUSE + 1, OPENS_MS, SALE_MS), actor.close(HOUSE)):
        with pytest.raises(NotReady):
            await refused
    store.down = False
    await actor.tick()
    await gateway.exchange(actor)
    assert gateway.standings().keys() == visitors(1, 2)


async def test_nothing_is_concluded_before_the_rooms_were_read(
    store: MemoryRooms, clock: Clock
) -> None:
    store.down = True
    actor = await another(store, clock)
    for refused in (actor.exchange(Report(b"g")), actor.close(HOUSE), actor.events(HOUSE)):
        with pytest.raises(NotReady):
            await refused
    store.down = False
    await actor.tick()
    assert await actor.exchange(Report(b"g")) == News()
    await end(actor)


# Crashes and twins ----------------------------------------------------------------


async def test_a_crash_between_commit_and_answer_loses_no_place(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, *range(5))
    told = gateway.standings()
    gateway.there |= visitors(*range(5, 10))
    await gateway.exchange(actor)
    store.lose = "after"  # it is written, and its writer dies before it knows
    await actor.tick()
    await end(actor)
    successor = await another(store, clock)
    await gateway.exchange(successor)
    now = gateway.standings()
    assert {one: now[one] for one in told} == told
    assert sorted(standing.number for standing in now.values()) == list(range(1, 11))
    places = {one: each.place for one, each in gateway.standings().items()}
    await on_sale(successor, gateway, clock)
    places = {one: each.place for one, each in gateway.standings().items()}
    store.lose = "after"
    await gateway.exchange(successor, available=1, held=0)
    await successor.tick()
    await end(successor)
    last = await another(store, clock)
    await gateway.catch_up(last)
    assert {one: each.place for one, each in gateway.standings().items()} == places
    assert [places[one] for one in admitted(gateway)] == [0]
    assert verify(await last.events(HOUSE)) == []
    await end(last)


async def two_writers(store: MemoryRooms, clock: Clock) -> tuple[list[int], list[str]]:
    """Two writers hear of different visitors in turns; (numbers that were told and are not so
    any more, what does not agree in the log)."""
    first, second = await another(store, clock), await another(store, clock)
    assert await first.open(HOUSE, OPENS_MS, SALE_MS) == ""
    north, south = Gateway(b"north"), Gateway(b"south")
    told: dict[bytes, int] = {}
    for turn in range(6):
        for actor, gateway, number in ((first, north, turn), (second, south, 100 + turn)):
            await actor.tick()
            gateway.there |= visitors(number)
            await gateway.exchange(actor)
            await actor.tick()
            await gateway.exchange(actor)
            if gateway.room is not None:
                for one, standing in gateway.standings().items():
                    told.setdefault(one, standing.number)
    for _ in range(2):  # who was refused reads, and writes then
        await first.tick()
        await second.tick()
    # What a third one finds, who knows nothing but what is kept.
    events = store.log[HOUSE, 1]
    await end(first)
    await end(second)
    wrong = verify(events)
    if wrong:
        return [], wrong
    room = rebuild(events)
    kept = {one: room.standing(one) for one in told}
    lost = [told[one] for one, each in kept.items() if each is None or each.number != told[one]]
    return lost, []


async def test_two_writers_do_not_part(store: MemoryRooms, clock: Clock) -> None:
    assert await two_writers(store, clock) == ([], [])
    assert rebuild(store.log[HOUSE, 1]).arrived == 12


async def test_two_writers_would_part_without_the_key(store: MemoryRooms, clock: Clock) -> None:
    """The control of the test above: the race is there, and only the key keeps it harmless."""
    store.guarded = False
    lost, wrong = await two_writers(store, clock)
    assert lost or wrong


async def test_a_writer_that_slept_reads_what_it_missed(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    twin = await another(store, clock)
    await arrive(twin, gateway, 1, 2, 3)
    assert (await actor.exchange(Report(b"other"))).rooms[0].head == 1
    await gateway.exchange(actor)
    assert gateway.room is not None and gateway.room.arrived == 3, "it takes nothing back"
    await actor.tick()
    assert (await actor.exchange(Report(b"other"))).rooms[0].head == 2
    await twin.close(HOUSE)
    await twin.open(HOUSE, OPENS_MS, SALE_MS + 1)
    await gateway.exchange(twin)
    assert gateway.number == 2
    await gateway.exchange(actor)
    assert gateway.number == 2 and gateway.room.opened.on_sale_ms == SALE_MS + 1
    await end(twin)


# Who is let in ------------------------------------------------------------------


async def test_the_sale_of_a_small_house(actor: RoomsActor, gateway: Gateway, clock: Clock) -> None:
    await arrive(actor, gateway, *range(20))
    assert gateway.news is not None and gateway.news.phase is Phase.GATHERING
    assert all(standing.place == -1 for standing in gateway.standings().values())
    room = await on_sale(actor, gateway, clock)
    await arrive(actor, gateway, *range(20, 24))
    assert sorted(each.place for each in gateway.standings().values()) == list(range(24))
    assert not admitted(gateway), "nobody knows how many places there are"
    await gateway.exchange(actor, available=10, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert {room.place(one) for one in admitted(gateway)} == set(range(5)), "two places each"
    assert room.front == 5 and gateway.news.per_min == 5
    first = tuple(admitted(gateway))
    await gateway.exchange(actor, available=0, held=10, took=first, places=10)
    await actor.tick()
    await gateway.exchange(actor)
    assert (room.admitted, gateway.news.phase) == (5, Phase.FULL)
    await gateway.exchange(actor, available=0, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert (room.admitted, gateway.news.phase) == (5, Phase.SOLD_OUT)
    await gateway.exchange(actor, available=4, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert (room.admitted, gateway.news.phase) == (7, Phase.ADMITTING)


async def test_who_is_away_is_passed_over_and_let_in_when_back(
    actor: RoomsActor, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, *range(6))
    room = await on_sale(actor, gateway, clock)
    line = sorted(visitors(*range(6)), key=room.place)
    gateway.there -= {line[0]}
    await gateway.exchange(actor, available=4, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert admitted(gateway) == {line[1], line[2]} and room.front == 3
    gateway.there |= {line[0]}
    await gateway.exchange(actor, available=5, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert admitted(gateway) == {line[0], line[1], line[2]}


async def test_who_comes_late_is_let_in_too(
    actor: RoomsActor, gateway: Gateway, clock: Clock
) -> None:
    await on_sale(actor, gateway, clock)
    gateway.there = visitors(1)
    await gateway.exchange(actor, available=10, held=0)
    await actor.tick()
    await actor.tick()
    await gateway.exchange(actor)
    assert admitted(gateway) == visitors(1), "at the tick after the one that took them in"


async def test_a_gateway_that_tells_everybody_forgets_the_others(
    actor: RoomsActor, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, 1, 2)
    room = await on_sale(actor, gateway, clock)
    whole = RoomReport(HOUSE, whole=True, came=tuple(visitors(1)), available=10, held=0)
    await actor.exchange(Report(gateway.name, (whole,)))
    await actor.tick()
    await gateway.catch_up(actor)
    assert (room.admitted, room.waits(*visitors(2))) == (1, True)


@pytest.mark.parametrize("lose", ["before", "after"])
async def test_an_admission_nobody_knows_of_is_made_once(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock, lose: str
) -> None:
    await arrive(actor, gateway, *range(4))
    room = await on_sale(actor, gateway, clock)
    await gateway.exchange(actor, available=4, held=0)
    store.lose = lose
    await actor.tick()
    await gateway.exchange(actor)
    assert room.admitted == 0
    await actor.tick()
    await gateway.catch_up(actor)
    line = sorted(gateway.there, key=room.place)
    assert set(line[:2]) <= admitted(gateway) and room.admitted in (2, 3)
    assert verify(await actor.events(HOUSE)) == []


async def test_a_clock_that_is_put_back_stops_nothing(
    actor: RoomsActor, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, 1)
    await on_sale(actor, gateway, clock)
    clock.ms -= 30_000
    await arrive(actor, gateway, 2)
    await gateway.exchange(actor, available=10, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert admitted(gateway) == visitors(1, 2)
    assert verify(await actor.events(HOUSE)) == []


async def test_those_let_in_before_a_restart_are_still_choosing(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, *range(9))
    room = await on_sale(actor, gateway, clock)
    await gateway.exchange(actor, available=8, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert room.admitted == 4
    await end(actor)
    successor = await another(store, clock)
    for _ in range(2):
        await gateway.exchange(successor, available=8, held=0)
    await successor.tick()
    await gateway.exchange(successor)
    assert room.admitted == 5
    await end(successor)


async def test_those_who_tell_themselves_twice_take_no_room(
    actor: RoomsActor, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MAX_ARRIVALS_PER_ROOM", 3)
    await arrive(actor, gateway, 1)
    await actor.exchange(Report(b"south", (RoomReport(HOUSE, arrivals=tuple(visitors(1))),)))
    await arrive(actor, gateway, 2, 3)
    assert gateway.standings().keys() == visitors(1, 2, 3)


async def test_a_slow_engine_slows_the_door(
    actor: RoomsActor, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, *range(300))
    room = await on_sale(actor, gateway, clock)
    counts = []
    for latency_ms, shed in ((10.0, 0), (500.0, 0), (500.0, 0), (10.0, 0), (10.0, 3), (10.0, 0)):
        before = room.admitted
        await gateway.exchange(actor, available=10_000, held=0, latency_ms=latency_ms, shed=shed)
        await actor.tick()
        await gateway.exchange(actor)
        counts.append(room.admitted - before)
    assert counts == [50, 25, 12, 22, 11, 21]


async def test_a_picture_of_the_house_is_not_believed_for_ever(
    actor: RoomsActor, gateway: Gateway, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "PLACES_LIVE_S", 0.05)
    await arrive(actor, gateway, *range(20))
    room = await on_sale(actor, gateway, clock)
    await gateway.exchange(actor, available=10, held=0)
    await asyncio.sleep(0.06)
    await actor.tick()
    await gateway.exchange(actor)
    assert room.admitted == 0 and gateway.news is not None and gateway.news.available == -1


async def test_after_a_restart_the_gateways_tell_who_is_there(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, *range(6))
    room = await on_sale(actor, gateway, clock)
    life = gateway.life
    await end(actor)
    successor = await another(store, clock)
    await gateway.exchange(successor, available=100, held=0)
    assert gateway.news is not None and gateway.news.life != life
    await successor.tick()
    await gateway.exchange(successor, available=100, held=0)  # the whole of it
    assert room.admitted == 0, "nobody was known to be there"
    await successor.tick()
    await gateway.exchange(successor)
    assert room.admitted == 6
    await end(successor)


async def test_who_was_at_a_silent_gateway_is_away(
    actor: RoomsActor, gateway: Gateway, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    south = Gateway(b"south")
    await arrive(actor, gateway, 1, 2)
    await arrive(actor, south, 3, 4)
    monkeypatch.setattr(rooms, "SILENT_GATEWAY_S", 0.05)
    await asyncio.sleep(0.06)
    await gateway.exchange(actor)
    await actor.tick()
    room = await on_sale(actor, gateway, clock)
    await gateway.exchange(actor, available=100, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    assert {one for one in visitors(1, 2, 3, 4) if not room.waits(one)} == visitors(1, 2)
    life = south.life
    await south.exchange(actor)
    assert south.news is not None and south.news.life != life, "it is asked for everybody"


async def test_who_let_the_admission_pass_stands_behind(
    actor: RoomsActor, gateway: Gateway, clock: Clock
) -> None:
    await arrive(actor, gateway, 1)
    room = await on_sale(actor, gateway, clock)
    await gateway.exchange(actor, available=1, held=0)
    await actor.tick()
    await gateway.exchange(actor)
    (one,) = gateway.there
    standing = room.standing(one)
    assert standing is not None and standing.expires_ms > clock.ms
    again = Report(b"x", (RoomReport(HOUSE, arrivals=(one,)),))
    await actor.exchange(again)
    await actor.tick()
    clock.ms = standing.expires_ms
    await gateway.catch_up(actor)
    assert room.standing(one) == standing, "not while it lasts"
    await actor.exchange(again)
    await actor.tick()
    await gateway.catch_up(actor)
    assert room.standing(one) == Standing(number=2, place=1, expires_ms=0)


# Opening and closing --------------------------------------------------------------


@pytest.mark.parametrize(
    ("performance", "opens_ms", "on_sale_ms", "answer"),
    [
        (HOUSE, OPENS_MS, SALE_MS, ""),  # asked again
        (HOUSE, OPENS_MS, SALE_MS + 1, "room_open"),
        (HOUSE + 1, SALE_MS, SALE_MS, "room_times"),
        (HOUSE + 1, OPENS_MS - 2, OPENS_MS, "room_times"),  # the sale has begun
        (HOUSE + 9, OPENS_MS, SALE_MS, "performance_unknown"),
        (HOUSE + 1, OPENS_MS - 9, SALE_MS, ""),
    ],
)
async def test_opening(
    actor: RoomsActor, performance: int, opens_ms: int, on_sale_ms: int, answer: str
) -> None:
    assert await actor.open(performance, opens_ms, on_sale_ms) == answer


async def test_rooms_are_bounded(actor: RoomsActor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MAX_ROOMS", 2)
    assert await actor.open(HOUSE + 1, OPENS_MS, SALE_MS) == ""
    assert await actor.open(HOUSE + 2, OPENS_MS, SALE_MS) == "too_many_rooms"


async def test_an_opening_nobody_knows_of_may_be_asked_for_again(
    store: MemoryRooms, clock: Clock
) -> None:
    actor = await another(store, clock)
    twin = await another(store, clock)
    await twin.open(HOUSE, OPENS_MS, SALE_MS)
    assert await actor.open(HOUSE, OPENS_MS, SALE_MS) == ""
    assert await actor.open(HOUSE, OPENS_MS, SALE_MS + 5) == "room_open"
    assert len(store.rooms) == 1
    await end(actor)
    await end(twin)


async def test_a_closed_room_is_told_no_more_and_another_may_follow(
    actor: RoomsActor, gateway: Gateway
) -> None:
    await arrive(actor, gateway, 1, 2)
    assert await actor.close(HOUSE) is True
    assert await actor.close(HOUSE) is False
    assert await gateway.exchange(actor) == News()
    log = await actor.events(HOUSE)
    assert rebuild(log).closed and rebuild(log).arrived == 2
    assert await actor.open(HOUSE, OPENS_MS, SALE_MS) == ""
    await gateway.exchange(actor)
    assert (gateway.number, await actor.events(HOUSE)) == (2, (gateway.room.opened,))  # type: ignore[union-attr]
    assert await actor.events(HOUSE + 1) == ()


@pytest.mark.parametrize("lose", ["before", "after"])
async def test_a_closing_nobody_knows_of(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, lose: str
) -> None:
    store.lose = lose
    with pytest.raises(NotReady):
        await actor.close(HOUSE)
    await actor.close(HOUSE)
    await actor.tick()
    assert await gateway.exchange(actor) == News()
    assert rebuild(await actor.events(HOUSE)).closed


async def test_the_seed_is_random_and_secret_until_the_draw(
    actor: RoomsActor, store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    await actor.open(HOUSE + 1, OPENS_MS, SALE_MS)
    first, second = (store.rooms[number, 1].seed for number in (HOUSE, HOUSE + 1))
    assert first != second and len(first) == 32
    await arrive(actor, gateway, 1)
    for told in (await actor.exchange(Report(b"new")), await actor.events(HOUSE)):
        packed = msgspec.msgpack.encode(told)
        assert first not in packed and commitment_of(first) in packed
    room = await on_sale(actor, gateway, clock)
    assert room.seed == first


async def test_a_room_of_another_writer_is_not_over(
    store: MemoryRooms, gateway: Gateway, clock: Clock
) -> None:
    """Whoever does not hear of a room any more lets everybody in."""
    idle, twin = await another(store, clock), await another(store, clock)
    await twin.open(HOUSE, OPENS_MS, SALE_MS)
    await gateway.exchange(twin)
    store.down = True
    with pytest.raises(NotReady):
        await gateway.exchange(idle)
    store.down = False
    await gateway.exchange(idle)
    assert gateway.news is not None and gateway.number == 1
    await end(idle)
    await end(twin)


async def test_news_come_in_bounded_parts(
    actor: RoomsActor, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await arrive(actor, gateway, *range(9_000))
    await arrive(actor, gateway, *range(9_000, 9_100))
    events = await actor.events(HOUSE)
    assert [len(getattr(event, "visitors", ())) for event in events] == [
        0, MAX_VISITORS_PER_EVENT, MAX_VISITORS_PER_EVENT, 2_000, 100
    ]  # fmt: skip
    monkeypatch.setattr(rooms, "MAX_NEWS_VISITORS", 4_000)
    heads = []
    fresh = Gateway(b"fresh")
    for _ in range(3):
        await fresh.exchange(actor)
        assert fresh.room is not None and fresh.news is not None
        heads.append(fresh.room.seq)
        assert fresh.news.head == 5
    assert heads == [3, 5, 5]
    monkeypatch.setattr(rooms, "MAX_NEWS_EVENTS", 1)
    slow = Gateway(b"slow")
    assert (await slow.catch_up(actor)).arrived == 9_100


async def test_nothing_runs_while_there_is_no_room(store: MemoryRooms, clock: Clock) -> None:
    actor = RoomsActor(store, clock, 0.001)
    ticks = 0
    tick = actor.tick

    async def counted() -> None:
        nonlocal ticks
        ticks += 1
        await tick()

    actor.tick = counted  # type: ignore[method-assign]
    await asyncio.sleep(0.05)
    assert ticks == 1
    await actor.open(HOUSE, OPENS_MS, SALE_MS)
    await asyncio.sleep(0.05)
    assert ticks > 3
    await actor.close(HOUSE)
    await asyncio.sleep(0.02)
    rested = ticks
    await asyncio.sleep(0.05)
    assert ticks == rested
    await end(actor)
