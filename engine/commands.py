"""What can be asked of a performance, and what it can answer.

A command is a request with a caller-made id; an outcome is the reply. The pair
(command, outcome) with its time is the domain event: it is what the journal
keeps, and replaying those pairs in order rebuilds the state without deciding
anything again. Encoded as msgpack arrays whose first element is the tag.

Owns the shapes and the vocabulary of refusals. Knows no rule: those live in
`engine.performance`.

Conventions: seats and areas are dense indices of the plan, `*_ms` are Unix
milliseconds, money is integer minor units of the performance's currency, ids
and tokens are 16 bytes made by the caller.
"""

from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from engine.settings import Settings

ID_BYTES: Final = 16


class Channel(StrEnum):
    """Where a sale is made."""

    WEB = "web"
    BOX_OFFICE = "box_office"
    PHONE = "phone"
    RESELLER = "reseller"


class SeatStatus(IntEnum):
    """What the feed says of a seat; two bits."""

    AVAILABLE = 0
    HELD = 1
    SOLD = 2
    BLOCKED = 3


class TicketState(StrEnum):
    """Life of a ticket, apart from its use at the doors."""

    VALID = "valid"
    UNPAID = "unpaid"
    BLOCKED = "blocked"
    REVOKED = "revoked"
    REFUNDED = "refunded"


class Refusal(StrEnum):
    """Why a command was refused. Listed in order of precedence: the first that applies is given."""

    ID_REUSED = "id_reused"  # the id is known with other content
    MALFORMED = "malformed"  # an index out of the plan, an empty or doubled list, a bad size
    BUSY = "busy"  # over a bound of this performance: try again
    NOT_ADMITTED = "not_admitted"  # a waiting room is open, and it is not this session's turn
    NOT_ON_SALE = "not_on_sale"  # not for this channel now; `detail`: the Unix ms when it begins
    HOLD_UNKNOWN = "hold_unknown"  # no such hold: never made, released, expired or sold
    IN_PAYMENT = "in_payment"  # the hold is at the payment stage and cannot change
    WRONG_ORDER = "wrong_order"  # the hold is in payment for another order
    NOT_IN_HOLD = "not_in_hold"  # a named seat or place is not in this hold
    SEAT_TAKEN = "seat_taken"  # `seats` names those lost
    SEAT_BLOCKED = "seat_blocked"  # not on sale, or kept for another channel
    AREA_BLOCKED = "area_blocked"  # this area is not sold on this channel
    AREA_FULL = "area_full"  # fewer places left than asked
    WHOLE_TABLE = "whole_table"  # this table is sold as a whole
    TOO_MANY_IN_ORDER = "too_many_in_order"
    TOO_MANY_FOR_BUYER = "too_many_for_buyer"
    TOO_MANY_OF_TYPE = "too_many_of_type"
    QUOTA_FULL = "quota_full"  # `detail` names the quota and how many places it has left
    NO_PRICE = "no_price"  # this price type is not sold (now, or here), or not at what was quoted
    ORPHAN = "orphan"  # would leave a single seat alone; `seats` names it
    NONE_LEFT = "none_left"  # best available found nothing that fits
    TICKET_UNKNOWN = "ticket_unknown"
    TICKET_USED = "ticket_used"  # already admitted
    TICKET_STATE = "ticket_state"  # the ticket's state does not allow this
    NOTHING_TO_UNDO = "nothing_to_undo"  # nobody went in or out with this ticket
    SCANNED_ELSEWHERE = "scanned_elsewhere"  # at another gate, by another device
    UNDO_TOO_LATE = "undo_too_late"  # longer ago than can be taken back


class Rung(StrEnum):
    """Which step of the best-available ladder found the seats."""

    ADJACENT = "adjacent"  # side by side in one row, no single seat left alone
    ADJACENT_ORPHAN = "adjacent_orphan"  # side by side, but a single seat stays alone
    SPLIT_NEAR = "split_near"  # nearest split in one section, nobody alone
    SPLIT_SECTIONS = "split_sections"  # across sections, nobody alone where possible
    TABLE = "table"  # at one table
    AREA = "area"  # unnumbered places


class ScanMode(StrEnum):
    """ADMIT burns the ticket, LOOK_UP burns nothing, EXIT checks out.

    MARK is an admission by the ticket's number, from a list on paper: nobody read a secret, and
    neither gate nor time are judged. Operators alone have it.
    """

    ADMIT = "admit"
    LOOK_UP = "look_up"
    EXIT = "exit"
    MARK = "mark"


class ScanOutcome(StrEnum):
    """What a door sees. Listed in order of precedence."""

    UNKNOWN = "UNKNOWN"
    WRONG_PERFORMANCE = "WRONG_PERFORMANCE"
    REVOKED = "REVOKED"
    REFUNDED = "REFUNDED"
    UNPAID = "UNPAID"
    BLOCKED = "BLOCKED"
    ALREADY_USED = "ALREADY_USED"
    WRONG_GATE = "WRONG_GATE"
    TOO_EARLY = "TOO_EARLY"
    TOO_LATE = "TOO_LATE"
    ADMITTED = "ADMITTED"
    EXITED = "EXITED"


class _Command(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    id: bytes


class Hold(_Command, tag="hold", frozen=True):
    """Claim these seats and places, all or nothing, adding to the hold `token`."""

    token: bytes
    holder: str
    channel: Channel
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()  # (area, quantity)


class HoldBest(_Command, tag="best", frozen=True):
    """Claim the best `size` places that pass the filters, as the hold `token`."""

    token: bytes
    holder: str
    channel: Channel
    size: int
    categories: tuple[int, ...] = ()  # empty: any
    sections: tuple[int, ...] = ()  # empty: any
    area: int = -1  # >= 0: places in this area only
    accessible: int = 0  # wheelchair places among `size`
    max_amount: int = -1  # dearest acceptable full price per place, minor units; -1: any


class HoldEqual(_Command, tag="equal", frozen=True):
    """Claim seats that are as good as these, which somebody else has: see `engine.equal`.

    Answered with `Held`, whose seats are in the order of these.
    """

    token: bytes
    holder: str
    channel: Channel
    seats: tuple[int, ...]


class Release(_Command, tag="release", frozen=True):
    """Give back part of a hold, or all of it when nothing is named."""

    token: bytes
    seats: tuple[int, ...] = ()
    areas: tuple[tuple[int, int], ...] = ()


class Basket(_Command, tag="basket", frozen=True):
    """Ask what a hold contains. Changes nothing and is not recorded."""

    token: bytes


class Line(Struct, array_like=True, frozen=True, gc=False):
    """One priced thing in a checkout: a seat (`area` -1) or `quantity` places of an area."""

    seat: int
    area: int
    price_type: str
    quantity: int = 1


class Checkout(_Command, tag="checkout", frozen=True):
    """Price the whole hold, lock it for `order` and extend it, once, into payment.

    It is sold in `channel`; None: in the one that it is held in.
    """

    token: bytes
    order: str
    buyer: str  # whom per-buyer limits count for: a normalised e-mail, or the session
    lines: tuple[Line, ...]
    instead: tuple[int, ...] = ()  # tickets of the order that these places are exchanged for
    channel: Channel | None = None


class Reopen(_Command, tag="reopen", frozen=True):
    """Payment was given up: the hold can change again; its expiry stays."""

    token: bytes
    order: str


class Sell(_Command, tag="sell", frozen=True):
    """The hold checked out for `order` becomes tickets, one per seat or place."""

    token: bytes
    order: str
    paid: bool = True


class Refund(_Command, tag="refund", frozen=True):
    """End these tickets of an order; their seats go back on sale."""

    order: str
    tickets: tuple[int, ...]


class SetTickets(_Command, tag="set_tickets", frozen=True):
    """Block, unblock, mark paid, or revoke (which raises the version: the old secret is void)."""

    tickets: tuple[int, ...]
    state: TicketState
    reason: str


class Reissue(_Command, tag="reissue", frozen=True):
    """New secrets for tickets of an order: their versions rise, and what was printed is void.

    Answered with `TicketsSet`. Only valid tickets are: others admit nobody as they are.
    """

    order: str
    tickets: tuple[int, ...]


class Reprice(_Command, tag="reprice", frozen=True):
    """Another price type for tickets of an order, which keep their places and numbers.

    Their versions rise, because the price stands on what was printed. `amounts` is what was quoted
    for each ticket: without them this asks for a quote, which changes nothing and is not recorded.
    """

    order: str
    channel: Channel
    tickets: tuple[tuple[int, str], ...]  # (number, price type)
    priced_ms: int  # prices are those of this time, so that what was quoted is what is paid
    amounts: tuple[int, ...] = ()


class Block(_Command, tag="block", frozen=True):
    """Take free seats and places off sale, for everybody."""

    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]
    reason: str


class Unblock(_Command, tag="unblock", frozen=True):
    """Put blocked seats and places back on sale."""

    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]


class Allocate(_Command, tag="allocate", frozen=True):
    """Keep free seats for some channels under a name; no seats: release the allocation.

    The channels and the time at which all of it is released by itself (0: none) replace those
    that it had; seats that it has already may be among them. With `back` these seats are
    released, and nothing else changes.
    """

    name: str
    channels: tuple[Channel, ...]
    seats: tuple[int, ...]
    release_ms: int = 0
    back: bool = False


class Configure(_Command, tag="configure", frozen=True):
    """Replace the performance's settings."""

    settings: Settings


class Scan(_Command, tag="scan", frozen=True):
    """A ticket is presented at a gate. The shell has already verified its secret.

    A `reason` makes an admission an override; whoever asks may do that.
    """

    gate: str
    device: str
    performance: int  # that the secret names; -1 when the secret is forged or unreadable
    ticket: int
    version: int
    mode: ScanMode
    reason: str = ""


class UndoScan(_Command, tag="undo_scan", frozen=True):
    """The turnstile did not turn: take back this ticket's last admission or exit.

    Only what was scanned at this gate or by this device, unless `anywhere`.
    """

    ticket: int
    gate: str
    device: str
    anywhere: bool = False


class KeptScan(_Command, tag="kept_scan", frozen=True):
    """What a device decided while it was alone, told afterwards.

    `sequence` numbers the device's scans; `scanned_ms` is its clock, `shown` what it said to
    whoever stood there. The rest is as in `Scan`.
    """

    gate: str
    device: str
    performance: int
    ticket: int
    version: int
    mode: ScanMode
    sequence: int
    scanned_ms: int
    shown: ScanOutcome


class CountInside(_Command, tag="inside", frozen=True):
    """Ask how many are inside. Changes nothing and is not recorded."""


class ListConflicts(_Command, tag="conflicts", frozen=True):
    """Ask which tickets let two people in, from the one after `after` on.

    Changes nothing and is not recorded.
    """

    after: int = 0


class ListAllocations(_Command, tag="allocations", frozen=True):
    """Ask what is kept for whom; of the one that is named with its seats.

    Changes nothing and is not recorded.
    """

    name: str = ""


class CountQuotas(_Command, tag="quotas", frozen=True):
    """Ask how full the quotas are. Changes nothing and is not recorded."""


class Expire(_Command, tag="expire", frozen=True):
    """Time has passed: end every hold, and release every allocation, whose time is over now."""


Command = (
    Hold
    | HoldBest
    | HoldEqual
    | Release
    | Basket
    | Checkout
    | Reopen
    | Sell
    | Refund
    | SetTickets
    | Reissue
    | Reprice
    | Block
    | Unblock
    | Allocate
    | Configure
    | Scan
    | UndoScan
    | KeptScan
    | CountInside
    | ListConflicts
    | ListAllocations
    | CountQuotas
    | Expire
)


class _Outcome(Struct, array_like=True, frozen=True, gc=False):
    pass


class Refused(_Outcome, tag="refused", frozen=True):
    """Nothing changed."""

    code: Refusal
    seats: tuple[int, ...] = ()
    detail: str = ""


class Held(_Outcome, tag="held", frozen=True):
    """The seats and places that this command added, and when the whole hold ends."""

    token: bytes
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]
    expires_ms: int
    rung: Rung | None = None  # best available only


class Released(_Outcome, tag="released", frozen=True):
    token: bytes
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]


class BasketIs(_Outcome, tag="basket_is", frozen=True):
    """The whole hold; `order` is set while it is in payment."""

    token: bytes
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]
    expires_ms: int
    order: str = ""


class QuotedFee(Struct, array_like=True, frozen=True, gc=False):
    """What a fee comes to for each place of a line of the checkout, or for all of it (`line` -1).

    `fixed` is the part of `amount` that is no share of the prices. It is charged for these `ways`
    to pay or to deliver alone; with none named, always. `tax_bp` as in `Quoted.rates`.
    """

    fee: str
    kind: str  # of engine.settings.FeeKind
    amount: int
    fixed: int
    line: int
    ways: tuple[str, ...] = ()
    absorbed: bool = False
    refundable: bool = True
    tax_bp: int | None = None


class Quoted(_Outcome, tag="quoted", frozen=True):
    """What places cost. `amounts` are per place, aligned with the command's lines or tickets.

    `total` is that of the places; `fees` come to it. `rates` are the VAT in the amounts, in
    hundredths of a percent, None for the house's; () where it is the house's for all.
    """

    order: str
    amounts: tuple[int, ...]
    total: int  # sum of amount x quantity, minor units
    currency: str
    expires_ms: int
    fees: tuple[QuotedFee, ...] = ()
    rates: tuple[int | None, ...] = ()


class Reopened(_Outcome, tag="reopened", frozen=True):
    order: str


class Ticket(Struct, array_like=True, frozen=True, gc=False):
    """A ticket as sold: `seat` -1 for a place in `area`, `area` -1 for a seat."""

    number: int
    seat: int
    area: int
    price_type: str
    amount: int
    version: int = 0


class Sold(_Outcome, tag="sold", frozen=True):
    order: str
    tickets: tuple[Ticket, ...]
    state: TicketState = TicketState.VALID


class Refunded(_Outcome, tag="refunded", frozen=True):
    """`amount` is the sum of the tickets' amounts."""

    order: str
    tickets: tuple[int, ...]
    amount: int


class TicketsSet(_Outcome, tag="tickets_set", frozen=True):
    tickets: tuple[tuple[int, int], ...]  # (number, version now)
    state: TicketState


class Repriced(_Outcome, tag="repriced", frozen=True):
    """The tickets as they are now, with their new versions."""

    order: str
    tickets: tuple[Ticket, ...]


class Blocked(_Outcome, tag="blocked", frozen=True):
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]


class Unblocked(_Outcome, tag="unblocked", frozen=True):
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]


class Allocated(_Outcome, tag="allocated", frozen=True):
    name: str
    seats: tuple[int, ...]


class Configured(_Outcome, tag="configured", frozen=True):
    pass


class Scanned(_Outcome, tag="scanned", frozen=True):
    """`used_*` tell the first admission where there was one; to who left twice, the last exit."""

    result: ScanOutcome
    ticket: int = -1
    seat: int = -1
    area: int = -1
    price_type: str = ""
    order: str = ""
    used_at_ms: int = 0
    used_gate: str = ""


class Undone(_Outcome, tag="undone", frozen=True):
    """An admission (`mode` admit) or an exit is taken back. `inside`: is the ticket, now?

    The rest tells which: `sequence` is -1 but for a scan that its device kept.
    """

    ticket: int
    mode: ScanMode
    inside: bool
    gate: str
    device: str
    sequence: int


class Kept(_Outcome, tag="kept", frozen=True):
    """A kept scan is recorded. `result` is what the engine would have said.

    Attributes:
        ticket: -1 for none of this performance.
        conflict: This ticket let in twice, and this scan is one of the two.
        inside: The ticket is, by all that is known now.
        again: It was recorded before, and is not recorded twice.
    """

    result: ScanOutcome
    ticket: int
    conflict: bool
    inside: bool = False
    again: bool = False


class Alarm(StrEnum):
    """How near a gate's capacity is."""

    NONE = "none"
    NEAR = "near"
    FULL = "full"


class GateInside(Struct, array_like=True, frozen=True, gc=False):
    """A gate: who came in by it and is inside, and all who are inside its sections (its zone)."""

    gate: str
    inside: int
    zone: int
    capacity: int  # of the zone; 0: not watched
    alarm: Alarm


class InsideIs(_Outcome, tag="inside_is", frozen=True):
    """How many tickets are inside: all, by gate, and by (plan section, tickets)."""

    total: int
    gates: tuple[GateInside, ...]
    sections: tuple[tuple[int, int], ...]


class DoubleEntry(Struct, array_like=True, frozen=True, gc=False):
    """Admissions of one ticket of which only the first, the winner, had a right to be.

    `entries` are (device, gate, at_ms, sequence), earliest first; sequence -1: not kept.
    """

    ticket: int
    seat: int
    area: int
    entries: tuple[tuple[str, str, int, int], ...]


class ConflictsAre(_Outcome, tag="conflicts_are", frozen=True):
    """By ticket number, each with all of its own; `more` says that others come after the last."""

    conflicts: tuple[DoubleEntry, ...]
    more: bool = False


class AllocationUse(Struct, array_like=True, frozen=True, gc=False):
    """How many seats an allocation has, and where they are: `left` are free for its channels.

    What is in neither count is blocked. `named` are the seats, where they were asked for.
    """

    name: str
    channels: tuple[Channel, ...]
    release_ms: int
    seats: int
    left: int
    held: int
    sold: int
    named: tuple[int, ...] = ()


class AllocationsAre(_Outcome, tag="allocations_are", frozen=True):
    """By name. `surplus` are the seats that tills alone sell, `areas` such areas: (area, left)."""

    allocations: tuple[AllocationUse, ...]
    surplus: AllocationUse
    areas: tuple[tuple[int, int], ...] = ()


class QuotaUse(Struct, array_like=True, frozen=True, gc=False):
    """A quota's limit, and the places that count; more than the limit if that was lowered."""

    id: str
    limit: int
    used: int


class QuotasAre(_Outcome, tag="quotas_are", frozen=True):
    """In the order of the settings."""

    quotas: tuple[QuotaUse, ...]


class Expired(_Outcome, tag="expired", frozen=True):
    """The holds that ended, and the names of the allocations that were released."""

    tokens: tuple[bytes, ...]
    allocations: tuple[str, ...] = ()


Outcome = (
    Refused
    | Held
    | Released
    | BasketIs
    | Quoted
    | Reopened
    | Sold
    | Refunded
    | TicketsSet
    | Repriced
    | Blocked
    | Unblocked
    | Allocated
    | Configured
    | Scanned
    | Undone
    | Kept
    | InsideIs
    | ConflictsAre
    | AllocationsAre
    | QuotasAre
    | Expired
)


class Event(Struct, array_like=True, frozen=True, gc=False):
    """A recorded fact: what was asked, when it was decided, what was answered."""

    at_ms: int
    command: Command
    outcome: Outcome
