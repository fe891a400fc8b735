"""Databases that tests have one after the other: the next finds nothing of the last."""

import asyncio

import pytest

from persistence.store import Store
from persistence.url import connect
from tests.conftest import Databases
from tests.persistence.houses import open_house
from tests.persistence.test_orders import new_order


async def _first_order(url: str) -> int:
    """Its number, in a house of its own."""
    async with await Store.open(url) as store:
        opened = await open_house(store)
        [saved] = await store.orders.save([new_order(opened.first, 3)])
        return saved.number


async def _change(url: str, change: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(change)
    finally:
        await connection.close()


def test_the_next_finds_it_as_it_was_made(databases: Databases) -> None:
    with databases.lent() as url:
        first = asyncio.run(_first_order(url))
    with databases.lent() as again:
        assert again == url
        assert asyncio.run(_first_order(again)) == first


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE another (id int)",
        "ALTER TABLE orders ADD COLUMN another int",
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        "ALTER TABLE orders ALTER COLUMN buyer_name SET DEFAULT 'x'",
        "DROP INDEX uq_tickets_live_seat",
        "UPDATE alembic_version SET version_num = 'another'",
        "ALTER TABLE tickets DROP CONSTRAINT ck_tickets_seat_or_area",
    ],
)
def test_one_that_was_changed_is_not_lent_again(databases: Databases, change: str) -> None:
    with databases.lent() as url:
        asyncio.run(_change(url, change))
    with databases.lent() as again:
        assert again != url
