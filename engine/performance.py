"""The single writer of one performance: commands in, outcomes out, facts remembered.

Owns the dispatch from a command to its rule, the memory of ids that makes
commands idempotent, and the replay of recorded facts. The rules themselves live
in `engine.holding`, `engine.best`, `engine.selling`, `engine.keeping` and
`engine.admission`; the values they share in `engine.state`.

Pure and synchronous: no clock, no randomness, no input or output. Time comes
with each command. Nothing that a caller sends makes `apply` raise: what a user
can cause is a `Refused`.

A rule is a pair. `decide` reads the state and answers, refusals first; below
the marked line in `apply` its `do` makes the state agree, and cannot fail.
Replay runs `do` alone on what was recorded, so that what was decided once is
never decided again.
"""

from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any, Final

from engine.admission import decide_scan, do_scan
from engine.best import decide_best
from engine.commands import (
    Allocate,
    Basket,
    Block,
    Checkout,
    Command,
    Configure,
    Event,
    Expire,
    Expired,
    Hold,
    HoldBest,
    Outcome,
    Refund,
    Refusal,
    Refused,
    Release,
    Reopen,
    Scan,
    ScanMode,
    Sell,
    SetTickets,
    Unblock,
)
from engine.holding import (
    decide_basket,
    decide_expire,
    decide_hold,
    decide_release,
    do_expire,
    do_hold,
    do_release,
)
from engine.house import PUBLIC_STATUS
from engine.keeping import (
    decide_allocate,
    decide_block,
    decide_configure,
    decide_unblock,
    do_allocate,
    do_block,
    do_configure,
    do_unblock,
)
from engine.limits import MAX_REMEMBERED_ACCEPTED, MAX_REMEMBERED_REFUSED
from engine.plan import Plan
from engine.selling import (
    decide_checkout,
    decide_refund,
    decide_reopen,
    decide_sell,
    decide_set_tickets,
    do_checkout,
    do_refund,
    do_reopen,
    do_sell,
    do_set_tickets,
)
from engine.settings import Settings
from engine.snapshot import Fact, dump_state, fill_state, load_snapshot
from engine.state import State

Rule = tuple[Callable[[State, Any, int], Outcome], Callable[[State, Any, Any, int], None]]


def _do_nothing(state: State, command: Basket, outcome: Outcome, at_ms: int) -> None:
    pass


_RULES: Final[dict[type, Rule]] = {
    Hold: (decide_hold, do_hold),
    HoldBest: (decide_best, do_hold),
    Release: (decide_release, do_release),
    Basket: (decide_basket, _do_nothing),
    Checkout: (decide_checkout, do_checkout),
    Reopen: (decide_reopen, do_reopen),
    Sell: (decide_sell, do_sell),
    Refund: (decide_refund, do_refund),
    SetTickets: (decide_set_tickets, do_set_tickets),
    Block: (decide_block, do_block),
    Unblock: (decide_unblock, do_unblock),
    Allocate: (decide_allocate, do_allocate),
    Configure: (decide_configure, do_configure),
    Scan: (decide_scan, do_scan),
    Expire: (decide_expire, do_expire),
}

_ID_REUSED: Final = Refused(Refusal.ID_REUSED)
_MAY_CHANGE_NOTHING: Final = frozenset({Basket, Scan, Expire})


def _changes_nothing(command: Command, outcome: Outcome) -> bool:
    """Questions, and an expiry with nothing due, are neither recorded nor remembered."""
    if type(command) is Scan:
        return command.mode is ScanMode.LOOK_UP
    if type(outcome) is Expired:
        return not outcome.tokens
    return True


class Performance(State):
    """One performance, live.

    Attributes (beyond those of `State`):
        events: Facts decided and not yet taken by `take`, oldest first.
    """

    def __init__(self, performance: int, plan: Plan, settings: Settings) -> None:
        super().__init__(performance, plan, settings)
        self.events: list[Fact] = []
        self._known: dict[bytes, Fact] = {}
        self._accepted: deque[Fact] = deque()
        self._refused: deque[Fact] = deque()

    def apply(self, command: Command, at_ms: int) -> Outcome:
        """Decide a command at a time (Unix milliseconds) and make the state agree.

        A known id gets the outcome it got before, or Refused(ID_REUSED) when the
        rest of the command is another; neither is a new fact.
        """
        known = self._known.get(command.id)
        if known is not None:
            return known[2] if known[1] == command else _ID_REUSED
        kind = type(command)
        decide, do = _RULES[kind]
        outcome = decide(self, command, at_ms)
        if kind in _MAY_CHANGE_NOTHING and _changes_nothing(command, outcome):
            return outcome
        # ---- decided: nothing below this line can refuse or fail ----
        fact = (at_ms, command, outcome)
        if type(outcome) is not Refused:
            do(self, command, outcome, at_ms)
        self._remember(fact)
        self.events.append(fact)
        return outcome

    def due(self, at_ms: int) -> bool:
        """Has some hold expired, so that an Expire belongs before the next command?"""
        return self.any_expired(at_ms)

    def take(self) -> tuple[list[Fact], list[int], list[tuple[int, int]]]:
        """Hand over what happened since the last time, and forget it here.

        Returns:
            The new facts; the seat changes, each `seat << 2 | status`, in order; and
            the changed areas with the places that they have left now.
        """
        events, self.events = self.events, []
        changes, self.changes = self.changes, []
        areas = [(area, self.area_free[area]) for area in sorted(self.area_changes)]
        self.area_changes = set()
        return events, changes, areas

    def replay(self, event: Event) -> None:
        """Apply a recorded fact, without deciding it again, and remember its id."""
        command, outcome = event.command, event.outcome
        if type(outcome) is not Refused:
            _RULES[type(command)][1](self, command, outcome, event.at_ms)
        self._remember((event.at_ms, command, outcome))
        # Watchers start from a snapshot of the whole: the past is no news to them.
        self.changes.clear()
        self.area_changes.clear()

    def statuses(self) -> bytes:
        """The public status of every seat, one byte each, in the order of the plan."""
        return self.house.by_seat(self.codes).translate(PUBLIC_STATUS)

    def snapshot(self) -> bytes:
        """Everything, remembered ids included. Equal states give equal bytes."""
        return dump_state(self, self._accepted, self._refused)

    @classmethod
    def restore(cls, performance: int, plan: Plan, data: bytes) -> "Performance":
        """The performance of a snapshot made on the same plan.

        Raises:
            SnapshotError: The bytes are not a snapshot of this plan's size and version.
        """
        snapshot = load_snapshot(data, plan)
        restored = cls(performance, plan, snapshot.settings)
        fill_state(restored, snapshot)
        for event in chain(snapshot.accepted, snapshot.refused):
            restored._remember((event.at_ms, event.command, event.outcome))
        return restored

    def _remember(self, fact: Fact) -> None:
        if type(fact[2]) is Refused:
            memory, most = self._refused, MAX_REMEMBERED_REFUSED
        else:
            memory, most = self._accepted, MAX_REMEMBERED_ACCEPTED
        memory.append(fact)
        if len(memory) > most:
            del self._known[memory.popleft()[1].id]
        self._known[fact[1].id] = fact
