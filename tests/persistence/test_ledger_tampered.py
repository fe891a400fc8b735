"""Whatever is done to the ledger behind its back is found, at its place. On a real database.

The one who tampers has all rights on the tables, and knows how records are chained, but not the
key that signs the closings.
"""

import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from engine.ledger import Record, record_hash
from engine.ledger_check import Fault, Finding, Place
from engine.ledger_periods import PeriodKind, body_hash, body_of, read_period, totals_of
from persistence.ledger import _COLUMNS
from tests.persistence.houses import Opened
from tests.persistence.test_ledger import DAY_MS, Books

TABLES = ("ledgers", "ledger", "ledger_periods")
ROUNDS = 6
"""Of each kind of tampering, at random places."""


class Tampered(Books):
    """Books over 3 closed days and the end of a month, and a day that is open."""

    seed = 0

    async def fill(self) -> None:
        self.clock.now_ms += 8 * DAY_MS  # Saturday the 28th
        for day in range(4):
            for sale in range(4):
                order = await self.sell(10 * day + sale, 10 * day + sale + 4)
                if sale == 2:
                    await self.refund(order, 1)
            self.clock.now_ms += DAY_MS
            if day < 3:
                await self.ledger.close_due()
        for table in TABLES:
            await self.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
        self.all = await self.records()
        self.days = [one for one in await self.periods() if one.kind is PeriodKind.DAY]
        assert len(self.days) == 3 and len(await self.periods()) == 4
        self.signed = self.days[-1].last
        assert len(self.all) > self.signed + 6

    async def put_back(self) -> None:
        for table in TABLES:
            await self.execute(f"DELETE FROM {table}")
            await self.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")

    async def found(self) -> list[Finding]:
        try:
            return (await self.verify()).kept
        finally:
            await self.put_back()

    async def store(self, records: list[Record]) -> None:
        """These records, and a head that agrees with them."""
        await self.execute("DELETE FROM ledger")
        async with self.engine.begin() as connection:
            for one in records:
                values = dict(zip(_COLUMNS, structs.astuple(one), strict=True))
                values["hash"] = bytes.fromhex(one.hash)
                names = ", ".join(values)
                marks = ", ".join(f":{name}" for name in values)
                await connection.execute(
                    sa.text(f"INSERT INTO ledger ({names}) VALUES ({marks})"), values
                )
        last = records[-1]
        await self.execute(
            "UPDATE ledgers SET number = :number, hash = :hash, at_ms = :at_ms",
            number=last.number,
            hash=bytes.fromhex(last.hash),
            at_ms=last.at_ms,
        )


def chained(records: list[Record], start: int) -> list[Record]:
    """The same, numbered and hashed anew from an index on."""
    made = records[:start]
    for number, one in enumerate(records[start:], start + 1):
        renumbered = structs.replace(one, number=number)
        before = made[-1].hash if made else "0" * 64
        made.append(structs.replace(renumbered, hash=record_hash(before, renumbered)))
    return made


@pytest.fixture
async def books(database_url: str, opened: Opened) -> AsyncIterator[Tampered]:
    made = Tampered(database_url, opened)
    await made.fill()
    yield made
    await made.engine.dispose()


def first(findings: list[Finding]) -> tuple[Place, int, Fault, int]:
    assert findings, "nothing was found"
    one = findings[0]
    return one.place, one.number, one.fault, one.until


async def test_what_nobody_touched_is_sound(books: Tampered) -> None:
    assert await books.found() == []
    await books.store(books.all)
    assert await books.found() == [], "the tampering itself leaves no trace"


async def test_any_changed_field_of_any_record_is_found_there(books: Tampered) -> None:
    chance = random.Random(1)
    for column, kind in _COLUMNS.items():
        if column in ("organiser", "number"):
            continue  # another ledger's, and another place: moved, below
        for _ in range(ROUNDS):
            number = chance.randint(1, len(books.all))
            change = {
                "text": f"{column} || 'x'",
                "bytea": f"set_byte({column}, 7, (get_byte({column}, 7) + 1) % 256)",
            }.get(kind, f"{column} + {chance.choice((-1, 1, 1000))}")
            await books.execute(
                f"UPDATE ledger SET {column} = {change} WHERE number = :number", number=number
            )
            findings = await books.found()
            assert first(findings) == (Place.RECORD, number, Fault.CHANGED, number), column
            assert len(findings) == 1, "and nowhere else"


async def test_missing_records_are_found_with_their_numbers(books: Tampered) -> None:
    chance = random.Random(2)
    for _ in range(2 * ROUNDS):
        begin = chance.randint(1, len(books.all))
        end = min(begin + chance.choice((0, 0, 1, 7, 40)), len(books.all))
        await books.execute(
            "DELETE FROM ledger WHERE number BETWEEN :begin AND :end", begin=begin, end=end
        )
        assert first(await books.found()) == (Place.RECORD, begin, Fault.MISSING, end)


async def test_a_tail_cut_off_with_the_head_set_back_is_found_by_a_signature(
    books: Tampered,
) -> None:
    for keep in (1, 7, books.days[1].last, books.signed - 1):
        await books.store(books.all[:keep])
        findings = await books.found()
        assert first(findings) == (Place.RECORD, keep + 1, Fault.MISSING, books.signed)


async def test_a_record_put_in_between_is_found(books: Tampered) -> None:
    """Those after it move up, unchanged but for their number."""
    chance = random.Random(3)
    for _ in range(ROUNDS):
        place = chance.randint(1, len(books.all) - 2)
        forged = structs.replace(books.all[place], number=place + 1, amount=7)
        forged = structs.replace(forged, hash=record_hash(books.all[place - 1].hash, forged))
        later = [structs.replace(one, number=one.number + 1) for one in books.all[place:]]
        await books.store([*books.all[:place], forged, *later])
        # It is chained well itself: what is wrong begins with the one after it.
        assert first(await books.found())[:3] == (Place.RECORD, place + 2, Fault.CHANGED)


async def test_a_record_put_beyond_the_end_is_found(books: Tampered) -> None:
    [*_, last] = books.all
    beyond = chained([*books.all, structs.replace(last, amount=7)], len(books.all))
    await books.store(beyond)
    await books.execute("UPDATE ledgers SET (number, hash, at_ms) = (SELECT number, hash, at_ms "
                        "FROM kept_ledgers)")  # fmt: skip
    number = len(books.all) + 1
    assert first(await books.found()) == (Place.RECORD, number, Fault.INSERTED, number)


async def test_two_records_that_change_places_are_found(books: Tampered) -> None:
    chance = random.Random(4)
    for _ in range(ROUNDS):
        one, other = sorted(chance.sample(range(1, len(books.all) + 1), 2))
        await books.execute("UPDATE ledger SET number = -number WHERE number = :one", one=one)
        await books.execute(
            "UPDATE ledger SET number = :one WHERE number = :other", one=one, other=other
        )
        await books.execute("UPDATE ledger SET number = :other WHERE number = :gone",
                            other=other, gone=-one)  # fmt: skip
        findings = await books.found()
        assert first(findings) == (Place.RECORD, one, Fault.CHANGED, one)
        assert other in [found.number for found in findings]


async def test_a_chain_made_anew_contradicts_the_signature_of_its_day(books: Tampered) -> None:
    for index in (0, 5, books.days[0].last, books.signed - 1):
        changed = list(books.all)
        changed[index] = structs.replace(changed[index], amount=changed[index].amount + 100)
        await books.store(chained(changed, index))
        day = next(one for one in books.days if one.first <= index + 1 <= one.last)
        findings = await books.found()
        assert first(findings)[:3] == (Place.PERIOD, day.number, Fault.REWRITTEN)


async def test_whatever_is_done_to_a_period_is_found_there(books: Tampered) -> None:
    chance = random.Random(5)
    closed = (await books.ledger.periods(books.house, 0))[1]
    for _ in range(4 * ROUNDS):
        one = chance.choice(closed)
        at = chance.randrange(len(one.body))
        letter = chance.choice([char for char in "0123456789ab" if char != one.body[at]])
        await books.execute(
            "UPDATE ledger_periods SET body = overlay(body PLACING :letter FROM :at FOR 1) "
            "WHERE number = :number",
            letter=letter, at=at + 1, number=one.number,
        )  # fmt: skip
        findings = await books.found()
        assert first(findings)[:3] == (Place.PERIOD, one.number, Fault.CHANGED), (at, letter)
        assert len(findings) == 1
    for column, fault in (("hash", Fault.CHANGED), ("signature", Fault.SIGNATURE)):
        for one in closed:
            await books.execute(
                f"UPDATE ledger_periods SET {column} = set_byte({column}, 9, "
                f"(get_byte({column}, 9) + 1) % 256) WHERE number = :number",
                number=one.number,
            )
            findings = await books.found()
            assert first(findings)[:3] == (Place.PERIOD, one.number, fault)
            assert len(findings) == 1


async def test_missing_and_exchanged_periods_are_found(books: Tampered) -> None:
    for number in (1, 2, 3, 4):
        await books.execute("DELETE FROM ledger_periods WHERE number = :number", number=number)
        assert first(await books.found()) == (Place.PERIOD, number, Fault.MISSING, number)
    await books.execute("UPDATE ledger_periods SET number = -number")
    await books.execute("UPDATE ledger_periods SET number = CASE number WHEN -1 THEN 2 WHEN -2 "
                        "THEN 1 ELSE -number END")  # fmt: skip
    assert first(await books.found())[:3] == (Place.PERIOD, 1, Fault.CHANGED)


async def test_a_period_signed_by_somebody_else_is_found(books: Tampered) -> None:
    """Other totals, all hashes right, signed by a key of the forger's, with the head in accord."""
    closed = (await books.ledger.periods(books.house, 0))[1]
    forger = Ed25519PrivateKey.generate()
    for own_key in (False, True):
        last = read_period(closed[-1].body)
        totals = totals_of(books.all[:2])
        forged = structs.replace(last, totals=totals)
        if own_key:
            forged = structs.replace(forged, key=forger.public_key().public_bytes_raw().hex())
        body = body_of(forged)
        hash = bytes.fromhex(body_hash(body))
        await books.execute(
            "UPDATE ledger_periods SET body = :body, hash = :hash, signature = :signature "
            "WHERE number = :number",
            body=body, hash=hash, signature=forger.sign(hash), number=last.number,
        )  # fmt: skip
        await books.execute("UPDATE ledgers SET period_hash = :hash", hash=hash)
        assert first(await books.found())[:3] == (Place.PERIOD, last.number, Fault.SIGNATURE)


HEAD = {
    "number": "number - 1", "hash": "set_byte(hash, 0, (get_byte(hash, 0) + 1) % 256)",
    "at_ms": "at_ms + 1", "closed_until_ms": "closed_until_ms - 1", "period": "period - 1",
    "period_hash": "set_byte(period_hash, 0, (get_byte(period_hash, 0) + 1) % 256)",
    "seed": "set_byte(seed, 0, (get_byte(seed, 0) + 1) % 256)",
}  # fmt: skip


@pytest.mark.parametrize("column", HEAD)
async def test_a_head_that_is_set_elsewhere_is_found(books: Tampered, column: str) -> None:
    await books.execute(f"UPDATE ledgers SET {column} = {HEAD[column]}")
    findings = await books.found()
    period, count = len(await books.periods()), len(books.all)
    expected: dict[str, Any] = {
        "number": (Place.RECORD, count, Fault.INSERTED),
        "period": (Place.PERIOD, period, Fault.INSERTED),
        "seed": (Place.PERIOD, 1, Fault.SIGNATURE),
    }
    place = Place.PERIOD if column in ("closed_until_ms", "period_hash") else Place.RECORD
    number = period if place is Place.PERIOD else count
    assert first(findings)[:3] == expected.get(column, (place, number, Fault.HEAD))


def test_a_finding_can_be_sent() -> None:
    finding = Finding(Place.RECORD, 7, Fault.MISSING, 9)
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
