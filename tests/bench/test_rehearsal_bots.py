"""Bots are the same for the same seed, and do what their kind says."""

from collections import Counter
from random import Random

import pytest
from msgspec.structs import replace

from bench.rehearsal import bots as does
from bench.rehearsal.bots import Action, Bot, Clicks, End, Hall, Heard, cast
from bench.rehearsal.scenario import Kind, Scenario, Wants, find, load, shipped
from engine.commands import SeatStatus

ROWS, SEATS = 10, 20
FREE, SOLD = SeatStatus.AVAILABLE, SeatStatus.SOLD
HOLD_MS = 60_000


def hall() -> Hall:
    """Straight rows, the first nearest to the stage."""
    runs = [range(row * SEATS, (row + 1) * SEATS) for row in range(ROWS)]
    places = range(ROWS * SEATS)
    x, y = [float(seat % SEATS) for seat in places], [float(seat // SEATS) for seat in places]
    return Hall(runs, x, y, (SEATS / 2, -1.0))


class House:
    """A house for one bot: answers as an engine would, and keeps what was asked."""

    def __init__(self, statuses: bytes | None = None, refuse: Counter[str] | None = None) -> None:
        self.statuses = bytearray(statuses or bytes(ROWS * SEATS))
        self.asked: list[Action] = []
        self.at_ms = 0
        self._refuse = refuse or Counter()
        self._basket: dict[int, tuple[int, ...]] = {}

    def play(self, bot: Bot) -> End:
        script = bot.visit(hall())
        try:
            action = next(script)
            while True:
                self.asked.append(action)
                action = script.send(self.answer(action))
        except StopIteration as done:
            end: End = done.value
            return end

    def answer(self, action: Action) -> Heard:
        name = type(action).__name__
        if self._refuse[name] > 0:
            self._refuse[name] -= 1
            return Heard("refused", "seat_taken", at_ms=self.at_ms)
        match action:
            case does.Think():
                self.at_ms += round(1_000 * action.seconds)
            case does.StayUntil():
                self.at_ms = max(self.at_ms, action.at_ms)
            case does.Queue():
                return Heard("admitted", at_ms=self.at_ms)
            case does.Look():
                return Heard("seen", statuses=self.statuses)
            case does.Choose():
                self._basket[action.hold] = action.seats
                expires_ms = self.at_ms + HOLD_MS
                return Heard("held", seats=action.seats, expires_ms=expires_ms, at_ms=self.at_ms)
            case does.TakeBest():
                self._basket[action.hold] = tuple(range(action.size))
                expires_ms = self.at_ms + HOLD_MS
                return Heard(
                    "held", seats=self._basket[action.hold], expires_ms=expires_ms, at_ms=self.at_ms
                )
            case does.Basket():
                return Heard("basket", seats=self._basket.get(action.hold, ()), at_ms=self.at_ms)
            case does.Place():
                return Heard("placed", expires_ms=self.at_ms + HOLD_MS, at_ms=self.at_ms)
            case does.Pay():
                return Heard("refused" if action.declined else "sold", at_ms=self.at_ms)
            case does.Enter():
                return Heard("scanned", admitted=1, at_ms=self.at_ms)
        return Heard("here", at_ms=self.at_ms)

    def of(self, kind: type) -> list[Action]:
        return [action for action in self.asked if type(action) is kind]


def played(scenario: Scenario, seed: int) -> list[tuple[list[Action], End]]:
    """What every bot does in a house of its own, half of it sold."""
    half = bytes([FREE, FREE, FREE, SOLD]) * (ROWS * SEATS // 4)
    found = []
    for bot in cast(scenario, seed, queues=True):
        house = House(half, Counter({"Choose": 2, "TakeBest": 1}))
        end = house.play(bot)
        found.append((house.asked, end))
    return found


@pytest.mark.parametrize("name", shipped())
def test_the_same_seed_is_the_same_bots_and_another_one_is_not(name: str) -> None:
    scenario = replace(load(find(name)), bots=60)
    assert played(scenario, 7) == played(scenario, 7)
    assert played(scenario, 7) != played(scenario, 8)
    dues = [[bot.due for bot in cast(scenario, seed, False)] for seed in (7, 7, 8)]
    assert dues[0] == dues[1] == sorted(dues[0]) != dues[2]


def test_nobodys_luck_depends_on_who_was_served_first() -> None:
    """Two visits step by step in turn do what each does alone."""
    scenario = replace(load(find("storm")), bots=2)
    alone = played(scenario, 3)
    one, other = cast(scenario, 3, queues=True)
    half = bytes([FREE, FREE, FREE, SOLD]) * (ROWS * SEATS // 4)
    houses = [House(half, Counter({"Choose": 2, "TakeBest": 1})) for _ in range(2)]
    scripts = {0: one.visit(hall()), 1: other.visit(hall())}
    heard: dict[int, Heard | None] = {0: None, 1: None}
    while scripts:
        for number, script in list(scripts.items()):
            try:
                action = script.send(heard[number])  # type: ignore[arg-type]
            except StopIteration:
                del scripts[number]
                continue
            houses[number].asked.append(action)
            heard[number] = houses[number].answer(action)
    assert [house.asked for house in houses] == [asked for asked, _ in alone]


def bot(seed: int = 1, queues: bool = False, **what: object) -> Bot:
    return Bot(1, Kind("buyer", **what), 0.0, seed, queues)  # type: ignore[arg-type]


def test_an_honest_buyer_holds_orders_and_pays() -> None:
    house = House()
    assert house.play(bot(party=(3,))) is End.BOUGHT
    [place] = house.of(does.Place)
    [chosen] = house.of(does.Choose)
    assert place.seats == chosen.seats and len(place.seats) == 3
    assert len({seat // SEATS for seat in place.seats}) == 1, "in one row"
    [pay] = house.of(does.Pay)
    assert not pay.declined and pay.clicks is Clicks.ONCE


@pytest.mark.parametrize(
    ("what", "end", "means"),
    [
        ({"abandon": 1.0}, End.ABANDONED, False),
        ({"pay_late": 1.0}, End.BOUGHT, False),  # this house sells too late: a surprise
        ({"wants": Wants.BEST}, End.BOUGHT, True),
        ({"wants": Wants.ENTER}, End.ENTERED, False),
        ({"wants": Wants.SOLD, "honest": False}, End.ASKED, False),
    ],
)
def test_ends(what: dict[str, object], end: End, means: bool) -> None:
    buyer = bot(**what)
    house = House(bytes([SOLD]) * (ROWS * SEATS) if what.get("wants") is Wants.SOLD else None)
    if what.get("wants") is Wants.SOLD:
        house._refuse = Counter({"Choose": 1_000})
    assert house.play(buyer) is end
    assert buyer.means_to_buy is means


@pytest.mark.parametrize("seed", range(6))
def test_who_pays_late_comes_after_the_time_and_notices_when_it_is_served_all_the_same(
    seed: int,
) -> None:
    late, house = bot(seed, pay_late=1.0), House()
    house.play(late)
    stays = house.of(does.StayUntil)
    assert len(stays) == 1
    asked = house.asked
    after = asked[asked.index(stays[0]) + 1]
    assert isinstance(after, does.Place if late.late == "order" else does.Pay)
    assert late.surprises in (["sold_after_the_hold_ended"], ["sold_after_the_order_ended"])


def test_who_is_refused_too_late_has_come_too_late() -> None:
    for seed in range(6):
        late = bot(seed, pay_late=1.0)
        house = House(refuse=Counter({"Place": 1} if late.late == "order" else {"Pay": 1}))
        assert house.play(late) is End.TOO_LATE
        assert late.surprises == []


def test_a_card_is_declined_before_another_one_pays_or_none_does() -> None:
    ends = set()
    for seed in range(20):
        buyer, house = bot(seed, fail_to_pay=1.0), House()
        end = house.play(buyer)
        ends.add(end)
        pays = house.of(does.Pay)
        assert [pay.attempt for pay in pays] == list(range(1, len(pays) + 1)), "each a new attempt"
        assert pays[0].declined and pays[-1].declined is (end is End.NOT_PAID)
        assert buyer.means_to_buy is (end is End.BOUGHT)
    assert ends == {End.BOUGHT, End.NOT_PAID}


def test_double_clicks_are_of_both_sorts() -> None:
    clicks = set()
    for seed in range(30):
        house = House()
        house.play(bot(seed, double_click=1.0))
        clicks |= {action.clicks for action in (*house.of(does.Choose), *house.of(does.Pay))}
    assert clicks == {Clicks.TWICE, Clicks.AGAIN}


def test_a_change_of_mind_gives_back_and_chooses_again() -> None:
    house = House()
    assert house.play(bot(change_mind=1.0)) is End.BOUGHT
    [released] = house.of(does.Release)
    first, second = house.of(does.Choose)
    [place] = house.of(does.Place)
    assert released.hold == first.hold != second.hold == place.hold


@pytest.mark.parametrize(
    ("what", "action"), [("reload", does.Reload), ("reconnect", does.Reconnect)]
)
def test_a_basket_that_changes_over_a_reload_is_noticed(what: str, action: type) -> None:
    same, house = bot(**{what: 1.0}), House()
    assert house.play(same) is End.BOUGHT
    assert house.of(action) and house.of(does.Basket) and same.surprises == []

    class Forgetful(House):
        def answer(self, action: Action) -> Heard:
            told = super().answer(action)
            return replace(told, seats=()) if told.what == "basket" else told

    other = bot(**{what: 1.0})
    Forgetful().play(other)
    assert other.surprises == ["basket_changed"]


def test_a_bot_queues_where_there_is_a_room_and_leaves_a_house_that_is_full() -> None:
    house = House()
    house.play(bot(queues=True))
    assert [type(action) for action in house.asked[:2]] == [does.Queue, does.Think]

    class Full(House):
        def answer(self, action: Action) -> Heard:
            queues = isinstance(action, does.Queue)
            return Heard("sold_out") if queues else super().answer(action)

    assert Full().play(bot(queues=True)) is End.SOLD_OUT
    assert House(bytes([SOLD]) * (ROWS * SEATS)).play(bot()) is End.SOLD_OUT


def test_restless_bots_lose_their_connection_in_the_waiting_room() -> None:
    queued = [cast(load(find("storm")), seed, True)[0] for seed in range(20)]
    losses = [next(iter(_queues(one))).losses for one in queued]
    assert any(losses) and max(map(len, losses)) <= does.MAX_MOMENTS


def _queues(bot: Bot) -> list[does.Queue]:
    house = House()
    house.play(bot)
    return [action for action in house.asked if isinstance(action, does.Queue)]


def test_who_is_always_refused_gives_up() -> None:
    house = House(refuse=Counter({"Choose": 100}))
    assert house.play(bot(tries=4)) is End.GAVE_UP
    assert len(house.of(does.Choose)) == 4


def test_a_held_seat_that_was_sold_is_noticed() -> None:
    program = bot(wants=Wants.SOLD, asks=5)
    House(bytes([SOLD]) * (ROWS * SEATS)).play(program)
    assert program.surprises == ["held_what_was_sold"] * 5


def test_a_hall_gives_neighbours_and_leaves_nobody_alone_where_it_can() -> None:
    statuses = bytearray([SOLD]) * (ROWS * SEATS)
    statuses[0:3] = bytes(3)
    statuses[20:22] = bytes(2)
    for seed in range(20):
        assert hall().places(statuses, 2, Random(seed)) == (20, 21)
    assert hall().places(statuses, 3, Random(1)) == (0, 1, 2)
    assert hall().places(statuses, 4, Random(1)) is None
    near = Counter(
        (hall().places(bytes(ROWS * SEATS), 2, Random(seed)) or (0,))[0] // SEATS
        for seed in range(300)
    )
    assert near[0] > near[ROWS - 1], "the front is wanted more"


def test_shares_become_bots() -> None:
    scenario = replace(load(find("bots")), bots=100)
    kinds = Counter(one.kind.name for one in cast(scenario, 1, False))
    assert kinds == {"buyer": 50, "program": 50}
    assert all(0 <= one.due <= scenario.arrivals.over for one in cast(scenario, 1, False))
