"""What doors are told is committed, whole or since a seq, and belongs to the seq it names."""

from engine.journal import Written
from engine.projection import Projection, ScanRow, UndoneRow
from persistence.store import Store
from tests.persistence.houses import NOW_MS, Opened, batch, selling, ticket


def scan(seq: int, number: int, mode: str = "admit", result: str = "ADMITTED") -> ScanRow:
    gate = f"gate {seq}"
    return ScanRow(seq, NOW_MS + seq, gate, "door", mode, number, result, scanned_ms=NOW_MS + seq)


def kept(seq: int, number: int, scanned_ms: int, result: str, shown: str) -> ScanRow:
    return ScanRow(
        seq, NOW_MS + seq, "far", "lane", "admit", number, result,
        sequence=seq, scanned_ms=scanned_ms, shown=shown,
    )  # fmt: skip


async def test_a_list_is_whole_or_what_came_since(store: Store, opened: Opened) -> None:
    journal, lists = store.journal, store.door_lists
    assert await lists.read(999, since=0, first=1) is None
    claimed = await journal.claim(opened.first, "test")
    empty = await lists.read(opened.first, since=0, first=1)
    assert empty is not None and (empty.seq, empty.tickets, list(empty.places)) == (0, 0, [])
    sold = Projection(tickets=(*selling(4, 5, 6).tickets, ticket(4, 7, state="unpaid")))
    assert await journal.append([batch(claimed, 0, projection=sold)]) == [Written.WRITTEN]
    marked = Projection(ticket_states=((2, "refunded", 0), (3, "valid", 2)))
    used = Projection(
        scans=(scan(7, 1), scan(8, 3, result="WRONG_GATE"), scan(9, 1, result="ALREADY_USED"))
    )
    assert await journal.append([batch(claimed, 3, projection=marked)]) == [Written.WRITTEN]
    assert await journal.append([batch(claimed, 6, projection=used)]) == [Written.WRITTEN]
    whole = await lists.read(opened.first, since=0, first=1)
    assert whole is not None
    assert (whole.seq, whole.tickets, list(whole.places)) == (9, 4, [4, 5, 6, 7])
    assert whole.states == {2: "refunded", 4: "unpaid"} and whole.versions == {3: 2}
    assert whole.used == [(1, NOW_MS + 7, "gate 7", True)]
    later = Projection(scans=(scan(10, 3), scan(11, 1, "exit", "EXITED")))
    assert await journal.append([batch(claimed, 9, projection=later)]) == [Written.WRITTEN]
    since = await lists.read(opened.first, since=9, first=4)
    assert since is not None
    assert sorted(since.used) == [
        (1, NOW_MS + 7, "gate 7", False), (3, NOW_MS + 10, "gate 10", True),
    ]  # fmt: skip
    assert (since.seq, since.tickets, list(since.places)) == (12, 4, [7])
    nothing = await lists.read(opened.first, since=12, first=5)
    assert nothing is not None and not nothing.used and not nothing.places
    restored = await lists.read(opened.first, since=500, first=5)
    assert restored is not None and len(restored.used) == 2


async def test_what_was_kept_counts_by_its_clock_and_what_was_taken_back_does_not(
    store: Store, opened: Opened
) -> None:
    journal, lists = store.journal, store.door_lists
    claimed = await journal.claim(opened.first, "test")
    scanned = Projection(
        tickets=selling(4, 5, 6).tickets,
        scans=(
            scan(1, 1),
            kept(2, 1, NOW_MS - 5, "ADMITTED", "ADMITTED"),  # earlier, and heard of later
            kept(3, 2, NOW_MS, "UNPAID", "ADMITTED"),  # it did come in, whatever is thought of it
            kept(4, 3, NOW_MS, "ADMITTED", "WRONG_GATE"),
            scan(5, 3),
        ),
    )
    assert await journal.append([batch(claimed, 0, events=5, projection=scanned)]) == [
        Written.WRITTEN
    ]
    whole = await lists.read(opened.first, since=0, first=1)
    assert whole is not None and sorted(whole.used) == [
        (1, NOW_MS - 5, "far", True),
        (2, NOW_MS, "far", True),
        (3, NOW_MS + 5, "gate 5", True),
    ]
    undone = Projection(undone=(UndoneRow(6, NOW_MS + 6, 3, "door", -1),))
    assert await journal.append([batch(claimed, 5, projection=undone)]) == [Written.WRITTEN]
    since = await lists.read(opened.first, since=5, first=4)
    assert since is not None and (since.used, since.unused) == ([], [3])
