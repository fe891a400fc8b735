"""A database behind a network that forgot its connections: found out soon, and no lock left."""

import asyncio
import time

import pytest
import sqlalchemy as sa

from persistence import journal as journal_module
from persistence import pool as pool_module
from persistence.journal import Journal, JournalUnavailable
from persistence.store import Store
from tests.faults.proxy import Path
from tests.persistence.houses import Opened

SOON_S = 8.0


async def test_a_store_whose_connections_are_silent_answers_soon(through: str, path: Path) -> None:
    async with await Store.open(through) as store:
        await asyncio.gather(*(store.catalogue.house() for _ in range(6)))
        with path.lose():
            pass
        begun_s = time.monotonic()
        assert await store.catalogue.house() is None
        assert time.monotonic() - begun_s < SOON_S
        begun_s = time.monotonic()
        await asyncio.gather(*(store.catalogue.house() for _ in range(6)))
        assert time.monotonic() - begun_s < SOON_S, "the others were given up with it"


async def test_a_statement_that_nobody_answers_is_not_waited_for_twice(
    through: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "STATEMENT_TIMEOUT_S", 1.0)
    async with await Store.open(through) as store:

        async def lose() -> None:
            await asyncio.sleep(0.2)
            with path.lose():
                pass

        async def ask() -> None:
            async with store._engine.begin() as connection:
                await connection.execute(sa.text("SELECT pg_sleep(0.5)"))

        begun_s = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.gather(ask(), lose())
        assert time.monotonic() - begun_s < SOON_S


async def test_a_journal_whose_connections_are_silent_claims_soon(
    through: str, path: Path, opened: Opened
) -> None:
    journal = Journal(through)
    try:
        number = opened.first
        await asyncio.gather(*(journal.claim(number, "a") for _ in range(3)))
        with path.lose():
            pass
        begun_s = time.monotonic()
        with pytest.raises(JournalUnavailable):
            await journal.claim(number, "b")
        assert (await journal.claim(number, "c")).epoch == 4
        assert time.monotonic() - begun_s < SOON_S
    finally:
        await journal.close()


async def test_a_transaction_that_was_cut_off_does_not_keep_the_next_writer_out(
    through: str, database_url: str, path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server keeps what it has locked until it gives the silent client up."""
    monkeypatch.setattr(journal_module, "ABANDONED_MS", 1_500)
    monkeypatch.setattr(journal_module, "APPEND_TIMEOUT_S", 0.5)
    number = opened.first
    journal, other = Journal(through), Journal(database_url)
    try:
        epoch = (await journal.claim(number, "a")).epoch
        writer = await journal._connected()
        await writer.execute("BEGIN")
        advance = "UPDATE writers SET head_seq = head_seq WHERE performance = $1"
        await writer.execute(advance, number)
        with path.lose():
            pass
        begun_s = time.monotonic()
        assert (await other.claim(number, "b")).epoch == epoch + 1
        assert 0.5 < time.monotonic() - begun_s < SOON_S
    finally:
        await journal.close()
        await other.close()


async def sold_on(through: str, database_url: str, path: Path) -> float:
    """Seconds until somebody else may change what a transaction has changed that was cut off."""
    async with await Store.open(through) as store, await Store.open(database_url) as other:
        lock = sa.text("SELECT pg_advisory_xact_lock(7)")
        cut_off = await store._engine.connect()
        await cut_off.execute(lock)
        with path.lose():
            pass
        begun_s = time.monotonic()
        try:
            async with other._engine.begin() as connection:
                await connection.execute(lock)
        finally:
            await cut_off.invalidate()
            await cut_off.close()
        return time.monotonic() - begun_s


async def test_a_purchase_that_was_cut_off_does_not_keep_the_others_waiting(
    through: str, database_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ABANDONED_MS", 1_500)
    assert 0.5 < await sold_on(through, database_url, path) < SOON_S


async def test_without_an_end_of_its_patience_the_server_keeps_them_waiting(
    through: str, database_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""
    monkeypatch.setattr(pool_module, "ABANDONED_MS", 0)
    monkeypatch.setattr(pool_module, "STATEMENT_TIMEOUT_S", SOON_S)
    with pytest.raises(TimeoutError):
        await sold_on(through, database_url, path)
