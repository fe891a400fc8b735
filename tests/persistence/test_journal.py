"""The journal: batches durable as a whole, one writer at a time, and never a guess."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from engine.journal import Append, Claimed, Succeeded, Written
from engine.layout_packed import PACKED_HEAD
from engine.projection import KEEP_VERSION, Projection, ScanRow, UndoneRow
from persistence import journal as journal_module
from persistence.journal import (
    Journal,
    JournalCorrupt,
    JournalUnavailable,
    JournalUnknown,
    PerformanceUnknown,
)
from persistence.store import Store
from persistence.url import connect
from tests.persistence.houses import NOW_MS, Opened, batch, selling, ticket


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else at the database."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def written(journal: Journal, *batches: Append) -> list[Written]:
    return list(await journal.append(batches))


async def tail(journal: Journal, claimed: Claimed) -> list[tuple[int, bytes]]:
    """The whole tail, page by page, as a new writer reads it."""
    seq, batches = claimed.snapshot_seq, list[tuple[int, bytes]]()
    while seq < claimed.head_seq:
        batches += await journal.tail_page(claimed.performance, seq, claimed.head_seq)
        seq = batches[-1][0]
    return batches


# Claiming and reading back ------------------------------------------------------


async def test_a_new_performance_is_claimed_with_everything_it_starts_from(
    store: Store, opened: Opened
) -> None:
    claimed = await store.journal.claim(opened.first, "here")
    assert (claimed.epoch, claimed.head_seq, claimed.snapshot) == (1, 0, None)
    assert (claimed.plan_hash, claimed.plan) == ("cafe", b"the plan")
    assert b'"currency":"EUR"' in claimed.settings
    assert claimed.starts_ms == NOW_MS + 86_400_000
    assert await tail(store.journal, claimed) == []
    assert await store.journal.serving(opened.first) == "here"
    assert await store.journal.serving(opened.second) == ""


async def test_a_claim_gives_the_packed_plan_where_this_version_has_packed_it(
    store: Store, opened: Opened
) -> None:
    journal = store.journal
    for packed, given in (
        (PACKED_HEAD + b"values", PACKED_HEAD + b"values"),
        (b"strapontin-packed:of another version", b"the plan"),
        (PACKED_HEAD[:-1], b"the plan"),
    ):
        await journal.keep_packed("cafe", packed)
        assert (await journal.claim(opened.first, "here")).plan == given


async def test_an_unknown_performance_cannot_be_claimed(store: Store, opened: Opened) -> None:
    with pytest.raises(PerformanceUnknown, match="12345"):
        await store.journal.claim(12_345, "here")
    assert await store.journal.serving(12_345) is None


async def test_what_was_appended_comes_back_in_order(store: Store, opened: Opened) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "here")
    for after in (0, 3, 6):
        assert await written(journal, batch(claimed, after)) == [Written.WRITTEN]
    again = await journal.claim(opened.first, "there")
    assert (again.epoch, again.head_seq) == (2, 9)
    assert await tail(journal, again) == [(3, b"1:0"), (6, b"1:3"), (9, b"1:6")]


async def test_the_tail_is_read_in_bounded_pages(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = store.journal
    monkeypatch.setattr(journal_module, "MAX_TAIL_BYTES", 250)
    claimed = await journal.claim(opened.first, "here")
    blobs = [bytes([65 + number]) * 100 for number in range(7)]
    for number, blob in enumerate(blobs):
        assert await written(journal, batch(claimed, 3 * number, blob=blob))
    page = await journal.tail_page(opened.first, 0, 21)
    assert page == [(3, blobs[0]), (6, blobs[1]), (9, blobs[2])]
    again = await journal.claim(opened.first, "here")
    assert [blob for _, blob in await tail(journal, again)] == blobs

    monkeypatch.setattr(journal_module, "MAX_TAIL_ROWS", 2)
    assert len(await journal.tail_page(opened.first, 0, 21)) == 2
    assert await journal.tail_page(opened.first, 0, 3) == [(3, blobs[0])]


async def test_a_missing_batch_is_seen(
    store: Store, opened: Opened, sql: asyncpg.Connection
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "here")
    for after in (0, 3, 6):
        await written(journal, batch(claimed, after))
    with pytest.raises(JournalCorrupt):  # not the end of a batch
        await journal.tail_page(opened.first, 4, 9)
    await sql.execute("DELETE FROM journal WHERE seq = 6")
    with pytest.raises(JournalCorrupt, match="after seq 3"):
        await journal.tail_page(opened.first, 0, 9)
    await sql.execute("DELETE FROM journal WHERE seq = 9")
    with pytest.raises(JournalCorrupt):
        await journal.tail_page(opened.first, 3, 9)


async def test_snapshots_shorten_the_tail_and_only_two_are_kept(
    store: Store, opened: Opened, sql: asyncpg.Connection
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "here")
    for after in (0, 3, 6, 9):
        await written(journal, batch(claimed, after))
    for seq in (3, 6, 9):
        assert await journal.save_snapshot(opened.first, claimed.epoch, seq, b"at %d" % seq)
    assert not await journal.save_snapshot(opened.first, claimed.epoch, 15, b"not written yet")
    again = await journal.claim(opened.first, "there")
    assert again.snapshot == (9, b"at 9")
    assert await tail(journal, again) == [(12, b"1:9")]
    kept = await sql.fetch("SELECT seq FROM snapshots ORDER BY seq")
    assert [row["seq"] for row in kept] == [6, 9]

    assert not await journal.save_snapshot(opened.first, claimed.epoch, 12, b"of an old epoch")
    assert (await journal.claim(opened.first, "there")).snapshot == (9, b"at 9")


# Fencing ------------------------------------------------------------------------


async def test_a_stale_writer_is_refused_and_changes_nothing(
    store: Store, opened: Opened, database_url: str
) -> None:
    old = await store.journal.claim(opened.first, "old")
    assert await written(store.journal, batch(old, 0))
    other = Journal(database_url)
    new = await other.claim(opened.first, "new")
    assert await written(other, batch(new, 3))

    for after_seq in (3, 6):  # where it thinks the head is, and where the head is
        stale = batch(old, after_seq, projection=selling(7))
        assert await written(store.journal, stale) == [Written.FENCED]
    assert not Written.FENCED
    last = await other.claim(opened.first, "new")
    assert await tail(other, last) == [(3, b"1:0"), (6, b"2:3")]
    assert await store.sales.tickets(opened.first) == []
    await other.close()


async def test_a_writer_goes_on_only_while_nobody_else_has_claimed(
    store: Store, opened: Opened
) -> None:
    journal = store.journal
    first = await journal.claim(opened.first, "old")
    # Its own claim since, whose answer it never saw, is not another's.
    unheard = await journal.claim(opened.first, "old", first.epoch)
    again = await journal.claim(opened.first, "old", first.epoch)
    assert (unheard.epoch, again.epoch) == (2, 3)
    new = await journal.claim(opened.first, "new")
    with pytest.raises(Succeeded):
        await journal.claim(opened.first, "old", again.epoch)
    assert await written(journal, batch(new, 0)), "nothing was claimed"
    assert (await journal.claim(opened.first, "new", new.epoch)).epoch == 5
    with pytest.raises(PerformanceUnknown):
        await journal.claim(12_345, "old", 3)


async def test_without_the_guard_a_stale_batch_would_be_kept(
    store: Store, opened: Opened, sql: asyncpg.Connection
) -> None:
    """The positive control: nothing but the guarded statement keeps a stale batch out."""
    old = await store.journal.claim(opened.first, "old")
    new = await store.journal.claim(opened.first, "new")
    assert await written(store.journal, batch(new, 0, events=4))
    stale = batch(old, 0, events=3)
    assert await written(store.journal, stale) == [Written.FENCED]
    await sql.execute(
        "INSERT INTO journal (performance, seq, prev_seq, epoch, at_ms, events)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        *(stale.performance, stale.seq, stale.prev_seq, stale.epoch, stale.at_ms, stale.events),
    )
    last = await store.journal.claim(opened.first, "new")
    with pytest.raises(JournalCorrupt):
        await tail(store.journal, last)


@pytest.mark.parametrize("after_seq", [0, 2, 6])
async def test_a_batch_that_does_not_follow_the_head_is_refused(
    store: Store, opened: Opened, after_seq: int
) -> None:
    claimed = await store.journal.claim(opened.first, "here")
    assert await written(store.journal, batch(claimed, 0))
    assert await written(store.journal, batch(claimed, after_seq)) == [Written.FENCED]
    assert await written(store.journal, batch(claimed, 3)) == [Written.WRITTEN]


async def test_of_many_claims_at_once_exactly_the_last_may_write(
    opened: Opened, database_url: str
) -> None:
    journals = [Journal(database_url) for _ in range(8)]
    claims = await asyncio.gather(
        *(journal.claim(opened.first, str(n)) for n, journal in enumerate(journals))
    )
    assert sorted(claimed.epoch for claimed in claims) == list(range(1, 9))
    verdicts = await asyncio.gather(
        *(
            journal.append([batch(claimed, 0)])
            for journal, claimed in zip(journals, claims, strict=True)
        )
    )
    winners = [
        claimed.epoch for claimed, [verdict] in zip(claims, verdicts, strict=True) if verdict
    ]
    assert winners == [8]
    for journal in journals:
        await journal.close()


async def test_a_claim_waits_for_the_append_that_is_being_committed(
    store: Store, opened: Opened, sql: asyncpg.Connection
) -> None:
    claimed = await store.journal.claim(opened.first, "old")
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute("UPDATE writers SET head_seq = 3 WHERE performance = $1", opened.first)
    await sql.execute("UPDATE performances SET settings = '{}' WHERE id = $1", opened.first)
    await sql.execute(
        "INSERT INTO journal VALUES ($1, 3, 0, $2, $3, 'late')", opened.first, claimed.epoch, NOW_MS
    )
    waiting = asyncio.create_task(store.journal.claim(opened.first, "new"))
    await waits_for_a_lock(sql)
    assert not waiting.done()
    await transaction.commit()
    new = await waiting
    assert (new.epoch, new.head_seq, new.settings) == (2, 3, b"{}")
    assert await tail(store.journal, new) == [(3, b"late")]


# Groups -------------------------------------------------------------------------


@pytest.mark.parametrize("old_first", [True, False])
async def test_a_writer_and_its_successor_at_the_same_seq_are_told_apart(
    store: Store, opened: Opened, old_first: bool
) -> None:
    """In one transaction: who is told that it was written acknowledges what it decided."""
    old = await store.journal.claim(opened.first, "old")
    new = await store.journal.claim(opened.first, "new")
    both = [batch(old, 0), batch(new, 0)]
    verdicts = await written(store.journal, *(both if old_first else both[::-1]))
    assert (verdicts if old_first else verdicts[::-1]) == [Written.FENCED, Written.WRITTEN]
    last = await store.journal.claim(opened.first, "new")
    assert await tail(store.journal, last) == [(3, b"2:0")]


async def test_one_fenced_batch_does_not_take_the_others_with_it(
    store: Store, opened: Opened
) -> None:
    journal = store.journal
    first, second = await journal.claim(opened.first, ""), await journal.claim(opened.second, "")
    await journal.claim(opened.first, "somebody else")
    verdicts = await written(
        journal,
        batch(first, 0, projection=selling(1)),
        batch(second, 0, projection=selling(1)),
    )
    assert verdicts == [Written.FENCED, Written.WRITTEN]
    assert await store.sales.tickets(opened.first) == []
    assert [found.seat for found in await store.sales.tickets(opened.second)] == [1]


async def test_several_batches_of_one_performance_are_written_in_their_order(
    store: Store, opened: Opened
) -> None:
    journal = store.journal
    first, second = await journal.claim(opened.first, ""), await journal.claim(opened.second, "")
    refund = Projection(ticket_states=((1, "refunded", KEEP_VERSION),))
    verdicts = await written(
        journal,
        batch(first, 0, projection=selling(5)),
        batch(second, 0),
        batch(first, 3, projection=refund),
        batch(first, 6, projection=selling(5, first_number=2)),
        batch(first, 12),
    )
    assert verdicts == [Written.WRITTEN] * 4 + [Written.FENCED]
    states = [(found.number, found.state) for found in await store.sales.tickets(opened.first)]
    assert states == [(2, "valid"), (1, "refunded")]
    assert (await journal.claim(opened.first, "")).head_seq == 9


async def test_the_second_wall_refuses_a_seat_sold_twice_and_only_that_batch(
    store: Store, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    journal = store.journal
    first, second = await journal.claim(opened.first, ""), await journal.claim(opened.second, "")
    assert await written(journal, batch(first, 0, projection=selling(5)))
    verdicts = await written(
        journal,
        batch(first, 3, projection=selling(6, 5, first_number=2)),
        batch(second, 0, projection=selling(5)),
    )
    assert verdicts == [Written.SECOND_WALL, Written.WRITTEN]
    assert not Written.SECOND_WALL
    assert "uq_tickets_live_seat" in caplog.text
    assert [found.seat for found in await store.sales.tickets(opened.first)] == [5]
    assert (await journal.claim(opened.first, "")).head_seq == 3  # nor the batch's events


async def test_a_ticket_gets_another_price(store: Store, opened: Opened) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    assert await written(journal, batch(claimed, 0, projection=selling(5, 6)))
    dearer = Projection(ticket_states=((1, "valid", 1),), repriced=((1, "student", 2**40),))
    assert await written(journal, batch(claimed, 3, projection=dearer)) == [Written.WRITTEN]
    second, first = await store.sales.tickets(opened.first)
    assert (first.price_type, first.amount, first.version) == ("student", 2**40, 1)
    assert (second.price_type, second.version) != ("student", 1)


async def test_a_revoked_ticket_keeps_its_seat_and_a_refunded_one_gives_it_back(
    store: Store, opened: Opened
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    assert await written(journal, batch(claimed, 0, projection=selling(5)))
    revoked = Projection(ticket_states=((1, "revoked", 1),))
    assert await written(journal, batch(claimed, 3, projection=revoked))
    again = selling(5, first_number=2)
    assert await written(journal, batch(claimed, 6, projection=again)) == [Written.SECOND_WALL]
    both = Projection(ticket_states=((1, "refunded", KEEP_VERSION),), tickets=again.tickets)
    assert await written(journal, batch(claimed, 6, projection=both)) == [Written.WRITTEN]
    found = await store.sales.tickets(opened.first)
    assert [(t.number, t.state, t.version) for t in found] == [
        (2, "valid", 0),
        (1, "refunded", 1),
    ]


async def test_places_in_an_area_know_no_wall(store: Store, opened: Opened) -> None:
    claimed = await store.journal.claim(opened.first, "")
    places = tuple(structs.replace(ticket(n, -1), area=0) for n in (1, 2, 3))
    assert await written(store.journal, batch(claimed, 0, projection=Projection(tickets=places)))


async def test_scans_and_settings_are_written_with_their_batch(
    store: Store, opened: Opened
) -> None:
    claimed = await store.journal.claim(opened.first, "")
    changes = Projection(
        tickets=(ticket(1, 5),),
        scans=(
            ScanRow(2, NOW_MS + 1, "north", "lane 1", "admit", 1, "ADMITTED"),
            ScanRow(3, NOW_MS + 2, "north", "lane 1", "admit", 1, "ALREADY_USED"),
        ),
        settings=b'{"currency":"CHF"}',
    )
    assert await written(store.journal, batch(claimed, 0, projection=changes))
    found = await store.sales.ticket(opened.first, 1)
    assert found is not None
    assert [scan.result for scan in found[1]] == ["ALREADY_USED", "ADMITTED"]
    kept = await store.catalogue.performance(opened.first)
    assert kept is not None and kept.settings == b'{"currency":"CHF"}'
    # What is replayed from the start begins with the settings of the start.
    assert (await store.journal.claim(opened.first, "")).settings == claimed.settings


async def test_an_empty_group_writes_nothing(store: Store) -> None:
    assert await store.journal.append([]) == []


# Lost connections ---------------------------------------------------------------


async def waits_for_a_lock(sql: asyncpg.Connection) -> int:
    """The backend that waits for a lock in this database, once there is one."""
    async with asyncio.timeout(10):
        while True:
            # Within a transaction, the activity is a snapshot unless one asks for a new one.
            await sql.execute("SELECT pg_stat_clear_snapshot()")
            pid: int | None = await sql.fetchval(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if pid is not None:
                return pid
            await asyncio.sleep(0.01)


GONE = ((99, "refunded", KEEP_VERSION),)
"""A change of a ticket's state, which takes a batch through BEGIN and COMMIT."""


@pytest.mark.parametrize(
    ("projection", "error"),
    [
        (Projection(), JournalUnknown),  # one statement, which commits by itself
        (selling(5), JournalUnknown),
        (structs.replace(selling(5), ticket_states=GONE), JournalUnavailable),  # before COMMIT
    ],
)
async def test_a_connection_lost_while_appending_is_never_taken_for_an_answer(
    store: Store,
    opened: Opened,
    sql: asyncpg.Connection,
    projection: Projection,
    error: type[Exception],
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    async with sql.transaction():
        await sql.execute("SELECT FROM writers WHERE performance = $1 FOR UPDATE", opened.first)
        appending = asyncio.create_task(journal.append([batch(claimed, 0, projection=projection)]))
        await sql.execute("SELECT pg_terminate_backend($1)", await waits_for_a_lock(sql))
        with pytest.raises(error):
            await appending
    again = await journal.claim(opened.first, "")  # claim and read to find out
    assert again.head_seq == 0
    assert await written(journal, batch(again, 0, projection=projection)) == [Written.WRITTEN]


_AT_COMMIT = """
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON tickets DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION at_commit();
"""


@pytest.mark.parametrize("states", [(), GONE])
async def test_a_connection_lost_while_committing_leaves_the_result_unknown(
    store: Store, opened: Opened, sql: asyncpg.Connection, states: tuple[tuple[int, str, int], ...]
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    await sql.execute(_AT_COMMIT.format("PERFORM pg_advisory_xact_lock(7);"))
    await sql.execute("SELECT pg_advisory_lock(7)")
    sale = structs.replace(selling(5), ticket_states=states)
    appending = asyncio.create_task(journal.append([batch(claimed, 0, projection=sale)]))
    await sql.execute("SELECT pg_terminate_backend($1)", await waits_for_a_lock(sql))
    with pytest.raises(JournalUnknown):
        await appending


@pytest.mark.parametrize("states", [(), GONE])
async def test_a_commit_that_the_server_refuses_is_surely_not_written(
    store: Store, opened: Opened, sql: asyncpg.Connection, states: tuple[tuple[int, str, int], ...]
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    await sql.execute(_AT_COMMIT.format("RAISE 'the disk is full' USING ERRCODE = '53100';"))
    sale = structs.replace(selling(5), ticket_states=states)
    with pytest.raises(JournalUnavailable, match="the disk is full"):
        await journal.append([batch(claimed, 0, projection=sale)])
    assert (await journal.claim(opened.first, "")).head_seq == 0


async def test_in_a_group_taken_apart_what_follows_a_lost_connection_is_unknown(
    store: Store, opened: Opened, sql: asyncpg.Connection
) -> None:
    """A seat sold twice sends the group through one by one, and then the connection goes."""
    journal = store.journal
    first, second = await journal.claim(opened.first, ""), await journal.claim(opened.second, "")
    assert await written(journal, batch(first, 0, projection=selling(5)))
    lost = "IF NEW.seat = 9 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;"
    await sql.execute(_AT_COMMIT.format(lost))
    verdicts = await written(
        journal,
        batch(first, 3, projection=selling(5, first_number=2)),
        batch(second, 0, projection=selling(1)),
        batch(second, 3, projection=selling(9, first_number=2)),
        batch(second, 6),
    )
    assert verdicts == [
        Written.SECOND_WALL,
        Written.WRITTEN,
        Written.UNKNOWN,
        Written.UNKNOWN,
    ]
    assert (await journal.claim(opened.second, "")).head_seq == 3


async def test_an_append_that_takes_too_long_is_unknown_and_the_next_one_works(
    store: Store, opened: Opened, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    monkeypatch.setattr(journal_module, "APPEND_TIMEOUT_S", 0.1)
    async with sql.transaction():
        await sql.execute("SELECT FROM writers WHERE performance = $1 FOR UPDATE", opened.first)
        with pytest.raises(JournalUnknown):
            await journal.append([batch(claimed, 0)])
    monkeypatch.undo()
    again = await journal.claim(opened.first, "")
    assert await written(journal, batch(again, again.head_seq)) == [Written.WRITTEN]


@pytest.mark.parametrize("states", [(), GONE])
async def test_a_cancelled_append_is_written_whole_or_not_at_all(
    store: Store, opened: Opened, sql: asyncpg.Connection, states: tuple[tuple[int, str, int], ...]
) -> None:
    journal = store.journal
    claimed = await journal.claim(opened.first, "")
    sale = structs.replace(selling(1), ticket_states=states)
    async with sql.transaction():
        await sql.execute("SELECT FROM writers WHERE performance = $1 FOR UPDATE", opened.first)
        appending = asyncio.create_task(journal.append([batch(claimed, 0, projection=sale)]))
        await waits_for_a_lock(sql)
        appending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await appending
    again = await journal.claim(opened.first, "")
    sold = (await store.sales.totals(opened.first)).sold
    assert (again.head_seq, sold) in ({(0, 0)} if states else {(0, 0), (3, 1)})
    after = selling(2, first_number=2)
    assert await written(journal, batch(again, again.head_seq, projection=after))


async def test_a_server_that_is_not_there_means_surely_not_written(opened: Opened) -> None:
    journal = Journal("postgresql://nobody@127.0.0.1:9/nothing")
    claimed = Claimed(opened.first, 1, 0, 0, "", b"", b"", None)
    with pytest.raises(JournalUnavailable):
        await journal.append([batch(claimed, 0)])
    with pytest.raises(JournalUnavailable):
        await journal.claim(opened.first, "")


# The chain -----------------------------------------------------------------------------


async def chained(store: Store, opened: Opened) -> Claimed:
    claimed = await store.journal.claim(opened.first, "a")
    for after_seq in range(0, 30, 3):
        assert all(await store.journal.append([batch(claimed, after_seq)]))
    return claimed


async def tamper(url: str, statement: str) -> None:
    connection = await connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_a_journal_that_nobody_touched_is_sound(store: Store, opened: Opened) -> None:
    await chained(store, opened)
    found = await store.history.check(opened.first, (6, 30))
    assert found is not None and (found.batches, found.unchained, found.faults) == (10, 0, ())
    assert found.head_seq == 30 and len(found.hashes[6]) == 64 and set(found.hashes) == {6, 30}
    assert await store.history.check(999) is None
    assert await store.history.journals(0) == [opened.first]
    untouched = await store.history.check(opened.second)
    assert untouched is not None and untouched.faults == ()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE journal SET events = events || '\\x00' WHERE seq = 12", (12, "changed")),
        ("UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 30", (30, "changed")),
        ("UPDATE journal SET epoch = epoch + 1 WHERE seq = 3", (3, "changed")),
        ("UPDATE journal SET hash = set_byte(hash, 3, 255 - get_byte(hash, 3)) WHERE seq = 9",
         (9, "changed")),
        ("DELETE FROM journal WHERE seq = 15", (13, "missing")),
        ("DELETE FROM journal WHERE seq > 24", (30, "missing")),
        ("UPDATE writers SET head_seq = 27", (27, "head")),
        ("UPDATE writers SET head_hash = sha256('')", (30, "head")),
    ],
)  # fmt: skip
async def test_what_was_done_to_a_journal_is_found_at_its_place(
    store: Store, opened: Opened, database_url: str, statement: str, fault: tuple[int, str]
) -> None:
    await chained(store, opened)
    await tamper(database_url, statement)
    found = await store.history.check(opened.first)
    assert found is not None and found.faults[0] == fault


async def test_a_journal_begun_before_the_chain_is_checked_from_there_on(
    store: Store, opened: Opened, database_url: str
) -> None:
    claimed = await chained(store, opened)
    await tamper(database_url, "UPDATE journal SET hash = ''; UPDATE writers SET head_hash = ''")
    assert all(await store.journal.append([batch(claimed, 30), batch(claimed, 33)]))
    found = await store.history.check(opened.first)
    assert found is not None and (found.unchained, found.faults) == (10, ())
    await tamper(database_url, "UPDATE journal SET hash = '' WHERE seq = 36")
    found = await store.history.check(opened.first)
    assert found is not None and found.faults[0] == (36, "changed")


async def marks(store: Store, opened: Opened) -> list[tuple[int, int]]:
    """(time at the door, undone or 0) of the scans of ticket 1, after NOW_MS, the first first."""
    found = await store.sales.ticket(opened.first, 1)
    assert found is not None
    return [
        (scan.scanned_ms - NOW_MS, scan.undone_ms and scan.undone_ms - NOW_MS)
        for scan in reversed(found[1])
    ]


async def test_what_is_taken_back_is_marked_at_the_scan_that_it_was(
    store: Store, opened: Opened
) -> None:
    def scan(seq: int, result: str = "ADMITTED", **more: Any) -> ScanRow:
        at_ms = NOW_MS + seq
        row = ScanRow(seq, at_ms, "north", "lane 1", "admit", 1, result, scanned_ms=at_ms)
        return structs.replace(row, **more)

    claimed = await store.journal.claim(opened.first, "")
    changes = Projection(
        tickets=(ticket(1, 5),),
        scans=(
            scan(2),
            scan(3, "EXITED", mode="exit"),
            scan(4, "ALREADY_USED"),
            # Kept by a device: shown as an admission, and not thought to be one.
            scan(5, "ALREADY_USED", sequence=9, shown="ADMITTED"),
            scan(8),
        ),
        # Both of lane 1's own in the same batch, one after the other; the later admission stays.
        undone=tuple(UndoneRow(seq, NOW_MS + seq, 1, "lane 1", -1) for seq in (6, 7)),
    )
    batches = [batch(claimed, 0, projection=changes)]
    assert await written(store.journal, *batches) == [Written.WRITTEN]
    assert await marks(store, opened) == [(2, 7), (3, 6), (4, 0), (5, 0), (8, 0)]
    assert (await store.sales.totals(opened.first)).admitted == 1
    undone = UndoneRow(50, NOW_MS + 50, 1, "lane 1", 9)
    batches = [batch(claimed, 3, projection=Projection(undone=(undone,)))]
    assert await written(store.journal, *batches) == [Written.WRITTEN]
    assert await marks(store, opened) == [(2, 7), (3, 6), (4, 0), (5, 50), (8, 0)]


async def test_a_second_wall_keeps_a_devices_scan_from_counting_twice(
    store: Store, opened: Opened
) -> None:
    claimed = await store.journal.claim(opened.first, "")
    row = ScanRow(2, NOW_MS, "", "lane 1", "admit", 1, "ADMITTED", "", 7, NOW_MS, "ADMITTED")
    other = structs.replace(row, seq=3, device="lane 2")
    batches = [batch(claimed, 0, projection=Projection(scans=(row, other)))]
    assert await written(store.journal, *batches) == [Written.WRITTEN]
    again = structs.replace(row, seq=4)
    batches = [batch(claimed, 3, projection=Projection(scans=(again,)))]
    assert await written(store.journal, *batches) == [Written.SECOND_WALL]
