"""The single writer of one performance: commands in, outcomes out, facts remembered.

Owns the dispatch from a command to its rule, the memory of ids that makes
commands idempotent, and the replay of recorded facts. The rules themselves live
in `engine.holding`, `engine.best`, `engine.equal`, `engine.selling`, `engine.repricing`,
`engine.keeping`, `engine.admission` and `engine.kept`; the values they share in `engine.state`.

Pure and synchronous: no clock, no randomness, no input or output. Time comes
with each command. Nothing that a caller sends makes `apply` raise: what a user
can cause is a `Refused`.

A rule is a pair. The rule proper judges a command, all refusals first; below a
marked line it calls its `do_*`, which makes the state agree with the answer and
cannot fail. Replay runs `do_*` alone on what was recorded: what was decided once
is never decided again.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final

from engine.admission import do_scan, do_undo, scan, undo
from engine.best import best
from engine.commands import (
    Allocate,
    Basket,
    Block,
    Checkout,
    Command,
    Configure,
    CountInside,
    CountQuotas,
    Event,
    Expire,
    Expired,
    Hold,
    HoldBest,
    HoldEqual,
    Kept,
    KeptScan,
    ListAllocations,
    ListConflicts,
    Outcome,
    Refund,
    Refusal,
    Refused,
    Reissue,
    Release,
    Reopen,
    Reprice,
    Scan,
    ScanMode,
    Sell,
    SetTickets,
    Unblock,
    UndoScan,
)
from engine.equal import equal
from engine.holding import (
    basket,
    do_expire,
    do_hold,
    do_release,
    expire,
    hold,
    release,
)
from engine.house import PUBLIC_STATUS, Layout
from engine.keeping import (
    allocate,
    block,
    configure,
    count_quotas,
    do_allocate,
    do_block,
    do_configure,
    do_unblock,
    list_allocations,
    unblock,
)
from engine.kept import count_inside, do_keep, keep, list_conflicts
from engine.limits import MAX_REMEMBERED_ACCEPTED, MAX_REMEMBERED_REFUSED
from engine.plan import Plan
from engine.repricing import do_reprice, reprice
from engine.selling import (
    checkout,
    do_checkout,
    do_refund,
    do_reopen,
    do_sell,
    do_set_tickets,
    refund,
    reissue,
    reopen,
    sell,
    set_tickets,
)
from engine.settings import Settings
from engine.snapshot import dump_state, fill_state, load_snapshot
from engine.state import State

_RULES: Final[dict[type, Callable[[State, Any, int], Outcome]]] = {
    Hold: hold,
    HoldBest: best,
    HoldEqual: equal,
    Release: release,
    Basket: basket,
    Checkout: checkout,
    Reopen: reopen,
    Sell: sell,
    Refund: refund,
    SetTickets: set_tickets,
    Reissue: reissue,
    Reprice: reprice,
    Block: block,
    Unblock: unblock,
    Allocate: allocate,
    Configure: configure,
    Scan: scan,
    UndoScan: undo,
    KeptScan: keep,
    CountInside: count_inside,
    ListConflicts: list_conflicts,
    ListAllocations: list_allocations,
    CountQuotas: count_quotas,
    Expire: expire,
}

_EFFECTS: Final[dict[type, Callable[[State, Any, Any, int], None]]] = {
    Hold: do_hold,
    HoldBest: do_hold,
    HoldEqual: do_hold,
    Release: do_release,
    Checkout: do_checkout,
    Reopen: do_reopen,
    Sell: do_sell,
    Refund: do_refund,
    SetTickets: do_set_tickets,
    Reissue: do_set_tickets,
    Reprice: do_reprice,
    Block: do_block,
    Unblock: do_unblock,
    Allocate: do_allocate,
    Configure: do_configure,
    Scan: do_scan,
    UndoScan: do_undo,
    KeptScan: do_keep,
    Expire: do_expire,
}

_ID_REUSED: Final = Refused(Refusal.ID_REUSED)
_QUESTIONS: Final = (Basket, CountInside, ListConflicts, ListAllocations, CountQuotas)
_MAY_CHANGE_NOTHING: Final = frozenset({*_QUESTIONS, Reprice, Scan, KeptScan, Expire})


def _changes_nothing(command: Command, outcome: Outcome) -> bool:
    """Questions, and an expiry with nothing due, are neither recorded nor remembered.

    Nor is a kept scan that was recorded before, or that has to be told again later.
    """
    if type(command) is Scan:
        return command.mode is ScanMode.LOOK_UP
    if type(command) is Reprice:
        return not command.amounts
    if type(outcome) is Kept:
        return outcome.again
    if type(outcome) is Expired:
        return not outcome.tokens and not outcome.allocations
    return True


class Performance(State):
    """One performance, live.

    Attributes (beyond those of `State`):
        events: Facts decided and not yet taken by `take`, oldest first.
    """

    __slots__ = ("_accepted", "_filed", "_known", "_refused", "events")

    def __init__(self, performance: int, plan: Plan | Layout, settings: Settings) -> None:
        super().__init__(performance, plan, settings)
        self.events: list[Event] = []
        self._filed = 0
        self._known: dict[bytes, Event] = {}
        self._accepted: deque[Event] = deque()
        self._refused: deque[Event] = deque()

    def apply(self, command: Command, at_ms: int) -> Outcome:
        """Decide a command at a time (Unix milliseconds) and make the state agree.

        A known id gets the outcome it got before, or Refused(ID_REUSED) when the
        rest of the command is another; neither is a new fact.
        """
        known = self._known.get(command.id)
        if known is not None:
            return known.outcome if known.command == command else _ID_REUSED
        kind = type(command)
        outcome = _RULES[kind](self, command, at_ms)
        if kind in _MAY_CHANGE_NOTHING and _changes_nothing(command, outcome):
            return outcome
        self._known[command.id] = event = Event(at_ms, command, outcome)
        self.events.append(event)
        return outcome

    def due(self, at_ms: int) -> bool:
        """Has a hold expired, or an allocation: does an Expire belong before the next command?"""
        return at_ms >= self.releases_ms or self.any_expired(at_ms)

    def take(self) -> tuple[list[Event], list[int], list[tuple[int, int]]]:
        """Hand over what happened since the last time, and forget it here.

        Returns:
            The new facts; what stands now at each seat that they touched, as
            `seat << 2 | status`; and the places left now, for the public, in the areas that
            they touched.
        """
        self._file()
        events, self.events, self._filed = self.events, [], 0
        codes, positions = self.codes, self.house.positions
        changes = [
            seat << 2 | PUBLIC_STATUS[codes[positions[seat]]]
            for seat in sorted(set(chain.from_iterable(self.touched)))
        ]
        self.touched.clear()
        areas = [(area, self.public_left(area)) for area in sorted(self.touched_areas)]
        self.touched_areas.clear()
        return events, changes, areas

    def replay(self, events: Iterable[Event]) -> None:
        """Apply recorded facts, without deciding them again, and remember their ids."""
        known, accepted, refused = self._known, self._accepted, self._refused
        for event in events:
            command, outcome = event.command, event.outcome
            known[command.id] = event
            if type(outcome) is Refused:
                refused.append(event)
            else:
                accepted.append(event)
                _EFFECTS[type(command)](self, command, outcome, event.at_ms)
        self._forget()
        # Watchers start from a snapshot of the whole: the past is no news to them.
        self.touched.clear()
        self.touched_areas.clear()

    def statuses(self) -> bytes:
        """The public status of every seat, one byte each, in the order of the plan."""
        return self.house.by_seat(self.codes).translate(PUBLIC_STATUS)

    def areas_left(self) -> list[int]:
        """The places left in every area, for the public."""
        return [self.public_left(area) for area in range(self.house.area_count)]

    def snapshot(self) -> bytes:
        """Everything, and the newest of the remembered ids. Equal states give equal bytes."""
        self._file()
        return dump_state(self, self._accepted, self._refused)

    @classmethod
    def restore(cls, performance: int, plan: Plan | Layout, data: bytes) -> "Performance":
        """The performance of a snapshot made on the same plan.

        Raises:
            SnapshotError: The bytes are not a snapshot of this plan's size and version.
        """
        snapshot = load_snapshot(data)
        restored = cls(performance, plan, snapshot.settings)
        fill_state(restored, snapshot)
        restored._accepted += snapshot.accepted
        restored._refused += snapshot.refused
        remembered = chain(snapshot.accepted, snapshot.refused)
        restored._known = {event.command.id: event for event in remembered}
        restored._forget()
        return restored

    def _file(self) -> None:
        """Put new facts in the order in which their ids are forgotten: `apply` has no time to."""
        new = self.events[self._filed :] if self._filed else self.events
        self._filed = len(self.events)
        self._accepted += [one for one in new if type(one.outcome) is not Refused]
        self._refused += [one for one in new if type(one.outcome) is Refused]
        self._forget()

    def _forget(self) -> None:
        """Keep as many ids as the limits say, the newest."""
        known, accepted, refused = self._known, self._accepted, self._refused
        while len(accepted) > MAX_REMEMBERED_ACCEPTED:
            del known[accepted.popleft().command.id]
        while len(refused) > MAX_REMEMBERED_REFUSED:
            del known[refused.popleft().command.id]
