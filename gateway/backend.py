"""What the edge needs from the rest of the house, as typed, fakeable Protocols.

Owns the seam between the gateway and everything behind it: performance actors,
the order desk, and the queries of the database. Knows neither Ray nor SQL: the
wiring hands in real handles, tests hand in `tests.fakes.backend`. Both pass the
same contract tests.

Errors that cross the seam:
    BackendUnavailable   nobody knows whether it happened: ask again, same ids
    PerformanceUnknown   there is no such performance
    SignatureInvalid     a webhook that its sender did not sign
Whatever else a backend raises is a bug, and answered as one (HTTP 500).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.cancellation import Cancellation, CancelledOrder
from engine.credit import CreditView
from engine.journal import JournalCheck, Page
from engine.ledger import Head, Record
from engine.ledger_periods import Closed
from engine.listing import Cursor, Listed, ListFilter, ListTotals
from engine.mails import MailRow
from engine.orders import (
    Bought,
    ExchangeRequest,
    Order,
    OrderRefused,
    OrderState,
    PlaceOrder,
    RefundRequest,
    Terms,
)
from engine.papers import Paper, PaperKind, PaperRefused, PaperRow, Wording
from engine.payments import CardReader
from engine.season import Changed, Pending, ProductionFound, Programme, Unchanged
from engine.settlement import Settlement
from engine.status import EngineStatus
from engine.tills import (
    NO_TILL,
    AddEntry,
    AtTill,
    CloseTill,
    OpenTill,
    TillRefused,
    TillReport,
    TillSession,
)
from engine.waiting import News, Report, RoomEvent


class BackendUnavailable(Exception):
    """Not reached, or died before it answered. The same call, same ids, may be repeated."""


class PerformanceUnknown(Exception):
    """No performance has this number."""


class SignatureInvalid(Exception):
    """A webhook's signature does not match its payload, or is too old."""


class Performances(Protocol):
    """The performance actors, found (and activated) by performance number."""

    async def submit(self, performance: int, batch: bytes) -> bytes:
        """Decide and commit a batch.

        `batch` is msgpack list[engine.commands.Command]; the answer is msgpack
        list[engine.commands.Outcome], one per command and in their order.
        Raises PerformanceUnknown, or BackendUnavailable after any failure.
        """
        ...

    async def watch(self, performance: int, epoch: int, seq: int) -> bytes:
        """Long-poll the seat feed from the position (epoch, seq); (0, 0) has nothing yet.

        Answers msgpack [frame, tokens]: `frame` is an encoded feed frame (bytes)
        that continues from the position or starts over, or nil when nothing
        changed for some seconds; `tokens` are holds that ended by expiry since
        the position (a token may be told twice, never not at all).
        Raises PerformanceUnknown, or BackendUnavailable after any failure.
        """
        ...


class Desk(Protocol):
    """The order desk. Every call may be repeated: same arguments, same answer.

    All raise BackendUnavailable; those that name an order answer None, or an
    OrderRefused with code "order_unknown", when there is no such order.
    """

    async def place(self, request: PlaceOrder) -> Order | OrderRefused: ...

    async def buy(
        self, request: PlaceOrder, given: int, at_till: AtTill = NO_TILL
    ) -> Bought | OrderRefused:
        """Claim, price and sell for cash at once; `given` is what was handed over."""
        ...

    async def get(self, order: str) -> Order | None: ...

    async def pay(
        self,
        order: str,
        method: str,
        attempt: str,
        given: int = 0,
        reference: str = "",
        operator: str = "",
        amount: int = 0,
        at_till: AtTill = NO_TILL,
    ) -> tuple[Order, str] | OrderRefused:
        """Take a payment by `method` (an engine.payments.PaymentMethod value).

        `attempt` is made by the caller and makes the call repeatable; `given`
        is the cash handed over in minor units, `amount` the part that is paid
        (0: all that is due), `at_till` where by hand it is. Answers the order and
        the page to send the buyer to ("" when there is none).
        """
        ...

    async def reserve(self, order: str, terms: Terms, operator: str) -> Order | OrderRefused:
        """Keep an open order's seats without its money; without operator it waits for approval."""
        ...

    async def approve(self, order: str) -> Order | OrderRefused:
        """Say yes to an order that waits for it: its terms begin."""
        ...

    async def cancel(
        self, order: str, exchange: str = "", at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Give up an unpaid order; its holds can change again until they expire."""
        ...

    async def refund(
        self, order: str, wanted: RefundRequest, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Refund lines, or an amount. The same request again is done once."""
        ...

    async def exchange(
        self, order: str, wanted: ExchangeRequest, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Give places for others that are held. The same request again is done once."""
        ...

    async def print_tickets(
        self, order: str, id: str, lines: tuple[int, ...], operator: str
    ) -> Order | OrderRefused:
        """Note that tickets of these lines (none named: all) are printed."""
        ...

    async def reissue(
        self, order: str, id: str, lines: tuple[int, ...], operator: str
    ) -> Order | OrderRefused:
        """New tickets for these lines (none named: all). `id` is the caller-made id."""
        ...

    async def stop(self, order: str, attempt: str) -> Order | OrderRefused:
        """Wait no longer for the card of an attempt at a reader; it may turn out to be paid."""
        ...

    async def readers(self) -> list[CardReader] | OrderRefused:
        """The card readers that the payment provider drives."""
        ...

    async def present(self, reader: str, number: str) -> OrderRefused | None:
        """Present a card (its `number`, "" for one that pays) to a simulated reader."""
        ...

    async def webhook(self, payload: bytes, signature: str) -> None:
        """A Stripe event, as received. Raises SignatureInvalid."""
        ...


class Rooms(Protocol):
    """The waiting rooms' writer. All raise BackendUnavailable, and may be repeated then."""

    async def exchange(self, report: Report) -> News:
        """Tell what is seen at this gateway; hear what is new of every room."""
        ...

    async def open(self, performance: int, opens_ms: int, on_sale_ms: int) -> str:
        """Announce a room; "" or why not.

        "performance_unknown", "room_open" (with other times), "room_times" (the sale must begin
        in the future, and after the room opens), "too_many_rooms".
        """
        ...

    async def close(self, performance: int) -> bool:
        """Let everybody in from now on; False when there is no open room."""
        ...

    async def events(self, performance: int) -> Sequence[RoomEvent]:
        """The events of the performance's latest room, closed ones too; none: there is no room."""
        ...


# The database's queries, as `persistence` has them: only what the edge asks is named. What they
# answer are plain values whose attributes are listed beside each Protocol; they are not imported,
# so that the edge stands without a database. When nobody answers they raise one of
# `Backend.outages`.


class Catalogue(Protocol):
    """The house, its plans, productions and performances.

    House: id, name, time_zone, languages, settings (what pages and tickets show).
    PlanSummary: hash, name, seats, places, created_ms.
    Production: id, titles, subtitles (by language), currency, info.
    PerformanceEntry: id, production, plan (hash), starts_ms, settings (JSON of
    engine.settings.Settings).
    """

    async def house(self) -> Any | None: ...

    async def change_house(
        self,
        organiser: int,
        *,
        name: str,
        time_zone: str,
        languages: tuple[str, ...],
        settings: Mapping[str, Any],
    ) -> None: ...

    async def plan(self, plan_hash: str) -> bytes | None:
        """The plan's body in our own format."""
        ...

    async def list_plans(self) -> Sequence[Any]: ...

    async def add_plan(
        self, *, plan_hash: str, name: str, seats: int, places: int, body: bytes, now_ms: int
    ) -> bool: ...

    async def create_production(
        self,
        organiser: int,
        *,
        titles: Mapping[str, str],
        subtitles: Mapping[str, str],
        currency: str,
        info: Mapping[str, Any],
        now_ms: int,
    ) -> Any: ...

    async def list_productions(self) -> Sequence[Any]: ...

    async def production(self, number: int) -> Any | None: ...

    async def create_performance(
        self, production: int, *, plan_hash: str, starts_ms: int, settings: bytes, now_ms: int
    ) -> int:
        """Raises LookupError when production or plan are unknown."""
        ...

    async def performance(self, number: int) -> Any | None: ...

    async def list_performances(
        self, *, from_ms: int = 0, until_ms: int = 2**62, limit: int = 500
    ) -> Sequence[Any]: ...


class Season(Protocol):
    """The programme as a whole, changed in one transaction."""

    async def named(self, keys: Sequence[str]) -> list[ProductionFound]:
        """The productions of these keys, with all their performances, by number."""
        ...

    async def coming(self, from_ms: int) -> list[ProductionFound]:
        """Productions with what they show from then on, without what was withdrawn."""
        ...

    async def apply(
        self,
        organiser: int,
        programme: Programme,
        *,
        id: bytes,
        compared_with: str,
        digest: bytes,
        now_ms: int,
    ) -> Changed | Unchanged:
        """All rows, and the note of which actors are to be told what.

        `compared_with` is the fingerprint of the productions that the programme names; `digest`
        stands for the request: the same id may be sent again with the same one.
        """
        ...

    async def pending(self) -> Sequence[Pending]:
        """Changes whose actors were not all told, the oldest first."""
        ...

    async def told(self, number: int) -> None: ...


class Access(Protocol):
    """Operators, their sessions, devices, and the audit log.

    Operator: id, name, roles, language, active. Device: id, name, gate, performances
    (empty: any), created_ms, revoked_ms, seen_ms, kept_scans. AuditEntry: id, at_ms, who, act,
    subject, detail.
    """

    async def create_operator(
        self,
        organiser: int,
        *,
        name: str,
        password_hash: str,
        roles: tuple[str, ...],
        language: str,
        now_ms: int,
    ) -> Any:
        """Raises one of `Backend.conflicts` when the name is taken."""
        ...

    async def operator_by_name(self, name: str) -> tuple[Any, str] | None:
        """An active operator and the password's hash. Capitals do not matter."""
        ...

    async def list_operators(self) -> Sequence[Any]: ...

    async def disable_operator(self, operator: int) -> bool:
        """Ends the operator's sessions too. False when there is no such active operator."""
        ...

    async def open_session(
        self, operator: int, *, token_hash: bytes, expires_ms: int, now_ms: int
    ) -> None: ...

    async def find_session(self, token_hash: bytes, now_ms: int) -> tuple[Any, int] | None:
        """The active operator of a session that is not over, and when it ends."""
        ...

    async def end_session(self, token_hash: bytes) -> None: ...

    async def create_device(
        self,
        organiser: int,
        *,
        name: str,
        token_hash: bytes,
        gate: str,
        performances: tuple[int, ...] = (),
        now_ms: int,
        enrolment_hash: bytes | None = None,
        enrolment_expires_ms: int | None = None,
    ) -> Any: ...

    async def offer_enrolment(
        self, device: int, *, enrolment_hash: bytes, expires_ms: int
    ) -> Any | None:
        """Let it enrol once until then; None when no such device works."""
        ...

    async def enrol_device(
        self, enrolment_hash: bytes, *, token_hash: bytes, now_ms: int
    ) -> Any | None:
        """Use an enrolment up, once: the token replaces the device's. None when it is not good."""
        ...

    async def device_seen(
        self, token_hash: bytes, *, now_ms: int, kept_scans: int | None
    ) -> None: ...

    async def find_device(self, token_hash: bytes) -> Any | None:
        """The device with this token, unless it is revoked."""
        ...

    async def list_devices(self) -> Sequence[Any]: ...

    async def revoke_device(self, device: int, now_ms: int) -> bool: ...

    async def audit(self, acts: Sequence[Mapping[str, Any]]) -> None:
        """Each has `at_ms`, `who`, `act`, `subject` and `detail`."""
        ...

    async def list_audit(self, *, before: int | None = None, limit: int = 100) -> Sequence[Any]: ...


class Sales(Protocol):
    """What was sold, for people who look for it. Only the ids of a Sale are read here."""

    async def orders(self, ids: Sequence[str]) -> Sequence[Order]:
        """The whole orders, newest first: many are asked of the database at once, not of the desk,
        which says nothing that is not kept there."""
        ...

    async def latest(
        self,
        *,
        performance: int | None = None,
        state: OrderState | None = None,
        operator: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Any]: ...

    async def search(
        self,
        text: str,
        *,
        performance: int | None = None,
        seats: Sequence[int] = (),
        operator: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Any]: ...

    async def tickets(
        self,
        performance: int,
        *,
        numbers: Sequence[int] = (),
        seats: Sequence[int] = (),
        order: str = "",
        limit: int = 500,
    ) -> Sequence[Any]: ...

    async def ticket(self, performance: int, number: int) -> tuple[Any, Sequence[Any]] | None:
        """A ticket and its scans, the latest first."""
        ...

    async def totals(self, performance: int) -> Any: ...

    async def counts(self, performances: Sequence[int]) -> Mapping[int, int]:
        """Tickets that are not refunded, of each performance that has some."""
        ...


class TicketList(Protocol):
    """The places that orders are about, for people who look at many.

    Showing: plan (hash), titles (by language), starts_ms, settings (JSON of
    engine.settings.Settings).
    """

    async def page(
        self, wanted: ListFilter, *, after: Cursor | None = None, limit: int = 1_000
    ) -> Sequence[Listed]:
        """The lines after a position, the latest order first."""
        ...

    async def totals(self, wanted: ListFilter) -> ListTotals: ...

    async def showings(
        self, numbers: Sequence[int] = (), *, production: int | None = None
    ) -> Mapping[int, Any]:
        """Those of the performances that there are, or all of a production, by number."""
        ...


class Tills(Protocol):
    """Shifts at the cash desks. A command repeated under its id is done once."""

    async def open(self, wanted: OpenTill, now_ms: int) -> TillReport | TillRefused: ...

    async def enter(self, session: str, wanted: AddEntry, now_ms: int) -> TillReport | TillRefused:
        """Move cash in an open session, or count it."""
        ...

    async def close(
        self, session: str, wanted: CloseTill, now_ms: int
    ) -> TillReport | TillRefused: ...

    async def open_of(self, operator: str) -> TillSession | None:
        """The operator's open session."""
        ...

    async def report(self, session: str) -> TillReport | None: ...

    async def list(
        self, *, operator: str = "", open_only: bool = False, before: int = 0, limit: int = 50
    ) -> Sequence[TillSession]:
        """Newest first, after the number `before`."""
        ...


class Cancellations(Protocol):
    """Performances that are cancelled, and how far each is."""

    async def begin(self, performance: int, operator: str, reason: str) -> None:
        """Ask for it; asked again, what was left to people is tried again."""
        ...

    async def get(self, performance: int) -> Cancellation | None:
        """None for one that is not cancelled."""
        ...

    async def to_people(self, performance: int, after: int = 0) -> Sequence[CancelledOrder]:
        """Orders that a person has to see to, or whose buyer to tell, a page by number."""
        ...

    async def page(self, performance: int, after: int, most: int) -> Sequence[Order]:
        """Orders that have something in a performance, by number."""
        ...

    async def used(self, performance: int, tickets: Iterable[int]) -> set[int]:
        """Those of the tickets that somebody came in with."""
        ...


class Ledger(Protocol):
    """The books of a house. None instead of a head: nothing was recorded yet."""

    async def head(self, organiser: int) -> Head | None: ...

    async def records(
        self, organiser: int, after: int, limit: int = 5_000
    ) -> tuple[Head | None, Sequence[Record]]:
        """The records after a number, and where the ledger ended in that moment."""
        ...

    async def periods(
        self, organiser: int, after: int, limit: int = 400
    ) -> tuple[Head | None, Sequence[Closed]]: ...

    async def period(self, organiser: int, number: int) -> Closed | None: ...

    async def close(self, organiser: int, *, early: bool = False) -> Sequence[Closed]:
        """Close the days that are over, and `early` the one that is not; what was closed."""
        ...


class Papers(Protocol):
    """Invoices, credit notes and settlements: numbered, and never changed."""

    async def invoice(self, order: str, wording: Wording) -> PaperRow | PaperRefused:
        """The invoice of an order by its id: the one that there is, or a new one."""
        ...

    async def of_order(self, order: int) -> Sequence[PaperRow]:
        """The papers of an order by its number, the first first."""
        ...

    async def issued(
        self,
        organiser: int,
        *,
        kind: PaperKind | None = None,
        after: str = "",
        limit: int = 1_000,
    ) -> Sequence[PaperRow]:
        """As they were issued, after the one of a name."""
        ...

    async def get(self, organiser: int, name: str) -> Paper | Settlement | None: ...

    async def settlement(
        self, organiser: int, from_day: str, to_day: str, performance: int = 0
    ) -> Settlement | PaperRefused:
        """What a period (days as 2026-11-21) comes to; the paper, where one was issued of it."""
        ...

    async def issue_settlement(
        self, organiser: int, from_day: str, to_day: str, performance: int = 0
    ) -> PaperRow | PaperRefused: ...


class Credits(Protocol):
    """Store credit."""

    async def view(self, code: str) -> CreditView | None:
        """A credit with its latest moves."""
        ...


class Mails(Protocol):
    """The outbox: what was sent, and what was not."""

    async def list(
        self, *, order: int = 0, state: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[MailRow]:
        """The latest first; of one order's number and in one state where they are named."""
        ...

    async def get(self, mail: int) -> MailRow | None: ...

    async def retry(self, mail: int) -> bool:
        """Send one that failed, or waits, now; False for one that is neither."""
        ...

    async def send_tickets(self, order: Order, cause: str) -> MailRow:
        """The order's tickets once more; the same `cause` is the same mail."""
        ...


class Guests(Protocol):
    """Who is expected, and who has come.

    Guest: ticket, version, order_number, name, seat, area, price_type, state, arrived_ms (0:
    has not come).
    """

    async def guests(self, performance: int, *, text: str = "", limit: int) -> Sequence[Any]:
        """Sorted by name; `text` is the beginnings of words of the name."""
        ...


class DoorLists(Protocol):
    """What doors must know when they are alone.

    Rows: seq, tickets (how many), states and versions by number, used (number, at_ms, gate,
    inside), unused (numbers), places (from the first ticket asked for: the seat, or -1 - area).
    """

    async def read(self, performance: int, *, since: int, first: int) -> Any | None:
        """`used` after a seq (0: all), `places` from a ticket's number; None: no performance."""
        ...


class History(Protocol):
    """The journals, for whoever only looks."""

    async def page(self, performance: int, after_seq: int) -> Page | None:
        """Batches after a seq, undecoded, in a bounded page; None: no such performance."""
        ...

    async def check(self, performance: int, seqs: Sequence[int] = ()) -> JournalCheck | None:
        """How its chain of hashes is found, and its hashes at some ends of batches."""
        ...

    async def journals(self, after: int) -> Sequence[int]:
        """The performances after a number that have a journal, in order, a page of them."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything behind the edge.

    `status` answers within seconds, whatever is dead: what every part behind the edge says of
    itself, and which of them say nothing. Ask `gateway.vitals` instead, which asks once for all.

    `outages` are what the queries raise when the database does not answer, `conflicts`
    what they raise when something is there already. `checks` are asked by GET /readyz,
    each under the name of what it checks; one that raises is not ready.
    """

    performances: Performances
    desk: Desk
    catalogue: Catalogue
    season: Season
    access: Access
    sales: Sales
    ticket_list: TicketList
    tills: Tills
    cancellations: Cancellations
    guests: Guests
    history: History
    ledger: Ledger
    papers: Papers
    mails: Mails
    credits: Credits
    door_lists: DoorLists
    rooms: Rooms
    status: Callable[[], Awaitable[EngineStatus]]
    outages: tuple[type[Exception], ...] = (BackendUnavailable, OSError)
    conflicts: tuple[type[Exception], ...] = ()
    checks: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
