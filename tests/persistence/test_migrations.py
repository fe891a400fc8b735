"""The revisions make the tables that the code describes, once, whoever starts first."""

import asyncio
import json
from typing import Any, Final

import msgspec
import pytest
from alembic import command
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from engine.orders import Order, OrderState
from persistence.migrations import migrate
from persistence.schema import metadata
from persistence.store import Store
from persistence.url import DatabaseUnavailable, DatabaseUrlError, connect, sqlalchemy_url
from tests.conftest import copy_of
from tests.persistence.test_orders import new_order

_SHAPE = """
SELECT 'column', c.table_name || '.' || c.column_name,
    concat_ws(' ', c.data_type, c.udt_name, c.is_nullable, c.column_default, c.is_identity,
        c.identity_start, a.attstorage)
FROM information_schema.columns c
JOIN pg_attribute a ON a.attrelid = c.table_name::regclass AND a.attname = c.column_name
WHERE c.table_schema = 'public' AND c.table_name <> 'alembic_version'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT 'index', tablename || '.' || indexname, indexdef
FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL
SELECT 'table', relname, coalesce(reloptions::text, '')
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    AND relname <> 'alembic_version'
ORDER BY 1, 2
"""


async def shape(url: str) -> list[tuple[Any, ...]]:
    connection = await connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(_SHAPE)]
    finally:
        await connection.close()


def test_the_revisions_end_with_the_tables_of_today(database_url: str) -> None:
    with copy_of(database_url, "template0") as other:

        async def shapes() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
            engine = create_async_engine(sqlalchemy_url(other))
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
            await engine.dispose()
            return await shape(database_url), await shape(other)

        migrated, described = asyncio.run(shapes())
    assert len(described) > 200
    assert migrated == described


def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    with copy_of(database_url, "template0") as other:

        async def race() -> list[tuple[Any, ...]]:
            await asyncio.gather(*(migrate(other) for _ in range(4)))
            await migrate(other)
            return await shape(other)

        assert len(asyncio.run(race())) > 200


async def migrate_to(url: str, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, revision))
        await migrate(url)


def test_scans_of_before_the_doors_revision_are_kept_as_they_were(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copy_of(database_url, "template0") as other:

        async def story() -> tuple[Any, ...]:
            await migrate_to(other, "0006", monkeypatch)
            connection = await connect(other)
            await connection.execute(
                "INSERT INTO scans VALUES (1, 5, 77, 'north', 'lane', 'admit', 9, 'ADMITTED')"
            )
            await migrate(other)
            row = await connection.fetchrow("SELECT * FROM scans")
            await connection.close()
            return tuple(row)

        assert asyncio.run(story()) == (
            *(1, 5, 77, "north", "lane", "admit", 9, "ADMITTED"),
            *("", -1, 77, "", 0),
        )


WAS_THEN: Final = {
    "pending": OrderState.OPEN,
    "paid": OrderState.SELLING,
    "confirmed": OrderState.PAID,
    "cancelled": OrderState.CANCELLED,
    "failed": OrderState.FAILED,
    "refunded": OrderState.REFUNDED,
}
"""What the states were called before they had the names of today."""


def test_orders_of_before_keep_their_state_under_its_name_of_today(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copy_of(database_url, "template0") as other:

        async def story() -> tuple[list[Order], list[Order]]:
            await migrate_to(other, "0008", monkeypatch)
            connection = await connect(other)
            for number, (state, part) in enumerate(
                [*((one, False) for one in WAS_THEN), ("confirmed", True)]
            ):
                body = json.loads(msgspec.json.encode(new_order(1, number)))
                body["state"] = state
                if part:
                    body["lines"][0]["state"] = "refunded"
                text = json.dumps(body)
                await connection.execute(
                    "INSERT INTO orders (id, revision, state, channel, currency, total, created_ms,"
                    " expires_ms, buyer_name, buyer_email, buyer_words, operator, session,"
                    " unfinished, body) VALUES ($1, 1, $2, 'web', 'EUR', 0, 0, 0, '', '', '{}',"
                    " '', '', false, $3)",
                    *(body["id"], state, text),
                )
                await connection.execute(
                    "INSERT INTO order_history SELECT number, 0, 5, $2 FROM orders WHERE id = $1",
                    *(body["id"], text),
                )
            await migrate(other)
            rows = [
                await connection.fetch("SELECT body FROM orders ORDER BY number"),
                await connection.fetch("SELECT body FROM order_history ORDER BY order_number"),
            ]
            columns = await connection.fetch("SELECT state FROM orders ORDER BY number")
            await connection.close()
            now, before = (
                [msgspec.json.decode(row["body"], type=Order) for row in each] for each in rows
            )
            assert [row["state"] for row in columns] == [order.state.value for order in now]
            return now, before

        now, before = asyncio.run(story())
    assert [order.state for order in now] == [*WAS_THEN.values(), OrderState.PART_REFUNDED]
    assert before == now


def test_lines_of_before_have_the_currency_of_their_order(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(url: str) -> list[tuple[int, str]]:
        await migrate_to(url, "0016", monkeypatch)
        connection = await connect(url)
        for number, currency in ((1, "CHF"), (2, "EUR")):
            await connection.execute(
                "INSERT INTO orders (id, number, revision, state, channel, currency, total,"
                " created_ms, expires_ms, buyer_name, buyer_email, buyer_words, operator, session,"
                " unfinished, body) OVERRIDING SYSTEM VALUE VALUES ($1, $2, 1, 'paid', 'web', $3,"
                " 0, 0, 0, '', '', '{}', '', '', false, '{}')",
                *(f"{number:032x}", number, currency),
            )
            await connection.execute(
                "INSERT INTO order_lines (order_number, number, performance, seat, area,"
                " price_type, amount, state, ticket) VALUES ($1, 1, 4, 1, -1, 'x', 500, 'sold', 1)",
                number,
            )
        await migrate(url)
        rows = await connection.fetch("SELECT order_number, currency FROM order_lines ORDER BY 1")
        await connection.close()
        return [tuple(row) for row in rows]

    with copy_of(database_url, "template0") as other:
        assert asyncio.run(story(other)) == [(1, "CHF"), (2, "EUR")]


@pytest.mark.parametrize(
    "url", ["mysql://root@localhost/x", "sqlite:///house.db", "not an address", ""]
)
def test_an_address_that_is_not_postgres_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match="expected postgresql://"):
        sqlalchemy_url(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_usual_spellings_of_an_address_are_accepted(scheme: str) -> None:
    url = sqlalchemy_url(f"{scheme}://house:p%40ss@db.example:5433/strapontin?sslmode=require")
    assert (url.drivername, url.password, url.port) == ("postgresql+asyncpg", "p@ss", 5433)
    assert dict(url.query) == {"ssl": "require"}


def test_an_option_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(DatabaseUrlError, match="channel_binding"):
        sqlalchemy_url("postgresql://db.example/strapontin?channel_binding=require")


def test_a_wrong_address_is_not_repeated_with_its_password() -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        sqlalchemy_url("mysql://root:secret@localhost/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("sslmode", ["prefer", "disable"])
async def test_the_way_to_encrypt_is_passed_on(database_url: str, sslmode: str) -> None:
    url = f"{database_url}{'&' if '?' in database_url else '?'}sslmode={sslmode}"
    async with await Store.open(url) as store:
        assert (await store.health()).synchronous_commit == "on"
        assert await store.journal.serving(1) is None


@pytest.mark.parametrize("database_url", ["tcp"], indirect=True)
async def test_a_server_that_cannot_be_used_is_named_and_its_password_is_not(
    database_url: str,
) -> None:
    parsed = make_url(database_url)
    for url in (
        parsed.set(port=9),  # nobody listens
        parsed.set(password="wrong-secret"),
        parsed.set(database="nowhere"),
        parsed.set(query={"sslmode": "require"}),  # it has no TLS
    ):
        text = url.render_as_string(hide_password=False)
        for attempt in (Store.open(text), migrate(text)):
            with pytest.raises(DatabaseUnavailable, match=f"at 127.0.0.1:{url.port}") as caught:
                await attempt
            assert str(url.password) not in str(caught.value)
            assert "\n" not in str(caught.value)


async def test_tables_of_a_newer_version_are_left_alone(database_url: str) -> None:
    connection = await connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    before = await shape(database_url)
    with pytest.raises(DatabaseUnavailable, match=r"newer version of .*9999"):
        await migrate(database_url)
    assert await shape(database_url) == before
