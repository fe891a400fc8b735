"""A till session: an open shift at a cash desk, from its float to its count.

Owns what a session is, what may be done with it, and what should be in its drawer. The expected
sum is never counted up on the way: it is reckoned, whenever somebody asks, from the float, the
movements and the payments that name the session. A closed session is never changed.

Money is integer minor units of the session's currency. `OrderDesk` and the store of orders see
to it that a payment names an open session (`docs/tills.md`).
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from engine.commands import ID_BYTES
from engine.currency import DENOMINATIONS, cash_rounded, checked_currency
from engine.limits import MAX_TEXT_CHARS
from engine.orders import Order
from engine.payments import PaymentMethod

MAX_TILL_CHARS: Final = 40
MAX_ENTRIES_PER_SESSION: Final = 1_000
"""Movements and counts of one session."""
MAX_TILL_AMOUNT: Final = 10**12
"""Of a float, a movement or a count, in minor units."""
MAX_PIECES: Final = 1_000_000
"""Coins or notes of one kind in a count."""
ENTRY_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)

Pieces = tuple[tuple[int, int], ...]
"""What was counted: pairs of a denomination in minor units and how many of it."""


def till_key(till: str) -> str:
    """A till's name as it is compared: without its capitals."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", till.strip()).casefold())


class TillSessionClosed(Exception):
    """Orders that would bring money into a closed session, or out of it. Nothing was saved."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        super().__init__(f"their till session is closed: {', '.join(sorted(self.ids))}")


class AtTill(Struct, frozen=True):
    """Where somebody takes money by hand, or hands it back: the server finds it, no client.

    `session` is the person's open one, "" for none; `required` is the house's wish.
    """

    session: str = ""
    currency: str = ""
    required: bool = False

    def session_for(self, currency: str) -> str | None:
        """The session that money of a currency belongs to, "" for none; None: it may not move."""
        if self.session and self.currency == currency:
            return self.session
        return None if self.required else ""


NO_TILL: Final = AtTill()


class EntryKind(StrEnum):
    IN = "in"  # cash put into the drawer
    OUT = "out"  # cash taken out of it
    COUNT = "count"  # looked at, and nothing moved


class TillRefusal(StrEnum):
    """Why a session was not opened, changed or closed. Nothing was done."""

    TILL_UNKNOWN = "till_unknown"  # there is no such session
    TILL_TAKEN = "till_taken"  # a session is open at this till, `detail` is whose
    TILL_OPEN = "till_open"  # this operator has a session open, `detail` is where
    TILL_CLOSED = "till_closed"  # it is closed, and stays as it is
    TILL_BUSY = "till_busy"  # an order is being sold or refunded in it, `detail` is its number
    TILL_FULL = "till_full"  # it has as many movements and counts as it can
    DIFFERENCE_UNEXPLAINED = "difference_unexplained"  # `detail` is the difference
    ID_REUSED = "id_reused"
    MALFORMED = "malformed"


class TillRefused(Struct, frozen=True):
    code: TillRefusal
    detail: str = ""


class OpenTill(Struct, frozen=True):
    """Begin a shift. `id` is 32 hex digits made by the caller."""

    id: str
    till: str
    currency: str
    opening_float: int
    operator: str


class AddEntry(Struct, frozen=True):
    """Move cash (`amount`, `reason`), or count it (`amount` or `pieces`, as its currency is)."""

    id: str
    kind: EntryKind
    operator: str
    amount: int = 0
    reason: str = ""
    pieces: Pieces = ()


class CloseTill(Struct, frozen=True):
    """End a shift. What was counted is in `pieces`, or in `amount` where no coins are known."""

    id: str
    operator: str
    amount: int = 0
    pieces: Pieces = ()
    explanation: str = ""


class Closing(Struct, frozen=True):
    """How a session ended: for good. `amount` was counted, `expected` should have been there.

    A negative `difference`: something is missing.
    """

    id: str
    amount: int
    expected: int
    difference: int
    pieces: Pieces
    explanation: str
    operator: str
    at_ms: int


class TillSession(Struct, frozen=True):
    """`till` is what the house calls the desk, `operator` whose shift it is."""

    id: str
    number: int
    till: str
    operator: str
    currency: str
    opening_float: int
    opened_ms: int
    closing: Closing | None = None


class Entry(Struct, frozen=True):
    """`expected` is of a count: what should have been there when it was made."""

    id: str
    kind: EntryKind
    amount: int
    operator: str
    at_ms: int
    reason: str = ""
    pieces: Pieces = ()
    expected: int = 0


class Takings(Struct, frozen=True):
    """The payments of a session by one method. `coins` is what stayed in the drawer of them."""

    method: str
    payments: int
    amount: int
    coins: int


class Repaid(Struct, frozen=True):
    """What was handed back of one payment, at once."""

    method: str
    amount: int


class MethodSum(Struct, frozen=True):
    """One way to pay: how often and how much was taken, and was handed back."""

    method: str
    payments: int
    taken: int
    refunds: int
    handed_back: int


class TillReport(Struct, frozen=True):
    """A session with everything in it, as it stands or as it was closed.

    `sales` counts orders, `refunds` acts of handing back. `cash_taken` and `cash_back` are the
    coins and notes that moved, which differ from what was to pay by the rounding of coins.
    """

    session: TillSession
    entries: tuple[Entry, ...]
    methods: tuple[MethodSum, ...]
    sales: int
    refunds: int
    moved_in: int
    moved_out: int
    cash_taken: int
    cash_back: int
    expected: int


def tills_of(order: Order | None) -> set[tuple[str, str]]:
    """What of an order names a till session: pairs of a key that lasts and the session."""
    if order is None:
        return set()
    named = {("", order.till)}
    for payment in order.payments:
        named.add((payment.id, payment.till))
        named |= {(f"{payment.id}/{refund.key}", refund.till) for refund in payment.refunds}
    return {(key, till) for key, till in named if till}


def reckon(
    session: TillSession,
    entries: Sequence[Entry],
    takings: Sequence[Takings],
    repaid: Sequence[Repaid],
    sales: int,
) -> TillReport:
    """What a session has come to. Cash is handed back in coins, each time rounded to them."""
    found: dict[str, MethodSum] = {
        one.method: MethodSum(one.method, one.payments, one.amount, 0, 0) for one in takings
    }
    for back in repaid:
        known = found.get(back.method, MethodSum(back.method, 0, 0, 0, 0))
        found[back.method] = MethodSum(
            known.method,
            known.payments,
            known.taken,
            known.refunds + 1,
            known.handed_back + back.amount,
        )
    cash = PaymentMethod.CASH.value
    moved = {
        kind: sum(entry.amount for entry in entries if entry.kind is kind)
        for kind in (EntryKind.IN, EntryKind.OUT)
    }
    taken = sum(one.coins for one in takings if one.method == cash)
    back_in_coins = sum(
        cash_rounded(one.amount, session.currency) for one in repaid if one.method == cash
    )
    moved_in, moved_out = moved[EntryKind.IN], moved[EntryKind.OUT]
    order = [method.value for method in PaymentMethod]
    return TillReport(
        session,
        tuple(entries),
        tuple(sorted(found.values(), key=lambda one: order.index(one.method))),
        sales,
        len(repaid),
        moved_in,
        moved_out,
        taken,
        back_in_coins,
        session.opening_float + moved_in - moved_out + taken - back_in_coins,
    )


# What may be done ----------------------------------------------------------------


def malformed_open(wanted: OpenTill) -> str:
    """What is wrong with the shape of a request, "" for nothing."""
    if len(wanted.id) != 2 * ID_BYTES or any(one not in string.hexdigits[:16] for one in wanted.id):
        return "id: 32 hexadecimal digits"
    if not 1 <= len(wanted.till.strip()) <= MAX_TILL_CHARS:
        return f"till: 1 to {MAX_TILL_CHARS} characters"
    try:
        checked_currency(wanted.currency)
    except ValueError as error:
        return f"currency: {error}"
    return _wrong_sum("opening_float", wanted.opening_float, wanted.currency)


def malformed_entry(wanted: AddEntry, currency: str) -> str:
    if not ENTRY_ID.fullmatch(wanted.id):
        return "id: 1 to 64 letters, digits and dashes"
    if wanted.kind is EntryKind.COUNT:
        return "reason: a count has none" if wanted.reason else _wrong_count(wanted, currency)
    if wanted.pieces:
        return "pieces: of a count"
    if not wanted.reason.strip():
        return "reason: why is it moved?"
    if len(wanted.reason) > MAX_TEXT_CHARS:
        return f"reason: {MAX_TEXT_CHARS} characters at most"
    if not wanted.amount:
        return "amount: nothing is moved"
    return _wrong_sum("amount", wanted.amount, currency)


def malformed_close(wanted: CloseTill, currency: str) -> str:
    if not ENTRY_ID.fullmatch(wanted.id):
        return "id: 1 to 64 letters, digits and dashes"
    if len(wanted.explanation) > MAX_TEXT_CHARS:
        return f"explanation: {MAX_TEXT_CHARS} characters at most"
    return _wrong_count(wanted, currency)


def _wrong_count(wanted: AddEntry | CloseTill, currency: str) -> str:
    known = DENOMINATIONS.get(currency)
    if known is None:
        return (
            "pieces: no coins are known"
            if wanted.pieces
            else _wrong_sum("amount", wanted.amount, currency)
        )
    if wanted.amount:
        return "amount: count by coins and notes"
    kinds = [kind for kind, _ in wanted.pieces]
    if len(set(kinds)) != len(kinds) or not set(kinds).issubset(known):
        return f"pieces: each of {', '.join(map(str, known))} once"
    if any(not 0 <= many <= MAX_PIECES for _, many in wanted.pieces):
        return f"pieces: 0 to {MAX_PIECES} of a kind"
    return ""


def _wrong_sum(field: str, amount: int, currency: str) -> str:
    if not 0 <= amount <= MAX_TILL_AMOUNT:
        return f"{field}: 0 to {MAX_TILL_AMOUNT}"
    if cash_rounded(amount, currency) != amount:
        return f"{field}: no coins make this sum"
    return ""


def counted(wanted: AddEntry | CloseTill) -> int:
    """The sum of a count."""
    return wanted.amount + sum(kind * many for kind, many in wanted.pieces)


def entered(wanted: AddEntry, report: TillReport, now_ms: int) -> Entry | TillRefused:
    """The movement or count in an open session."""
    if problem := malformed_entry(wanted, report.session.currency):
        return TillRefused(TillRefusal.MALFORMED, problem)
    known = next((one for one in report.entries if one.id == wanted.id), None)
    entry = Entry(
        wanted.id,
        wanted.kind,
        counted(wanted),
        wanted.operator,
        now_ms,
        wanted.reason.strip(),
        _tidy(wanted.pieces),
        report.expected if wanted.kind is EntryKind.COUNT else 0,
    )
    if known is not None:
        return known if _same(known, entry) else TillRefused(TillRefusal.ID_REUSED)
    if report.session.closing is not None:
        return TillRefused(TillRefusal.TILL_CLOSED)
    if len(report.entries) >= MAX_ENTRIES_PER_SESSION:
        return TillRefused(TillRefusal.TILL_FULL)
    return entry


def closed(wanted: CloseTill, report: TillReport, now_ms: int) -> Closing | TillRefused:
    """How an open session ends."""
    session = report.session
    if problem := malformed_close(wanted, session.currency):
        return TillRefused(TillRefusal.MALFORMED, problem)
    amount = counted(wanted)
    closing = Closing(
        wanted.id,
        amount,
        report.expected,
        amount - report.expected,
        _tidy(wanted.pieces),
        wanted.explanation.strip(),
        wanted.operator,
        now_ms,
    )
    if session.closing is not None:
        if session.closing.id != closing.id:
            return TillRefused(TillRefusal.TILL_CLOSED)
        same = _same(session.closing, closing)
        return session.closing if same else TillRefused(TillRefusal.ID_REUSED)
    if closing.difference and not closing.explanation:
        return TillRefused(TillRefusal.DIFFERENCE_UNEXPLAINED, str(closing.difference))
    return closing


def _tidy(pieces: Pieces) -> Pieces:
    """The largest first, and only what was there."""
    return tuple(sorted(((kind, many) for kind, many in pieces if many), reverse=True))


def _same(known: Entry | Closing, asked: Entry | Closing) -> bool:
    """The same was asked for, whoever repeats it and whenever."""
    what = ("id", "kind", "amount", "reason", "explanation", "pieces")
    return all(getattr(known, name, None) == getattr(asked, name, None) for name in what)
