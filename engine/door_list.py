"""What a machine at a door must know to judge tickets while it is alone, and its judgement.

Owns the door list's shape and the rule that judges by it: the same words in the same order of
precedence as `engine.admission`, by what was known when the list was made and what this machine
has let through since. Pure: the caller has proven the secret, and tells the time.

What it cannot know: a ticket sold or reissued after the list is believed, because its secret
is signed; one refunded or revoked after the list is believed too. The engine judges again when it
hears of it.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.commands import ScanMode, Scanned, ScanOutcome, TicketState
from engine.settings import ReEntry


class Use(Struct, array_like=True, frozen=True, gc=False):
    """A ticket that was used: its first admission, and whether its holder is inside now."""

    at_ms: int
    gate: str
    inside: bool


class DoorGate(Struct, frozen=True):
    """An entrance; `sections` are those admitted there, empty for all."""

    id: str
    name: str
    sections: tuple[int, ...] = ()


class DoorList(Struct, frozen=True):
    """One performance's doors, as of `seq`.

    `places` and `sections` are of the tickets from `first` on: the seat, or -1 - area; and its
    section. `used` is what changed after the seq that was asked for, all of it when
    `whole`; a ticket whose use was taken back has none. `states` and `versions` are always all that
    are not "valid" and 0.
    """

    performance: int
    public_key: str  # hex
    plan: str
    opens_ms: int
    closes_ms: int
    re_entry: ReEntry
    gates: tuple[DoorGate, ...]
    seq: int
    tickets: int
    states: dict[int, TicketState]
    versions: dict[int, int]
    used: dict[int, Use | None]
    whole: bool
    first: int
    places: tuple[int, ...]
    sections: tuple[int, ...]


_STATE_OUTCOMES: Final = {
    TicketState.REVOKED: ScanOutcome.REVOKED,
    TicketState.REFUNDED: ScanOutcome.REFUNDED,
    TicketState.UNPAID: ScanOutcome.UNPAID,
    TicketState.BLOCKED: ScanOutcome.BLOCKED,
}


class Doors:
    """One performance's doors as this machine knows them.

    Attributes:
        listed: The newest list, whose `used`, `places` and `sections` are merged into those here.
        used: By ticket; what this machine let through itself too.
        places: Of the tickets from 1 on.
        sections: Of the same.
    """

    def __init__(self, listed: DoorList) -> None:
        self.listed = listed
        self.used: dict[int, Use] = {}
        self.places: list[int] = []
        self.sections: list[int] = []
        self.update(listed)

    def update(self, listed: DoorList) -> None:
        """Take in a newer list, or part of one."""
        if listed.whole:
            self.used.clear()
        for number, use in listed.used.items():
            if use is None:
                self.used.pop(number, None)
            else:
                self.used[number] = use
        if listed.first <= len(self.places) + 1:
            known = listed.first - 1
            self.places[known:] = listed.places
            self.sections[known:] = listed.sections
        self.listed = replace(listed, used={}, places=(), sections=())

    def judge(
        self, performance: int, ticket: int, version: int, gate: str, mode: ScanMode, at_ms: int
    ) -> Scanned:
        """What to say to a proven secret (`performance` -1 for none). Changes nothing."""
        if performance < 0:
            return Scanned(ScanOutcome.UNKNOWN)
        if performance != self.listed.performance:
            return Scanned(ScanOutcome.WRONG_PERFORMANCE, ticket)
        used = self.used.get(ticket)
        result = self._judge(ticket, version, gate, mode, at_ms)
        if used is None and mode is ScanMode.ADMIT and result is ScanOutcome.ADMITTED:
            used = Use(at_ms, gate, True)
        known = 0 < ticket <= len(self.places)
        place = self.places[ticket - 1] if known else None
        return Scanned(
            result,
            ticket,
            seat=-1 if place is None or place < 0 else place,
            area=-1 if place is None or place >= 0 else -1 - place,
            used_at_ms=0 if used is None else used.at_ms,
            used_gate="" if used is None else used.gate,
        )

    def _judge(
        self, ticket: int, version: int, gate: str, mode: ScanMode, at_ms: int
    ) -> ScanOutcome:
        listed, used = self.listed, self.used.get(ticket)
        if mode is ScanMode.EXIT:
            if used is None:
                return ScanOutcome.TOO_EARLY
            return ScanOutcome.EXITED if used.inside else ScanOutcome.ALREADY_USED
        if version < listed.versions.get(ticket, 0):
            return ScanOutcome.REVOKED
        state = listed.states.get(ticket, TicketState.VALID)
        # A secret that is newer than the list was made after the old one was revoked.
        if state in _STATE_OUTCOMES and version <= listed.versions.get(ticket, 0):
            return _STATE_OUTCOMES[state]
        if used is not None and not _may_come_again(listed.re_entry, used):
            return ScanOutcome.ALREADY_USED
        if not self._is_right_gate(gate, ticket):
            return ScanOutcome.WRONG_GATE
        if at_ms < listed.opens_ms:
            return ScanOutcome.TOO_EARLY
        if listed.closes_ms and at_ms >= listed.closes_ms:
            return ScanOutcome.TOO_LATE
        return ScanOutcome.ADMITTED

    def _is_right_gate(self, gate: str, ticket: int) -> bool:
        if not gate or not self.listed.gates:
            return True
        for one in self.listed.gates:
            if one.id == gate:
                # Where a ticket sold since belongs is not known: it is let in, not kept out.
                unknown = not 0 < ticket <= len(self.sections)
                return not one.sections or unknown or self.sections[ticket - 1] in one.sections
        return False

    def note(self, ticket: int, entry: bool, at_ms: int, gate: str) -> Use:
        """Somebody went in (or out) with this ticket; how it is used now."""
        before = self.used.get(ticket)
        first = (at_ms, gate) if before is None else (before.at_ms, before.gate)
        use = self.used[ticket] = Use(*first, entry)
        return use

    def restore(self, ticket: int, before: Use | None) -> None:
        """It is used as it was before (None: not at all)."""
        if before is None:
            self.used.pop(ticket, None)
        else:
            self.used[ticket] = before

    def whole_list(self) -> DoorList:
        """All that is known here, as a list for others."""
        used: Mapping[int, Use | None] = self.used
        return replace(
            self.listed,
            used=dict(used),
            whole=True,
            first=1,
            places=tuple(self.places),
            sections=tuple(self.sections),
        )


def _may_come_again(policy: ReEntry, used: Use) -> bool:
    return policy is ReEntry.UNLIMITED or (policy is ReEntry.AFTER_EXIT and not used.inside)
