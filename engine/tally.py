"""A performance in figures, folded from its journal.

What a supervisor watches live and what is replayed of a past performance are
the same events in the same order, so they are counted here, once, for both.
Fold from the first event on: a sale knows its channel from the hold that it
began as.

Owns the counting and its bounds. Decides nothing, and knows neither where the
events come from nor how the figures are shown. Sales follow the tickets: what
was refunded is in no `sold` and no `amount`, but in figures of its own.

Everything is bounded: buckets of time and names by the constants below, holds
by `engine.limits.MAX_HOLDS`, and each ticket ever sold takes eleven bytes.
"""

from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from engine.commands import (
    Blocked,
    Event,
    Expired,
    Held,
    Hold,
    HoldBest,
    Kept,
    KeptScan,
    Outcome,
    Quoted,
    Refunded,
    Refused,
    Released,
    Reopen,
    Reopened,
    Reprice,
    Repriced,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
    Sold,
    Unblocked,
    Undone,
    UndoScan,
)

MINUTE_MS: Final = 60_000
MAX_MINUTES: Final = 24 * 60
"""Minutes kept one by one, the newest."""
MAX_STRETCHES: Final = 512
"""Buckets over the whole sale; when it grows longer, each comes to mean twice the time."""
MAX_NAMES: Final = 250
"""Price types, and gates, counted by name; those beyond are counted together as OTHER."""
OTHER: Final = "*"

_LET_THROUGH: Final = frozenset({ScanOutcome.ADMITTED, ScanOutcome.EXITED})


class Share(Struct):
    """What was sold under one name. Amounts in minor units; refunds are not in `sold`."""

    sold: int = 0
    amount: int = 0
    refunded: int = 0
    refunded_amount: int = 0


class Minute(Struct):
    """What happened within one minute. `sold` counts tickets, refunded later or not."""

    sold: int = 0
    amount: int = 0
    refunded: int = 0
    held: int = 0  # holds opened
    refused: int = 0
    admitted: int = 0


class Holds(Struct):
    """Holds: those alive, their places, and what became of the others."""

    alive: int = 0
    places: int = 0
    in_payment: int = 0
    opened: int = 0
    sold: int = 0
    released: int = 0
    expired: int = 0


class Figures(Struct, frozen=True):
    """All totals at one moment. `blocked` are places off sale; times are Unix milliseconds."""

    events: int
    first_ms: int
    last_ms: int
    total: Share
    price_types: dict[str, Share]
    channels: dict[str, Share]
    holds: Holds
    blocked: int
    refusals: dict[str, int]
    gates: dict[str, dict[str, int]]  # gate -> scan outcome -> presentations
    admitted: int  # what a device let in while it was alone among them, what was undone not
    turned_away: int
    inside: int  # tickets
    peak_minute_ms: int  # the minute with the most tickets sold, its beginning
    peak_sold: int


class Series:
    """Counts over a time of any length, in at most MAX_STRETCHES stretches of one width."""

    __slots__ = ("counts", "start_ms", "width_ms")

    def __init__(self) -> None:
        self.start_ms = 0
        self.width_ms = MINUTE_MS
        self.counts: list[int] = []

    def add(self, at_ms: int, count: int) -> None:
        """Count at a time; what comes before the first stretch is counted in it."""
        if not self.counts:
            self.start_ms = at_ms - at_ms % self.width_ms
        index = max(0, at_ms - self.start_ms) // self.width_ms
        while index >= MAX_STRETCHES:
            counts = self.counts
            self.counts = [sum(counts[two : two + 2]) for two in range(0, len(counts), 2)]
            self.width_ms *= 2
            index //= 2
        if index >= len(self.counts):
            self.counts += [0] * (index + 1 - len(self.counts))
        self.counts[index] += count


class _Hold:
    __slots__ = ("channel", "in_payment", "places")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.places = 0
        self.in_payment = False


class Tally:
    """The figures so far. `fold` every event once, in the journal's order.

    Attributes:
        minutes: The newest MAX_MINUTES, by their number (Unix minutes); quiet ones are absent.
        sales: Tickets sold over the whole sale.
    """

    def __init__(self) -> None:
        self.events = 0
        self.first_ms = self.last_ms = 0
        self.minutes: dict[int, Minute] = {}
        self.sales = Series()
        self._total = Share()
        self._price_types: dict[str, Share] = {}
        self._channels: dict[str, Share] = {}
        self._counts = Holds()
        self._blocked = 0
        self._refusals: Counter[str] = Counter()
        self._gates: dict[str, Counter[str]] = {}
        self._peak = (0, 0)  # (tickets, minute)
        self._newest = 0
        self._holds: dict[bytes, _Hold] = {}
        # By ticket number: whether it is inside, what it cost, and which pair of shares it was
        # counted in.
        self._inside = bytearray()
        self._amounts = array("q")
        self._kinds = array("H")
        self._pairs: list[tuple[Share, Share]] = []
        self._channel_of: list[str] = []
        self._pair_of: dict[tuple[str, str], int] = {}

    def fold(self, event: Event) -> None:
        """Count one event."""
        at_ms = event.at_ms
        self.events += 1
        if self.events == 1:
            self.first_ms = at_ms
        self.last_ms = at_ms
        count = _COUNTED.get(type(event.outcome))
        if count is not None:
            count(self, event.command, event.outcome, at_ms)

    def figures(self) -> Figures:
        """The totals now. Values of their own: folding on does not change them."""
        counts, total = self._counts, self._total
        admitted = turned_away = 0
        for outcomes in self._gates.values():
            for outcome, presented in outcomes.items():
                if outcome == ScanOutcome.ADMITTED.value:
                    admitted += presented
                elif outcome not in _LET_THROUGH:
                    turned_away += presented
        return Figures(
            events=self.events,
            first_ms=self.first_ms,
            last_ms=self.last_ms,
            total=_copy(total),
            price_types={name: _copy(share) for name, share in self._price_types.items()},
            channels={name: _copy(share) for name, share in self._channels.items()},
            holds=Holds(
                len(self._holds),
                counts.places,
                counts.in_payment,
                counts.opened,
                counts.sold,
                counts.released,
                counts.expired,
            ),
            blocked=self._blocked,
            refusals=dict(self._refusals),
            gates={gate: dict(outcomes) for gate, outcomes in self._gates.items()},
            admitted=admitted,
            turned_away=turned_away,
            inside=self._inside.count(1),
            peak_minute_ms=self._peak[1] * MINUTE_MS,
            peak_sold=self._peak[0],
        )

    def last_minutes(self, until_ms: int, count: int) -> list[Minute]:
        """The `count` minutes that end with the one `until_ms` is in, the oldest first."""
        last = until_ms // MINUTE_MS
        get = self.minutes.get
        return [get(number) or Minute() for number in range(last - count + 1, last + 1)]

    # What each outcome means ------------------------------------------------------

    def _minute(self, at_ms: int) -> Minute:
        number = at_ms // MINUTE_MS
        if number > self._newest:
            self._newest = number
            oldest = number - MAX_MINUTES
            if len(self.minutes) >= MAX_MINUTES:
                self.minutes = {at: one for at, one in self.minutes.items() if at > oldest}
        minute = self.minutes.get(number)
        if minute is None:
            minute = Minute()
            if number > self._newest - MAX_MINUTES:
                self.minutes[number] = minute
        return minute

    def _refused(self, command: Any, refused: Refused, at_ms: int) -> None:
        self._refusals[refused.code.value] += 1
        self._minute(at_ms).refused += 1

    def _held(self, command: Hold | HoldBest, held: Held, at_ms: int) -> None:
        hold = self._holds.get(held.token)
        if hold is None:
            hold = self._holds[held.token] = _Hold(command.channel.value)
            self._counts.opened += 1
            self._minute(at_ms).held += 1
        self._move(hold, _places(held))

    def _move(self, hold: _Hold, places: int) -> None:
        hold.places += places
        self._counts.places += places

    def _pay(self, hold: _Hold, in_payment: bool) -> None:
        self._counts.in_payment += int(in_payment) - int(hold.in_payment)
        hold.in_payment = in_payment

    def _end(self, token: bytes) -> _Hold:
        hold = self._holds.pop(token)
        self._move(hold, -hold.places)
        self._pay(hold, False)
        return hold

    def _released(self, command: Any, released: Released, at_ms: int) -> None:
        hold = self._holds[released.token]
        self._move(hold, -_places(released))
        if not hold.places:
            self._end(released.token)
            self._counts.released += 1

    def _expired(self, command: Any, expired: Expired, at_ms: int) -> None:
        for token in expired.tokens:
            self._end(token)
        self._counts.expired += len(expired.tokens)

    def _quoted(self, command: Any, quoted: Quoted, at_ms: int) -> None:
        hold = self._holds[command.token]
        if command.channel is not None:
            hold.channel = command.channel.value
        self._pay(hold, True)

    def _reopened(self, command: Reopen, reopened: Reopened, at_ms: int) -> None:
        self._pay(self._holds[command.token], False)

    def _sold(self, command: Sell, sold: Sold, at_ms: int) -> None:
        channel = self._end(command.token).channel
        self._counts.sold += 1
        minute, total = self._minute(at_ms), self._total
        for ticket in sold.tickets:
            kind = self._kind(ticket.price_type, channel)
            self._amounts.append(ticket.amount)
            self._kinds.append(kind)
            for share in (total, *self._pairs[kind]):
                share.sold += 1
                share.amount += ticket.amount
            minute.amount += ticket.amount
        self._inside += bytes(len(sold.tickets))
        minute.sold += len(sold.tickets)
        self.sales.add(at_ms, len(sold.tickets))
        if minute.sold > self._peak[0]:
            self._peak = (minute.sold, at_ms // MINUTE_MS)

    def _kind(self, price_type: str, channel: str) -> int:
        """Where tickets of this price type and channel are counted, as an index of `_pairs`."""
        name = _known(price_type, self._price_types)
        kind = self._pair_of.get((name, channel))
        if kind is None:
            kind = self._pair_of[name, channel] = len(self._pairs)
            share = self._price_types.setdefault(name, Share())
            self._pairs.append((share, self._channels.setdefault(channel, Share())))
            self._channel_of.append(channel)
        return kind

    def _refunded(self, command: Any, refunded: Refunded, at_ms: int) -> None:
        for number in refunded.tickets:
            amount = self._amounts[number - 1]
            for share in (self._total, *self._pairs[self._kinds[number - 1]]):
                share.sold -= 1
                share.amount -= amount
                share.refunded += 1
                share.refunded_amount += amount
        self._minute(at_ms).refunded += len(refunded.tickets)

    def _repriced(self, command: Reprice, repriced: Repriced, at_ms: int) -> None:
        """Sold all along, and counted under its new price type, in the channel that sold it."""
        for ticket in repriced.tickets:
            at = ticket.number - 1
            old = self._kinds[at]
            kind = self._kind(ticket.price_type, self._channel_of[old])
            for shares, amount, one in (
                (self._pairs[old], -self._amounts[at], -1),
                (self._pairs[kind], ticket.amount, +1),
            ):
                for share in (self._total, *shares):
                    share.sold += one
                    share.amount += amount
            self._amounts[at], self._kinds[at] = ticket.amount, kind

    def _scanned(self, command: Scan, scanned: Scanned, at_ms: int) -> None:
        result = scanned.result
        self._at_gate(command.gate, result, 1)
        if result in _LET_THROUGH:
            self._inside[scanned.ticket - 1] = result is ScanOutcome.ADMITTED
        if result is ScanOutcome.ADMITTED:
            self._minute(at_ms).admitted += 1

    def _kept(self, command: KeptScan, kept: Kept, at_ms: int) -> None:
        """A ticket of ours is counted as it was shown at the door, in the minute when that was."""
        if command.mode is ScanMode.LOOK_UP:
            return
        if kept.ticket < 0:
            self._at_gate(command.gate, kept.result, 1)
            return
        self._at_gate(command.gate, command.shown, 1)
        self._inside[kept.ticket - 1] = kept.inside
        if command.shown is ScanOutcome.ADMITTED:
            self._minute(min(command.scanned_ms, at_ms)).admitted += 1

    def _undone(self, command: UndoScan, undone: Undone, at_ms: int) -> None:
        entry = undone.mode is ScanMode.ADMIT
        self._at_gate(undone.gate, ScanOutcome.ADMITTED if entry else ScanOutcome.EXITED, -1)
        self._inside[undone.ticket - 1] = undone.inside

    def _at_gate(self, name: str, result: ScanOutcome, count: int) -> None:
        gate = _known(name, self._gates)
        self._gates.setdefault(gate, Counter())[result.value] += count

    def _off_sale(self, command: Any, blocked: Blocked, at_ms: int) -> None:
        self._blocked += _places(blocked)

    def _on_sale(self, command: Any, unblocked: Unblocked, at_ms: int) -> None:
        self._blocked -= _places(unblocked)


_COUNTED: Final[dict[type[Outcome], Callable[[Tally, Any, Any, int], None]]] = {
    Refused: Tally._refused,
    Held: Tally._held,
    Released: Tally._released,
    Expired: Tally._expired,
    Quoted: Tally._quoted,
    Reopened: Tally._reopened,
    Sold: Tally._sold,
    Refunded: Tally._refunded,
    Repriced: Tally._repriced,
    Scanned: Tally._scanned,
    Kept: Tally._kept,
    Undone: Tally._undone,
    Blocked: Tally._off_sale,
    Unblocked: Tally._on_sale,
}
"""What is not here changes no figure."""


def _places(outcome: Held | Released | Blocked | Unblocked) -> int:
    return len(outcome.seats) + sum(quantity for _, quantity in outcome.areas)


def _known(name: str, names: dict[str, Any]) -> str:
    """The name to count under."""
    return name if name in names or len(names) < MAX_NAMES else OTHER


def _copy(share: Share) -> Share:
    return Share(share.sold, share.amount, share.refunded, share.refunded_amount)
