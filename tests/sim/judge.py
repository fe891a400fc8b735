"""What must be true of a world when all is told. Everything here raises `Broken`.

Two judgements that know nothing of each other. From outside: is what the clients were told
possible at all, for every seat and every ticket (`linear`)? And from inside: the journal is an
order of everything, so it must agree with every answer, with real time, with the tables, with
the snapshots, with the pictures that were shown, and with a second telling of it.
"""

from math import inf
from typing import NamedTuple

from engine.commands import (
    Allocate,
    Allocated,
    Channel,
    Configure,
    Configured,
    Event,
    Expire,
    Expired,
    Held,
    Hold,
    HoldBest,
    Quoted,
    Refusal,
    Refused,
    Sold,
    TicketState,
)
from engine.house import HELD, SOLD, SURPLUS
from engine.performance import Performance
from engine.plan import Plan
from engine.settings import SaleStatus, Settings
from tests.engine.small import NOW_MS
from tests.sim.history import Asked, Key, Step, partition
from tests.sim.linear import linearizable
from tests.sim.quotas import Quota, quota_histories, quota_step
from tests.sim.sequential import FREE, Ticket, seat_step, ticket_step
from tests.sim.store import House, Store, decode_events
from tests.sim.watching import Browser

SURPLUS_IS = "", (Channel.BOX_OFFICE, Channel.PHONE), 0
"""What is surplus is as if it were kept for the tills for ever, under no name."""


class Broken(AssertionError):
    """Something that must never happen has happened. `kind` says what, in two words."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind


class End(NamedTuple):
    """A world when all is over. `fastest_ms` is how far any clock was ahead of true time."""

    asked: list[Asked]
    store: Store
    browsers: list[Browser]
    plan: Plan
    settings: Settings
    now_s: float
    fastest_ms: int


def judge_from_inside(end: End) -> None:
    store = end.store
    if store.sold_twice:
        raise Broken("sold twice", "a seat has two live tickets in the tables")
    if store.walls:
        raise Broken("second wall", "a writer decided to sell a seat that was sold")
    for number, house in store.houses.items():
        mine = [one for one in end.asked if one.performance == number]
        _judge_answers(mine, house)
        _judge_times(house, end.settings)
        live = told_again(number, house, end)
        _judge_snapshots(number, house, live, end)
        _judge_tables(live, house)
        _judge_ids_again(mine, live, end)
    for browser in end.browsers:
        _judge_pictures(browser, store.houses[browser.performance], end)


# From outside -------------------------------------------------------------------------


def judge_from_outside(end: End) -> None:
    """Only what the clients were told counts here, and how everything is at the end."""
    _adopt_unanswered(end)
    histories = partition(end.asked) | quota_histories(end.asked, end.settings, end.plan)
    for number, house in end.store.houses.items():
        _add_the_end(histories, number, told_again(number, house, end), end.now_s)

    def latest_ms(at_s: float) -> float:
        return inf if at_s == inf else NOW_MS + 1000 * at_s + end.fastest_ms

    for key, history in histories.items():
        if key[1] == "seat":
            category = end.plan.seats[key[2]].category
            surplus = category in end.settings.surplus.categories
            start = ("kept", *SURPLUS_IS, FREE) if surplus else FREE
            whole = linearizable(history, start, seat_step, latest_ms)
        elif key[1] == "quota":
            empty = Quota(end.settings.quotas[key[2]].limit)
            whole = linearizable(history, empty, quota_step, latest_ms)
        else:
            unsold = Ticket(end.settings.re_entry)
            whole = linearizable(history, unsold, ticket_step, latest_ms)
        if not whole:
            raise Broken("not linearizable", tell(key, history))


def _adopt_unanswered(end: End) -> None:
    """A command that nobody answered was done or not, any time after: the journal knows which."""
    unanswered = {one.command.id: one for one in end.asked if one.outcome is None}
    if unanswered:
        for house in end.store.houses.values():
            for event in house.events():
                one = unanswered.get(event.command.id)
                if one is not None:
                    one.outcome = event.outcome


def _add_the_end(
    histories: dict[Key, list[Step]], number: int, live: Performance, now_s: float
) -> None:
    """Somebody reads everything when all is over: what was told must still be so."""
    sold = {}
    for ticket in live.tickets:
        state = live.ticket_states.get(ticket.number, TicketState.VALID)
        version = live.ticket_versions.get(ticket.number, 0)
        if state is not TicketState.REFUNDED and ticket.seat >= 0:
            sold[ticket.seat] = ticket.number
        key = number, "ticket", ticket.number
        if key in histories:
            uses = live.ticket_uses.get(ticket.number, ())
            passed = [(one.device, one.sequence) for one in uses]
            histories[key].append(Step(now_s, inf, ("is", state, version, passed)))
    for index, use in enumerate(live.quotas.uses() if live.quotas else ()):
        if (number, "quota", index) in histories:
            histories[number, "quota", index].append(Step(now_s, inf, ("is", use.used)))
    named = {one.code: name for name, one in live.allocations.items()} | {SURPLUS: SURPLUS_IS[0]}
    holder = {seat: hold.token for hold in live.holds.values() for seat in hold.seats}
    for (house, what, seat), history in histories.items():
        if house != number or what != "seat":
            continue
        code = live.codes[live.house.positions[seat]]
        if code == SOLD:
            history.append(Step(now_s, inf, ("is sold", sold.get(seat))))
        elif code == HELD:
            history.append(Step(now_s, inf, ("held", holder.get(seat))))
        elif code in named:
            history.append(Step(now_s, inf, ("is kept", named[code])))
        else:
            history.append(Step(now_s, inf, ("blocked",) if code else ("free",)))


def tell(key: Key, history: list[Step]) -> str:
    """A history for people to read."""
    lines = [f"{key[1]} {key[2]} of performance {key[0]}"]
    for step in sorted(history):
        action = [one.hex()[:8] if isinstance(one, bytes) else one for one in step.action]
        lines.append(f"    {step.invoked_s:9.4f} to {step.answered_s:9.4f}  {action}")
    return "\n".join(lines)


# From inside --------------------------------------------------------------------------


def _judge_answers(asked: list[Asked], house: House) -> None:
    """Every answer stands in the journal, once, as it was told, and in its time."""
    seq = epoch = 0
    for batch in house.journal:
        if batch.prev_seq != seq or batch.epoch < epoch:
            raise Broken("journal", f"after {seq} of epoch {epoch} comes {batch[:3]}")
        seq, epoch = batch.seq, batch.epoch
    by_id = {one.command.id: one for one in asked}
    recorded: dict[bytes, Event] = {}
    latest_invoked_s = 0.0
    for event in house.events():
        id = event.command.id
        if id in recorded:
            raise Broken("done twice", f"{recorded[id]} and {event}")
        recorded[id] = event
        one = by_id.get(id)
        if one is None:
            if type(event.command) is not Expire:
                raise Broken("invented", f"nobody asked for {event}")
            continue
        if one.answered_s < latest_invoked_s:
            raise Broken("out of time", f"{event} stands behind what was asked after its answer")
        latest_invoked_s = max(latest_invoked_s, one.invoked_s)
        if one.outcome not in (None, event.outcome):
            raise Broken("told otherwise", f"{one.outcome} was told, and recorded is {event}")
    for one in asked:
        if one.outcome is not None and one.command.id not in recorded and not one.is_question:
            raise Broken("lost", f"{one.command} was answered {one.outcome} and is not recorded")


def _judge_times(house: House, settings: Settings) -> None:
    """Nothing is sold outside its times, and an allocation is released at its own, once."""
    online = settings.sale_opens_ms, settings.sale_closes_ms or inf
    tills = settings.tills_open_ms, settings.tills_close_ms or inf
    kept: dict[str, tuple[int, int, set[int]]] = {}  # name -> (set at, release, seats)
    cancelled = False
    for event in house.events():
        at_ms, command, outcome = event.at_ms, event.command, event.outcome
        if isinstance(command, Configure) and isinstance(outcome, Configured):
            cancelled = command.settings.status is SaleStatus.CANCELLED
        if cancelled and isinstance(outcome, Held | Quoted | Sold):
            raise Broken("sale times", f"{event}, which is cancelled")
        refused = outcome.code if isinstance(outcome, Refused) else None
        if isinstance(command, Hold | HoldBest):
            buyers = command.channel in (Channel.WEB, Channel.RESELLER)
            opens_ms, closes_ms = online if buyers else tills
            if not cancelled and refused is not Refusal.MALFORMED and refused is not Refusal.BUSY:
                if (opens_ms <= at_ms < closes_ms) is (refused is Refusal.NOT_ON_SALE):
                    raise Broken("sale times", f"{event}, which is on sale {opens_ms, closes_ms}")
        if isinstance(outcome, Expired):
            for name in outcome.allocations:
                if name not in kept or not 0 < kept.pop(name)[1] <= at_ms:
                    raise Broken("released", f"{name} by {event}")
        elif any(since_ms < due_ms <= at_ms for since_ms, due_ms, _ in kept.values()):
            raise Broken("not released", f"{event} is decided before {kept} is released")
        if isinstance(command, Allocate) and isinstance(outcome, Allocated):
            _, due_ms, seats = kept.get(command.name, (0, 0, set()))
            if command.seats and not command.back:
                seats, due_ms = seats | set(outcome.seats), command.release_ms
            else:
                seats = seats - set(outcome.seats)
            kept[command.name] = at_ms, due_ms, seats
            if not seats:
                del kept[command.name]


def told_again(number: int, house: House, end: End) -> Performance:
    """What the journal says, from its beginning."""
    live = Performance(number, end.plan, end.settings)
    try:
        live.replay(house.events())
    except LookupError as error:
        raise Broken("journal", f"it cannot be told again: {error!r}") from error
    return live


def _judge_snapshots(number: int, house: House, live: Performance, end: End) -> None:
    """A snapshot and the tail behind it say what the whole journal says."""
    events = house.events()
    for seq, state in house.snapshots:
        again = Performance.restore(number, end.plan, state)
        try:
            again.replay(events[seq:])
        except LookupError as error:
            raise Broken("snapshot", f"the tail does not fit that of {seq}: {error!r}") from error
        if again.snapshot() != live.snapshot():
            raise Broken("snapshot", f"that of {seq} and its tail are not what the journal says")


def _judge_tables(live: Performance, house: House) -> None:
    """The rows that people query say what the journal says."""
    expected = {
        one.number: (
            live.ticket_sales[one.number - 1][0],
            one.seat,
            live.ticket_states.get(one.number, TicketState.VALID).value,
            live.ticket_versions.get(one.number, 0),
        )
        for one in live.tickets
    }
    found = {number: tuple(row) for number, row in house.tickets.items()}
    if found != expected:
        raise Broken("tables", f"the tickets are {found}, by the journal {expected}")
    seats = [
        row.seat for row in house.tickets.values() if row.seat >= 0 and row.state != "refunded"
    ]
    if len(seats) != len(set(seats)):
        raise Broken("sold twice", "a seat has two live tickets in the tables")
    rows = sorted(
        (row.ticket, row.device, row.sequence, result == "ADMITTED")
        for seq, row in house.scans.items()
        if row.ticket > 0 and row.mode != "look_up" and seq not in house.undone
        if (result := row.shown or row.result) in ("ADMITTED", "EXITED")
    )
    passed = sorted(
        (number, one.device, one.sequence, one.entry)
        for number, uses in live.ticket_uses.items()
        for one in uses
    )
    if rows != passed:
        raise Broken("tables", f"by the journal {passed} passed the doors, by the rows {rows}")
    kept = [(row.device, row.sequence) for row in house.scans.values() if row.sequence >= 0]
    if len(kept) != len(set(kept)):
        raise Broken("tables", f"a kept scan stands in the rows twice: {sorted(kept)}")


def _judge_ids_again(asked: list[Asked], live: Performance, end: End) -> None:
    """Whoever asks once more after all that gets the answer that they got before."""
    at_ms = NOW_MS + int(1000 * end.now_s) + end.fastest_ms
    for one in asked:
        if one.outcome is not None and not one.is_question:
            if live.apply(one.command, at_ms) != one.outcome:
                raise Broken("forgotten", f"{one.command} is no longer {one.outcome}")
    if live.events:
        raise Broken("forgotten", "an answered command left a second fact")


def _judge_pictures(browser: Browser, house: House, end: End) -> None:
    """Every picture shown was the house at some commit, and never an earlier one than before."""
    if not browser.pictures:
        return
    live = Performance(browser.performance, end.plan, end.settings)
    truths = [(live.statuses(), tuple(live.areas_left()))]
    for batch in house.journal:
        live.replay(decode_events(batch.events))
        truths.append((live.statuses(), tuple(live.areas_left())))
    at = 0
    for picture in browser.pictures:
        shown = picture.statuses, picture.areas
        while at <= picture.batches and truths[at] != shown:
            at += 1
        if at > picture.batches:
            where = f"({picture.epoch}, {picture.seq})"
            raise Broken("picture", f"what was shown at {where} was not committed, or is older")
