"""Who is expected is found by name, and has come or has not."""

import pytest
from msgspec import structs

from engine.orders import Buyer
from engine.projection import KEEP_VERSION, Projection, ScanRow, UndoneRow
from persistence import guests as module
from persistence.store import Store
from tests.persistence.houses import NOW_MS, Opened, batch, selling
from tests.persistence.test_orders import new_order

PEOPLE = (
    Buyer("Zoë O'Neill", "zoe@example.org"),
    Buyer("", ""),
    Buyer("Éléonore d'Aquitaine", "eleonore@poitiers.example"),
    Buyer("bernard Dupont", "b.dupont@example.org"),
    Buyer("Bernadette Dupond", ""),
)
SORTED = [5, 4, 3, 1, 2]


@pytest.fixture
async def sold(store: Store, opened: Opened) -> None:
    """Ticket n, for seat n - 1, is the n-th one's."""
    claimed = await store.journal.claim(opened.first, "")
    for seat, buyer in enumerate(PEOPLE):
        [order] = await store.orders.save([new_order(opened.first, seat, buyer=buyer)])
        tickets = selling(seat, first_number=seat + 1, order=order.id)
        assert await store.journal.append([batch(claimed, 3 * seat, projection=tickets)])


async def listed(store: Store, opened: Opened, text: str = "", limit: int = 100) -> list[int]:
    found = await store.guests.guests(opened.first, text=text, limit=limit)
    return [guest.ticket for guest in found]


@pytest.mark.usefixtures("sold")
async def test_guests_are_listed_by_name_the_nameless_last(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await listed(store, opened) == SORTED
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    assert await listed(store, opened) == SORTED
    assert await listed(store, opened, limit=3) == SORTED[:3]
    assert await store.guests.guests(opened.second, limit=9) == []
    [guest] = await store.guests.guests(opened.first, text="zoe", limit=1)
    assert structs.astuple(guest) == (
        1, 0, 1001, "Zoë O'Neill", 0, -1, "full", "valid", 0,
    )  # fmt: skip


@pytest.mark.usefixtures("sold")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bern", [5, 4]),
        ("DUPON bern", [5, 4]),
        ("eleonore", [3]),
        ("o'neill", [1]),
        ("nobody", []),
        ("' | !", []),
    ],
)
async def test_guests_are_found_by_the_beginnings_of_their_names(
    store: Store, opened: Opened, text: str, found: list[int]
) -> None:
    assert await listed(store, opened, text) == found


@pytest.mark.usefixtures("sold")
async def test_a_guest_has_come_when_somebody_was_let_in_with_the_ticket(
    store: Store, opened: Opened
) -> None:
    def scan(seq: int, ticket: int, result: str, mode: str = "admit", **more: object) -> ScanRow:
        row = ScanRow(seq, NOW_MS + 99, "", "lane", mode, ticket, result, scanned_ms=NOW_MS + seq)
        return structs.replace(row, **more)

    claimed = await store.journal.claim(opened.first, "")
    scans = (
        scan(20, 1, "ADMITTED"),
        scan(21, 1, "EXITED", "exit"),
        scan(22, 1, "ADMITTED"),
        scan(23, 2, "ALREADY_USED", sequence=1, shown="ADMITTED"),
        scan(24, 3, "ADMITTED"),
        scan(25, 4, "ADMITTED", "mark"),
        scan(26, 5, "ADMITTED", sequence=2, shown="WRONG_GATE"),
    )
    changes = Projection(scans=scans, undone=(UndoneRow(30, NOW_MS, 3, "lane", -1),))
    assert await store.journal.append([batch(claimed, 15, projection=changes)])
    found = await store.guests.guests(opened.first, limit=9)
    assert {guest.ticket: guest.arrived_ms and guest.arrived_ms - NOW_MS for guest in found} == {
        1: 20, 2: 23, 3: 0, 4: 25, 5: 0,
    }  # fmt: skip


@pytest.mark.usefixtures("sold")
async def test_whose_money_went_back_is_no_guest(store: Store, opened: Opened) -> None:
    claimed = await store.journal.claim(opened.first, "")
    changes = Projection(
        ticket_states=((4, "refunded", KEEP_VERSION), (5, "blocked", KEEP_VERSION))
    )
    assert await store.journal.append([batch(claimed, 15, projection=changes)])
    found = await store.guests.guests(opened.first, limit=9)
    assert [(guest.ticket, guest.state) for guest in found][:2] == [(5, "blocked"), (3, "valid")]
