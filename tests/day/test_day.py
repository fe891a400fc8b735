"""A short day: its books are right, and every wrong in them would be noticed."""

import copy
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.day.books import Tables, wrong
from tests.day.house import a_day
from tests.day.people import Day

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
ORDERS = 36
Books = tuple[Day, Tables]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def books() -> AsyncIterator[Books]:
    # Not under pytest's own folder, which it closes to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="strapontin-day-") as folder:
        os.chmod(folder, 0o755)
        async with a_day(Path(folder) / "data", ORDERS, seed=7) as day:
            yield day, await Tables.of(day)


async def test_the_books_of_a_day_are_right(books: Books) -> None:
    day, tables = books
    assert wrong(day, tables) == []
    assert {0, 210, 550, 2_000} <= {row["tax_bp"] for row in tables.rates}
    assert sum(day.stories.values()) >= ORDERS and len(tables.worth) >= ORDERS


def sold(tables: Tables) -> dict[str, Any]:
    return next(row for row in tables.worth if row["state"] == "paid" and row["lines"])


def of(rows: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def more(row: dict[str, Any], name: str) -> None:
    """Another sum than the one that there is, whatever that one is."""
    row[name] += 1


WRONGS: dict[str, Callable[[Day, Tables], object]] = {
    "a cent more in an order": lambda _, it: more(sold(it), "money"),
    "a place that nobody paid": lambda _, it: more(sold(it), "lines"),
    "an order under way": lambda _, it: sold(it).update(state="selling"),
    "a cheque too many": lambda _, it: more(of(it.paid, method="cheque"), "came"),
    "a refund at the provider": lambda _, it: more(of(it.paid, method="stripe"), "went"),
    "a sale that the ledger has not": lambda _, it: more(of(it.ledger, kind="sale"), "amount"),
    "a cent at another rate of VAT": lambda _, it: more(it.rates[0], "booked"),
    "money that the ledger has not": lambda _, it: it.ledger.remove(
        of(it.ledger, kind="payment", method="cash")
    ),
    "a credit that grew": lambda _, it: it.credits[0].update(
        balance=it.credits[0]["balance"] + 1, moved=it.credits[0]["moved"] + 1
    ),
    "a credit without its moves": lambda _, it: it.credits[0].update(moved=-1),
    "a ticket without a line": lambda _, it: it.tickets.append(
        {"performance": 1, "ticket": 9, "state": "valid", "line": None}
    ),
    "a seat sold twice": lambda _, it: it.twice.append({"performance": 1, "seat": 5, "count": 2}),
    "a till that is open": lambda _, it: it.tills[0].update(closing=None),
    "a coin that is missing": lambda day, _: day.drawers.subtract({"EUR": 1}),
    "a card that was charged": lambda day, _: more(
        next(iter(day.stripe.charges.values())), "amount_captured"
    ),
}


@pytest.mark.parametrize("what", WRONGS)
async def test_a_wrong_would_be_noticed(books: Books, what: str) -> None:
    day, tables = books
    drawers, charges = day.drawers, day.stripe.charges
    try:
        day.drawers, day.stripe.charges = drawers.copy(), copy.deepcopy(charges)
        changed = copy.deepcopy(tables)
        WRONGS[what](day, changed)
        assert wrong(day, changed)
    finally:
        day.drawers, day.stripe.charges = drawers, charges
