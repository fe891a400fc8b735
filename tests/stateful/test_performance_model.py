"""The engine against the model, command by command, with crashes in between."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import HealthCheck
from hypothesis import settings as checks
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.commands import (
    Allocate,
    AllocationsAre,
    Basket,
    Block,
    Channel,
    Checkout,
    Command,
    Configure,
    CountInside,
    CountQuotas,
    Event,
    Expire,
    Hold,
    HoldBest,
    KeptScan,
    Line,
    ListAllocations,
    ListConflicts,
    QuotasAre,
    QuotaUse,
    Quoted,
    Refund,
    Reissue,
    Release,
    Reopen,
    Reprice,
    Scan,
    ScanMode,
    ScanOutcome,
    Sell,
    SetTickets,
    TicketState,
    Unblock,
    UndoScan,
)
from engine.feed import Applied, Feed, Replica
from engine.performance import Performance
from engine.settings import (
    Gate,
    Price,
    PriceType,
    Quota,
    ReEntry,
    SaleStatus,
    Surplus,
    TypeStatus,
)
from tests.engine.small import NOW_MS, house, settings, token
from tests.stateful.model import Model

ROWS = ["aaaaa aa", "bbbbbb"]
AREAS = [(5, "c"), (2, "d")]
PLAN = house(ROWS, tables=[(3, True), (2, False)], areas=AREAS)
SEATS = len(PLAN.seats)
TYPES = (
    PriceType("full", {}),
    PriceType("half", {}, max_per_order=2),
    PriceType("early", {}, until_ms=NOW_MS + 60_000),
    PriceType("staff", {}, box_office_only=True),
    PriceType("late", {}, from_ms=NOW_MS + 30_000),
    PriceType("shut", {}, status=TypeStatus.CLOSED),
)
RULES = settings(
    price_types=TYPES,
    # Half of the categories have a price for "full" only.
    prices=(
        *(
            Price(category, kind.id, 1_000 - 100 * category)
            for kind in TYPES
            for category in range(4)
            if kind.id == "full" or category % 2 == 0
        ),
        # In one more there is one for "half" for a while.
        Price(1, "half", 1_200, NOW_MS + 20_000, NOW_MS + 70_000),
    ),
    hold_ms=40_000,
    hold_cap_ms=3_000_000,
    max_per_order=6,
    gates=(Gate("north", "North", (0,)), Gate("all", "All")),
)

TIMES = [
    (NOW_MS + 20_000, 0, 0, 0),
    (NOW_MS + 20_000, NOW_MS + 90_000, NOW_MS + 10_000, NOW_MS + 60_000),
    (0, NOW_MS + 30_000, NOW_MS + 30_000, 0),
]
QUOTAS = [
    (Quota("all", {}, 6),),
    (Quota("few", {}, 3, (0, 2)), Quota("halves", {}, 1, price_types=("half", "early"))),
    (Quota("none", {}, 0, (1,), ("full",)),),
]
SURPLUS = [Surplus((1,)), Surplus((2,), (1,)), Surplus((), (0,))]

tokens = st.sampled_from([token(name) for name in "abcdef"])
holders = st.sampled_from(["ann", "bob"])
channels = st.sampled_from([Channel.WEB, Channel.WEB, *Channel])
side_by_side = st.tuples(st.integers(0, SEATS - 1), st.integers(1, 4)).map(
    lambda pair: tuple(range(pair[0], min(pair[0] + pair[1], SEATS)))
)
seat_lists = st.one_of(
    side_by_side,
    side_by_side,
    st.lists(st.integers(0, SEATS - 1), min_size=1, max_size=3, unique=True).map(tuple),
    st.sampled_from(
        [(13, 14, 15), (15, 14, 13), (13, 14), (), (3, 3), (-1, 0), (SEATS - 1, SEATS)]
    ),
)
place_lists = st.sampled_from(
    [(), ((0, 1),), ((0, 2),), ((1, 1),), ((1, 2), (0, 1)), ((2, 1),), ((0, 0),), ((1, 3),)]
)
no_places = st.just(())
devices = st.sampled_from(["dev", "lane"])
buyers = st.sampled_from(["", "x", "y"])
orders = st.sampled_from(["o1", "o2", "o3"])
numbers = st.lists(st.integers(1, 6), max_size=2).map(tuple)
kinds = st.sampled_from(["full"] * 8 + ["half", "half", "early", "staff", "late", "shut", "giant"])
STATUSES = [status for status in SaleStatus if status is not SaleStatus.CANCELLED]
"""What may follow each other; cancelling is for good, and has its tests in test_cancellation.py."""


class PerformanceMachine(RuleBasedStateMachine):
    plan = PLAN
    house_rules = RULES

    def __init__(self) -> None:
        super().__init__()
        self.at_ms = NOW_MS
        self.live = Performance(7, self.plan, self.house_rules)
        self.model = Model(7, self.plan, self.house_rules)
        self.asked: list[Any] = []
        self.base = self.live.snapshot()
        self.tail: list[Event] = []
        self.new_reign()

    def new_reign(self) -> None:
        self.feed = Feed(
            7, 1 + getattr(self, "reigns", 0), self.live.statuses(), self.live.areas_left()
        )
        self.reigns = self.feed.epoch
        if self.reigns == 1:
            self.replica = Replica(7, SEATS, len(PLAN.areas))

    def play(self, command: Command) -> None:
        outcome = self.live.apply(command, self.at_ms)
        assert outcome == self.model.play(command, self.at_ms, outcome)
        self.asked.append(command)
        facts, changes, areas = self.live.take()
        encoded = msgspec.msgpack.encode(facts)
        self.tail += msgspec.msgpack.decode(encoded, type=list[Event])
        self.feed.publish(changes, areas)

    def id(self) -> bytes:
        return len(self.asked).to_bytes(16, "big")

    # Commands -----------------------------------------------------------------

    @rule(token=tokens, holder=holders, channel=channels, seats=seat_lists, areas=no_places)
    def hold(self, token: bytes, holder: str, channel: Channel, seats: Any, areas: Any) -> None:
        self.play(Hold(self.id(), token, holder, channel, seats, areas))

    @rule(token=tokens, holder=holders, channel=channels, seats=seat_lists, areas=place_lists)
    def hold_mixed(
        self, token: bytes, holder: str, channel: Channel, seats: Any, areas: Any
    ) -> None:
        self.play(Hold(self.id(), token, holder, channel, seats, areas))

    @rule(
        token=tokens,
        holder=holders,
        channel=channels,
        size=st.integers(1, 5),
        cap=st.sampled_from([-1, -1, 900]),
    )
    def best(self, token: bytes, holder: str, channel: Channel, size: int, cap: int) -> None:
        self.play(HoldBest(self.id(), token, holder, channel, size, max_amount=cap))

    @rule(token=tokens, seats=seat_lists, areas=place_lists, all_of_it=st.booleans())
    def release(self, token: bytes, seats: Any, areas: Any, all_of_it: bool) -> None:
        self.play(Release(self.id(), token, *(((), ()) if all_of_it else (seats, areas))))

    @precondition(lambda self: self.model.baskets)
    @rule(data=st.data())
    def release_a_part(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.baskets)))
        seats = self.model.baskets[name].seats
        if seats:
            given = data.draw(st.lists(st.sampled_from(seats), min_size=1, unique=True))
            self.play(Release(self.id(), name, tuple(given)))

    @precondition(lambda self: self.model.baskets)
    @rule(
        data=st.data(),
        order=orders,
        buyer=st.sampled_from(["", "x", "y"]),
        broken=st.integers(0, 9),
    )
    def checkout(self, data: st.DataObject, order: str, buyer: str, broken: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.baskets)))
        basket = self.model.baskets[name]
        lines = [Line(seat, -1, data.draw(kinds)) for seat in basket.seats]
        lines += [Line(-1, area, data.draw(kinds), many) for area, many in basket.places.items()]
        if broken == 0:
            lines = lines[1:]
        elif broken == 1:
            lines.append(data.draw(st.sampled_from([Line(0, -1, "full"), Line(-1, 0, "full")])))
        elif broken == 2:
            lines = lines[::-1]
        self.play(Checkout(self.id(), name, order, buyer, tuple(lines)))

    @rule(size=st.integers(1, 4), area=st.sampled_from([-1, -1, 0]), order=orders, buyer=buyers)
    def buy(self, size: int, area: int, order: str, buyer: str) -> None:
        """A visit from end to end, so that there are tickets to speak of."""
        name = token(f"buyer{len(self.asked)}")
        self.play(HoldBest(self.id(), name, name.hex(), Channel.WEB, size, area=area))
        if name in self.model.baskets:
            basket = self.model.baskets[name]
            lines = [Line(seat, -1, "full") for seat in basket.seats]
            lines += [Line(-1, place, "full", many) for place, many in basket.places.items()]
            self.play(Checkout(self.id(), name, order, buyer, tuple(lines)))
            self.play(Sell(self.id(), name, order))

    @precondition(lambda self: self.model.sales)
    @rule(data=st.data())
    def refund_a_ticket(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.sales)))
        self.play(Refund(self.id(), self.model.sales[number].order, (number,)))

    @precondition(lambda self: self.model.sales)
    @rule(
        data=st.data(),
        gate=st.sampled_from(["", "north", "all"]),
        device=devices,
        mode=st.sampled_from([ScanMode.ADMIT, ScanMode.EXIT, ScanMode.MARK]),
        reason=st.sampled_from(["", "", "late"]),
    )
    def scan_a_ticket(
        self, data: st.DataObject, gate: str, device: str, mode: ScanMode, reason: str
    ) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.sales)))
        version = self.model.sales[number].version
        self.play(Scan(self.id(), gate, device, 7, number, version, mode, reason))

    @precondition(lambda self: self.model.sales)
    @rule(
        ticket=st.integers(1, 4),
        version=st.sampled_from([0, 0, 1]),
        performance=st.sampled_from([7, 7, 7, 8, -1]),
        device=devices,
        sequence=st.integers(0, 6),
        before_ms=st.sampled_from([0, 0, 1, 500, 15_000, -2_000]),
        mode=st.sampled_from([ScanMode.ADMIT, ScanMode.ADMIT, ScanMode.EXIT, ScanMode.LOOK_UP]),
        shown=st.sampled_from(
            [ScanOutcome.ADMITTED] * 3 + [ScanOutcome.EXITED] * 2 + [ScanOutcome.ALREADY_USED]
        ),
    )
    def tell_what_was_kept(
        self,
        ticket: int,
        version: int,
        performance: int,
        device: str,
        sequence: int,
        before_ms: int,
        mode: ScanMode,
        shown: ScanOutcome,
    ) -> None:
        scanned_ms = self.at_ms - before_ms
        kept = (performance, ticket, version, mode, sequence, scanned_ms, shown)
        self.play(KeptScan(self.id(), "north", device, *kept))

    @precondition(lambda self: self.model.told)
    @rule(data=st.data(), ticket=st.integers(1, 4))
    def tell_it_again(self, data: st.DataObject, ticket: int) -> None:
        device, sequence = data.draw(st.sampled_from(sorted(self.model.told)))
        scanned_ms = self.model.told[device, sequence]
        kept = (7, ticket, 0, ScanMode.LOOK_UP, sequence, scanned_ms, ScanOutcome.ADMITTED)
        self.play(KeptScan(self.id(), "north", device, *kept))

    @precondition(lambda self: self.model.sales)
    @rule(
        ticket=st.integers(1, 5),
        gate=st.sampled_from(["", "north", "all"]),
        device=devices,
        anywhere=st.booleans(),
    )
    def undo(self, ticket: int, gate: str, device: str, anywhere: bool) -> None:
        self.play(UndoScan(self.id(), ticket, gate, device, anywhere))

    @precondition(lambda self: self.model.baskets)
    @rule(data=st.data())
    def add_a_neighbour(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.baskets)))
        seats = [seat + 1 for seat in self.model.baskets[name].seats]
        if seats:
            self.play(
                Hold(self.id(), name, "ann", Channel.WEB, (data.draw(st.sampled_from(seats)),))
            )

    @rule(token=tokens, order=orders)
    def reopen(self, token: bytes, order: str) -> None:
        self.play(Reopen(self.id(), token, order))

    @rule(token=tokens, order=orders, paid=st.booleans())
    def sell(self, token: bytes, order: str, paid: bool) -> None:
        self.play(Sell(self.id(), token, order, paid))

    @precondition(lambda self: any(one.order for one in self.model.baskets.values()))
    @rule(data=st.data())
    def sell_what_is_in_payment(self, data: st.DataObject) -> None:
        paying = sorted(name for name, one in self.model.baskets.items() if one.order)
        name = data.draw(st.sampled_from(paying))
        self.play(Sell(self.id(), name, self.model.baskets[name].order))

    @precondition(lambda self: self.model.sales)
    @rule(order=orders, tickets=numbers)
    def refund(self, order: str, tickets: Any) -> None:
        self.play(Refund(self.id(), order, tickets))

    @precondition(lambda self: self.model.sales)
    @rule(tickets=numbers, state=st.sampled_from(TicketState))
    def set_tickets(self, tickets: Any, state: TicketState) -> None:
        self.play(SetTickets(self.id(), tickets, state, "because"))

    @precondition(lambda self: self.model.sales)
    @rule(order=orders, tickets=numbers)
    def reissue(self, tickets: Any, order: str) -> None:
        self.play(Reissue(self.id(), order, tickets))

    @precondition(lambda self: self.model.sales)
    @rule(
        order=orders,
        tickets=st.lists(st.tuples(st.integers(1, 6), kinds), max_size=3).map(tuple),
        channel=channels,
        before_ms=st.sampled_from([0, 0, 20_000]),
        quoted=st.booleans(),
    )
    def reprice(
        self, order: str, tickets: Any, channel: Channel, before_ms: int, quoted: bool
    ) -> None:
        """Asked what it comes to, and then done at that, or at something else."""
        asked = Reprice(self.id(), order, channel, tickets, self.at_ms - before_ms)
        self.play(asked)
        answer = self.live.apply(asked, self.at_ms)
        amounts = (700,) * len(tickets)
        if quoted and isinstance(answer, Quoted):
            amounts = answer.amounts
        self.play(msgspec.structs.replace(asked, id=self.id(), amounts=amounts))

    @precondition(lambda self: self.model.sales)
    @rule(data=st.data())
    def reprice_what_an_order_has(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.sales)))
        sale = self.model.sales[number]
        kind = data.draw(st.sampled_from(["full", "half", "early"]))
        asked = Reprice(self.id(), sale.order, Channel.PHONE, ((number, kind),), self.at_ms)
        answer = self.live.apply(asked, self.at_ms)
        self.play(asked)
        if isinstance(answer, Quoted):
            self.play(msgspec.structs.replace(asked, id=self.id(), amounts=answer.amounts))

    @rule(seats=seat_lists, areas=place_lists)
    def block(self, seats: Any, areas: Any) -> None:
        self.play(Block(self.id(), seats[:2], areas, "because"))

    @rule(seats=seat_lists, areas=place_lists)
    def unblock(self, seats: Any, areas: Any) -> None:
        self.play(Unblock(self.id(), seats, areas))

    @rule(
        name=st.sampled_from(["", "one", "two"]),
        channels=st.lists(st.sampled_from(Channel), max_size=2, unique=True).map(tuple),
        seats=seat_lists,
        end=st.booleans(),
        after_ms=st.sampled_from([0, 0, 1, 10_000, 50_000]),
        back=st.sampled_from([False, False, True]),
    )
    def allocate(
        self, name: str, channels: Any, seats: Any, end: bool, after_ms: int, back: bool
    ) -> None:
        release_ms = self.at_ms + after_ms if after_ms else 0
        self.play(Allocate(self.id(), name, channels, () if end else seats[:2], release_ms, back))

    @precondition(lambda self: self.model.kept)
    @rule(data=st.data(), channel=channels)
    def hold_what_is_kept(self, data: st.DataObject, channel: Channel) -> None:
        kept = sorted({seat for one in self.model.kept.values() for seat in one[1]})
        seat = data.draw(st.sampled_from(kept))
        self.play(Hold(self.id(), token("f"), "ann", channel, (seat,)))

    @rule(
        status=st.sampled_from([SaleStatus.ON_SALE] * 9 + STATUSES),
        orphan_rule=st.booleans(),
        per_buyer=st.sampled_from([0, 3]),
        doors=st.sampled_from([(0, 0), (NOW_MS + 20_000, NOW_MS + 90_000)]),
        re_entry=st.sampled_from(ReEntry),
        times=st.sampled_from([(0, 0, 0, 0)] * 6 + TIMES),
        quotas=st.sampled_from([(), *QUOTAS]),
        surplus=st.sampled_from([Surplus()] * 3 + SURPLUS),
    )
    def configure(
        self,
        status: SaleStatus,
        orphan_rule: bool,
        per_buyer: int,
        doors: Any,
        re_entry: ReEntry,
        times: Any,
        quotas: Any,
        surplus: Surplus,
    ) -> None:
        changed = msgspec.structs.replace(
            self.house_rules,
            status=status,
            orphan_rule=orphan_rule,
            max_per_buyer=per_buyer,
            doors_open_ms=doors[0],
            doors_close_ms=doors[1],
            re_entry=re_entry,
            sale_opens_ms=times[0],
            sale_closes_ms=times[1],
            tills_open_ms=times[2],
            tills_close_ms=times[3],
            quotas=quotas,
            surplus=surplus,
        )
        self.play(Configure(self.id(), changed))

    @rule(
        ticket=st.integers(0, 8),
        version=st.sampled_from([0, 0, 0, 1, 2]),
        performance=st.sampled_from([7, 7, 7, 8, -1]),
        gate=st.sampled_from(["", "north", "all", "west"]),
    )
    def scan(self, ticket: int, version: int, performance: int, gate: str) -> None:
        self.play(Scan(self.id(), gate, "dev", performance, ticket, version, ScanMode.ADMIT))

    @rule(after_ms=st.sampled_from([0, 1, 500, 7_000, 15_000, 40_000]))
    def time_passes(self, after_ms: int) -> None:
        self.at_ms += after_ms
        over = any(one.until_ms <= self.at_ms for one in self.model.baskets.values()) or any(
            0 < release_ms <= self.at_ms for _, _, release_ms in self.model.kept.values()
        )
        assert self.live.due(self.at_ms) == over
        self.play(Expire(self.id()))

    # Questions, repetitions and crashes ------------------------------------------

    @rule(token=tokens)
    def basket(self, token: bytes) -> None:
        told = self.live.apply(Basket(b"question........", token), self.at_ms)
        basket = self.model.baskets.get(token)
        if basket is not None:
            assert told.seats == tuple(basket.seats)  # type: ignore[union-attr]
            assert dict(told.areas) == basket.places  # type: ignore[union-attr]
            assert (told.expires_ms, told.order) == (basket.until_ms, basket.order)  # type: ignore[union-attr]

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        self.play(data.draw(st.sampled_from(self.asked)))
        self.asked.append(self.asked[-1])

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_otherwise(self, data: st.DataObject) -> None:
        before = data.draw(st.sampled_from(self.asked))
        self.play(Reopen(before.id, token("a"), "o9"))

    @rule()
    def keep_a_snapshot(self) -> None:
        self.base = self.live.snapshot()
        self.tail = []

    @rule()
    def crash_and_come_back(self) -> None:
        restored = Performance.restore(7, self.plan, self.base)
        restored.replay(self.tail)
        assert restored.snapshot() == self.live.snapshot()
        assert restored.buyer_places == self.live.buyer_places
        assert restored.web_holds == self.live.web_holds
        self.live = restored
        self.new_reign()

    @rule()
    def watch(self) -> None:
        frame = self.feed.since(self.replica.epoch, self.replica.seq)
        if frame is not None:
            assert self.replica.apply(frame) in (Applied.SNAPSHOT, Applied.DELTA)
        assert self.replica.statuses == self.model.statuses()
        assert self.replica.areas == self.model.public_left()

    @invariant()
    def what_is_kept_is_known(self) -> None:
        told = self.live.apply(ListAllocations(b"question........", "one"), self.at_ms)
        assert isinstance(told, AllocationsAre)
        model, gone = self.model, self.model.held() | self.model.sold()
        for use in told.allocations:
            channels, seats, release_ms = model.kept[use.name]
            free = seats - gone - model.blocked
            assert (use.channels, use.release_ms) == (channels, release_ms)
            assert (use.seats, use.left) == (len(seats), len(free))
            assert (use.held, use.sold) == (len(seats & model.held()), len(seats & model.sold()))
            assert use.named == (tuple(sorted(seats)) if use.name == "one" else ())
        assert [use.name for use in told.allocations] == sorted(model.kept)
        for_tills = model.kept_from(None) - model.kept_from(Channel.PHONE)
        areas = [area for area in range(len(PLAN.areas)) if model.for_tills(area)]
        assert told.areas == tuple((area, model.left(area)) for area in areas)
        if not model.kept:
            assert told.surplus.left == len(for_tills - gone - model.blocked)

    @invariant()
    def quotas_are_counted(self) -> None:
        told = self.live.apply(CountQuotas(b"question........"), self.at_ms)
        assert isinstance(told, QuotasAre)
        quotas = self.model.settings.quotas
        assert told.quotas == tuple(
            QuotaUse(quota.id, quota.limit, self.model.counted(quota)) for quota in quotas
        )

    @invariant()
    def seats_stand_as_they_should(self) -> None:
        assert self.live.statuses() == self.model.statuses()
        assert self.live.area_free == [self.model.left(area) for area in range(len(PLAN.areas))]

    @invariant()
    def the_doors_know_who_is_inside(self) -> None:
        inside = self.model.inside()
        told = self.live.apply(CountInside(b"question........"), self.at_ms)
        assert told.total == len(inside)  # type: ignore[union-attr]
        zones = Counter(self.model.section(self.model.sales[number]) for number in inside)
        assert dict(told.sections) == zones  # type: ignore[union-attr]
        for gate in told.gates:  # type: ignore[union-attr]
            assert gate.inside == list(inside.values()).count(gate.gate)
            assert gate.zone == (zones[0] if gate.gate == "north" else len(inside))

    @invariant()
    def the_double_admissions_are_known(self) -> None:
        told = self.live.apply(ListConflicts(b"question........"), self.at_ms)
        assert [(one.ticket, [entry[::2] for entry in one.entries]) for one in told.conflicts] == [  # type: ignore[union-attr]
            (number, [(way.device, way.at_ms) for way in group])
            for number, sale in sorted(self.model.sales.items())
            for group in self.model.doubles(sale)
        ]

    @invariant()
    def no_seat_has_two_live_tickets(self) -> None:
        live = [
            ticket.seat
            for ticket in self.live.tickets
            if ticket.seat >= 0
            and self.live.ticket_states.get(ticket.number) is not TicketState.REFUNDED
        ]
        assert len(live) == len(set(live))


class QuickMachine(PerformanceMachine):
    """The same without whole tables and limits of types: the engine's quick ways are open."""

    plan = house(ROWS, tables=[(3, False), (2, False)], areas=AREAS)
    house_rules = msgspec.structs.replace(
        RULES, price_types=tuple(msgspec.structs.replace(one, max_per_order=0) for one in TYPES)
    )


CHECKS = checks(
    deadline=None,
    max_examples=100,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPerformance = PerformanceMachine.TestCase
TestPerformance.settings = CHECKS
TestQuickWays = QuickMachine.TestCase
TestQuickWays.settings = CHECKS
