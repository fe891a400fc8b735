"""The record compared with what clients were told, when all is quiet again.

Owns the judging. The rehearsal's invariants (sold twice, lost, money, admitted twice)
come first; then every single answer is looked for in the journal, the journal is
followed from its first batch, and what it says is compared with the tables. Orders over two
performances, and the books, are `tests.soak.orders_record`'s.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgpack
import msgspec
from msgspec import Struct

from bench.rehearsal import evidence, invariants
from bench.rehearsal.crowd import Stage
from bench.rehearsal.installation import CannotBegin
from bench.rehearsal.line import Http
from engine.commands import Event, TicketState
from engine.performance import Performance
from engine.plan_io import load_plan
from engine.settings import Settings
from persistence.url import Connection, connect
from tests.integration.visitors import Visitor
from tests.soak import orders_record
from tests.soak.evenings import Evenings
from tests.soak.house import House
from tests.soak.ledger import Ledger
from tests.soak.orders_record import Record

FINAL_S: Final = 120.0
"""An order that is neither paid nor given up by then is stuck: holds live 45 s at most."""
READ_S: Final = 120.0
MAX_EXAMPLES: Final = 5
_MOVING: Final = (
    "SELECT id, state FROM orders WHERE state IN ('open', 'selling', 'exchanging', 'failed')"
    " OR unfinished AND state <> 'awaiting_payment'"
)
_JOURNAL: Final = (
    "SELECT prev_seq, seq, epoch, events FROM journal WHERE performance = $1 ORDER BY seq"
)
_HEAD: Final = (
    "SELECT w.epoch, w.head_seq, p.settings, plans.body FROM writers w"
    " JOIN performances p ON p.id = w.performance JOIN plans ON plans.hash = p.plan"
    " WHERE w.performance = $1"
)
_TICKETS: Final = "SELECT number, seat, amount, state FROM tickets WHERE performance = $1"
_NOT_KEPT: Final = frozenset({"basket_is"})
"""Questions: nothing is decided, so nothing is kept."""
_ADMITTED: Final = frozenset({"ADMITTED"})
_MAY_BE_THE_EDGES: Final = frozenset({"refused", "scanned"})
"""Answers that a gateway may give by itself, as far as they change nothing."""


class Finding(Struct, frozen=True):
    """One thing that must hold: how often it did not, and some of that."""

    key: str
    count: int
    examples: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.count == 0


def finding(key: str, found: Sequence[str]) -> Finding:
    return Finding(key, len(found), tuple(found[:MAX_EXAMPLES]))


class Seen(Struct, frozen=True):
    """What to judge, and what people there know; `room` is the performance with the waiting room,
    `till` the session of all cash."""

    stage: Stage
    room: int
    ledger: Ledger
    visitors: Sequence[Visitor]
    evenings: Evenings
    till: str


async def judge(house: House, http: Http, seen: Seen) -> list[Finding]:
    """Everything that must hold."""
    stage, ledger, visitors = seen.stage, seen.ledger, seen.visitors
    findings = [
        finding("unrecovered_faults", [one.kind for one in ledger.faults if not one.recovered]),
        finding("zombies_not_refused", [one.note for one in ledger.faults if one.refused is False]),
        finding("answered_in_two_ways", ledger.differing),
        finding("places_changed", [str(one.names) for one in visitors if len(one.names) > 1]),
    ]
    connection = await connect(house.database_url)
    try:
        findings.append(await _orders(connection))
        findings += await _invariants(house, stage, http, ledger)
        said: list[str] = []
        for performance in (stage.performance, seen.room, *seen.evenings.performances):
            findings += await _followed(connection, performance, ledger, said)
        findings.append(finding("answers_not_on_record", _unknown(ledger, said)))
        findings += await _evenings(connection, http, seen)
    finally:
        await connection.close()
    return _added(findings)


async def _orders(connection: Connection) -> Finding:
    """Orders that are between two steps, after long enough."""
    ends_s = time.monotonic() + FINAL_S
    while True:
        moving = await connection.fetch(_MOVING)
        if not moving or time.monotonic() > ends_s:
            return finding("orders_stuck", [f"{row[0]}: {row[1]}" for row in moving])
        await asyncio.sleep(0.5)


async def _evenings(connection: Connection, http: Http, seen: Seen) -> list[Finding]:
    _, report = await http.ask("GET", f"/api/tills/{seen.till}", None, seen.stage.operator)
    record = await Record.read(connection, seen.evenings.performances, seen.till)
    judged = orders_record.judge(record, seen.evenings.visits, report["expected"])
    return [finding(key, found) for key, found in judged.items()]


async def _invariants(house: House, stage: Stage, http: Http, ledger: Ledger) -> list[Finding]:
    try:
        async with asyncio.timeout(READ_S):
            found = await evidence.from_database(house.database_url, stage, http, ledger)
    except (CannotBegin, OSError, TimeoutError, asyncpg.PostgresError) as error:
        return [Finding("no_evidence", 1, (repr(error),))]
    admitted = [
        told[2] for told in ledger.answers.values() if told[0] == "scanned" and told[1] in _ADMITTED
    ]
    judged = invariants.judge(ledger.sales, admitted, ledger.surprises, found)
    lost = sorted(set(admitted) - found.admitted.keys())
    return [
        *(Finding(one.key, abs(int(one.value or 0)), one.examples) for one in judged),
        finding("admissions_lost", [f"ticket {one}" for one in lost]),
    ]


async def _followed(
    connection: Connection, performance: int, ledger: Ledger, said: list[str]
) -> list[Finding]:
    """The journal from its beginning: whole, and what the tables and the answers say."""
    # One look at all three: holds expire, and are written down, while we read.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = await connection.fetchrow(_HEAD, performance)
        batches = await connection.fetch(_JOURNAL, performance)
        tickets = await connection.fetch(_TICKETS, performance)
    core = Performance(
        performance, load_plan(head["body"]), msgspec.json.decode(head["settings"], type=Settings)
    )
    decode = msgspec.msgpack.Decoder(list[Event]).decode
    broken = []
    others: list[tuple[bytes, list[Any], list[Any]]] = []
    seq = epoch = 0
    ids: Counter[bytes] = Counter()
    for row in batches:
        if row["prev_seq"] != seq or row["epoch"] < epoch:
            broken.append(f"after seq {seq} of epoch {epoch}: {row[0]} to {row[1]} of {row[2]}")
        seq, epoch = row["seq"], row["epoch"]
        for event in decode(row["events"]):
            ids[event.command.id] += 1
            if not broken:
                core.replay([event])
            told = ledger.answers.get(event.command.id)
            if told is not None:
                said.append(event.command.id.hex())
                if (kept := _on_the_wire(event.outcome)) != told:
                    others.append((event.command.id, told, kept))
    if head["head_seq"] != seq:
        broken.append(f"the head is {head['head_seq']}, the last batch ends at {seq}")
    sold = {one.seat for one in core.tickets}
    differing = [
        f"{id.hex()}: told {told}, kept {kept}"
        for id, told, kept in others
        if not _refused_twice(told, kept, sold)
    ]
    on_record = {(row[0], row[1], row[2], row[3]) for row in tickets}
    replayed = {
        (one.number, one.seat, one.amount, core.ticket_states.get(one.number, TicketState.VALID))
        for one in core.tickets
    }
    return [
        finding("journal_broken", broken),
        finding("answers_not_as_kept", differing),
        finding("decided_twice", [id.hex() for id, many in ids.items() if many > 1]),
        finding("tables_differ_from_journal", [str(one) for one in on_record ^ replayed]),
    ]


def _unknown(ledger: Ledger, said: Sequence[str]) -> list[str]:
    """Acknowledged outcomes that no journal has."""
    known = set(said)
    return [
        f"{id.hex()}: {told}"
        for id, told in ledger.answers.items()
        if id.hex() not in known and told[0] not in _NOT_KEPT and not _edges_own(told)
    ]


def _edges_own(told: list[Any]) -> bool:
    """A refusal that changed nothing may be the edge's own, and is in no journal."""
    return told[0] in _MAY_BE_THE_EDGES and told[1] not in _ADMITTED


def _refused_twice(told: list[Any], kept: list[Any], sold: set[int]) -> bool:
    """The engine's refusal was lost, and asked again a gateway refused by itself: it may name
    other seats, all of which have been sold meanwhile."""
    taken = ["refused", "seat_taken"]
    return kept[0] == "refused" and told[:2] == taken and bool(told[2]) and sold.issuperset(told[2])


def _on_the_wire(outcome: Any) -> list[Any]:
    told: list[Any] = msgpack.unpackb(msgspec.msgpack.encode(outcome))
    return told


def _added(findings: Sequence[Finding]) -> list[Finding]:
    """One for each key: there are several performances."""
    total: dict[str, Finding] = {}
    for one in findings:
        before = total.get(one.key, Finding(one.key, 0))
        examples = (*before.examples, *one.examples)[:MAX_EXAMPLES]
        total[one.key] = Finding(one.key, before.count + one.count, examples)
    return list(total.values())
