"""The journal as a reader sees it: whole batches in order, in bounded pages, nothing decoded."""

import asyncpg
import pytest

from engine.journal import Page, Recorded
from persistence import history as module
from persistence.store import Store
from persistence.url import connect
from tests.persistence.houses import NOW_MS, Opened, batch


async def whole(store: Store, performance: int) -> tuple[list[Recorded], int]:
    """Every batch, page by page, and how many pages that took."""
    batches: list[Recorded] = []
    for pages in range(1, 100):
        page = await store.history.page(performance, batches[-1].seq if batches else 0)
        assert page is not None
        batches += page.batches
        if not page.batches or page.batches[-1].seq == page.head_seq:
            return batches, pages
    raise AssertionError("no end")


async def test_what_was_appended_is_read_as_it_was(store: Store, opened: Opened) -> None:
    claimed = await store.journal.claim(opened.first, "here")
    await store.journal.append([batch(claimed, 0), batch(claimed, 3)])
    again = await store.journal.claim(opened.first, "there")
    await store.journal.append([batch(again, 6, events=2)])
    other = await store.journal.claim(opened.second, "here")
    await store.journal.append([batch(other, 0, blob=b"another performance")])
    page = await store.history.page(opened.first, 0)
    assert page == Page(
        8,
        NOW_MS,
        NOW_MS,
        (
            Recorded(3, 0, 1, NOW_MS, b"1:0"),
            Recorded(6, 3, 1, NOW_MS, b"1:3"),
            Recorded(8, 6, 2, NOW_MS, b"2:6"),
        ),
    )
    tail = await store.history.page(opened.first, 6)
    assert tail is not None and [one.seq for one in tail.batches] == [8]
    assert await store.history.page(opened.first, 8) == Page(8, NOW_MS, NOW_MS, ())


async def test_a_performance_that_nobody_asked_yet_has_an_empty_journal(
    store: Store, opened: Opened
) -> None:
    assert await store.history.page(opened.first, 0) == Page(0, 0, 0, ())
    assert await store.history.page(12_345, 0) is None


async def test_pages_are_bounded_and_lose_nothing(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = await store.journal.claim(opened.first, "here")
    blobs = [bytes([65 + number]) * 100 for number in range(7)]
    for number, blob in enumerate(blobs):
        await store.journal.append([batch(claimed, 3 * number, blob=blob)])
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 250)
    page = await store.history.page(opened.first, 0)
    assert page is not None
    assert ([one.seq for one in page.batches], page.head_seq) == ([3, 6, 9], 21)
    batches, pages = await whole(store, opened.first)
    assert ([one.events for one in batches], pages) == (blobs, 3)
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 1)  # a batch larger than a page comes alone
    batches, pages = await whole(store, opened.first)
    assert ([one.events for one in batches], pages) == (blobs, 7)
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 10_000)
    monkeypatch.setattr(module, "MAX_PAGE_BATCHES", 4)
    batches, pages = await whole(store, opened.first)
    assert ([one.events for one in batches], pages) == (blobs, 2)


async def test_it_says_when_the_journal_begins_and_ends(
    store: Store, opened: Opened, database_url: str
) -> None:
    claimed = await store.journal.claim(opened.first, "here")
    for number in range(3):
        await store.journal.append([batch(claimed, 3 * number)])
    sql: asyncpg.Connection = await connect(database_url)
    await sql.execute("UPDATE journal SET at_ms = $1 + seq", NOW_MS)
    await sql.close()
    page = await store.history.page(opened.first, 6)
    assert page is not None
    assert (page.first_ms, page.last_ms) == (NOW_MS + 3, NOW_MS + 9)
