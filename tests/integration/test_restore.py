"""A house is copied while it sells, goes on, and is made again: every seat, ticket and franc."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console import backup_cli
from engine.commands import Configure
from engine.journal import Append, Claimed, Written
from engine.ledger import Record
from engine.ledger_check import Findings, PeriodReader, RecordReader
from engine.orders import LineState, Order, OrderState
from persistence.backup import BackupError, BackupFile, BackupProblem, back_up
from persistence.embedded import EmbeddedPostgres
from persistence.restore import RESTORE_EPOCHS, restore
from persistence.store import Store
from persistence.url import connect
from renderers.i18n import translator
from tests.actors.houses import settings
from tests.conftest import copy_of
from tests.integration.sellers import (
    Sellers,
    open_house,
    rebuilt,
    seats_of,
    sold_seats,
)
from tests.persistence.test_ledger import signed

SELLERS = 6


def quiet(*_: object) -> None:
    """Nobody watches."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="strapontin-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def empty_url(database_url: str) -> Iterator[str]:
    with copy_of(database_url, "template0") as url:
        yield url


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def books_of(store: Store) -> tuple[list[Record], Findings]:
    """The records of a house's ledger, and what is wrong with it."""
    house = await store.catalogue.house()
    assert house is not None
    found = Findings()
    head, closed = await store.ledger.periods(house.id, 0)
    assert head is not None
    periods = PeriodReader(found, signed, head.key)
    for one in closed:
        periods.read(one)
    periods.end(head)
    reader, records = RecordReader(found, periods.days), list[Record]()
    while page := (await store.ledger.records(house.id, reader.number))[1]:
        for record in page:
            reader.read(record)
        records += page
    reader.end(head)
    return records, found


async def test_what_was_acknowledged_before_a_copy_is_in_it(
    database_url: str, empty_url: str, folder: Path
) -> None:
    await open_house(database_url)
    file = folder / "copy.zip"
    async with Sellers(database_url) as house:
        ended = asyncio.Event()
        selling = [asyncio.create_task(house.sell_until(ended)) for _ in range(SELLERS)]
        await house.until_sold(30)
        before = dict(house.sold), dict(house.refunded)
        manifest = await back_up(database_url, file, quiet)
        await house.until_sold(len(house.sold) + 10)
        ended.set()
        await asyncio.gather(*selling)
        assert len(house.sold) > len(before[0]), "it went on selling"
        old = [await house.store.journal.claim(one, "the old one") for one in house.performances]
    assert manifest.rows > 100
    with BackupFile(file) as copy:
        copy.check(quiet)
        done = await restore(empty_url, copy, None, quiet, quiet)
    assert done.rows == manifest.rows
    await _compare(empty_url, *before)
    await _refuses(empty_url, old)
    async with Sellers(empty_url) as house:
        await house.refund(next(one for one in before[0].values() if one.id not in before[1]))
        assert any([await house.sell(house.performances[0], seat) for seat in range(160)])
    async with Store(empty_url) as store:
        assert (await books_of(store))[1].kept == []


async def _compare(url: str, sold: dict[str, Order], refunded: dict[str, Order]) -> None:
    async with Sellers(url) as house:  # its desk ends what was begun
        await house.until_settled()
        for id, acknowledged in (sold | refunded).items():
            order = await house.store.orders.get(id)
            assert order is not None and order.number == acknowledged.number
            assert order.revision >= acknowledged.revision
            if id in refunded:
                assert order.lines[0].state is LineState.REFUNDED
        tickets = await rows(url, "SELECT performance, seat, order_id, amount FROM tickets "
                                  "WHERE state <> 'refunded'")  # fmt: skip
        lines = await rows(url, "SELECT l.performance, l.seat, o.id, l.amount FROM order_lines l "
                                "JOIN orders o ON o.number = l.order_number "
                                "WHERE l.state = 'sold'")  # fmt: skip
        assert sorted(tickets) == sorted(lines)
        seats = {(performance, seat): order for performance, seat, order, _ in tickets}
        assert len(seats) == len(tickets)
        for id, acknowledged in sold.items():
            if id not in refunded:
                kept = {place for place, order in seats.items() if order == id}
                order = await house.store.orders.get(id)
                assert order is not None and kept == sold_seats(order)
                assert kept == sold_seats(acknowledged) or order.refunds
        for performance in house.performances:
            _, core = await rebuilt(house.store, performance)
            live = {seat: order for (where, seat), order in seats.items() if where == performance}
            assert seats_of(core) == live
        records, found = await books_of(house.store)
        assert found.kept == []
        money = sum(one.amount for one in records if one.kind in ("payment", "repayment"))
        assert money == sum(amount for *_, amount in tickets)
        assert [one.kind for one in records].count("restore") == 1


async def _refuses(url: str, old: list[Claimed]) -> None:
    """Whoever wrote the old house writes nothing here, whatever it claimed since."""
    async with Store(url) as store:
        for claimed in old:
            now = await store.journal.claim(claimed.performance, "the new one")
            assert now.epoch > RESTORE_EPOCHS
            batch = Append(now.performance, claimed.epoch, now.head_seq, now.head_seq + 1, 1, b"x")
            assert await store.journal.append([batch]) == [Written.FENCED]
            fresh = msgspec.structs.replace(batch, epoch=now.epoch)
            assert not (await store.journal.append([msgspec.structs.replace(fresh, epoch=1)]))[0]
            assert await store.journal.append([fresh]) == [Written.WRITTEN], "the guard's control"
            await rows(url, f"DELETE FROM journal WHERE seq = {fresh.seq} AND "
                            f"performance = {fresh.performance}")  # fmt: skip
            await rows(url, f"UPDATE writers SET head_seq = {now.head_seq} "
                            f"WHERE performance = {fresh.performance}")  # fmt: skip


QUERIES = {
    "tickets": "SELECT * FROM tickets ORDER BY performance, number",
    "scans": "SELECT * FROM scans ORDER BY performance, seq",
    "orders": "SELECT id, number, revision, state, total, unfinished, "
    "body - 'revision' - 'number' FROM orders ORDER BY id",
    "lines": "SELECT * FROM order_lines ORDER BY order_number, number",
    "payments": "SELECT * FROM payments ORDER BY order_number, id",
    "ledger": "SELECT * FROM ledger ORDER BY organiser, number",
    "periods": "SELECT * FROM ledger_periods ORDER BY organiser, number",
    "settings": "SELECT id, settings FROM performances ORDER BY id",
}


async def _picture(url: str) -> dict[str, Any]:
    async with Store(url) as store:
        entries = await store.catalogue.list_performances()
        cores = [(await rebuilt(store, entry.id))[1] for entry in entries]
        told = {name: await rows(url, query) for name, query in QUERIES.items()}
        told["settings"] = [
            (id, msgspec.json.decode(settings)) for id, settings in told["settings"]
        ]
        return told | {
            "seats": [core.statuses() for core in cores],
            "owners": [seats_of(core) for core in cores],
            "states": [msgspec.msgpack.decode(core.snapshot())[1:13] for core in cores],
        }


async def test_a_house_is_as_it_was_at_a_time(
    database_url: str, empty_url: str, folder: Path
) -> None:
    await open_house(database_url)
    file = folder / "copy.zip"
    async with Sellers(database_url) as house:
        first, second = house.performances
        for seat in range(0, 20, 2):
            order = await house.sell(first, seat, seat + 1)
            assert order is not None
            if seat < 6:
                await house.refund(order)
        await house.hold(second, 7, 8)
        organiser = (await house.store.catalogue.house()).id  # type: ignore[union-attr]
        await house.store.ledger.close(organiser, early=True)
    picture = await _picture(database_url)
    await asyncio.sleep(0.05)
    until = datetime.fromtimestamp(time.time(), UTC)
    await asyncio.sleep(0.05)
    async with Sellers(database_url) as house:
        known = list(await rows(database_url, "SELECT id FROM orders"))
        for (id,) in known:
            order = await house.store.orders.get(id)
            assert order is not None
            if order.state is OrderState.PAID and not order.refunds:
                await house.refund(order)
        for seat in range(30, 40):
            assert await house.sell(second, seat) is not None
        dearer = settings(hold_ms=60_000)
        await house.ask(first, Configure(b"c" * 16, dearer))
        await house.ask(second, Configure(b"d" * 16, dearer))
        await house.store.ledger.close(organiser, early=True)
    assert await _picture(database_url) != picture
    await back_up(database_url, file, quiet)
    with BackupFile(file) as copy:
        with pytest.raises(BackupError) as refused:
            late = datetime.fromtimestamp(time.time() + 60, UTC)
            await restore(empty_url, copy, late, quiet, quiet)
        assert refused.value.problem is BackupProblem.TOO_LATE
        assert await rows(empty_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []
        told: list[int] = []
        done = await restore(empty_url, copy, until, quiet, lambda one, *_: told.append(one))
        tables = " + ".join(f"(SELECT count(*) FROM {one.name})" for one in copy.manifest.tables)
        [(left,)] = await rows(empty_url, f"SELECT {tables}")
        assert done.rows == left - 1 < copy.manifest.rows, "all but the record of the restoration"
    assert done.at == until and told == [first, second]
    async with Store(empty_url) as store:
        records, found = await books_of(store)
        assert found.kept == [] and records[-1].kind == "restore"
        for performance in (first, second):
            check = await store.history.check(performance)
            assert check is not None and check.faults == ()
    await rows(empty_url, "DELETE FROM ledger WHERE kind = 'restore'")
    restored = await _picture(empty_url)
    for name, expected in picture.items():
        assert restored[name] == expected, name
    async with Sellers(empty_url) as house:
        assert await house.sell(second, 30) is not None


# The commands --------------------------------------------------------------------------


def test_a_folder_is_copied_and_made_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The embedded server, in use and at rest; and everything that is refused."""
    t, data, file = translator("en"), folder / "house", folder / "copy.zip"
    assert backup_cli.backup(file, data, None, False, t) == 2
    assert "no house" in capsys.readouterr().err
    assert backup_cli.backup(file, None, None, False, t) == 2
    assert "--data" in capsys.readouterr().err

    async def fill(url: str) -> None:
        from persistence.migrations import migrate

        await migrate(url)
        await open_house(url)

    with EmbeddedPostgres(data) as server:
        asyncio.run(fill(server.url))
        assert backup_cli.backup(file, data, None, False, t) == 0  # while it runs
        assert "performances: 2 rows" in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0, "the keys are in it"
    assert backup_cli.backup(file, data, None, False, t) == 2
    assert "exists already" in capsys.readouterr().err
    assert backup_cli.backup(folder / "other.zip", data, None, True, t) == 0  # at rest
    capsys.readouterr()
    made = folder / "made"
    assert backup_cli.restore(file, data, None, "", False, t) == 2
    assert "not empty" in capsys.readouterr().err
    assert backup_cli.restore(file, made, None, "yesterday", False, t) == 2
    assert "2026-11-21T20:00" in capsys.readouterr().err
    assert backup_cli.restore(file, made, None, "2999-01-01T00:00", False, t) == 2
    assert "the copy ends at" in capsys.readouterr().err
    assert not made.exists() and not list(folder.glob(".*")), "nothing is left of it"
    made.mkdir()
    assert backup_cli.restore(file, made, None, "", False, t) == 0
    assert f"--data {made}" in capsys.readouterr().out
    with EmbeddedPostgres(made) as server:
        [(count, epoch)] = asyncio.run(rows(server.url, "SELECT count(*), min(epoch) FROM writers"))
        assert (count, epoch) == (2, RESTORE_EPOCHS)
        assert backup_cli.restore(file, None, server.url, "", False, t) == 2
        assert "not empty" in capsys.readouterr().err


async def test_a_damaged_copy_restores_nothing(
    database_url: str, empty_url: str, folder: Path
) -> None:
    await open_house(database_url)
    file = folder / "copy.zip"
    await back_up(database_url, file, quiet)
    whole = file.read_bytes()
    problems = set()
    for at in range(0, len(whole), max(1, len(whole) // 97)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        try:
            with BackupFile(file) as copy:
                copy.check(quiet)
                # What a ZIP says twice, or of nothing that is read, may differ: no row does.
                await restore(empty_url, copy, None, quiet, quiet)
        except BackupError as error:
            problems.add(error.problem)
        else:
            async with Store(empty_url) as store:
                assert len(await store.catalogue.list_performances()) == 2
            await rows(empty_url, "DROP SCHEMA public CASCADE")
            await rows(empty_url, "CREATE SCHEMA public")
    assert BackupProblem.DAMAGED in problems
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(BackupError):
            BackupFile(file)
    assert await rows(empty_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


async def test_a_restoration_that_breaks_off_leaves_nothing(
    database_url: str, empty_url: str, folder: Path
) -> None:
    await open_house(database_url)
    file = folder / "copy.zip"
    await back_up(database_url, file, quiet)
    with BackupFile(file) as copy:
        for broken in ("house", "performances", "writers", "ledgers"):

            def stop(table: str, _: int, broken: str = broken) -> None:
                if table == broken:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                await restore(empty_url, copy, None, stop, quiet)
            found = await rows(empty_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
            assert found == []
        await restore(empty_url, copy, None, quiet, quiet)
