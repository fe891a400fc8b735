"""The tables, as SQLAlchemy Core describes them.

Owns names, types, constraints and indexes; `persistence/migrations` makes them,
and a test compares the two. Times are Unix milliseconds, money is integer minor
units. Rows of the hot tables (journal, tickets, scans) have no foreign keys: they are
written, a thousand at a time, for a performance whose `writers` row was just locked.
"""

from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    TypeDecorator,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

from engine.cancellation import Progress
from engine.commands import Channel, ScanMode, ScanOutcome, TicketState
from engine.mails import MailState
from engine.orders import LineState, OrderState
from engine.papers import PaperKind
from engine.payments import PaymentMethod, PaymentState
from engine.tills import EntryKind


def without_nul(value: Any) -> Any:
    """A text, or all texts in a JSON value, without the one character Postgres cannot keep."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nul(item) for item in value]
    return value


class Text(TypeDecorator[str]):
    """A text of any length, from anybody: what somebody typed must not look like an outage."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.replace("\0", "")


class JSONB(TypeDecorator[Any]):
    """JSON, whose texts may come from anybody."""

    impl = postgresql.JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return without_nul(value)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    allowed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


def _not_negative(*columns: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative") for column in columns]


STOPPED_TICKETS: Final = "tickets.state IN ('blocked', 'revoked')"
"""Of `tickets`: the few that have an index of their own."""

UNFINISHED_ORDERS: Final = "progress = 'todo' OR progress = 'waiting'"
"""Of `cancelled_orders`."""
_MAIL_WAITS: Final = "state = 'waiting' OR state = 'sending'"
_NO_HASH: Final = "'\\x" + "00" * 32 + "'"

house: Final = Table(
    "house",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("languages", ARRAY(Text), nullable=False),
    Column("settings", JSONB, nullable=False),  # address, style: what pages and tickets show
    Column("ticket_seed", LargeBinary, nullable=False),  # Ed25519 seed, 32 bytes
    Column("session_secret", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    CheckConstraint("octet_length(ticket_seed) = 32", name="ticket_seed_size"),
)

plans: Final = Table(
    "plans",
    metadata,
    Column("hash", Text, primary_key=True),  # of the content: a plan is never changed
    Column("name", Text, nullable=False),
    Column("seats", Integer, nullable=False),
    Column("places", Integer, nullable=False),  # seats and the areas' capacities
    Column("body", LargeBinary, nullable=False),  # our own format
    Column("packed", LargeBinary),  # laid out: engine.layout_packed; may be of an older version
    Column("created_ms", BigInteger, nullable=False),
)

productions: Final = Table(
    "productions",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("organiser", ForeignKey("house.id"), nullable=False, index=True),
    Column("titles", JSONB, nullable=False),  # by language
    Column("subtitles", JSONB, nullable=False),
    Column("currency", Text, nullable=False),
    Column("info", JSONB, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # Its name in season files; what has none is "#" and its number.
    Column("key", Text),
    UniqueConstraint("organiser", "key"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
)

performances: Final = Table(
    "performances",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("production", ForeignKey("productions.id"), nullable=False, index=True),
    Column("plan", ForeignKey("plans.hash"), nullable=False, index=True),
    Column("starts_ms", BigInteger, nullable=False, index=True),
    # JSON of engine.settings.Settings, kept as bytes: jsonb refuses some texts that JSON allows,
    # and a batch that was decided must never be refused for what a name contains.
    Column("settings", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # As it was made, once the journal has changed them: where a replay of all begins.
    Column("first_settings", LargeBinary),
    Column("key", Text),  # as of a production, among those of its own
    # Taken off the programme; kept for what was sold and decided in it.
    Column("withdrawn", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("production", "key"),
)

# What season files changed. `todo` is what performance actors are still to be told, NULL once they
# were: JSON as bytes, as settings are.
season_changes: Final = Table(
    "season_changes",
    metadata,
    Column("number", Integer, Identity(), primary_key=True),
    Column("change_id", LargeBinary, nullable=False, unique=True),  # made by who asked
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of what was asked
    Column("at_ms", BigInteger, nullable=False),
    Column("outcome", LargeBinary, nullable=False),  # JSON
    Column("todo", LargeBinary),
    Index("ix_season_changes_todo", "number", postgresql_where=text("todo IS NOT NULL")),
)

# Who writes a performance. Apart from `performances` because every batch updates it: a
# narrow row with room on its page is updated in place, without touching an index.
writers: Final = Table(
    "writers",
    metadata,
    Column("performance", ForeignKey("performances.id"), primary_key=True),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("head_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("serving", Text, nullable=False, server_default=text("''")),
    Column("claimed_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("head_hash", LargeBinary, nullable=False, server_default=text(r"'\x'")),
    *_not_negative("epoch", "head_seq"),
    postgresql_with={"fillfactor": 50},
)

journal: Final = Table(
    "journal",
    metadata,
    Column("performance", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the batch's last event
    Column("prev_seq", BigInteger, nullable=False),  # of the batch before
    Column("epoch", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("events", LargeBinary, nullable=False),  # msgpack list[engine.commands.Event]
    # SHA-256 of the hash before and this row; empty where it is older than the chain.
    Column("hash", LargeBinary, nullable=False, server_default=text(r"'\x'")),
    PrimaryKeyConstraint("performance", "seq"),
    CheckConstraint("prev_seq >= 0 AND seq > prev_seq", name="seq_grows"),
)

snapshots: Final = Table(
    "snapshots",
    metadata,
    Column("performance", ForeignKey("performances.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
    PrimaryKeyConstraint("performance", "seq"),
)

# Which node of a cluster leads, and which nodes there are: see persistence.lead. One row.
lead: Final = Table(
    "lead",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    Column("node", Text, nullable=False),
    Column("term", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    CheckConstraint("single", name="one_row"),
    postgresql_with={"fillfactor": 50},
)

nodes: Final = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 50},
)

# Waiting rooms. The seed decides the draw: it is kept from the start, so that a writer that
# died draws the same, and is public only from the draw on, as an event.
rooms: Final = Table(
    "rooms",
    metadata,
    Column("performance", ForeignKey("performances.id"), nullable=False),
    Column("number", Integer, nullable=False),  # of the performance's rooms, from 1
    Column("seed", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),  # SHA-256 of the seed
    Column("closed", Boolean, nullable=False),
    PrimaryKeyConstraint("performance", "number"),
    Index(
        "uq_rooms_open",
        "performance",
        unique=True,
        postgresql_where=text("NOT closed"),
    ),
    CheckConstraint("octet_length(seed) = 32", name="seed_size"),
    CheckConstraint("commitment = sha256(seed)", name="commitment_of_the_seed"),
)

# One event a row. The key is what keeps two writers apart: an event has one successor.
room_events: Final = Table(
    "room_events",
    metadata,
    Column("performance", Integer, nullable=False),
    Column("room", Integer, nullable=False),
    Column("seq", Integer, nullable=False),  # from 1, without gaps
    Column("at_ms", BigInteger, nullable=False),
    Column("event", LargeBinary, nullable=False),  # msgpack engine.waiting.RoomEvent
    PrimaryKeyConstraint("performance", "room", "seq"),
)

tickets: Final = Table(
    "tickets",
    metadata,
    Column("performance", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("order_id", Text, nullable=False, index=True),
    Column("seat", Integer, nullable=False),  # -1: a place in an area
    Column("area", Integer, nullable=False),  # -1: a seat
    Column("price_type", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sold_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("performance", "number"),
    # The second wall. A revoked ticket keeps its seat: only a refund frees it.
    Index(
        "uq_tickets_live_seat",
        "performance",
        "seat",
        unique=True,
        postgresql_where=text("seat >= 0 AND state <> 'refunded'"),
    ),
    Index("ix_tickets_stopped", "performance", "number", postgresql_where=text(STOPPED_TICKETS)),
    CheckConstraint("(seat >= 0) <> (area >= 0)", name="seat_or_area"),
    _one_of("state", TicketState),
    *_not_negative("number", "amount", "version"),
)

# What passed a gate has result ADMITTED or EXITED, or was shown so by a device that was alone, and
# is not undone. `at_ms` is when the engine heard of it, `scanned_ms` when it was at the door.
scans: Final = Table(
    "scans",
    metadata,
    Column("performance", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the event
    Column("at_ms", BigInteger, nullable=False),
    Column("gate", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("ticket", Integer, nullable=False),  # -1: none of this performance
    Column("result", Text, nullable=False),
    Column("reason", Text, nullable=False),  # of an override, else ""
    Column("sequence", BigInteger, nullable=False),  # of a kept scan by its device, else -1
    Column("scanned_ms", BigInteger, nullable=False),
    Column("shown", Text, nullable=False),  # by the device, else ""
    Column("undone_ms", BigInteger, nullable=False),  # 0: it stands
    PrimaryKeyConstraint("performance", "seq"),
    Index(None, "performance", "ticket"),
    # A few pages for a million scans, and next to nothing for each: doors are in a hurry.
    Index(None, "scanned_ms", postgresql_using="brin", postgresql_with={"pages_per_range": 32}),
    # A second wall: what a device kept counts once.
    Index(
        "uq_scans_kept",
        "performance",
        "device",
        "sequence",
        unique=True,
        postgresql_where=text("sequence >= 0"),
    ),
    _one_of("mode", ScanMode),
    _one_of("result", ScanOutcome),
)

orders: Final = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),  # 32 hex characters, the bearer key
    Column("number", BigInteger, Identity(start=1001), nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("buyer_name", Text, nullable=False),
    Column("buyer_email", Text, nullable=False),
    Column("buyer_words", ARRAY(Text), nullable=False),  # folded, for searching by prefix
    Column("operator", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("unfinished", Boolean, nullable=False),  # the desk has something left to do
    Column("body", JSONB, nullable=False),  # the whole engine.orders.Order
    Index("ix_orders_unfinished", "number", postgresql_where=text("unfinished")),
    Index(
        "ix_orders_buyer_words", func.array_to_tsvector(text("buyer_words")), postgresql_using="gin"
    ),
    Index("ix_orders_session", "session", "number", postgresql_where=text("session <> ''")),
    Index("ix_orders_operator", "operator", "number", postgresql_where=text("operator <> ''")),
    # What is asked of very many orders at once, without their bodies. None of it ever changes.
    Index(
        "ix_orders_created",
        "created_ms",
        "number",
        postgresql_include=["currency", "channel", "operator"],
    ),
    _one_of("state", OrderState),
    _one_of("channel", Channel),
    *_not_negative("total"),
    CheckConstraint("revision > 0", name="revision_positive"),
)

order_lines: Final = Table(
    "order_lines",
    metadata,
    Column("order_number", ForeignKey("orders.number"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("performance", Integer, nullable=False),
    Column("seat", Integer, nullable=False),
    Column("area", Integer, nullable=False),
    Column("price_type", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("ticket", Integer, nullable=False),  # -1 until sold
    Column("currency", Text, nullable=False),  # its order's
    PrimaryKeyConstraint("order_number", "number"),
    Index(None, "performance", "order_number"),
    _one_of("state", LineState),
    *_not_negative("amount"),
)

payments: Final = Table(
    "payments",
    metadata,
    Column("order_number", ForeignKey("orders.number"), nullable=False),
    Column("id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("till", Text, nullable=False, server_default=text("''")),  # till session, or ""
    Column("given", BigInteger, nullable=False, server_default=text("0")),  # cash alone
    Column("change", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("order_number", "id"),
    Index(None, "till", postgresql_where=text("till <> ''")),
    Index(None, "intent", postgresql_where=text("intent <> ''")),
    Index(None, "reference", postgresql_where=text("reference <> ''")),
    _one_of("method", PaymentMethod),
    _one_of("state", PaymentState),
    *_not_negative("amount", "captured", "refunded"),
)

credits: Final = Table(
    "credits",
    metadata,
    Column("code", Text, primary_key=True),
    Column("organiser", ForeignKey("house.id"), nullable=False),
    Column("currency", Text, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("order_number", BigInteger, nullable=False),  # of the order that opened it
    Column("opened_ms", BigInteger, nullable=False),
    *_not_negative("balance"),
)

# A credit's balance is the sum of its moves.
credit_moves: Final = Table(
    "credit_moves",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("code", Text, nullable=False, index=True),
    Column("order_number", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("ref", Text, nullable=False),  # the refund or the payment attempt
    Column("at_ms", BigInteger, nullable=False),
)

# A shift at a cash desk. What was taken in it is in `payments` and `till_repayments`; a row that
# has a closing is never changed again.
till_sessions: Final = Table(
    "till_sessions",
    metadata,
    Column("id", Text, primary_key=True),  # 32 hex characters, made by who opened it
    Column("number", Integer, Identity(), nullable=False, unique=True),
    Column("till", Text, nullable=False),
    Column("till_key", Text, nullable=False),  # without its capitals
    Column("operator", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("opening_float", BigInteger, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger),
    Column("closing", JSONB),  # engine.tills.Closing
    Index(None, "operator", "number"),
    Index(
        "uq_till_sessions_open_till",
        "till_key",
        unique=True,
        postgresql_where=text("closed_ms IS NULL"),
    ),
    Index(
        "uq_till_sessions_open_operator",
        "operator",
        unique=True,
        postgresql_where=text("closed_ms IS NULL"),
    ),
    CheckConstraint("(closed_ms IS NULL) = (closing IS NULL)", name="closed_with_its_count"),
    *_not_negative("opening_float"),
)

# Cash that was moved by hand, and counts in between.
till_entries: Final = Table(
    "till_entries",
    metadata,
    Column("session", ForeignKey("till_sessions.id"), nullable=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("operator", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("pieces", JSONB, nullable=False),
    Column("expected", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),  # from 0, in the order in which they came
    PrimaryKeyConstraint("session", "id"),
    _one_of("kind", EntryKind),
    *_not_negative("amount"),
)

# Refunds that were handed back in a till session, as engine.payments.Refund.
till_repayments: Final = Table(
    "till_repayments",
    metadata,
    Column("order_number", ForeignKey("orders.number"), nullable=False),
    Column("payment", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("till", ForeignKey("till_sessions.id"), nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("order_number", "payment", "key"),
    _one_of("method", PaymentMethod),
    *_not_negative("amount"),
)

provider_events: Final = Table(
    "provider_events",
    metadata,
    Column("provider", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("provider", "id"),
)

operators: Final = Table(
    "operators",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("organiser", ForeignKey("house.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),  # without its capitals
    Column("password_hash", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("language", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

operator_sessions: Final = Table(
    "operator_sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),  # SHA-256
    Column("operator", ForeignKey("operators.id"), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, index=True),
)

devices: Final = Table(
    "devices",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("organiser", ForeignKey("house.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),  # SHA-256
    Column("gate", Text, nullable=False),
    Column("performances", ARRAY(Integer), nullable=False),  # empty: any
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("enrolment_hash", LargeBinary, unique=True),  # SHA-256 of the token in the QR code
    Column("enrolment_expires_ms", BigInteger),
    Column("seen_ms", BigInteger),  # when it last spoke to us
    Column("kept_scans", Integer, nullable=False, server_default=text("0")),  # not sent, it said
    *_not_negative("kept_scans"),
)

# The ledger's end, and the key that signs its closings. The row is locked by whoever appends or
# closes, which is what numbers the records without gaps.
ledgers: Final = Table(
    "ledgers",
    metadata,
    Column("organiser", ForeignKey("house.id"), primary_key=True),
    Column("seed", LargeBinary, nullable=False),  # Ed25519 seed, 32 bytes
    Column("number", BigInteger, nullable=False, server_default=text("0")),
    Column("hash", LargeBinary, nullable=False, server_default=text(_NO_HASH)),
    Column("at_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("closed_until_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("period", Integer, nullable=False, server_default=text("0")),
    Column("period_hash", LargeBinary, nullable=False, server_default=text(_NO_HASH)),
    CheckConstraint("octet_length(seed) = 32", name="seed_size"),
    postgresql_with={"fillfactor": 50},
)

# engine.ledger.Record. Nothing here is ever changed or removed.
ledger: Final = Table(
    "ledger",
    metadata,
    Column("organiser", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),  # from 1, without gaps
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_number", BigInteger, nullable=False, index=True),
    Column("line", Integer, nullable=False),
    Column("performance", Integer, nullable=False),
    Column("ticket", Integer, nullable=False),
    Column("price_type", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("tax_bp", Integer, nullable=False),
    Column("method", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),  # SHA-256
    PrimaryKeyConstraint("organiser", "number"),
)

ledger_periods: Final = Table(
    "ledger_periods",
    metadata,
    Column("organiser", ForeignKey("house.id"), nullable=False),
    Column("number", Integer, nullable=False),  # from 1, without gaps
    Column("body", Text, nullable=False),  # canonical JSON of engine.ledger_periods.Period
    Column("hash", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organiser", "number"),
)

# The last number of each series of papers, and when it was given. The row is locked by whoever
# gives the next one until its paper is kept, which is what numbers them without gaps.
paper_series: Final = Table(
    "paper_series",
    metadata,
    Column("organiser", ForeignKey("house.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("organiser", "kind", "year"),
    _one_of("kind", PaperKind),
)

# Papers that were issued. Nothing here is ever changed or removed.
papers: Final = Table(
    "papers",
    metadata,
    Column("id", BigInteger, Identity(), nullable=False, unique=True),  # in the order of issue
    Column("organiser", ForeignKey("house.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("number", Integer, nullable=False),  # from 1, without gaps
    Column("order_number", BigInteger, nullable=False),  # 0 for none
    Column("cause", Text, nullable=False),  # what it is of: one paper for each
    Column("at_ms", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),  # "" for several
    Column("total", BigInteger, nullable=False),
    # JSON of engine.papers.Paper or engine.settlement.Settlement.
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("organiser", "kind", "year", "number"),
    UniqueConstraint("order_number", "kind", "cause", "organiser"),
    _one_of("kind", PaperKind),
)

# Orders as they were before they were last saved, for whoever goes back in time.
order_history: Final = Table(
    "order_history",
    metadata,
    Column("order_number", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # when the next revision was saved
    Column("body", Text, nullable=False),  # the order's JSON
    PrimaryKeyConstraint("order_number", "revision"),
    postgresql_with={"toast_tuple_target": 128},  # compress what is shorter than a page, too
)

# Mails that are to be sent, and what became of those that were. Their words are not kept: they
# are made from the order when the mail's turn comes.
mails: Final = Table(
    "mails",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # engine.mails.key_of
    Column("order_number", BigInteger, nullable=False, index=True),  # 0: of no one order
    Column("kind", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("recipient", Text, nullable=False),  # "": the order's buyer
    Column("state", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),  # from when its attempts are given up
    Column("due_ms", BigInteger, nullable=False),  # of one that is being sent: its lease's end
    Column("ended_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("tries", JSONB, nullable=False, server_default=text("'[]'")),  # engine.mails.Try
    Index("ix_mails_due", "due_ms", "id", postgresql_where=text(_MAIL_WAITS)),
    _one_of("state", MailState),
    *_not_negative("attempts"),
)

# Performances that are cancelled: what is to be done, until it has ended, and then a record of it.
cancellations: Final = Table(
    "cancellations",
    metadata,
    Column("performance", ForeignKey("performances.id"), primary_key=True),
    Column("operator", Text, nullable=False),  # who asked first
    Column("reason", Text, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_cancellations_unfinished", "performance", postgresql_where=text("ended_ms = 0")),
)

# An order that had something in a cancelled performance, written down before anything is done.
cancelled_orders: Final = Table(
    "cancelled_orders",
    metadata,
    Column("performance", ForeignKey("cancellations.performance"), nullable=False),
    Column("order_number", ForeignKey("orders.number"), nullable=False),
    Column("progress", Text, nullable=False),
    Column("why", Text, nullable=False, server_default=text("''")),
    Column("amount", BigInteger, nullable=False, server_default=text("0")),  # given back
    Column("told", Boolean, nullable=False, server_default=text("true")),
    PrimaryKeyConstraint("performance", "order_number"),
    Index(
        "ix_cancelled_orders_unfinished",
        "performance",
        "order_number",
        postgresql_where=text(UNFINISHED_ORDERS),
    ),
    _one_of("progress", Progress),
    *_not_negative("amount"),
)

audit_log: Final = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
)

# Bytes that are already dense, or too hot to spend time on: stored as they are.
for _table, _column in (
    (journal, "events"),
    (snapshots, "state"),
    (room_events, "event"),
    (plans, "packed"),
):
    event.listen(
        _table,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            f"ALTER TABLE {_table.name} ALTER COLUMN {_column} SET STORAGE EXTERNAL"
        ),
    )
event.listen(
    order_history,
    "after_create",
    DDL("ALTER TABLE order_history ALTER COLUMN body SET STORAGE MAIN"),  # type: ignore[no-untyped-call]
)
